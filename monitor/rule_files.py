"""The shipped alert rules and runbooks, written to where Prometheus and people read them."""

import re
from collections.abc import Iterable
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from textwrap import indent

from monitor.errors import DriftdError

RUNBOOKS, GRAFANA = "https://runbooks.invalid", "https://grafana.invalid"
"""What stands in the shipped rules where the user's own addresses belong."""
PAGES = "runbooks"
MANIFEST = """# Written by `driftd rules write --kubernetes`; do not edit.
apiVersion: monitoring.coreos.com/v1
kind: PrometheusRule
metadata:
  name: driftd
  labels: {app.kubernetes.io/name: driftd}
spec:
  groups:
"""
MANIFEST_FILE = "prometheusrule.yaml"  # not .yml: it is no rule file of Prometheus
ADDRESS = re.compile(r"""https?://[^\s"'`{}\\]+""")
"""An address that can stand in a rule file as it is."""


def write_rules(
    folder: Path, runbooks: str | None = None, grafana: str | None = None, *, kubernetes: bool = False
) -> list[Path]:
    """Write the rule files to the folder, and the runbooks below it; return the rule files.

    kubernetes: write one PrometheusRule instead.

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
        written = {
            rules.name: _addressed(rules.read_text("utf-8"), runbooks or pages.resolve().as_uri(), grafana)
            for rules in shipped_rules()
        }
        if kubernetes:
            written = {MANIFEST_FILE: as_manifest(written.values())}
        for name, text in written.items():
            (folder / name).write_text(text, encoding="utf-8")
        return [folder / name for name in written]
    except OSError as error:
        raise DriftdError(f"{error.filename}: the rules cannot be written: {error.strerror}") from error


def as_manifest(rules: Iterable[str]) -> str:
    """Return rule files as one PrometheusRule, for the Prometheus operator of a Kubernetes cluster."""
    groups = (text.partition("\ngroups:\n")[2] for text in rules)
    return MANIFEST + indent("\n".join(groups), "  ")


def shipped_rules() -> list[Traversable]:
    """Return the rule files as they are shipped, in the order of their names."""
    found = (f for f in files("alert_rules").iterdir() if f.name.endswith(".yml"))
    return sorted(found, key=lambda f: f.name)


def shipped_runbooks() -> Traversable:
    """Return the folder of runbooks: beside the rules in a wheel, in docs/ in a source tree."""
    shipped = files("alert_rules") / PAGES
    return shipped if shipped.is_dir() else Path(__file__).parents[1] / "docs" / PAGES


def _addressed(text: str, runbooks: str, grafana: str | None) -> str:
    text = text.replace(RUNBOOKS, runbooks.rstrip("/"))
    if grafana is None:
        return "".join(line for line in text.splitlines(keepends=True) if GRAFANA not in line)
    return text.replace(GRAFANA, grafana.rstrip("/"))
