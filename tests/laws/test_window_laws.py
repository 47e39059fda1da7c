"""Which rows are late, which are duplicates, what the windows hold: the same however the log is cut."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from itertools import pairwise

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detectors.profile import empty
from monitor.config import Model
from monitor.core.codec import dump_profile
from monitor.core.dedup import Arrived, OpenIds, added, apply, duplicates
from monitor.core.pipeline import Context, take_in
from monitor.core.profiles import GroupKey, Rows, profile_rows
from monitor.core.schema import type_rows
from monitor.core.state import ModelState
from monitor.core.windows import NEVER, Progress, advance, distinct, late, starts, stretches
from monitor.decoders.plain import decode
from monitor.types import Chunk
from tests.logs import (
    EPOCH,
    FAR,
    MINUTE,
    SECOND,
    SOURCE,
    Feed,
    Row,
    feed,
    feed_of,
    frame_of,
    model,
    plan_of,
    reference,
)

MANY = settings(max_examples=60)
rows_of_log = st.lists(
    st.builds(
        Row,
        id=st.sampled_from([f"id{i}" for i in range(12)]),
        at=st.one_of(st.integers(0, 400), st.sampled_from([0, 59, 60, 61, 89, 90, 91, 149, 150])),
        x=st.one_of(st.none(), st.floats(-3, 3), st.just(float("nan"))),
        colour=st.sampled_from(["red", "blue", "green", None]),
        version=st.sampled_from(["v1", "v2"]),
        place=st.sampled_from(["north", "south", "mars", None]),
    ),
    max_size=60,
)
cut_places = st.lists(st.integers(0, 60), max_size=8)


def taken(made: Model, fed: Feed) -> ModelState:
    state = ModelState(made.name, baselines=(reference(made),))
    context = Context(plan_of(made), fed.schema, FAR)
    for batch, decoded in zip(fed.batches, fed.decoded, strict=True):
        state = take_in(context, state, batch, decoded).state
    return state


def counts(state: ModelState) -> dict[str, int]:
    return {what: state.book.total(what) for what in ("received", "stored", "rejected", "duplicate", "late")}


def row_by_row(made: Model, rows: Sequence[Row]) -> tuple[Counter[str], dict[int, list[Row]]]:
    """Do what the daemon does with one row after the other, in plain Python."""
    window = made.window // timedelta(seconds=1)
    lateness = made.lateness // timedelta(seconds=1)
    frontier = float("-inf")
    kept: defaultdict[int, list[Row]] = defaultdict(list)
    stored: defaultdict[str, list[int]] = defaultdict(list)
    found: Counter[str] = Counter()
    for row in rows:
        found["received"] += 1
        if row.at is None:
            found["rejected"] += 1
            continue
        frontier = max(frontier, row.at)
        start = row.at // window * window
        if start + window <= frontier - lateness:
            found["late"] += 1
        elif made.deduplicate and any(end > frontier - lateness for end in stored[row.id]):
            found["duplicate"] += 1
        else:
            found["stored"] += 1
            stored[row.id].append(start + window)
            kept[EPOCH + start * SECOND].append(row)
    return found, dict(kept)


def profiled(made: Model, kept: dict[int, list[Row]]) -> dict[GroupKey, bytes]:
    """Profile each window's rows by themselves."""
    found = {}
    baseline = reference(made)
    for start, rows in kept.items():
        chunk = Chunk("log", 0, frame_of(rows))
        schema = feed(made, rows, []).schema
        typed, _ = type_rows(schema, chunk, decode(chunk, schema.wanted, "parquet"), "us", FAR)
        part = Rows(np.full(len(rows), start), typed.keys, typed.frame, typed.invalid)
        for key, profile in profile_rows(baseline.grid, part, baseline.segments).items():
            found[key] = dump_profile(profile)
    return found


@MANY
@given(rows_of_log, cut_places, st.integers(0, 90), st.sampled_from([{}, {"deduplicate": False}]))
def test_any_cut_of_a_log_stores_what_a_row_by_row_reader_stores(
    rows: list[Row], cuts: list[int], lateness: int, switch: dict[str, bool]
) -> None:
    made = model(lateness=timedelta(seconds=lateness), **switch)
    expected, kept = row_by_row(made, rows)

    state = taken(made, feed(made, rows, cuts))

    assert counts(state) == {what: expected[what] for what in counts(state)}
    assert {key: dump_profile(p) for key, p in state.windows.items()} == profiled(made, kept)


@MANY
@given(rows_of_log, cut_places)
def test_without_ids_nothing_is_a_duplicate(rows: list[Row], cuts: list[int]) -> None:
    made = model(columns=model().columns.model_copy(update={"prediction_id": ""}))
    expected, _ = row_by_row(model(deduplicate=False), rows)

    assert counts(taken(made, feed(made, rows, cuts))) == {
        **dict.fromkeys(counts(ModelState("m")), 0),
        **expected,
    }


@MANY
@given(
    st.lists(st.tuples(st.integers(0, 9), st.integers(0, 300)), min_size=1, max_size=80),
    st.lists(st.integers(1, 79), max_size=5),
    st.integers(0, 60),
)
def test_duplicates_are_those_a_row_by_row_reader_finds(
    log: list[tuple[int, int]], cuts: list[int], lateness: int
) -> None:
    time = np.array([at for _, at in log])
    frontiers = np.maximum.accumulate(time)
    row_starts = time // 60 * 60
    good = ~late(row_starts, frontiers, 60, lateness)
    ids, row_starts, marks = (
        np.array([i for i, _ in log], np.uint64)[good],
        row_starts[good],
        frontiers[good] - lateness,
    )
    ends: defaultdict[int, int] = defaultdict(lambda: -(10**9))
    expected = []
    for i, start, mark in zip(ids.tolist(), row_starts.tolist(), marks.tolist(), strict=True):
        expected.append(ends[i] > mark)
        if not expected[-1]:
            ends[i] = max(ends[i], start + 60)

    found: list[bool] = []
    known = OpenIds()
    bounds = [0, *sorted({cut for cut in cuts if cut < len(ids)}), len(ids)]
    for a, b in pairwise(bounds):
        if a == b:
            continue
        repeated = duplicates(known, 60, Arrived(ids[a:b], row_starts[a:b]), marks[a:b])
        found += repeated.tolist()
        fresh = ids[a:b][~repeated], row_starts[a:b][~repeated]
        if len(fresh[0]):
            known = apply(known, added(known, Arrived(*fresh)), frozenset())

    assert found == expected


@MANY
@given(
    st.lists(st.lists(st.integers(0, 600), min_size=1, max_size=25).map(sorted), min_size=2, max_size=4),
    st.integers(1, 12),
    st.integers(0, 60),
)
def test_files_read_one_after_the_other_are_not_late_to_each_other(
    files: list[list[int]], share: int, lateness: int
) -> None:
    made = model(lateness=timedelta(seconds=lateness))
    batches = merged(files, share)

    state = taken(made, feed_of(made, batches))

    assert counts(state)["late"] == 0
    assert counts(state)["stored"] == sum(map(len, files))
    newest = EPOCH + max(map(max, files)) * SECOND
    assert state.book.progress == Progress(newest, newest)


def merged(files: list[list[int]], share: int) -> list[list[Chunk]]:
    """Take the file with the oldest next row first, a few rows at a time, as sources/merge.py does."""
    at = [0] * len(files)
    batches = []
    while unread := [f for f in range(len(files)) if at[f] < len(files[f])]:
        first = min(unread, key=lambda f: (files[f][at[f]], f))
        hold = min((files[f][at[f]] for f in unread if f != first), default=None)
        rows = [Row(f"{first}/{at[first] + i}", t) for i, t in enumerate(files[first][at[first] :][:share])]
        chunk = Chunk(
            f"log{first}", at[first], frame_of(rows), hold=None if hold is None else EPOCH + hold * SECOND
        )
        batches.append([chunk])
        at[first] += share
    return batches


def test_a_big_file_beside_a_small_one_that_was_read_ahead_loses_nothing() -> None:
    made = model(lateness=timedelta(0))
    small = [Row(f"s{i}", i * 600) for i in range(5)]
    big = [Row(f"b{i}", 10 + i * 24) for i in range(100)]
    ahead = Chunk("small", 0, frame_of(small), hold=big[0].time)
    parts = [Chunk("big", a, frame_of(big[a : a + 20])) for a in range(0, 100, 20)]

    state = taken(made, feed_of(made, [[ahead, parts[0]], *([part] for part in parts[1:])]))

    assert counts(state)["late"] == 0


@given(st.lists(st.integers(-(10**12), 10**12), max_size=50), st.integers(1, 10**11))
def test_a_rows_window_holds_its_time_even_before_the_epoch(times: list[int], window: int) -> None:
    found = starts(np.array(times, np.int64), window)

    assert [start % window for start in found.tolist()] == [0] * len(times)
    assert all(s <= t < s + window for s, t in zip(found.tolist(), times, strict=True))


@given(st.lists(st.integers(0, 10**6), min_size=1, max_size=40), st.integers(1, 50), st.integers(1, 5))
def test_stretches_cover_all_rows_and_pass_few_windows_each(times: list[int], window: int, most: int) -> None:
    frontiers = np.maximum.accumulate(np.array(times, np.int64))
    found = stretches(frontiers, window, most)

    assert [i for part in found for i in range(part.start, part.stop)] == list(range(len(times)))
    assert all(len({int(f) // window for f in frontiers[part]}) <= most for part in found)
    assert stretches(np.empty(0, np.int64), window, most) == []


def test_a_gap_of_a_hundred_years_is_two_windows() -> None:
    made = model(lateness=timedelta(0))
    century = 3_155_760_000
    rows = [Row("a", 0), Row("b", 1), Row("c", century), Row("d", century + 1)]
    context = Context(plan_of(made), feed(made, rows, []).schema, FAR + century * SECOND)
    fed = feed(made, [replace(row, at=row.at - century // 3) for row in rows if row.at is not None], [])
    state = ModelState(made.name, baselines=(reference(made),))
    state = take_in(context, state, fed.batches[0], fed.decoded[0]).state

    assert len({key.start for key in state.windows}) == 2
    assert sum(p.rows for k, p in state.windows.items() if k.segment == "all") == 4


def test_no_row_no_progress() -> None:
    frontiers, progress = advance(Progress(), np.empty(0, np.int64), None)

    assert (len(frontiers), progress) == (0, Progress())
    assert progress.watermark(10) == NEVER
    assert distinct(np.empty(0, np.int64)) == []


@pytest.mark.parametrize(("many", "batch"), [(20, 7), (3000, 97)])
def test_the_first_twenty_versions_of_a_window_count_and_the_rest_are_other(many: int, batch: int) -> None:
    made = model()
    names = [f"v{i}" for i in range(many)]
    rows = [Row(f"{place}{name}", place, version=name) for place in (0, 60, 120) for name in names]
    whole = taken(made, feed(made, rows, []))
    pieces = taken(made, feed(made, rows, range(0, len(rows), batch)))

    found = sorted({key.version for key in whole.windows})
    assert len(found) == min(many, 21)
    assert ("_other" in found) == (many > 20)
    assert {k: dump_profile(p) for k, p in whole.windows.items()} == {
        k: dump_profile(p) for k, p in pieces.windows.items()
    }
    assert sum(p.rows for k, p in whole.windows.items() if k.segment == "all") == len(rows)


@MANY
@given(st.lists(st.tuples(st.integers(0, 240), st.integers(0, 40)), max_size=120), cut_places)
def test_versions_are_capped_in_the_order_of_the_log(log: list[tuple[int, int]], cuts: list[int]) -> None:
    made = model(lateness=timedelta(hours=1))
    rows = [
        Row(str(i), at, version=f"v{version}" if version else "_other") for i, (at, version) in enumerate(log)
    ]
    expected: defaultdict[int, dict[str, int]] = defaultdict(dict)
    for row in rows:
        groups = expected[row.time // MINUTE * MINUTE]
        own = row.version in groups or len(groups.keys() - {"_other"}) < 20
        version = row.version if own else "_other"
        groups[version] = groups.get(version, 0) + 1

    state = taken(made, feed(made, rows, cuts))

    assert {(k.start, k.version): p.rows for k, p in state.windows.items() if k.segment == "all"} == {
        (start, version): n for start, groups in expected.items() for version, n in groups.items()
    }


def test_a_log_that_keeps_one_id_in_every_window_is_soon_read() -> None:
    n = 20_000
    row_starts = np.arange(n) * 60
    repeated = duplicates(OpenIds(), 60, Arrived(np.zeros(n, np.uint64), row_starts), row_starts - 30)

    assert np.count_nonzero(~repeated) == n // 2  # each one's window is still open when the next one comes


def test_an_empty_profile_of_no_reference_merges() -> None:
    made = model()
    state = ModelState(made.name)
    fed = feed(made, [Row("a", 0), Row("b", 1), Row("c", 70)], [1])
    context = Context(plan_of(made), fed.schema, FAR)
    for batch, decoded in zip(fed.batches, fed.decoded, strict=True):
        state = take_in(context, state, batch, decoded).state

    assert {(k.segment, p.rows) for k, p in state.windows.items()} == {("all", 2), ("all", 1)}
    assert empty(reference(made).grid).rows == 0
    assert SOURCE in state.positions
    assert isinstance(fed.decoded[0][0].frame, pl.DataFrame)
