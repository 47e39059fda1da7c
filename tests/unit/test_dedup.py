"""Rows sent again: counted once, whatever came between."""

from datetime import timedelta

import numpy as np

from monitor.core.dedup import Arrived, OpenIds, added, apply, duplicates
from monitor.core.pipeline import Context, take_in
from monitor.core.state import ModelState, load_model, run_changes
from monitor.store.memory import MemoryStore
from tests.lives import Cut, Process
from tests.logs import FAR, Row, feed, mean_judge, model, plan_of, reference

Hashes = np.ndarray[tuple[int], np.dtype[np.uint64]]


def hashes(*values: int) -> Hashes:
    return np.array(values, np.uint64)


def at(*values: int) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    return np.array(values, np.int64)


def counted(rows: list[Row], cuts: list[int], lateness: int = 30) -> dict[str, int]:
    made = model(lateness=timedelta(seconds=lateness))
    store = MemoryStore()
    Process(made, store, mean_judge()).run(Cut(rows, cuts), flush=False)
    book = load_model("m", store.load()).book
    return {what: book.total(what) for what in ("stored", "duplicate", "late")}


def test_a_batch_sent_three_times_is_stored_once() -> None:
    rows = [Row(f"a{i}", i) for i in range(20)]
    for cuts in ([20, 40], [], [7, 33, 59]):
        assert counted(rows * 3, cuts) == {"stored": 20, "duplicate": 40, "late": 0}


def test_a_resend_after_the_window_closed_is_late_and_not_stored_again() -> None:
    rows = [Row("a", 10), Row("b", 300), Row("a", 10)]
    for cuts in ([1, 2], []):
        assert counted(rows, cuts) == {"stored": 2, "duplicate": 0, "late": 1}


def test_an_id_of_a_closed_window_may_come_again_in_a_new_one() -> None:
    rows = [Row("a", 10), Row("a", 300), Row("a", 301)]
    for cuts in ([1, 2], [], [2]):
        assert counted(rows, cuts) == {"stored": 2, "duplicate": 1, "late": 0}


def test_an_id_is_free_again_at_the_very_end_of_its_window() -> None:
    for last, stored in [(89, 1), (90, 2)]:
        for cuts in ([1], []):
            assert counted([Row("a", 0), Row("a", last)], cuts)["stored"] == stored


def test_an_id_in_two_open_windows_is_a_duplicate_with_another_time_too() -> None:
    rows = [Row("a", 59), Row("a", 61), Row("a", 119), Row("a", 149), Row("a", 151)]
    for cuts in ([1, 2, 3, 4], [], [2]):
        assert counted(rows, cuts) == {"stored": 3, "duplicate": 2, "late": 0}


def test_big_and_small_runs_are_searched_alike_and_merged_as_they_grow() -> None:
    rng = np.random.default_rng(0)
    known, stored = OpenIds(), set[int]()
    for size in (50_000, 10, 1, 3, 2000, 1, 7, 40_000, 5):
        ids = rng.integers(0, 200_000, size, dtype=np.uint64)
        start = np.zeros(size, np.int64)
        fresh = ~duplicates(known, 60, Arrived(ids, start), start)
        expected, seen = [], set(stored)
        for value in ids.tolist():
            expected.append(value not in seen)
            seen.add(value)
        assert fresh.tolist() == expected
        stored = seen
        if fresh.any():
            known = apply(known, added(known, Arrived(ids[fresh], start[fresh])), frozenset())
        assert len(known.runs[0]) <= 12
    assert sorted(value for _, run in known for value in run.tolist()) == sorted(stored)
    assert all((np.diff(run.astype(object)) > 0).all() for _, run in known)


def test_the_stores_entries_are_the_runs_in_force() -> None:
    known, entries = OpenIds(), MemoryStore()
    for size in (5, 4, 3, 100, 1):
        fresh = np.arange(size, dtype=np.uint64) + np.uint64(1000 * size)
        starts = at(*[60] * (size // 2), *[120] * (size - size // 2))
        changes = added(known, Arrived(fresh, starts))
        known = apply(known, changes, frozenset())
        entries.commit(run_changes("m", changes, {}))
    again = load_model("m", entries.load()).ids
    assert {start: [n for n, _ in runs] for start, runs in again.runs.items()} == {
        start: [n for n, _ in runs] for start, runs in known.runs.items()
    }
    assert [ids.tolist() for _, ids in again] == [ids.tolist() for _, ids in known] or sorted(
        (s, ids.tolist()) for s, ids in again
    ) == sorted((s, ids.tolist()) for s, ids in known)


def test_closed_windows_are_forgotten() -> None:
    known = apply(OpenIds(), added(OpenIds(), Arrived(hashes(1, 2), at(0, 60))), frozenset())
    assert set(apply(known, (), frozenset({0})).runs) == {60}
    changes = added(known, Arrived(hashes(3), at(0)))
    assert set(apply(known, changes, frozenset({0})).runs) == {60}


def test_ids_are_kept_only_as_long_as_their_windows() -> None:
    made = model(lateness=timedelta(0))
    rows = [Row(f"a{i}", i * 20) for i in range(300)]
    fed = feed(made, rows, [])
    state = ModelState("m", baselines=(reference(made),))
    taken = take_in(Context(plan_of(made), fed.schema, FAR), state, fed.batches[0], fed.decoded[0])
    assert len(taken.state.ids.runs) == 100
    store = MemoryStore()
    Process(made, store, mean_judge()).run(Cut(rows, []), flush=False)
    assert len([key for key in store.load() if key[0] == "ids"]) == 1
