"""The whole chain: the real daemon, Prometheus and Alertmanager on the shipped files, and a receiver.

A simulated service drifts, then does harm, then drifts again. What the on-call gets is compared with what is
promised: tickets for drift, one page for harm, a resolve afterwards, and no false "ok" when the daemon dies.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest

from monitor.service import LiveService
from monitor.simulate import DAY, LiveModel, write_reference
from tests.alerting import WIKI, Watch, named, watched
from tests.ports import free_port
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
label_horizon = "30d"  # the service writes days in a moment: a shorter one could be over between two polls
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
DRIFT = {("DriftdFeatureDrift", "v2"), ("DriftdPredictionDrift", "v2")}
HARM = {("DriftdPerformanceLoss", "v1"), ("DriftdPerformanceLoss", "v2")}
DOWN = ("DriftdDown", "")
REFERENCE_DAYS = 40
ROWS_PER_DAY = 2000
START = int(datetime(2024, 6, 3, tzinfo=UTC).timestamp()) * 10**6
"""When the service began: its rows are always the same ones, and none is ahead of the clock."""


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
    write_reference(model, tmp_path / "reference.parquet", START - REFERENCE_DAYS * DAY, START)
    address = f"127.0.0.1:{free_port()}"  # the same one after a restart
    project = Project(tmp_path).configure(CONFIG.replace("ADDRESS", address))
    return Stage(project, LiveService(model, tmp_path / "logs", START), START, address)


def test_what_the_on_call_gets(stage: Stage, tmp_path: Path, program: Callable[[str], str]) -> None:
    with stage.project.start().ready() as daemon, watched(tmp_path, stage.address, program) as watch:
        calm_is_quiet(stage, watch)
        drift_is_one_ticket(stage, watch)
        harm_is_one_page_and_holds_back_the_drift_beside_it(stage, watch)
        drift_fires_while_the_daemon_dies(stage, watch, daemon)
        with stage.project.start() as again:
            nothing_was_said_to_be_well_until_it_is(stage, watch)
            assert again.stop() == 0


def calm_is_quiet(stage: Stage, watch: Watch) -> None:
    stage.live(4)
    eventually(lambda: watch.query('driftd_performance_state{state="ok"} == 1'))

    assert watch.firing == set()
    assert watch.receiver.got == []


def drift_is_one_ticket(stage: Stage, watch: Watch) -> None:
    stage.live(2, incident=True)
    eventually(lambda: watch.receiver.got)

    ((kind, ticket),) = watch.receiver.got
    assert kind == "tickets"
    assert ticket["groupLabels"] == {"job": "driftd", "model": MODEL}
    told = {named(alert["labels"]): alert["annotations"] for alert in ticket["alerts"]}
    assert told.keys() == DRIFT
    features = re.findall(r"(\w+) \([\d.]+ times", told["DriftdFeatureDrift", "v2"]["description"])
    assert sorted(features) == ["debt_to_income", "utilization"]
    assert told["DriftdFeatureDrift", "v2"]["runbook_url"] == f"{WIKI}/DriftdFeatureDrift.md"

    stage.live(10)
    eventually(watch.is_quiet)
    assert [(kind, told["status"]) for kind, told in watch.receiver.got] == [
        ("tickets", "firing"),
        ("tickets", "resolved"),
    ]


def harm_is_one_page_and_holds_back_the_drift_beside_it(stage: Stage, watch: Watch) -> None:
    before = len(watch.receiver.got)
    stage.live(4, incident=True, concept=True)
    eventually(lambda: watch.inhibited == DRIFT)
    eventually(lambda: watch.receiver.got[before:])

    ((kind, page),) = watch.receiver.got[before:]
    assert kind == "pages"
    assert {named(alert["labels"]) for alert in page["alerts"]} == HARM
    assert "accuracy 0." in page["alerts"][0]["annotations"]["description"]

    stage.live(14)
    eventually(watch.is_quiet)
    assert len(watch.receiver.alerts("pages", "resolved")) == len(HARM)
    assert [told["status"] for kind, told in watch.receiver.got if kind == "pages"] == ["firing", "resolved"]


def drift_fires_while_the_daemon_dies(stage: Stage, watch: Watch, daemon: Daemon) -> None:
    stage.live(2, incident=True)
    eventually(lambda: watch.receiver.open == DRIFT)
    daemon.kill()
    eventually(lambda: watch.receiver.open == {*DRIFT, DOWN})

    assert watch.receiver.alerts("pages", "firing")[-1]["labels"]["instance"] == stage.address
    assert watch.query("driftd_drift_state") == []


def nothing_was_said_to_be_well_until_it_is(stage: Stage, watch: Watch) -> None:
    resolved = watch.receiver.alerts("tickets", "resolved")
    eventually(lambda: DOWN not in watch.receiver.open)

    assert watch.firing == watch.receiver.open == DRIFT
    assert watch.receiver.alerts("tickets", "resolved") == resolved
    stage.live(10)
    eventually(watch.is_quiet)
