"""Heavy monitors between windows and verdicts: jobs, their order, crashes, schedules, what is shown."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detectors.joint import Asked, Comparison
from detectors.sample import Sample
from monitor.clock import ManualClock
from monitor.comparing import Failure, Here
from monitor.config import Alarms, Model, Monitor
from monitor.core.heavy import POOL, Heavy
from monitor.core.jobs import MOST, Job, JobKey, bounded, job_changes, load_jobs
from monitor.core.policy import Phase, Shown, TripKey, is_stale
from monitor.core.state import ModelState, load_model
from monitor.facts import model_samples
from monitor.heavy_lanes import HeavyLanes
from monitor.models import WatchedModel
from monitor.store.memory import MemoryStore
from tests.lives import NOW, Cut, DiedError, Process, lasting
from tests.logs import EPOCH, MINUTE, Row, mean_judge, model, plan_of, reference

MMD = Monitor(detector="mmd")
KEY = TripKey("v1", "all", "_joint", "mmd")
PER_MINUTE = 20


@dataclass
class Means:
    """A detector whose score is how far the first column's means are apart; told: what it was asked."""

    told: list[tuple[int, int]] = field(default_factory=list)
    fails: Failure | None = None

    def compare(self, asked: Asked) -> Comparison | Failure:
        self.told.append((asked.window.rows, asked.seed))
        score = abs(float(asked.reference.numeric[:, 0].mean() - asked.window.numeric[:, 0].mean()))
        return self.fails or Comparison(score, 1.0, 0.5, score, (("x", 1.0),))

    def close(self) -> None:
        """Nothing is held."""


def watched(*monitors: Monitor, **more: object) -> Model:
    return model(monitors=monitors or (MMD,), alarms=Alarms(min_rows=10, keep_firing=1), **more)


def log(shifts: Sequence[float]) -> list[Row]:
    """Return a minute of rows for each shift of x."""
    rng = np.random.default_rng(len(shifts))
    return [
        Row(f"{minute}-{i}", minute * 60 + i, float(x))
        for minute, shift in enumerate(shifts)
        for i, x in enumerate(rng.normal(shift, 0.5, PER_MINUTE))
    ]


def lanes(comparer: Means | Here | None = None) -> HeavyLanes:
    return HeavyLanes(ManualClock(NOW), {POOL: comparer or Means()})


def process(store: MemoryStore, made: Model, heavy: HeavyLanes, dies_after: int | None = None) -> Process:
    return Process(made, store, mean_judge(), dies_after, heavy=heavy)


def lived(made: Model, rows: Sequence[Row], comparer: Means | None = None) -> ModelState:
    store = MemoryStore()
    process(store, made, lanes(comparer)).run(Cut(rows, ()), flush=True)
    return load_model("m", store.load())


def test_each_window_is_judged_once_and_a_change_of_the_rows_fires() -> None:
    comparer = Means()

    state = lived(watched(), log([0, 0, 5, 5, 0]), comparer)

    assert [rows for rows, _ in comparer.told] == [PER_MINUTE] * 5
    assert len({seed for _, seed in comparer.told}) == 5
    assert state.trips[KEY].episodes == 1
    assert state.trips[KEY].phase is Phase.INACTIVE
    assert not state.jobs


@settings(max_examples=15, deadline=None)
@given(st.lists(st.integers(0, 120), max_size=5), st.lists(st.integers(1, 4), max_size=4))
def test_the_same_is_stored_however_the_log_is_cut_and_wherever_the_daemon_dies(
    cuts: list[int], lives: list[int]
) -> None:
    rows = log([0, 5, 5, 0, 0, 5])
    whole, torn = MemoryStore(), MemoryStore()
    process(whole, watched(), lanes()).run(Cut(rows, ()), flush=True)

    for commits in lives:
        with suppress(DiedError):
            process(torn, watched(), lanes(), dies_after=commits).run(Cut(rows, cuts), flush=False)
    process(torn, watched(), lanes()).run(Cut(rows, cuts), flush=True)

    assert lasting(torn) == lasting(whole)


def apart(store: MemoryStore, made: Model, heavy: HeavyLanes) -> tuple[Process, Callable[[], None]]:
    """Return a daemon's core whose jobs wait, and what judges them."""
    found = process(store, made, heavy)
    heavy.start(lambda _seconds, _name, _work: None, lambda _lanes, _lane: None)
    mine = WatchedModel(found.worker, ())

    def amend(_name: str, work: Callable[[WatchedModel], None]) -> bool:
        work(WatchedModel(found.worker, ()))
        return True

    def judge() -> None:
        with ThreadPoolExecutor(1) as ahead:
            heavy.look(POOL, found.tools(ahead), lambda: [mine], amend)

    return found, judge


def test_jobs_wait_in_the_store_until_they_are_judged_in_the_order_of_their_windows() -> None:
    store, comparer = MemoryStore(), Means()
    found, _ = apart(store, watched(), lanes(comparer))
    found.run(Cut(log([0, 5, 0]), ()), flush=True)
    waiting = load_model("m", store.load())

    again, judge = apart(store, watched(), lanes(comparer))  # after a crash
    judge()

    assert [key.due for key in sorted(waiting.jobs)] == [EPOCH + n * MINUTE for n in (1, 2, 3)]
    assert KEY not in waiting.trips
    assert again.worker.state.trips[KEY].episodes == 1
    assert load_model("m", store.load()).jobs == {}
    assert "driftd_heavy_pending" in {s.name for s in model_samples(again.worker.plan, waiting)}


def test_what_was_found_for_a_model_that_has_been_replaced_is_not_applied() -> None:
    store, heavy = MemoryStore(), lanes()
    found, _ = apart(store, watched(), heavy)
    found.run(Cut(log([0, 5]), ()), flush=True)
    other, asked = process(store, watched(), heavy), []

    def amend(name: str, work: Callable[[WatchedModel], None]) -> bool:
        asked.append(name)
        work(WatchedModel(other.worker, ()))
        return False

    with ThreadPoolExecutor(1) as ahead:
        heavy.look(POOL, found.tools(ahead), lambda: [WatchedModel(found.worker, ())], amend)

    assert asked == ["m"]
    assert len(other.worker.state.jobs) == 2
    assert KEY not in other.worker.state.trips


def test_a_fault_in_one_model_stops_no_other() -> None:
    heavy = lanes()
    found, _ = apart(MemoryStore(), watched(), heavy)
    found.run(Cut(log([0, 5]), ()), flush=True)
    broken: Any = SimpleNamespace(plan=SimpleNamespace(name="broken"), heavy="no heavy monitors", state=None)

    def amend(_name: str, work: Callable[[WatchedModel], None]) -> bool:
        work(WatchedModel(found.worker, ()))
        return True

    with ThreadPoolExecutor(1) as ahead:
        models = [WatchedModel(worker, ()) for worker in (broken, found.worker)]
        heavy.look(POOL, found.tools(ahead), lambda: models, amend)

    assert not found.worker.state.jobs


def test_too_many_jobs_are_given_up_but_the_oldest_and_the_newest_and_that_is_said() -> None:
    store = MemoryStore()
    found, judge = apart(store, watched(), lanes())
    found.run(Cut(log([0.0] * (MOST + 5)), ()), flush=True)
    state = found.worker.state
    whole = [key for key in sorted(state.jobs) if state.jobs[key].sample is not None]

    assert len(whole) == MOST
    assert whole[0].due == EPOCH + MINUTE
    assert whole[1].due == EPOCH + 7 * MINUTE
    assert sum(job.windows for job in state.jobs.values()) == MOST + 5
    assert state.book.counts["", "heavy_given_up", ""] == 5
    for _ in range(2):
        trip = found.worker.state.trips.get(KEY)
        judge()
    assert trip is not None
    assert found.worker.state.trips[KEY].shown is Shown.OK


def test_what_was_given_up_or_failed_is_an_error_with_a_note() -> None:
    died = lived(watched(), log([0]), Means(fails=Failure("died", "it died")))
    refused = lived(watched(), log([0]), Means(fails=Failure("refused", "too few")))

    assert died.trips[KEY].shown is Shown.ERROR
    verdict = died.trips[KEY].verdict
    assert verdict is not None
    assert verdict.note == "it died"
    assert refused.trips[KEY].shown is Shown.INSUFFICIENT_DATA


def test_a_schedule_merges_the_windows_before_it_and_runs_once() -> None:
    comparer = Means()
    made = watched(MMD.model_copy(update={"schedule": "*/5 * * * *"}))
    first = -(-EPOCH // (5 * MINUTE)) * 5 - EPOCH // MINUTE or 5

    state = lived(made, log([0.0] * 12), comparer)
    trip = state.trips[KEY]

    assert [rows for rows, _ in comparer.told][:2] == [first * PER_MINUTE, 5 * PER_MINUTE]
    assert trip.every == 5 * MINUTE
    assert len(state.jobs) == (1 if (EPOCH // MINUTE + 12) % 5 else 0)
    assert not is_stale(MINUTE, trip.window + 14 * MINUTE, trip)
    assert is_stale(MINUTE, trip.window + 15 * MINUTE, trip)


def test_a_monitor_without_its_schedule_is_expected_after_each_window_again() -> None:
    store, rows = MemoryStore(), log([0] * 12)
    scheduled = watched(MMD.model_copy(update={"schedule": "*/5 * * * *"}))
    process(store, scheduled, lanes()).run(Cut(rows, ()), flush=True)
    before = load_model("m", store.load()).trips[KEY]
    process(store, watched(), lanes()).run(Cut(log([0] * 14), ()), flush=True)
    after = load_model("m", store.load()).trips[KEY]

    assert (before.every, after.every) == (5 * MINUTE, 0)
    assert after.window > before.window


def test_monitors_with_the_same_detector_on_other_columns_are_other_monitors() -> None:
    found = lived(
        watched(MMD, Monitor(detector="mmd", on="numeric"), Monitor(detector="mmd", on=("x",))), log([0])
    )

    assert {key.feature for key in found.trips} >= {"_joint", "_joint:numeric", "_joint:x"}


def test_too_few_rows_are_not_compared() -> None:
    made = model(monitors=(MMD,))
    comparer = Means()

    assert lived(made, log([0]), comparer).trips[KEY].shown is Shown.INSUFFICIENT_DATA
    assert comparer.told == []


def test_jobs_of_monitors_that_are_gone_are_let_go() -> None:
    store = MemoryStore()
    found, _ = apart(store, watched(), lanes())
    found.run(Cut(log([0, 0]), ()), flush=True)

    other = process(store, watched(Monitor(detector="ks")), lanes())

    assert found.worker.state.jobs
    assert not other.worker.state.jobs
    assert not load_model("m", store.load()).jobs


def test_the_detector_itself_is_asked() -> None:
    store = MemoryStore()
    process(store, watched(), lanes(Here())).run(Cut(log([0, 9, 9]), ()), flush=True)

    trip = load_model("m", store.load()).trips[KEY]

    assert trip.phase is Phase.FIRING
    assert trip.verdict is not None
    assert trip.verdict.pvalue is not None


def sample(keys: Sequence[int]) -> Sample:
    values = np.array(keys, np.float64)[:, None]
    return Sample(np.array(keys, np.uint64), values, values.astype(np.int32))


@given(
    st.lists(st.tuples(st.integers(0, 99), st.sampled_from(["pool", "alibi", "pool 0 3 * * *"])), unique=True)
)
def test_what_is_given_up_keeps_the_count_of_windows_and_each_lanes_oldest(
    found: list[tuple[int, str]],
) -> None:
    jobs = {JobKey(due, "", line, 1): Job(due, due, 1, 1, sample([due])) for due, line in found}

    kept = bounded(jobs, 5)

    left = [key for key, job in kept.items() if job.sample is not None]
    assert sum(job.windows for job in kept.values()) == len(jobs)
    assert len(left) == min(len(jobs), 5)
    assert {min(k for k in jobs if k.lane == lane) for lane in {k.lane for k in jobs}} <= set(left)


def test_a_job_is_stored_as_it_is() -> None:
    key, job = JobKey(9, "v", "pool", 1), Job(1, 2, 3, 4, sample([1, 2]))
    stored = {
        at: value for (_, _, at), value in job_changes("m", {}, {key: job}).items() if value is not None
    }

    (found,) = load_jobs({"heavy": stored}).values()

    assert found.dump() == job.dump()
    assert (found.first, found.last, found.windows, found.groups) == (1, 2, 3, 4)


def test_a_scheduled_monitor_may_spend_what_one_of_each_window_would_in_that_time() -> None:
    def every(at: int) -> int:
        return -(-at // (10 * MINUTE)) * 10 * MINUTE

    made = watched(MMD.model_copy(update={"schedule": "x"}), window=timedelta(minutes=1))
    heavy = Heavy(plan_of(made), {"x": every}, lambda _grid, _groups: 0.001)

    assert heavy.level(heavy.specs[0], reference(made).grid, 1) == pytest.approx(0.01)
