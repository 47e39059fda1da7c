"""What a reference's own windows teach heavy monitors: windows that differ anyway are no news."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from detectors.probability import normal_cdf
from detectors.window_level import window_level
from monitor.backtest import Replay, Wishes, backtest
from monitor.clock import ManualClock
from monitor.config import Alarms, Columns, Config, Features, Model, Monitor, Reference, Source
from monitor.config import Daemon as DaemonConfig
from monitor.core.heavy_null import HeavyNull, heavy_null_changes, load_heavy_nulls
from monitor.core.jobs import Job

BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
ROWS = 60
"""In each day."""


@pytest.mark.parametrize("spread", [1.0, 4.0])
def test_false_alarms_come_at_the_level_however_much_windows_differ(spread: float) -> None:
    rng = np.random.default_rng(int(spread))
    false = []
    for _ in range(200):
        known = normal_cdf(-rng.normal(0, spread, 30))
        fresh = normal_cdf(-rng.normal(0, spread, 1000))
        false.append(float((fresh < window_level(known, 0.01, 1000)).mean()))

    assert 0.004 < np.mean(false) < 0.012


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
    null = HeavyNull(2, "r", {"pool": 30}, {"a": (0.5, 0.25)}, {("pool", 1): job, ("pool", 2): job})
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
