"""However rows are cut into batches, the pile holds the same; and its entries hold what it does."""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.core.pile import Pile, added, dropped, load_pile
from monitor.store.segments import Filed, MemorySegments, Segments

MODEL = "m"
Entries = dict[tuple[str, str, str], bytes]
Held = Mapping[int, list[tuple[int, str | None]]]

buckets_of_log = st.lists(st.integers(-3, 3), max_size=60)
cut_places = st.lists(st.integers(0, 60), max_size=8)


def frame_of(numbers: Sequence[int]) -> pl.DataFrame:
    texts = [None if n % 5 == 0 else f"a text longer than twelve bytes {n}" for n in numbers]
    return pl.DataFrame({"row": numbers, "text": texts}, schema={"row": pl.Int64, "text": pl.String})


def batches(buckets: Sequence[int], cuts: Sequence[int]) -> list[range]:
    places = sorted({0, len(buckets), *(c for c in cuts if c < len(buckets))})
    return [range(a, b) for a, b in pairwise(places)]


def filled(
    buckets: Sequence[int], cuts: Sequence[int], shelf: MemorySegments | Segments
) -> tuple[Pile, Entries, Filed]:
    """Put the rows on a pile batch by batch, every batch a commit."""
    pile, entries, filed = Pile("pending"), Entries(), Filed()
    for part in batches(buckets, cuts):
        places = np.array([buckets[i] for i in part], np.int64)
        pile, changes = added(pile, MODEL, places, frame_of(part), shelf.keep)
        entries |= {key: value for key, value in changes.items() if value is not None}
        entries = {key: value for key, value in entries.items() if changes.get(key, value) is not None}
        filed, gone = filed.after(changes)
        if isinstance(shelf, Segments):
            shelf.settle([value for value in changes.values() if value is not None], gone)
    return pile, entries, filed


def held(pile: Pile) -> Held:
    return {bucket: pl.concat(pile.frames(bucket, bucket)).rows() for bucket in sorted(pile.runs)}


def expected(buckets: Sequence[int]) -> Held:
    return {
        bucket: frame_of([i for i, b in enumerate(buckets) if b == bucket]).rows()
        for bucket in sorted(set(buckets))
    }


def loaded(entries: Entries, shelf: MemorySegments | Segments) -> Pile:
    return load_pile("pending", {key: value for (_, _, key), value in entries.items()}, shelf.reopen)


@given(buckets_of_log, cut_places)
def test_any_cutting_gives_the_same_rows_in_the_same_order(buckets: list[int], cuts: list[int]) -> None:
    pile, _, _ = filled(buckets, cuts, MemorySegments())

    assert held(pile) == expected(buckets)
    assert pile.rows == len(buckets)


@given(buckets_of_log, cut_places)
def test_the_entries_load_as_the_pile(buckets: list[int], cuts: list[int]) -> None:
    pile, entries, _ = filled(buckets, cuts, MemorySegments())
    again = loaded(entries, MemorySegments())

    assert held(again) == held(pile)
    assert {b: [r.number for r in runs] for b, runs in again.runs.items()} == {
        b: [r.number for r in runs] for b, runs in pile.runs.items()
    }


@given(buckets_of_log, cut_places, st.integers(-4, 4))
def test_dropping_keeps_exactly_the_later_buckets(buckets: list[int], cuts: list[int], before: int) -> None:
    pile, entries, _ = filled(buckets, cuts, MemorySegments())
    left, changes = dropped(pile, MODEL, before)

    kept = {bucket: rows for bucket, rows in expected(buckets).items() if bucket >= before}
    assert held(left) == kept
    assert held(loaded({k: v for k, v in entries.items() if k not in changes}, MemorySegments())) == kept


@given(st.lists(st.integers(1, 40), min_size=1, max_size=40))
def test_the_runs_of_a_bucket_more_than_halve(sizes: list[int]) -> None:
    pile = Pile("pending")
    for size in sizes:
        pile, _ = added(pile, MODEL, np.zeros(size, np.int64), frame_of(range(size)), MemorySegments().keep)

    heights = [run.frame.height for run in pile.runs[0]]
    assert all(older > 2 * newer for older, newer in pairwise(heights))


@settings(max_examples=25)
@given(buckets_of_log, cut_places)
def test_files_hold_the_same_and_none_is_left_over(buckets: list[int], cuts: list[int]) -> None:
    with TemporaryDirectory() as folder:
        shelf = Segments(Path(folder), inline=0, mapped=0)
        pile, entries, filed = filled(buckets, cuts, shelf)

        assert held(pile) == expected(buckets)
        assert held(loaded(entries, shelf)) == expected(buckets)
        assert dict(filed.values) == entries
        assert len(list(Path(folder).iterdir())) == len(entries)
        assert shelf.sweep(filed.values.values()) == 0
