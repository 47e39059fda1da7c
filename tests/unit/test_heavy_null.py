"""What a reference's own windows teach heavy monitors: windows that differ anyway are no news."""

from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from msgspec.structs import replace

from detectors.base import Level, Verdict
from detectors.probability import normal_cdf
from detectors.window_level import window_level
from monitor.backtest import Replay, Wishes, backtest
from monitor.clock import ManualClock
from monitor.config import Alarms, Columns, Config, Features, Model, Monitor, Reference, Source
from monitor.config import Daemon as DaemonConfig
from monitor.core.codec import pack, unpack
from monitor.core.heavy import Heavy, Question
from monitor.core.heavy_null import HeavyNull, Trouble, heavy_null_changes, load_heavy_nulls, runs_of
from monitor.core.jobs import Job
from monitor.core.lessons import Finding, learnt, next_lesson
from monitor.core.plan import Plan
from monitor.core.profiles import Rows
from monitor.core.state import ModelState
from monitor.cron import cron
from monitor.heavy_lanes import HeavyLanes
from monitor.heavy_opening import heavy_of, with_samples
from monitor.reference_file import ReferenceFile
from monitor.references import baseline_of, read_frame
from monitor.store.memory import MemoryStore
from tests.lives import NOW, Cut, Process
from tests.logs import Row, mean_judge, model, plan_of, schema_for

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
    assert "too short a time" in null.strictness("a", "pool", 0.01, 2 * hour)[1]
    strict, why = null.strictness("a", "pool", 0.01, 20 * hour)
    assert strict.level > 0
    assert not why


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
    job, known = Job(1, 1, 1, 1, None), {"a": (0.5, 0.25)}
    null = HeavyNull(2, "r", {"pool": 30}, known, {("pool", 1): job, ("pool", 2): job}, {"pool": 9})
    after = null.learnt("a", "pool", 1, 0.125).failed("b", "pool", 1, Trouble("hung", "it hung", 3, 7))
    after = after.keeping([("a", "pool")])
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
    assert found.open == {"a": (2,), "b": (2, 1)}
    assert found.troubles == {"b": Trouble("hung", "it hung", 3, 7)}


def test_what_was_stored_before_samples_were_kept_by_monitor_goes_on() -> None:
    jobs = {("pool", due): Job(due, due, 1, 1, None) for due in (5, 3)}
    null = HeavyNull(1, "r", {"pool": 30}, {}, jobs)
    known = heavy_null_changes("m", None, null)["heavy_null", "m", "1"]
    assert known is not None
    head, _ = unpack(known)
    old = pack({name: head[name] for name in ("number", "recipe", "windows", "shortest")}, {})

    found = load_heavy_nulls({"heavy_null": {"1": old}})[1]

    assert (found.open, found.troubles) == ({}, {})
    assert replace(found, waiting=jobs).left("a", "pool") == (3, 5)


def opened(folder: Path, state: ModelState, *monitors: Monitor) -> tuple[Heavy, ModelState]:
    """Open a model with these monitors on a state, as a start does; its reference is a file."""
    path = folder / "reference.parquet"
    made = model(
        columns=Columns(prediction_id="id", timestamp="at", score="p"),
        features=Features(numeric=("x", "y")),
        reference=Reference(path=path),
        window=timedelta(days=1),
        alarms=Alarms(min_rows=10),
        monitors=monitors,
    )
    plan, schema, frame = Plan.of(made), schema_for(made), read_frame(path)
    baseline = replace(baseline_of(schema, frame, f"file {path}"), number=1)
    heavy = heavy_of(plan, lambda _grid, _groups: 0.01)
    state = replace(state, baselines=(baseline,))
    return heavy, with_samples(plan, heavy, ReferenceFile(made, path, baseline), state)[0]


def compared(heavy: Heavy, state: ModelState, refuses: str = "") -> tuple[ModelState, Counter[str]]:
    """Compare all samples that are left; returns also how many each detector was asked of."""
    plan, asked = plan_of(model(window=timedelta(days=1))), Counter[str]()
    while (lesson := next_lesson(plan, heavy, state, "pool", late=False)) is not None:
        asked.update(spec.detector for spec in lesson.specs)
        found = {s.id: Finding(None if s.detector == refuses else 0.5) for s in lesson.specs}
        state, _ = learnt(plan, heavy, state, lesson, found)
    return state, asked


def test_a_start_teaches_those_who_lack_something_and_no_one_twice(tmp_path: Path) -> None:
    days(0, 30, np.random.default_rng(1), 1.0).write_parquet(tmp_path / "reference.parquet")
    mmd, pca, trees = (Monitor(detector=n) for n in ("mmd", "pca_reconstruction", "domain_classifier"))
    own = Monitor(detector="mmd", threshold=0.5)
    found = []
    state = ModelState("m")
    for monitors in ((own, pca), (own, pca), (mmd, pca), (mmd, pca, trees), (trees,), (mmd, pca)):
        heavy, state = opened(tmp_path, state, *monitors)
        state, asked = compared(heavy, state, refuses="pca_reconstruction")
        found.append(dict(asked))

    null = state.heavy_nulls[1]
    assert found == [{"pca_reconstruction": 30}, {}, {"mmd": 30}, {"domain_classifier": 30}, {}, {}]
    assert not null.waiting
    assert sorted(map(len, null.pvalues.values())) == [30, 30]
    assert {null.strictness(s.id, s.line, 0.01, 10**12)[1] for s in heavy.specs} == {
        "",
        "it could not compare the reference's own runs",
    }
