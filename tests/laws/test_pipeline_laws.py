"""Rows in, entries out: the same final state, notes and metrics for any batching and after any crash."""

import re
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detectors.base import Verdict
from detectors.calibration import Calibrator
from detectors.profile import WindowProfile
from detectors.series import Lent, Series
from monitor.config import Alarms, Columns, Features, Monitor, Reference, Retrain
from monitor.core.closing import Judge
from monitor.core.judging import BudgetJudge
from monitor.core.reference import Baseline
from monitor.core.state import ModelState, load_model
from monitor.errors import StoreUnavailableError
from monitor.store.memory import MemoryStore
from monitor.types import Batch, Position
from monitor.worker import Tools
from tests.lives import Cut, DiedError, Process, lasting, lived, metrics
from tests.logs import Row, mean_judge, model, plan_of

MANY = settings(max_examples=40)
LEARN: dict[str, Any] = {"reference": Reference(first=timedelta(minutes=3))}
WATCHED: dict[str, Any] = {
    "retrain": (Retrain(webhook="hook", when=("drift",), cooldown=timedelta(minutes=5), max_per_week=3),),
    "alarms": Alarms(enter=2, keep_firing=2),
}


@st.composite
def logs(draw: st.DrawFn) -> list[Row]:
    scale = draw(st.sampled_from([1, 1, 120]))
    shape = st.tuples(
        st.integers(0, 30),
        st.integers(-40, 60),
        st.floats(-2, 6),
        st.sampled_from(["red", "blue", "new", None]),
        st.sampled_from(["v1", "v1", "v2"]),
        st.sampled_from(["north", "south", "mars", None]),
    )
    rows, now = [], 0
    for id_, step, x, colour, version, place in draw(st.lists(shape, max_size=50)):
        now = max(now + step * scale, 0)
        rows.append(Row(f"id{id_}", None if id_ == 30 else now, x, colour, version, place))
    return rows


cut_places = st.sets(st.integers(1, 50), max_size=8)


@MANY
@given(logs(), cut_places, st.sampled_from([{}, LEARN]), st.sampled_from([[], ["flush"]]))
def test_any_batching_ends_in_the_same_entries(
    rows: list[Row], cuts: set[int], how: dict[str, Any], end: list[str]
) -> None:
    made = model(**WATCHED, **how)

    flush = "flush" in end
    whole, pieces = lived(made, rows, flush=flush), lived(made, rows, cuts, flush=flush)

    assert lasting(pieces) == lasting(whole)
    assert metrics(made, pieces) == metrics(made, whole)


@MANY
@given(logs(), st.lists(st.tuples(st.integers(1, 4), cut_places), max_size=5), st.sampled_from([{}, LEARN]))
def test_crashes_after_any_commit_change_nothing(
    rows: list[Row], lives: list[tuple[int, set[int]]], how: dict[str, Any]
) -> None:
    made = model(**WATCHED, **how)
    whole = lived(made, rows, flush=True)

    store = MemoryStore()
    for commits, cuts in lives:
        process = Process(made, store, mean_judge(), dies_after=commits)
        try:
            process.run(Cut(rows, cuts), flush=False)
        except DiedError:
            continue
    Process(made, store, mean_judge()).run(Cut(rows, [10, 20]), flush=True)

    assert metrics(made, store) == metrics(made, whole)
    assert lasting(store) == lasting(whole)


@MANY
@given(logs(), cut_places, st.sets(st.integers(1, 8), max_size=5), st.sampled_from([{}, LEARN]))
def test_commits_that_fail_are_made_again_and_nothing_is_counted_twice(
    rows: list[Row], cuts: set[int], full: set[int], how: dict[str, Any]
) -> None:
    made = model(**WATCHED, **how)
    store = MemoryStore()

    Process(made, store, mean_judge(), full_at=frozenset(full)).run(Cut(rows, cuts), flush=True)

    assert lasting(store) == lasting(lived(made, rows, flush=True))


def long_log(windows: int = 12, each: int = 40, seed: int = 1) -> list[Row]:
    rng = np.random.default_rng(seed)
    rows = []
    for window in range(windows):
        shift = 3.0 if window >= windows - 4 else 0.0
        for i in range(each):
            colour = "red" if rng.random() < 0.5 else "blue"
            at = window * 60 + i * 60 // each
            place = ("north", "south", "west")[i % 3]
            rows.append(Row(f"{window}/{i}", at, float(rng.normal() + shift), colour, f"v{i % 2}", place))
    return rows


@pytest.mark.parametrize("how", [{}, LEARN], ids=["file", "first"])
def test_the_real_detectors_say_the_same_for_any_batching_and_crash(how: dict[str, Any]) -> None:
    made = model(
        **{**WATCHED, **how},
        monitors=(
            Monitor(detector="quality"),
            Monitor(detector="ks"),
            Monitor(detector="psi", threshold=0.2),
        ),
    ).model_copy(update={"alarms": Alarms(min_rows=10, enter=2, keep_firing=2)})
    rows = long_log()
    calibrator = Calibrator()

    def judge() -> Judge:
        return BudgetJudge(plan_of(made), calibrator)

    whole = lived(made, rows, judge=judge())
    assert re.search('state="firing".*} 1.0', metrics(made, whole))
    assert lasting(lived(made, rows, range(0, 480, 17), judge=judge())) == lasting(whole)
    store = MemoryStore()
    for commits in (3, 1, 2, 5, 1000):
        try:
            Process(made, store, judge(), dies_after=commits).run(Cut(rows, range(0, 480, 31)), flush=False)
        except DiedError:
            continue
    assert metrics(made, store) == metrics(made, whole)


@given(st.permutations(range(60)), cut_places)
@settings(max_examples=15)
def test_a_learnt_reference_is_the_same_for_any_order_within_its_part(
    order: list[int], cuts: set[int]
) -> None:
    made = model(**LEARN, lateness=timedelta(hours=1))
    first = [Row(f"f{i}", i * 3, float(i), "red" if i % 3 else "blue") for i in range(60)]
    rest = [Row(f"r{i}", 180 + i * 60, 0.0) for i in range(90)]

    straight = load_model("m", lived(made, [*first, *rest]).load()).baselines
    shuffled = load_model(
        "m", lived(made, [first[0], *(first[i] for i in order if i), *rest], cuts).load()
    ).baselines

    assert [b.hash for b in straight] == [b.hash for b in shuffled]
    assert straight[0].rows == 60


def test_a_reference_learnt_from_much_is_a_sample_that_no_cut_changes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("monitor.core.learning.MOST_ROWS", 100)
    monkeypatch.setattr("monitor.core.learning.LEAST_ROWS", 10)
    made = model(**LEARN, deduplicate=False)
    rows = [Row(f"a{i // 3}", i // 10, float(i % 7)) for i in range(3000)]  # three rows have equal keys

    found = {
        load_model("m", lived(made, rows, cuts).load()).baselines[0].hash
        for cuts in ([], range(0, 3000, 100), [1, 2, 1799, 1800, 1801], [900])
    }

    assert len(found) == 1
    store = lived(made, rows, range(0, 1700, 10))
    baseline = load_model("m", store.load()).baselines[0]
    assert baseline.rows == 100
    assert not [key for key in store.load() if key[0] == "learning"]


@pytest.mark.parametrize("cuts", [[], [7, 20], [19, 25, 30]])
def test_columns_seen_while_learning_are_known_and_new_ones_are_not(cuts: list[int]) -> None:
    made = model(**LEARN, columns=Columns(timestamp="at", timestamp_unit="us", prediction_id="id"))
    store, told = MemoryStore(), set()

    def judge(
        baseline: Baseline | None,
        window: WindowProfile | None,
        groups: int,
        series: Series | Lent | None = None,  # noqa: ARG001 - of no use here
    ) -> list[Verdict]:
        told.add(window.columns_unknown if baseline and window and groups else None)
        return []

    rows = [Row(f"a{i}", i * 10) for i in range(40)]
    Process(made, store, judge).run(Cut(rows[:5], [3], {"zone": "z"}), flush=False)
    Process(made, store, judge).run(Cut(rows[:30], cuts, {"region": "eu"}), flush=False)
    learnt = load_model("m", store.load())
    assert learnt.baselines[0].columns >= {"zone", "region", "place", "version"}
    Process(made, store, judge).run(Cut(rows, [], {"region": "eu", "brand_new": "1"}), flush=True)

    state = load_model("m", store.load())
    assert told == {None, frozenset(), frozenset({"brand_new"})}
    assert state.book.unknown == {}
    assert state.book.columns == frozenset()


def test_a_batch_through_many_windows_never_has_them_all_open() -> None:
    made = model(lateness=timedelta(0))
    seen: list[int] = []
    rows = [Row(f"a{i}", i * 60) for i in range(1000)]
    process = Process(made, MemoryStore(), mean_judge())
    settle = process.worker._settle  # noqa: SLF001 - how many windows are open is visible nowhere else

    def counted(tools: Tools, state: ModelState, watermark: int, *, cut: bool = False) -> Any:  # noqa: ANN401 - passed on
        seen.append(len({key.start for key in state.windows}))
        return settle(tools, state, watermark, cut=cut)

    process.worker._settle = counted  # type: ignore[method-assign] # noqa: SLF001 - as above
    process.run(Cut(rows, []), flush=False)

    assert max(seen) < 100
    assert process.worker.state.book.windows_closed == 999
    assert process.worker.state.book.total("stored") == 1000


def test_versions_that_come_and_go_leave_little_behind() -> None:
    made = model(lateness=timedelta(0))
    rows = [Row(f"{w}/{i}", w * 60 + i % 60, version=f"v{w}-{i}") for w in range(15) for i in range(100)]

    store = lived(made, rows, [500, 1200])

    state = load_model("m", store.load())
    assert len({key.version for key in state.trips}) <= 40
    assert len({version for version, _ in state.volumes}) <= 40
    assert len(state.book.versions) <= 40
    assert lasting(store) == lasting(lived(made, rows))
    assert {space for space, _, _ in store.load()} >= {"trip", "volume", "window", "book"}
    assert len([key for key in store.load() if key[0] == "trip"]) == len(state.trips)


def test_a_version_without_rows_for_long_is_forgotten() -> None:
    made = model(lateness=timedelta(0))
    rows = [Row("old", 0, version="old"), *(Row(f"a{i}", i * 60, version="new") for i in range(200))]

    state = load_model("m", lived(made, rows).load())

    assert {key.version for key in state.trips} == {"new"}


def test_a_column_that_the_configuration_dropped_is_missing_in_windows_still_open() -> None:
    before = model()
    store = MemoryStore()
    Process(before, store, mean_judge()).run(Cut([Row("a", 0), Row("b", 1)], []), flush=False)
    narrow = model(
        features=Features(categorical=("colour",)), columns=before.columns.model_copy(update={"segments": ()})
    )

    rows = [Row("a", 0), Row("b", 1), Row("c", 2)]
    Process(narrow, store, mean_judge()).run(Cut(rows, []), flush=True)

    state = load_model("m", store.load())
    assert state.book.total("stored") == 3
    assert state.book.windows_closed == 1


@MANY
@given(
    st.lists(st.lists(st.integers(0, 2000), max_size=40).map(sorted), min_size=2, max_size=3),
    st.lists(cut_places, min_size=3, max_size=3),
)
def test_several_sources_are_one_log(times: list[list[int]], cuts: list[set[int]]) -> None:
    made = model(lateness=timedelta(seconds=10))
    logs_of = [[Row(f"{s}/{i}", at) for i, at in enumerate(log)] for s, log in enumerate(times)]
    together = sorted((row for log in logs_of for row in log), key=lambda row: row.at or 0)
    store = MemoryStore()
    process = Process(made, store, mean_judge())
    with ThreadPoolExecutor(1) as ahead:
        tools = process.tools(ahead)
        feeds = [
            (Cut(log, cut, name=f"predictions-{s}"), process.decode)
            for s, (log, cut) in enumerate(zip(logs_of, cuts, strict=False))
        ]
        process.worker.drain_all(tools, feeds, lambda: False)
        process.worker.flush(tools)

    whole = load_model("m", lived(made, together, flush=True).load())
    state = load_model("m", store.load())
    assert state.book.total("late") == 0
    assert state.trips == whole.trips
    assert state.volumes == whole.volumes
    assert state.book.progress == whole.book.progress


def test_a_dead_reader_is_waited_for() -> None:
    class Broken(Cut):
        def poll(self, after: Position, limit: int) -> Batch | None:
            if after.entries:
                raise OSError("gone")
            return super().poll(after, limit)

    made = model()
    process = Process(made, MemoryStore(), mean_judge())
    with pytest.raises(OSError, match="gone"):
        process.run(Broken([Row("a", 0), Row("b", 1)], [1]), flush=False)
    assert process.worker.state.book.total("stored") == 1


def test_silence_does_not_close_windows_while_rows_wait_to_be_committed() -> None:
    made = model()
    process = Process(made, MemoryStore(), mean_judge(), full_at=frozenset({2}))
    with ThreadPoolExecutor(1) as ahead:
        tools = process.tools(ahead)
        process.worker.drain(tools, Cut([Row("a", 0)], []), process.decode, lambda: False)
        process.clock.advance(3600)
        rows = [Row("a", 0), Row("b", 1)]
        with pytest.raises(StoreUnavailableError):
            process.worker.drain(tools, Cut(rows, [1]), process.decode, lambda: False)
        assert not process.worker.close_idle(tools)
        process.worker.drain(tools, Cut(rows, [1]), process.decode, lambda: False)
        assert not process.worker.close_idle(tools)
        process.clock.advance(31)
        assert process.worker.close_idle(tools)
    assert process.worker.state.book.total("late") == 0
    assert process.worker.state.book.windows_closed == 1


def test_pieces_of_a_log_are_what_the_cuts_say() -> None:
    source = Cut([Row(str(i), i) for i in range(10)], [3, 7])
    position, sizes = Position(), []
    while (batch := source.poll(position, 0)) is not None:
        position = batch.position
        sizes.append(len(batch.chunks[0].data))
    assert sizes == [b - a for a, b in pairwise([0, 3, 7, 10])]
