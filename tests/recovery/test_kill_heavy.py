"""Real rows whose columns no longer go together: a heavy monitor says so once, however often it is killed."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from tests.programs import CAR_LOAN, Daemon, Project, eventually

pytestmark = pytest.mark.acceptance

KILLS = 2
WINDOWS, TURNED = 6, 3
"""Windows of the log, and from which one on the columns no longer go together."""
CONFIG = f"""
[daemon]
listen = "127.0.0.1:0"
state = "STATE"
commit_every = "60ms"
{CAR_LOAN}
window = "21d"
features.numeric = ["car_value", "loan_length", "driver_tenure"]
features.categorical = ["salary_range"]

[[models.sources]]
role = "predictions"
type = "files"
path = "logs/predictions.jsonl"

[[models.monitors]]
detector = "ks"

[[models.monitors]]
detector = "js"

[[models.monitors]]
detector = "mmd"
parameters = {{ features = 200 }}

[[models.monitors]]
detector = "mmd"
on = "numeric"
schedule = "0 3 1 * *"
parameters = {{ features = 200 }}
"""


def turned(window: pl.DataFrame, rng: np.random.Generator) -> pl.DataFrame:
    """Return the same values of each column, with those of two columns going together."""
    ranks = window["car_value"].to_numpy().argsort().argsort() / window.height
    order = (ranks + rng.normal(0, 0.25, window.height)).argsort().argsort()
    return window.with_columns(loan_length=window["loan_length"].sort().gather(order))


@pytest.fixture
def project(tmp_path: Path, car_loans: pl.DataFrame) -> Project:
    rng = np.random.default_rng(5)
    rows = car_loans.drop("period", "repaid")
    reference, times = rows.head(50_000), rows["timestamp"].slice(50_000)
    weeks = times.to_physical() // (21 * 86_400 * 10**6)
    chosen = (weeks > weeks[0]) & (weeks <= weeks[0] + WINDOWS)
    log = reference[rng.integers(0, reference.height, int(chosen.sum()))].with_columns(
        timestamp=times.filter(chosen), id=pl.int_range(10**6, 10**6 + int(chosen.sum()))
    )
    number = weeks.filter(chosen) - weeks[0] - 1
    parts = [log.filter(number == n) for n in range(WINDOWS)]
    log = pl.concat([turned(part, rng) if n >= TURNED else part for n, part in enumerate(parts)])
    made = Project(tmp_path).configure(CONFIG.replace("STATE", "state"), reference)
    last = log.tail(1).with_columns(pl.col("timestamp") + pl.duration(days=60), id=pl.lit(1, pl.Int64))
    made.append("predictions.jsonl", pl.concat([log, last]).write_ndjson().encode())
    return made


def compared(daemon: Daemon) -> float:
    return daemon.samples().total("driftd_heavy_duration_seconds_count")


def test_killed_while_it_compares_a_heavy_monitor_judges_each_window_once(project: Project) -> None:
    for _ in range(KILLS):
        with project.start() as daemon:
            eventually(lambda: compared(daemon.ready()) > 0)
            assert daemon.samples().total("driftd_heavy_pending") > 0
            daemon.kill()
    with project.start() as daemon:
        eventually(
            lambda: compared(daemon.ready()) > 0 and not daemon.samples().total("driftd_heavy_pending")
        )
        assert daemon.stop() == 0

    calm = replace(project, config="calm.toml", kept="calm")
    calm.configure(CONFIG.replace("STATE", "calm"))
    calm.once()

    found = project.samples()
    assert project.metrics() == calm.metrics()
    assert found.total("driftd_drift_episodes_total", feature="_joint") == 1
    assert found.total("driftd_drift_episodes_total", feature="_joint:numeric") == 1
    assert found.total("driftd_drift_episodes_total") == 2
    assert found.total("driftd_features_firing") == 0
