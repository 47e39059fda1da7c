"""A real MLflow registry and the real daemon: a new version re-arms, and evidence is attached to versions."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from tests.mlflow_server import MlflowServer
from tests.programs import Daemon, Project, eventually

pytestmark = pytest.mark.acceptance

MODEL, NAME = "car-loan", "car loan (prod)"
START = datetime(2026, 3, 1, tzinfo=UTC)
CONFIG = f"""
[daemon]
listen = "127.0.0.1:0"
commit_every = "100ms"

[[models]]
name = "{MODEL}"
window = "1h"
lateness = "2s"
columns = {{ prediction_id = "id", timestamp = "at", version = "version", score = "score" }}
features.numeric = ["income", "age"]
reference.path = "reference.parquet"

[models.registry]
mlflow = "URL"
name = "{NAME}"
every = "1s"
allow_private = true

[[models.sources]]
role = "predictions"
type = "files"
path = "logs/*.jsonl"

[[models.monitors]]
detector = "ks"
threshold = 0.4

[[models.retrain]]
webhook = "training"
when = ["drift"]

[webhooks.training]
url = "http://127.0.0.1:1/nobody"
allow_private = true
auth = "none"
"""


@dataclass
class Log:
    """A log of hours with 100 rows each."""

    folder: Path
    hours: int = 0

    def write(self, version: str, *, income: float = 0.0, age: float = 0.0) -> None:
        """Append an hour whose columns have moved so far, and close the one before it.

        In one go: a daemon that reads half of an hour, and nothing for as long as its lateness, closes it.
        """
        rng = np.random.default_rng(self.hours)
        lines = []
        for i in range(100):
            at = (START + timedelta(hours=self.hours, seconds=36 * i)).isoformat()
            row: dict[str, object] = {"id": f"{self.hours}/{i}", "at": at, "version": version}
            row |= {"income": rng.normal() + income, "age": rng.normal() + age, "score": rng.random()}
            lines.append(json.dumps(row) + "\n")
        with (self.folder / "log.jsonl").open("a") as file:
            file.write("".join(lines))
        self.hours += 1


@pytest.fixture
def server(tmp_path: Path) -> Iterator[MlflowServer]:
    folder = tmp_path / "mlflow"
    folder.mkdir()
    with MlflowServer(folder) as running:
        yield running.ready()


def requests(daemon: Daemon, outcome: str) -> float:
    return daemon.samples().total("driftd_retrain_requests_total", outcome=outcome)


def test_evidence_is_attached_and_a_new_version_in_mlflow_asks_again(
    server: MlflowServer, tmp_path: Path
) -> None:
    rng = np.random.default_rng(7)
    columns = {"income": rng.normal(size=2000), "age": rng.normal(size=2000), "score": rng.random(2000)}
    folder = tmp_path / "project"
    folder.mkdir()
    project = Project(folder).configure(CONFIG.replace("URL", server.url), pl.DataFrame(columns))
    log = Log(project.folder / "logs")
    server.post("registered-models/create", name=NAME)
    assert server.register(NAME, team="risk") == "1"

    with project.start() as daemon:
        daemon.ready()
        eventually(lambda: daemon.samples().total("driftd_registry_versions") == 1, "version 1 is known")
        log.write("v1")
        log.write("v1", income=3)
        log.write("v1", income=3, age=3)
        eventually(lambda: "driftd.episode" in server.tags(NAME, "1"), "evidence on version 1")
        eventually(lambda: daemon.samples().total("driftd_registry_evidence_total") == 1)
        tags = server.tags(NAME, "1")

        log.write("v1", income=3, age=3)
        eventually(lambda: requests(daemon, "cooldown") == 1, "the cooldown holds")
        eventually(lambda: daemon.samples().total("driftd_windows_closed_total") == 4, "the hour is over")
        assert server.register(NAME) == "2"
        eventually(lambda: daemon.samples().total("driftd_registry_versions") == 2, "version 2 is known")
        log.write("v1", income=3, age=3)
        eventually(lambda: requests(daemon, "requested") == 2, "the new version has ended the cooldown")
        newest = "2026-03-01T05:00:00Z"
        eventually(lambda: server.tags(NAME, "1")["driftd.requested_at"] == newest, "the newer evidence")
        assert daemon.samples().total("driftd_registry_up") == 1
        assert daemon.stop() == 0

    expected = {
        "team": "risk",
        "driftd.kind": "drift",
        "driftd.monitor": "income/ks/all",
        "driftd.threshold": "0.4",
        "driftd.window_start": "2026-03-01T01:00:00Z",
        "driftd.window_end": "2026-03-01T02:00:00Z",
        "driftd.requested_at": "2026-03-01T02:00:00Z",
    }
    assert expected.items() <= tags.items()
    assert float(tags["driftd.score"]) > 0.4
    assert server.tags(NAME, "2") == {}
