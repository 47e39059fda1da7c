"""Rows held by bucket: what is merged, what goes, what the entries say."""

import json
from collections.abc import Callable

import numpy as np
import polars as pl
import pytest

from monitor.core.pile import Pile, added, dropped, load_pile
from monitor.core.state import key_of
from monitor.errors import StoreUnavailableError
from monitor.types import Changes

HOUR = 3_600_000_000


class Shelf:
    """Keeps frames under numbers, and counts the rows written."""

    def __init__(self) -> None:
        self.frames: list[pl.DataFrame] = []

    def keep(self, frame: pl.DataFrame) -> tuple[pl.DataFrame, bytes]:
        self.frames.append(frame)
        return frame, str(len(self.frames) - 1).encode()

    def reopen(self, value: bytes) -> pl.DataFrame:
        return self.frames[int(value)]

    @property
    def written(self) -> int:
        return sum(frame.height for frame in self.frames)


def rows(*names: int) -> pl.DataFrame:
    return pl.DataFrame({"name": names}, schema={"name": pl.Int64})


def put(pile: Pile, buckets: list[int], frame: pl.DataFrame, shelf: Shelf) -> tuple[Pile, Changes]:
    return added(pile, "m", np.array(buckets, np.int64), frame, shelf.keep)


def names(pile: Pile, first: int | None = None, last: int | None = None) -> list[int]:
    return [name for frame in pile.frames(first, last) for name in frame["name"].to_list()]


def numbers(pile: Pile, bucket: int) -> list[int]:
    return [run.number for run in pile.runs[bucket]]


def test_rows_lie_by_bucket_and_keep_their_order() -> None:
    pile, changes = put(
        Pile("pending"), [HOUR, 0, HOUR, -HOUR, 0, HOUR], rows(1, 2, 3, 4, 5, 6), shelf := Shelf()
    )

    assert names(pile) == [4, 2, 5, 1, 3, 6]
    assert {bucket: names(pile, bucket, bucket) for bucket in pile.runs} == {
        -HOUR: [4],
        0: [2, 5],
        HOUR: [1, 3, 6],
    }
    assert set(changes) == {("pending", "m", key_of(bucket, 0)) for bucket in (-HOUR, 0, HOUR)}
    assert pile.rows == shelf.written == 6


@pytest.mark.parametrize("buckets", [[0, 0, 7, 7], [7, 7, 0, 0], [3, 3, 3, 3]])
def test_rows_that_lie_together_are_not_moved(buckets: list[int]) -> None:
    frame = rows(1, 2, 3, 4)
    begin = frame["name"].to_numpy().ctypes.data

    pile, _ = put(Pile("pending"), buckets, frame, Shelf())

    assert pile.rows == sum(held.height for held in pile.frames()) == 4
    for held in pile.frames():
        first = held["name"].to_numpy()
        assert first.ctypes.data == begin + 8 * (first[0] - 1)


def test_no_rows_change_nothing() -> None:
    pile, changes = put(Pile("pending"), [], rows(), Shelf())

    assert (pile, changes) == (Pile("pending"), {})


def test_a_run_takes_in_newer_ones_at_most_twice_as_large() -> None:
    shelf = Shelf()
    pile, _ = put(Pile("pending"), [0] * 5, rows(1, 2, 3, 4, 5), shelf)
    pile, first = put(pile, [0] * 2, rows(6, 7), shelf)
    assert (numbers(pile, 0), first) == ([0, 1], {("pending", "m", "[0,1]"): b"1"})

    pile, second = put(pile, [0], rows(8), shelf)

    assert numbers(pile, 0) == [2]  # 1 takes in 2, and these 3 take in 5
    assert names(pile) == [1, 2, 3, 4, 5, 6, 7, 8]
    assert second == {
        ("pending", "m", "[0,0]"): None,
        ("pending", "m", "[0,1]"): None,
        ("pending", "m", "[0,2]"): b"2",
    }


def test_a_merged_run_is_of_one_piece() -> None:
    shelf = Shelf()
    pile, _ = put(Pile("pending"), [0], rows(1), shelf)
    pile, _ = put(pile, [0], rows(2), shelf)

    assert [frame.n_chunks() for frame in pile.frames()] == [1]


def test_other_buckets_are_left_alone() -> None:
    shelf = Shelf()
    before, _ = put(Pile("pending"), [0, HOUR], rows(1, 2), shelf)
    after, changes = put(before, [HOUR], rows(3), shelf)

    assert after.runs[0] is before.runs[0]
    assert {json.loads(key)[0] for _, _, key in changes} == {HOUR}


def test_rows_with_other_columns_stand_beside() -> None:
    shelf = Shelf()
    pile, _ = put(Pile("pending"), [0, 0], rows(1, 2), shelf)
    wider = rows(3, 4).with_columns(score=pl.lit(0.5))
    pile, _ = put(pile, [0, 0], wider, shelf)
    pile, _ = put(pile, [0, 0], wider, shelf)

    assert [frame.shape for frame in pile.frames()] == [(2, 1), (4, 2)]


def test_small_batches_are_rewritten_a_logarithmic_number_of_times() -> None:
    shelf, pile, most = Shelf(), Pile("pending"), 0
    for name in range(1000):
        pile, _ = put(pile, [0], rows(name), shelf)
        most = max(most, len(pile.runs[0]))

    assert names(pile) == list(range(1000))
    assert most <= 10
    assert shelf.written < 10_000


def test_buckets_are_chosen_from_first_to_last() -> None:
    pile, _ = put(Pile("pending"), [0, 1, 2, 3], rows(10, 11, 12, 13), Shelf())

    assert names(pile, first=2) == [12, 13]
    assert names(pile, last=1) == [10, 11]
    assert names(pile, 1, 2) == [11, 12]
    assert names(pile, 4, 9) == []


def test_what_is_over_goes_whole() -> None:
    shelf = Shelf()
    pile, _ = put(Pile("pending"), [0, 0, 0, HOUR], rows(1, 2, 3, 4), shelf)
    pile, _ = put(pile, [0], rows(5), shelf)

    left, changes = dropped(pile, "m", HOUR)

    assert names(left) == [4]
    assert changes == {("pending", "m", "[0,0]"): None, ("pending", "m", "[0,1]"): None}


def test_nothing_goes_that_is_not_over() -> None:
    pile, _ = put(Pile("pending"), [HOUR], rows(1), Shelf())

    assert dropped(pile, "m", HOUR) == (pile, {})


def test_a_pile_is_built_from_its_entries_in_the_order_of_writing() -> None:
    shelf = Shelf()
    shelf.frames = [rows(n) for n in range(12)]
    entries = {f"[5,{n}]": str(n).encode() for n in reversed(range(12))}

    pile = load_pile("pending", entries, shelf.reopen)

    assert names(pile) == list(range(12))
    assert numbers(pile, 5) == list(range(12))


def failing(after: int) -> Callable[[pl.DataFrame], tuple[pl.DataFrame, bytes]]:
    shelf = Shelf()

    def keep(frame: pl.DataFrame) -> tuple[pl.DataFrame, bytes]:
        if len(shelf.frames) == after:
            raise StoreUnavailableError("no room")
        return shelf.keep(frame)

    return keep


def test_when_a_frame_cannot_be_kept_the_pile_stays_as_it_was() -> None:
    pile, _ = put(Pile("pending"), [0, 1], rows(1, 2), Shelf())

    with pytest.raises(StoreUnavailableError, match="no room"):
        added(pile, "m", np.array([0, 1]), rows(3, 4), failing(after=1))

    assert names(pile) == [1, 2]
