"""The documentation is complete: every key, metric, detector and command; and its examples are right."""

import json
import re
import tomllib
from collections.abc import Iterable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import click
import pytest

from detectors.alibi import ALIBI
from detectors.class_shift import LabelShift
from detectors.distances import anderson_darling, chi2, energy
from detectors.faults import Faults
from detectors.multivariate import MULTIVARIATE
from exporters.catalog import CATALOG
from exporters.metric import Metric
from monitor.cli import main
from monitor.config import Config, examine, table_of
from monitor.core.judging import detector_names
from monitor.fields import Strict
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
    if key in {"daemon.max_line", "daemon.rejects_max", "alibi.memory"}:
        assert parse_size(format_size(default)) == default
        return {f'"{format_size(default)}"'}
    if isinstance(default, bool | tuple | dict):
        return {json.dumps(default)}
    return {str(default) if isinstance(default, int | float) else f'"{default}"'}


def test_no_documented_key_is_unknown() -> None:
    assert set(rows(page("configuration.md"))) == set(KEYS)


@pytest.mark.parametrize("metric", CATALOG, ids=lambda m: m.name)
def test_every_metric_is_documented_as_it_is(metric: Metric) -> None:
    kind, labels, _ = rows(page("metrics.md"))[metric.name]

    assert (kind, labels) == (metric.kind, ", ".join(metric.labels) or "none")


def test_no_documented_metric_is_unknown() -> None:
    documented = {name for name in rows(page("metrics.md")) if name.startswith(("driftd_", "process_"))}

    assert documented <= {m.name for m in CATALOG}


@pytest.mark.parametrize("name", sorted(detector_names()))
def test_every_detector_is_documented(name: str) -> None:
    assert name in rows(page("detectors.md"))


@pytest.mark.parametrize("name", sorted(ALIBI))
def test_every_detector_of_alibi_detect_has_its_idea_its_paper_and_an_example(name: str) -> None:
    idea, blind, found = rows(page("alibi.md"))[f"alibi.{name}"]

    assert idea
    assert blind
    assert int(found) >= 0
    assert re.search(r" (19|20)\d\d\b", idea) or name == "tabular"


SEEDED: dict[str, Any] = {
    **MULTIVARIATE,
    "anderson_darling": anderson_darling,
    "energy": energy,
    "prior_drift": chi2,
    "label_shift": LabelShift,
    "e_quality": Faults,
}


@pytest.mark.parametrize("name", sorted(SEEDED))
def test_every_later_detector_says_when_it_finds_a_seeded_change_and_whose_it_is(name: str) -> None:
    said = SEEDED[name].__doc__

    assert name in rows(page("detectors.md"))
    assert [
        part for part in ("default_rng(", ".index(", "References\n    ----------\n") if part not in said
    ] == []


def commands(group: click.Group = main, before: str = "") -> Iterator[tuple[str, click.Command]]:
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from commands(command, f"{before}{name} ")
        else:
            yield f"{before}{name}", command


COMMANDS = dict(commands())


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_every_command_is_documented_with_its_options(name: str) -> None:
    section = re.search(rf"^## driftd {name}$(.*?)(?=^## |\Z)", page("cli.md"), re.MULTILINE | re.DOTALL)
    options = [o for p in COMMANDS[name].params if isinstance(p, click.Option) for o in p.opts]

    assert section, f"docs/cli.md has no section for {name}"
    assert [o for o in options if o.startswith("--") and f"`{o}" not in section[1]] == []


def toml_blocks(pages: Iterable[Path]) -> list[tuple[str, str]]:
    pattern = re.compile(r"^```toml\n(.*?)^```", re.MULTILINE | re.DOTALL)
    return [
        (f"{path.name}-{i}", block)
        for path in pages
        for i, block in enumerate(pattern.findall(path.read_text(encoding="utf-8")))
    ]


@pytest.mark.parametrize(("_name", "block"), toml_blocks([ROOT / "README.md"]))
def test_an_example_of_the_readme_is_a_whole_configuration(_name: str, block: str, tmp_path: Path) -> None:
    assert isinstance(examine(tomllib.loads(block), tmp_path), Config)


@pytest.mark.parametrize(("_name", "block"), toml_blocks(sorted(DOCS.rglob("*.md"))))
def test_an_example_of_the_docs_is_a_part_of_a_configuration(_name: str, block: str, tmp_path: Path) -> None:
    part = tomllib.loads(block)
    if isinstance(part.get("models"), dict):  # it begins inside a model
        part["models"] = [part["models"]]
    found = examine(part, tmp_path)

    assert isinstance(found, Config) or {fault.kind for fault in found} <= {"missing", "too_short"}


def test_every_link_between_pages_leads_somewhere() -> None:
    broken = [
        f"{path.name}: {link}"
        for path in (*ROOT.glob("*.md"), *DOCS.rglob("*.md"))
        for link in re.findall(r"\]\(([^)#\s]+)", path.read_text(encoding="utf-8"))
        if "://" not in link and not (path.parent / link).exists()
    ]

    assert broken == []
