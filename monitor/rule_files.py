"""The shipped alert rules and runbooks, written to where Prometheus and people read them."""

import re
from collections.abc import Iterator
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path

from monitor.errors import DriftdError

RUNBOOKS, GRAFANA = "https://runbooks.invalid", "https://grafana.invalid"
"""What stands in the shipped rules where the user's own addresses belong."""
PAGES = "runbooks"
ADDRESS = re.compile(r"""https?://[^\s"'`{}\\]+""")
"""An address that can stand in a rule file as it is."""


def write_rules(folder: Path, runbooks: str | None = None, grafana: str | None = None) -> list[Path]:
    """Write the rule files to the folder, and the runbooks below it; return the rule files.

    runbooks: where people read the runbooks; without it, the files just written. grafana: where Grafana is;
    without it no alert has a link to a dashboard. Raises DriftdError when an address is none, or when the
    folder does not take the files.
    """
    for name, address in (("runbooks", runbooks), ("grafana", grafana)):
        if address is not None and not ADDRESS.fullmatch(address):
            raise DriftdError(
                f"--{name}: {address!r} is no address; write it like https://wiki.example.org/x"
            )
    pages = folder / PAGES
    try:
        pages.mkdir(parents=True, exist_ok=True)
        for page in sorted(shipped_runbooks().iterdir(), key=lambda p: p.name):
            (pages / page.name).write_bytes(page.read_bytes())
        return list(_rules(folder, runbooks or pages.resolve().as_uri(), grafana))
    except OSError as error:
        raise DriftdError(f"{error.filename}: the rules cannot be written: {error.strerror}") from error


def shipped_rules() -> list[Traversable]:
    """Return the rule files as they are shipped, in the order of their names."""
    found = (f for f in files("alert_rules").iterdir() if f.name.endswith(".yml"))
    return sorted(found, key=lambda f: f.name)


def shipped_runbooks() -> Traversable:
    """Return the folder of runbooks: beside the rules in a wheel, in docs/ in a source tree."""
    shipped = files("alert_rules") / PAGES
    return shipped if shipped.is_dir() else Path(__file__).parents[1] / "docs" / PAGES


def _rules(folder: Path, runbooks: str, grafana: str | None) -> Iterator[Path]:
    for rules in shipped_rules():
        text = rules.read_text(encoding="utf-8").replace(RUNBOOKS, runbooks.rstrip("/"))
        if grafana is None:
            text = "".join(line for line in text.splitlines(keepends=True) if GRAFANA not in line)
        else:
            text = text.replace(GRAFANA, grafana.rstrip("/"))
        path = folder / rules.name
        path.write_text(text, encoding="utf-8")
        yield path
