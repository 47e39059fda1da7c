"""Heavy monitors that hang, lack their process or cannot be committed: others go on, nothing repeats."""

from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from detectors.joint import Asked, Comparison
from detectors.sample import Sample
from monitor.clock import ManualClock
from monitor.comparing import Comparer, Failure
from monitor.config import Alarms, Model, Monitor, Reference
from monitor.core.heavy import ALIBI, POOL
from monitor.core.heavy_null import TRIES
from monitor.core.jobs import MOST, Job, JobKey, bounded
from monitor.core.outbox import Note
from monitor.core.policy import Shown, TripKey
from monitor.core.state import ModelState, load_model
from monitor.errors import StoreUnavailableError
from monitor.heavy_facts import heavy_status, heavy_status_lines
from monitor.heavy_lanes import HeavyLanes
from monitor.heavy_opening import with_samples
from monitor.models import WatchedModel
from monitor.store.memory import MemoryStore
from monitor.types import Changes, Reject
from tests.lives import NOW, Cut, DiedError, Process, lasting
from tests.logs import MINUTE, Row, mean_judge, model

BAD, GOOD, GONE = (Monitor(detector=name) for name in ("mmd", "pca_reconstruction", "alibi.mmd"))
LEARNT = 12
"""Windows that the reference is made of."""
PER_MINUTE = 12
SAMPLE = Sample(np.arange(3, dtype=np.uint64), np.zeros((3, 1)), np.zeros((3, 1), np.int32))


@dataclass
class Detectors:
    """Answers at once, but for the detectors that fail, each for its reason; told: what it was asked.

    once: they fail no second time. takes: seconds of the clock, by detector.
    """

    fails: dict[str, str] = field(default_factory=dict)
    once: bool = False
    takes: dict[str, float] = field(default_factory=dict)
    told: list[tuple[str, bool]] = field(default_factory=list)
    clock: ManualClock = field(default_factory=lambda: ManualClock(NOW))

    def compare(self, asked: Asked) -> Comparison | Failure:
        name = asked.detector
        self.told.append((name, asked.level == 0.5))
        self.clock.advance(self.takes.get(name, 0.0))
        reason = self.fails.get(name, "")
        if self.once:
            self.fails.pop(name, None)
        return Failure(reason, f"it {reason}") if reason else Comparison(0.1, 1.0, 0.5, 0.1, (("x", 1.0),))

    def close(self) -> None:
        """Nothing is held."""

    @property
    def lessons(self) -> Counter[str]:
        """How often each detector was asked of a reference's own windows."""
        return Counter(name for name, lesson in self.told if lesson)


def made(*monitors: Monitor) -> Model:
    return model(
        monitors=monitors,
        alarms=Alarms(min_rows=5, keep_firing=1),
        reference=Reference(first=timedelta(minutes=LEARNT)),
    )


def log(minutes: int, versions: Sequence[str] = ("v1",)) -> list[Row]:
    """Return rows of so many minutes, those of the reference among them."""
    return [
        Row(f"{minute}-{i}-{version}", minute * 60 + i, float(i), version=version)
        for minute in range(minutes)
        for i in range(PER_MINUTE)
        for version in versions
    ]


def lanes(detectors: Detectors) -> HeavyLanes:
    both: dict[str, Comparer] = {POOL: detectors, ALIBI: detectors}
    return HeavyLanes(detectors.clock, both)


@dataclass
class Full(Process):
    """A daemon's core whose disk may be full; tried: when it was to commit meanwhile."""

    full: bool = False
    tried: list[float] = field(default_factory=list)

    def commit(
        self, model_: str, changes: Changes, _rejects: Sequence[Reject], notes: Sequence[Note]
    ) -> None:
        if self.full:
            assert self.heavy is not None
            self.tried.append(self.heavy._figures.clock.monotonic())  # noqa: SLF001 - a test's own
            raise StoreUnavailableError("the disk is full")
        super().commit(model_, changes, _rejects, notes)


def process(store: MemoryStore, detectors: Detectors, *monitors: Monitor) -> Full:
    return Full(made(*monitors), store, mean_judge(), heavy=lanes(detectors))


def apart(found: Process) -> Callable[[str], None]:
    """Have the jobs of a daemon's core wait; returns what looks for those of a lane."""
    heavy = found.heavy
    assert heavy is not None
    heavy.start(lambda _seconds, _name, _work: None, lambda _lanes, _lane: None)
    mine = WatchedModel(found.worker, ())

    def amend(_name: str, work: Callable[[WatchedModel], None]) -> bool:
        work(mine)
        return True

    def look(lane: str) -> None:
        with ThreadPoolExecutor(1) as ahead:
            heavy.look(lane, found.tools(ahead), lambda: [mine], amend)

    return look


def trip_of(state: ModelState, monitor: Monitor) -> tuple[Shown, int, str]:
    """Return a monitor's state, how many windows it has judged since the reference, and its note."""
    trip = state.trips[TripKey("v1", "all", "_joint", monitor.detector)]
    assert trip.verdict is not None
    return trip.shown, (trip.window - (state.baselines[0].since or 0)) // MINUTE + 1, trip.verdict.note


@pytest.mark.parametrize("reason", ["hung", "died", "memory"])
def test_a_monitor_that_cannot_learn_is_given_up_and_the_others_of_its_line_go_on(reason: str) -> None:
    detectors = Detectors({"mmd": reason})
    found = process(MemoryStore(), detectors, BAD, GOOD)

    found.run(Cut(log(LEARNT + 3), ()), flush=True)

    state = found.worker.state
    first = detectors.told.index(("pca_reconstruction", False))
    assert detectors.told[:first].count(("mmd", True)) <= TRIES
    assert detectors.lessons["pca_reconstruction"] == LEARNT
    assert trip_of(state, GOOD)[:2] == (Shown.OK, 3)
    assert trip_of(state, BAD)[:2] == (Shown.ERROR, 3)
    assert trip_of(state, BAD)[2].endswith(f"tried again later: it {reason}")
    assert not state.jobs
    status = heavy_status(found.worker.plan, state)
    assert status is not None
    assert [(m["detector"], m["on"], m["reason"]) for m in status["unlearnt"]] == [
        ("mmd", "features", reason)
    ]
    assert list(heavy_status_lines(status))[1].startswith(f"    NOT LEARNT mmd on features: {reason}, ")


def test_it_is_tried_again_ever_more_seldom_and_at_a_start_and_judges_again_once_it_has_learnt() -> None:
    store, detectors, rows = MemoryStore(), Detectors({"mmd": "hung"}), log(LEARNT + 36)
    by_minute = range(0, len(rows), PER_MINUTE)
    process(store, detectors, BAD, GOOD).run(Cut(rows[: -4 * PER_MINUTE], by_minute), flush=False)
    tried = detectors.lessons["mmd"]
    detectors.fails.clear()
    again = process(store, detectors, BAD, GOOD)
    worker = again.worker
    assert worker.heavy is not None
    opened = with_samples(worker.plan, worker.heavy, None, worker.state)
    worker.state = opened[0]
    again.run(Cut(rows, by_minute), flush=True)

    (null,) = worker.state.heavy_nulls.values()
    assert tried == TRIES + len([1, 2, 4, 8])  # windows between two tries
    assert {len(known) for known in null.pvalues.values()} == {LEARNT}
    assert (null.waiting, null.troubles) == ({}, {})
    assert trip_of(worker.state, BAD)[:2] == (Shown.OK, 36)


@settings(max_examples=8, deadline=None)
@given(st.lists(st.integers(0, 190), max_size=4), st.lists(st.integers(1, 9), max_size=3))
def test_what_is_learnt_and_judged_is_the_same_however_the_log_is_cut_and_wherever_the_daemon_dies(
    cuts: list[int], lives: list[int]
) -> None:
    rows, whole, torn = log(LEARNT + 4), MemoryStore(), MemoryStore()
    process(whole, Detectors(), BAD, GOOD).run(Cut(rows, ()), flush=True)

    for commits in lives:
        life = process(torn, Detectors(), BAD, GOOD)
        life.dies_after = commits
        with suppress(DiedError):
            life.run(Cut(rows, cuts), flush=False)
    process(torn, Detectors(), BAD, GOOD).run(Cut(rows, cuts), flush=True)

    assert lasting(torn) == lasting(whole)
    assert not load_model("m", torn.load()).jobs


def test_a_process_that_dies_once_costs_no_comparison() -> None:
    detectors = Detectors({"mmd": "died"}, once=True)
    found = process(MemoryStore(), detectors, BAD, GOOD)
    look = apart(found)
    found.run(Cut(log(LEARNT + 3), ()), flush=True)
    look(POOL)

    (null,) = found.worker.state.heavy_nulls.values()
    assert {len(known) for known in null.pvalues.values()} == {LEARNT}
    assert trip_of(found.worker.state, BAD)[:2] == (Shown.OK, 3)


def test_nobody_waits_for_a_slow_one_and_it_learns_all_the_same() -> None:
    detectors = Detectors(takes={"mmd": 200.0})
    found = process(MemoryStore(), detectors, BAD, GOOD)
    look = apart(found)
    found.run(Cut(log(LEARNT + 3), ()), flush=True)
    look(POOL)

    judged = [place for place, asked in enumerate(detectors.told) if asked == ("pca_reconstruction", False)]
    assert len(judged) == 3
    assert detectors.told[: judged[-1]].count(("mmd", True)) == 1
    assert detectors.lessons["mmd"] == LEARNT
    assert trip_of(found.worker.state, BAD)[:2] == (Shown.OK, 3)


def test_without_its_environment_a_monitor_learns_once_it_is_there_and_not_at_each_start() -> None:
    store, detectors, rows = MemoryStore(), Detectors({"alibi.mmd": "absent"}), log(LEARNT + 6)
    for minutes in (2, 3):
        cut = Cut(rows[: (LEARNT + minutes) * PER_MINUTE], ())
        process(store, detectors, GONE, GOOD).run(cut, flush=False)
    before = load_model("m", store.load())
    (null,) = before.heavy_nulls.values()
    lessons = detectors.lessons
    detectors.fails.clear()
    found = process(store, detectors, GONE, GOOD)
    found.run(Cut(rows, range(0, len(rows), PER_MINUTE)), flush=True)

    assert trip_of(before, GONE)[0] is Shown.ERROR
    assert lessons["pca_reconstruction"] == LEARNT
    assert 0 < lessons["alibi.mmd"] <= 3
    assert len(null.waiting) == LEARNT
    assert trip_of(found.worker.state, GONE)[0] is Shown.OK
    assert {len(known) for n in found.worker.state.heavy_nulls.values() for known in n.pvalues.values()} == {
        LEARNT
    }


def test_what_cannot_be_committed_is_compared_once_and_tried_again_ever_more_seldom() -> None:
    detectors = Detectors()
    found = process(MemoryStore(), detectors, GOOD)
    look = apart(found)
    found.run(Cut(log(LEARNT + 1), ()), flush=True)
    found.full = True
    for _ in range(200):
        look(POOL)
        detectors.clock.advance(1.0)
    for _ in range(1100):  # most of a day
        look(POOL)
        detectors.clock.advance(60.0)
    asked = len(detectors.told)
    found.full = False
    detectors.clock.advance(60.0)
    look(POOL)

    assert asked == 1
    assert len(detectors.told) == LEARNT + 1
    assert [b - a for a, b in pairwise(found.tried)][:8] == [1, 2, 4, 8, 16, 32, 60, 60]
    assert trip_of(found.worker.state, GOOD)[:2] == (Shown.OK, 1)
    assert found.heavy is not None
    done = [s.value for s in found.heavy.samples() if s.name == "driftd_heavy_done_total"]
    assert done == [LEARNT + 1]


def test_what_was_found_is_looked_at_anew_where_its_sample_was_given_up_meanwhile() -> None:
    detectors = Detectors()
    found = process(MemoryStore(), detectors, Monitor(detector="mmd", threshold=0.5))
    look = apart(found)
    found.run(Cut(log(LEARNT + 1), ()), flush=True)
    found.full = True
    look(POOL)
    found.full = False
    state = found.worker.state
    given_up = {key: replace(job, sample=None) for key, job in state.jobs.items()}
    found.worker.state = replace(state, jobs=given_up)
    detectors.clock.advance(60.0)
    look(POOL)

    assert len(detectors.told) == 1
    assert trip_of(found.worker.state, BAD)[2].startswith("given up: 1 windows")


def key_of(due: int, version: str = "", line: str = "pool") -> JobKey:
    return JobKey(due, version, line, 1)


def test_no_version_starves_another_and_the_newest_sample_of_each_stays() -> None:
    jobs = {key_of(due, "busy"): Job(due, due, 1, 1, SAMPLE) for due in range(1000)}
    jobs |= {key_of(due, "seldom"): Job(due, due, 1, 1, SAMPLE) for due in range(0, 1000, 100)}
    jobs |= {key_of(1005, "weekly", "pool 0 3 * * 1"): Job(0, 999, 1000, 1, SAMPLE)}

    kept = bounded(jobs, MOST)

    waiting = Counter(key.version for key, job in kept.items() if job.sample is not None)
    assert waiting == {"busy": MOST - 11, "seldom": 10, "weekly": 1}
    assert kept[key_of(999, "busy")].sample is not None
    assert sum(job.windows for job in kept.values()) == 2010


def test_more_versions_than_samples_may_wait_have_one_each() -> None:
    jobs = {key_of(due, f"v{n}"): Job(due, due, 1, 1, SAMPLE) for n in range(100) for due in (1, 2, 3)}

    kept = bounded(jobs, MOST)

    waiting = Counter(key.version for key, job in kept.items() if job.sample is not None)
    assert len(waiting) == 100
    assert waiting.total() == 101  # and the oldest one, which may be at work
    assert {kept[key_of(3, f"v{n}")].sample for n in range(100)} == {SAMPLE}


def test_that_windows_are_given_up_is_said_when_it_begins(capsys: pytest.CaptureFixture[str]) -> None:
    detectors, rows = Detectors(), log(LEARNT + MOST + 9)
    found = process(MemoryStore(), detectors, Monitor(detector="mmd", threshold=0.5))
    apart(found)

    found.run(Cut(rows, range(0, len(rows), PER_MINUTE)), flush=True)

    assert found.worker.state.book.counts["", "heavy_given_up", ""] == 9
    assert capsys.readouterr().out.count("too many newer ones wait") == 1


def test_a_job_keeps_who_has_yet_to_judge_it() -> None:
    job = Job(1, 2, 3, 4, SAMPLE, ("_joint mmd",))

    assert Job.load(job.dump()).left == job.left
    assert Job.load(replace(job, left=None).dump()).left is None
    assert bounded({key_of(1): job, key_of(2): replace(job, left=None), key_of(3): job}, 2).keys() == {
        key_of(1),
        key_of(2),
        key_of(3),
    }
