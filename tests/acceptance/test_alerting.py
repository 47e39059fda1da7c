"""The whole chain: the real daemon, Prometheus and Alertmanager on the shipped files, and a receiver.

A simulated service drifts, then does harm, then drifts again. What the on-call gets is compared with what is
promised: tickets for drift, one page for harm, a resolve afterwards, and no false "ok" when the daemon dies.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from monitor.service import LiveService
from monitor.simulate import DAY, LiveModel, write_reference
from tests.alerting import WIKI, Watch, free_address, watched
from tests.programs import Daemon, Project, eventually

pytestmark = pytest.mark.acceptance

MODEL = "loan-default"
CONFIG = f"""
[daemon]
listen = "ADDRESS"
commit_every = "100ms"

[[models]]
name = "{MODEL}"
task = "binary"
window = "1d"
label_horizon = "3d"
columns.prediction_id = "prediction_id"
columns.version = "model_version"
columns.prediction = "prediction"
columns.score = "score"
columns.label = "defaulted"
features.numeric = ["income", "debt_to_income", "utilization"]
reference.path = "reference.parquet"
alarms.budget = "1 per 3650d"

[[models.sources]]
role = "predictions"
type = "files"
path = "logs/predictions-*.jsonl"

[[models.sources]]
role = "outcomes"
type = "files"
path = "logs/outcomes-*.jsonl"

[[models.monitors]]
detector = "shift"
on = "features"

[[models.monitors]]
detector = "shift"
on = "score"

[[models.monitors]]
detector = "accuracy"
"""
REFERENCE_DAYS = 40
ROWS_PER_DAY = 2000
LONG_AGO = timedelta(days=400)
"""Rows that are ahead of the clock are rejected; this service lived long ago."""


@dataclass
class Stage:
    """A project, the service that writes its logs, and how far it has come."""

    project: Project
    service: LiveService
    now: int
    address: str

    def live(self, days: int, *, incident: bool = False, concept: bool = False) -> None:
        """Let the service write some days more, outcomes never far behind the predictions."""
        for _ in range(4 * days):
            self.now += DAY // 4
            self.service.write(self.now, incident=incident, concept=concept)


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    """Prepare a project whose reference is 40 calm days."""
    model = LiveModel(7, ROWS_PER_DAY)
    start = int((datetime.now(UTC) - LONG_AGO).timestamp()) * 10**6 // DAY * DAY
    write_reference(model, tmp_path / "reference.parquet", start - REFERENCE_DAYS * DAY, start)
    address = free_address()  # the same one after a restart
    project = Project(tmp_path).configure(CONFIG.replace("ADDRESS", address))
    return Stage(project, LiveService(model, tmp_path / "logs", start), start, address)


def test_what_the_on_call_gets(stage: Stage, tmp_path: Path, program: Callable[[str], str]) -> None:
    with stage.project.start().ready() as daemon, watched(tmp_path, stage.address, program) as watch:
        calm_is_quiet(stage, watch)
        drift_is_one_ticket_and_its_end_is_told(stage, watch)
        harm_is_one_page_and_inhibits_the_drift_beside_it(stage, watch)
        drift_fires_while_the_daemon_dies(stage, watch, daemon)
        with stage.project.start() as again:
            the_daemon_is_back_and_nothing_was_said_to_be_well(stage, watch)
            assert again.stop() == 0


def calm_is_quiet(stage: Stage, watch: Watch) -> None:
    stage.live(4)
    eventually(lambda: watch.query('driftd_performance_state{state="ok"} == 1'))

    assert watch.firing() == set()
    assert watch.receiver.got == []


def drift_is_one_ticket_and_its_end_is_told(stage: Stage, watch: Watch) -> None:
    stage.live(2, incident=True)
    eventually(lambda: watch.receiver.alerts("tickets", "firing"))

    ((kind, told),) = watch.receiver.got
    assert kind == "tickets"
    assert told["groupLabels"] == {"job": "driftd", "model": MODEL}
    names = {(a["labels"]["alertname"], a["labels"]["version"]) for a in told["alerts"]}
    assert names == {("DriftdFeatureDrift", "v2"), ("DriftdPredictionDrift", "v2")}
    (drift,) = [a for a in told["alerts"] if a["labels"]["alertname"] == "DriftdFeatureDrift"]
    assert "debt_to_income (" in drift["annotations"]["description"]
    assert "utilization (" in drift["annotations"]["description"]
    assert "income (" not in drift["annotations"]["description"].replace("debt_to_income (", "")
    assert drift["annotations"]["runbook_url"] == f"{WIKI}/DriftdFeatureDrift.md"

    stage.live(10)
    eventually(lambda: len(watch.receiver.alerts("tickets", "resolved")) >= 2)
    assert watch.firing() == set()
    assert watch.receiver.alerts("pages", "firing") == []


def harm_is_one_page_and_inhibits_the_drift_beside_it(stage: Stage, watch: Watch) -> None:
    tickets = len(watch.receiver.alerts("tickets", "firing"))
    stage.live(4, incident=True, concept=True)
    eventually(lambda: ("DriftdFeatureDrift", "v2") in watch.inhibited())
    eventually(lambda: watch.receiver.alerts("pages", "firing"))

    pages = [told for kind, told in watch.receiver.got if kind == "pages"]
    (page,) = pages
    assert {(a["labels"]["alertname"], a["labels"]["version"]) for a in page["alerts"]} == {
        ("DriftdPerformanceLoss", "v1"),
        ("DriftdPerformanceLoss", "v2"),
    }
    assert "accuracy 0." in page["alerts"][0]["annotations"]["description"]
    assert len(watch.receiver.alerts("tickets", "firing")) == tickets

    stage.live(14)
    eventually(lambda: len(watch.receiver.alerts("pages", "resolved")) == 2)
    eventually(lambda: not watch.known())
    assert (
        len([told for kind, told in watch.receiver.got if kind == "pages" and told["status"] == "firing"])
        == 1
    )


def drift_fires_while_the_daemon_dies(stage: Stage, watch: Watch, daemon: Daemon) -> None:
    before = len(watch.receiver.alerts("tickets", "firing"))
    stage.live(2, incident=True)
    eventually(lambda: len(watch.receiver.alerts("tickets", "firing")) >= before + 2)
    daemon.kill()
    eventually(lambda: watch.receiver.alerts("pages", "firing", "DriftdDown"))

    (down,) = watch.receiver.alerts("pages", "firing", "DriftdDown")
    assert down["labels"]["instance"] == stage.address
    assert watch.query("driftd_drift_state") == []


def the_daemon_is_back_and_nothing_was_said_to_be_well(stage: Stage, watch: Watch) -> None:
    resolved = len(watch.receiver.alerts("tickets", "resolved"))
    eventually(lambda: watch.receiver.alerts("pages", "resolved", "DriftdDown"))

    assert {("DriftdFeatureDrift", "v2"), ("DriftdPredictionDrift", "v2")} == watch.firing()
    assert len(watch.receiver.alerts("tickets", "resolved")) == resolved == 2
    stage.live(10)
    eventually(lambda: len(watch.receiver.alerts("tickets", "resolved")) == resolved + 2)
