"""The shipped alert rules are complete: runbooks, tests and docs of each, only exported metrics in them."""

import re
from dataclasses import dataclass
from pathlib import Path

import click
import pytest

from detectors.faults import FAULTS
from detectors.quality import QUALITY
from exporters.catalog import CATALOG
from monitor.cli import main
from monitor.core.closing import NOT_YET
from monitor.core.judging import detector_names
from monitor.core.usual import ERROR, LOSS

ROOT = Path(__file__).parents[1]
RULES = sorted((ROOT / "alert_rules").glob("*.yml"))
RUNBOOKS = ROOT / "docs" / "runbooks"
HEADINGS = ["What it means", "How to look", "What to do", "How to silence"]


@dataclass(frozen=True, slots=True)
class Alert:
    """One alert as its file has it."""

    name: str
    text: str

    def value(self, key: str) -> str:
        found = re.search(rf"^ +{key}: (.*)$", self.text, re.MULTILINE)
        return found[1] if found else ""


def alerts() -> list[Alert]:
    blocks = [b for path in RULES for b in re.split(r"^      - ", path.read_text(), flags=re.MULTILINE)]
    return [Alert(b.splitlines()[0].removeprefix("alert: "), b) for b in blocks if b.startswith("alert: ")]


ALERTS = alerts()
each_alert = pytest.mark.parametrize("alert", ALERTS, ids=lambda a: a.name)


def test_there_are_four_themes() -> None:
    assert [path.stem for path in RULES] == ["daemon", "drift", "performance", "quality"]
    assert len({a.name for a in ALERTS}) == len(ALERTS) > 20


@each_alert
def test_an_alert_says_who_is_woken_what_is_wrong_and_where_to_read_on(alert: Alert) -> None:
    assert alert.value("severity") in {"page", "ticket"}
    assert alert.value("theme") in {path.stem for path in RULES}
    assert alert.value("summary")
    assert alert.value("description")
    assert alert.value("runbook_url") == f"https://runbooks.invalid/{alert.name}.md"
    assert "https://grafana.invalid/d/driftd-" in alert.value("dashboard")


def test_only_harm_lost_data_and_blindness_wake_anybody() -> None:
    pages = {a.name for a in ALERTS if a.value("severity") == "page"}

    assert pages == {"DriftdPerformanceLoss", "DriftdDown", "DriftdTargetMissing", "DriftdRowsDropped"}


@each_alert
def test_an_alert_has_its_runbook(alert: Alert) -> None:
    text = (RUNBOOKS / f"{alert.name}.md").read_text()

    assert text.startswith(f"# {alert.name}\n")
    assert re.findall(r"^## (.*)$", text, re.MULTILINE) == HEADINGS
    assert f"Severity: {alert.value('severity')}." in text
    assert re.search(rf"^amtool silence add .*alertname={alert.name}", text, re.MULTILINE)


@each_alert
def test_a_runbook_leads_to_the_status_page(alert: Alert) -> None:
    look = (RUNBOOKS / f"{alert.name}.md").read_text().partition("## How to look")[2].partition("\n## ")[0]

    assert "[status page](http://HOST:9478/)" in look


def test_every_runbook_that_a_dashboard_links_to_is_there() -> None:
    boards = "".join(path.read_text() for path in (ROOT / "dashboards").glob("*.json"))
    linked = set(re.findall(r"\$\{runbooks\}/(\w+)\.md", boards))

    assert linked
    assert linked <= {a.name for a in ALERTS}


def test_every_runbook_has_its_alert() -> None:
    assert {path.stem for path in RUNBOOKS.iterdir()} == {a.name for a in ALERTS}


@each_alert
def test_an_alert_is_documented_as_it_is(alert: Alert) -> None:
    page = (ROOT / "docs" / "alerts.md").read_text()
    row = re.search(rf"^\| \[{alert.name}\]\(.*?\) \| (\w+) \| .* \| (\w+) \|$", page, re.MULTILINE)

    assert row is not None
    assert row.groups() == (alert.value("severity"), alert.value("for") or "0s")


@each_alert
def test_an_alert_is_tested_firing_and_not_firing(alert: Alert) -> None:
    text = "".join(path.read_text() for path in sorted((ROOT / "tests" / "alert_rules").glob("*.yml")))
    silent = rf"\{{eval_time: \w+, alertname: {alert.name}\}}"
    firing = rf"alertname: {alert.name}\n +exp_alerts:\n +- exp_labels: .*severity: {alert.value('severity')}"

    assert re.search(silent, text)
    assert re.search(firing, text)


@pytest.mark.parametrize("path", [*RULES, *sorted(RUNBOOKS.iterdir())], ids=lambda p: p.name)
def test_only_exported_metrics_are_named(path: Path) -> None:
    kinds = {metric.name: metric.kind for metric in CATALOG}
    parts = {f"{n}{p}" for n, k in kinds.items() if k == "histogram" for p in ("_bucket", "_sum", "_count")}
    named = set(re.findall(r"\bdriftd_\w+", path.read_text())) - {"driftd_"}  # a pattern over two of them

    assert named <= kinds.keys() | parts


def test_the_checks_of_quality_are_those_of_the_detectors() -> None:
    text = "".join(path.read_text() for path in (*RULES, RUNBOOKS / "DriftdDataQuality.md"))
    patterns = re.findall(r"detector(?:!~|=~)[\"']([a-z_|()?]+)[\"']", text)
    known = detector_names() | {*QUALITY, *FAULTS}

    assert len(patterns) > 3
    for pattern in patterns:
        assert {name for name in known if re.fullmatch(pattern, name)} == {*QUALITY, *FAULTS}
    assert any(re.fullmatch(pattern, NOT_YET[1]) for pattern in patterns)
    assert f'feature=~"{ERROR}|{LOSS}"' in text


def test_commands_in_runbooks_exist() -> None:
    text = "".join(path.read_text() for path in RUNBOOKS.iterdir())
    blocks = re.findall(r"^```sh\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    named = re.findall(r"^driftd (.*?)(?:  #|$)", "".join(blocks), re.MULTILINE)

    assert named
    for line in named:
        command: click.Command = main
        words = line.split()
        while isinstance(command, click.Group):
            command = command.commands[words.pop(0)]
        known = {option for p in command.params for option in p.opts}
        assert set(re.findall(r"--[a-z-]+", line)) <= known, line
