"""What a reference's own windows teach heavy monitors: windows that differ anyway are no news."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from detectors.base import Level, Verdict
from detectors.probability import normal_cdf
from detectors.window_level import window_level
from monitor.backtest import Replay, Wishes, backtest
from monitor.clock import ManualClock
from monitor.config import Alarms, Columns, Config, Features, Model, Monitor, Reference, Source
from monitor.config import Daemon as DaemonConfig
from monitor.core.heavy import Question
from monitor.core.heavy_null import HeavyNull, heavy_null_changes, load_heavy_nulls, runs_of
from monitor.core.jobs import Job
from monitor.core.profiles import Rows
from monitor.cron import cron
from monitor.heavy_lanes import HeavyLanes
from monitor.store.memory import MemoryStore
from tests.lives import NOW, Cut, Process
from tests.logs import Row, mean_judge, model

BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
ROWS = 60
"""In each day."""


@pytest.mark.parametrize(("middle", "spread", "count"), [(0.0, 1.0, 30), (0.0, 4.0, 30), (8.0, 2.0, 7)])
def test_false_alarms_come_at_the_level_however_much_windows_differ(
    middle: float, spread: float, count: int
) -> None:
    rng = np.random.default_rng(int(spread))
    false = []
    for _ in range(400):
        known = normal_cdf(-rng.normal(middle, spread, count))
        fresh = normal_cdf(-rng.normal(middle, spread, 1000))
        false.append(float((fresh < window_level(known, 0.01, 1000)).mean()))

    assert 0.004 < np.mean(false) < 0.014


def test_each_of_few_windows_is_a_large_part_of_what_it_is_compared_with() -> None:
    rng = np.random.default_rng(4)
    false = []
    for _ in range(300):
        shifts = rng.normal(0, 5, (15, 25))
        known, fresh = shifts - shifts.mean(axis=0), rng.normal(0, 5, (100, 25)) - shifts.mean(axis=0)
        pvalues = [normal_cdf(-np.linalg.norm(apart, axis=1)) for apart in (known, fresh)]
        false.append(float((pvalues[1] < window_level(pvalues[0], 0.01, 15)).mean()))

    assert 0.005 < np.mean(false) < 0.02


@pytest.mark.parametrize("threshold", [None, 0.5])
def test_where_no_pvalue_would_be_news_nothing_is_judged_without_a_threshold(threshold: float | None) -> None:
    made = model(monitors=(Monitor(detector="mmd", threshold=threshold),), alarms=Alarms(min_rows=10))
    lanes = HeavyLanes(ManualClock(NOW), {})
    process = Process(made, MemoryStore(), mean_judge(), heavy=lanes)
    lanes.start(lambda _seconds, _name, _work: None, lambda _lanes, _lane: None)
    process.run(Cut([Row(str(n), n) for n in range(60)], ()), flush=True)
    heavy, state = process.worker.heavy, process.worker.state
    assert heavy is not None
    (spec,), key = heavy.specs, min(state.jobs)
    null = HeavyNull(key.number, heavy.recipe, {spec.line: 30}, {spec.id: (0.0,) * 30})

    (found,) = heavy.ask(replace(state, heavy_nulls={key.number: null}), key)

    if threshold is None:
        assert isinstance(found, Verdict)
        assert found.level is Level.INSUFFICIENT_DATA
        assert "differ too much" in found.note
    else:
        assert isinstance(found, Question)


def test_the_first_run_of_a_log_that_begins_in_its_midst_is_not_whole() -> None:
    fires, hour = cron("0 3 * * *"), 3600 * 10**6
    starts = np.repeat(np.arange(10 * 24) * hour, 9)
    rows = Rows(starts, np.zeros(len(starts), np.uint64), pl.DataFrame(), {})
    null = HeavyNull(1, pvalues={"a": (0.5,) * 10}, shortest={"pool": 18 * hour})

    assert runs_of(rows, lambda start: fires(start + hour), 9) == 10
    assert null.level("a", "pool", 0.01, 2 * hour) == (
        0.0,
        "too short a time beside the reference's own runs",
    )
    assert null.level("a", "pool", 0.01, 20 * hour)[0] > 0


def days(first: int, count: int, rng: np.random.Generator, spread: float) -> pl.DataFrame:
    """Return rows of some days, each with a shift of its own."""
    shifts = np.repeat(rng.normal(0, spread, count), ROWS)
    return pl.DataFrame(
        {
            "id": np.arange(count * ROWS) + first * ROWS,
            "at": [BEGIN + timedelta(days=first + i // ROWS, minutes=i % ROWS) for i in range(count * ROWS)],
            "x": shifts + rng.normal(size=count * ROWS),
            "y": shifts + rng.normal(size=count * ROWS),
            "p": rng.random(count * ROWS),
        }
    )


def replayed(folder: Path, *, timed: bool, spread: float) -> Replay:
    rng = np.random.default_rng(3)
    reference = days(0, 30, rng, spread)
    (reference if timed else reference.drop("at")).write_parquet(folder / "reference.parquet")
    days(40, 12, rng, spread).write_parquet(folder / "log.parquet")
    source = Source(role="predictions", type="files", path=str(folder / "log.parquet"), format="parquet")
    made = Model(
        name="m",
        columns=Columns(prediction_id="id", timestamp="at", score="p"),
        features=Features(numeric=("x", "y")),
        reference=Reference(path=folder / "reference.parquet"),
        sources=(source,),
        alarms=Alarms(min_rows=10),
        monitors=(Monitor(detector="pca_reconstruction"),),
    )
    config = Config(daemon=DaemonConfig(state=folder / "state"), models=(made,))
    (found,) = backtest(config, Wishes(), ManualClock(datetime(2027, 1, 1, tzinfo=UTC)), lambda _: None)
    return found


def test_days_that_differ_in_the_reference_too_are_no_alarm(tmp_path: Path) -> None:
    blind, taught = (replayed(tmp_path, timed=timed, spread=2.0) for timed in (False, True))

    null = taught.state.heavy_nulls[1]
    assert [len(found) for found in null.pvalues.values()] == [30]
    assert not null.waiting
    assert len(blind.episodes) > len(taught.episodes) == 0


def test_it_is_stored_as_it_is() -> None:
    job = Job(1, 1, 1, 1, None)
    null = HeavyNull(
        2, "r", {"pool": 30}, {"a": (0.5, 0.25)}, {("pool", 1): job, ("pool", 2): job}, {"pool": 9}
    )
    after = null.learnt(("pool", 1), {"a": 0.125})
    entries = heavy_null_changes("m", None, null) | heavy_null_changes("m", null, after)
    spaces: dict[str, dict[str, bytes]] = {}
    for (space, _, key), value in entries.items():
        if value is not None:
            spaces.setdefault(space, {})[key] = value

    found = load_heavy_nulls(spaces)[2]

    assert (found.recipe, found.windows) == ("r", {"pool": 30})
    assert found.pvalues == {"a": (0.5, 0.25, 0.125)}
    assert list(found.waiting) == [("pool", 2)]
    assert found.shortest == {"pool": 9}
