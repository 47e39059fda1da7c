"""The documentation is complete: every key, metric, detector and command; and its examples are right."""

import re
import tomllib
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import click
import pytest
from detectors.quality import CHECKS
from monitor.cli import main

from detectors.drift import STATISTICS
from exporters.catalog import CATALOG
from monitor.config import Config, Strict, examine, table_of
from monitor.quantities import format_duration, format_size, parse_size

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"


def page(name: str) -> str:
    return (DOCS / name).read_text(encoding="utf-8")


def rows(text: str) -> dict[str, list[str]]:
    """Return the table rows whose first cell is code: its text and the other cells."""
    cells = [
        [c.strip() for c in line.strip("|").split(" | ")] for line in text.splitlines() if line[:3] == "| `"
    ]
    return {c[0].strip("| `"): c[1:] for c in cells}


def keys(table: type[Strict] = Config, at: str = "") -> Iterator[tuple[str, Any]]:
    for name, field in table.model_fields.items():
        inner = table_of(field.annotation)
        if inner is not None:
            yield from keys(inner, f"{at}{name}.")
        elif not field.exclude:
            yield f"{at}{name}", field


KEYS = dict(keys())


@pytest.mark.parametrize("key", sorted(KEYS))
def test_every_key_is_documented_with_its_default(key: str) -> None:
    row = rows(page("configuration.md"))[key]

    assert len(row) == 3
    assert row[1].strip("`") in defaults(KEYS[key], key)


def defaults(field: Any, key: str) -> set[str]:  # noqa: ANN401  # pydantic's description of a field
    if field.is_required():
        return {"required"}
    default = field.default
    if default is None:
        return {"none", "from the budget"}
    if isinstance(default, timedelta):
        return {f'"{format_duration(default)}"'}
    if key in {"daemon.max_line", "daemon.rejects_max"}:
        assert parse_size(format_size(default)) == default
        return {f'"{format_size(default)}"'}
    if isinstance(default, bool):
        return {str(default).lower()}
    return {"[]"} if default == () else {str(default) if isinstance(default, int | float) else f'"{default}"'}


def test_no_documented_key_is_unknown() -> None:
    assert set(rows(page("configuration.md"))) == set(KEYS)


@pytest.mark.parametrize("name", sorted(m.name for m in CATALOG))
def test_every_metric_is_documented(name: str) -> None:
    assert name in rows(page("metrics.md"))


def test_no_documented_metric_is_unknown() -> None:
    documented = {name for name in rows(page("metrics.md")) if name.startswith("driftd_")}

    assert documented <= {m.name for m in CATALOG}


@pytest.mark.parametrize("name", sorted({*STATISTICS, *CHECKS}))
def test_every_detector_is_documented(name: str) -> None:
    assert name in rows(page("detectors.md"))


@pytest.mark.parametrize("name", sorted(main.commands))
def test_every_command_is_documented_with_its_options(name: str) -> None:
    section = re.search(rf"^## driftd {name}$(.*?)(?=^## |\Z)", page("cli.md"), re.MULTILINE | re.DOTALL)
    options = [o for p in main.commands[name].params if isinstance(p, click.Option) for o in p.opts]

    assert section, f"docs/cli.md has no section for {name}"
    assert [o for o in options if o.startswith("--") and f"`{o}" not in section[1]] == []


def toml_blocks() -> Iterator[tuple[str, str]]:
    for path in (ROOT / "README.md", *sorted(DOCS.rglob("*.md"))):
        blocks = re.findall(
            r"^```toml\n(.*?)^```", path.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL
        )
        yield from ((f"{path.name}-{i}", block) for i, block in enumerate(blocks))


@pytest.mark.parametrize("block", [b for _, b in toml_blocks()], ids=[n for n, _ in toml_blocks()])
def test_every_example_configuration_is_right(block: str, tmp_path: Path) -> None:
    assert isinstance(examine(tomllib.loads(block), tmp_path), Config)


def test_every_link_between_pages_leads_somewhere() -> None:
    broken = [
        f"{path.name}: {link}"
        for path in (*ROOT.glob("*.md"), *DOCS.rglob("*.md"))
        for link in re.findall(r"\]\(([^)#\s]+)", path.read_text(encoding="utf-8"))
        if "://" not in link and not (path.parent / link).exists()
    ]

    assert broken == []
