"""Batches read and decoded ahead: in their order, no more than two, and nobody reads on when it is left."""

from collections.abc import Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass, field
from threading import Event

import polars as pl
import pytest

from exporters.tracing import NO_TRACER
from monitor.reading_ahead import READERS, Ahead
from monitor.types import Batch, Chunk, Decoded, Position

PATIENCE = 30.0


@dataclass
class Numbers:
    """A source of empty batches, as many as `count`; tells which were polled and which decoded."""

    count: int
    name: str = "numbers"
    polled: list[int] = field(default_factory=list)
    decoded: list[int] = field(default_factory=list)
    reached: dict[int, Event] = field(default_factory=dict)
    broken: int = -1
    chunks: tuple[Chunk, ...] = ()

    def poll(self, after: Position, _limit: int) -> Batch | None:
        number = int(after.entries.get("next", "0"))
        if number >= self.count:
            return None
        self.polled.append(number)
        if number in self.reached:
            self.reached[number].set()
        return Batch(
            self.name, Position({"next": str(number + 1)}), self.chunks, more=number + 1 < self.count
        )

    def close(self) -> None:
        """Nothing is held."""

    def decode(self, batch: Batch) -> tuple[Decoded, ...]:
        number = int(batch.position.entries["next"]) - 1
        if number == self.broken:
            raise OSError(f"batch {number}")
        self.decoded.append(number)
        return ()


def ahead(executor: Executor, source: Numbers, *, stopped: bool = False) -> Ahead:
    return Ahead(executor, NO_TRACER, (source, source.decode), lambda: stopped)


@pytest.fixture(params=[1, READERS])
def executor(request: pytest.FixtureRequest) -> Iterator[Executor]:
    """Hand out an executor with as many threads as there may be."""
    with ThreadPoolExecutor(request.param) as threads:
        yield threads


def test_all_batches_come_once_and_in_their_order(executor: Executor) -> None:
    source = Numbers(20)
    with ahead(executor, source) as batches:
        found = [batches.first(Position())]
        while found[-1] is not None:
            found.append(batches.next())
    assert [int(read.batch.position.entries["next"]) for read in found if read] == list(range(1, 21))
    assert source.polled == source.decoded == list(range(20))


def test_two_are_on_their_way_and_no_third(executor: Executor) -> None:
    source = Numbers(20, reached={2: Event()})
    with ahead(executor, source) as batches:
        assert batches.first(Position()) is not None
        assert source.reached[2].wait(PATIENCE)
    assert (source.polled, source.decoded) == ([0, 1, 2], [0, 1])


def test_a_frame_is_read_once_the_one_before_is_counted(executor: Executor) -> None:
    source = Numbers(20, chunks=(Chunk("log", 0, pl.DataFrame()),), reached={1: Event()})
    with ahead(executor, source) as batches:
        assert batches.first(Position()) is not None
        assert source.polled == [0]
        batches.counted()
        batches.counted()
        assert source.reached[1].wait(PATIENCE)
        assert batches.next() is not None
        assert source.polled == source.decoded == [0, 1]


def test_all_frames_come_also_where_nobody_says_that_they_are_counted(executor: Executor) -> None:
    source = Numbers(20, chunks=(Chunk("log", 0, pl.DataFrame()),))
    with ahead(executor, source) as batches:
        assert batches.first(Position()) is not None
        while batches.next() is not None:
            assert source.polled == source.decoded
    assert source.polled == source.decoded == list(range(20))


def test_leaving_waits_for_what_is_on_its_way(executor: Executor) -> None:
    source = Numbers(20)
    with ahead(executor, source) as batches:
        assert batches.first(Position()) is not None
    assert (source.polled, source.decoded) == ([0, 1, 2], [0, 1])
    with ahead(executor, source) as batches:
        again = batches.first(Position())
    assert again is not None
    assert again.batch.position.entries == {"next": "1"}


def test_a_batch_that_cannot_be_decoded_is_told_in_its_turn(executor: Executor) -> None:
    source = Numbers(20, broken=1)
    with ahead(executor, source) as batches:
        assert batches.first(Position()) is not None
        with pytest.raises(OSError, match="batch 1"):
            batches.next()
    assert source.decoded == [0]
    assert source.polled == [0, 1, 2]


def test_nothing_is_read_ahead_of_a_stop(executor: Executor) -> None:
    source = Numbers(20)
    with ahead(executor, source, stopped=True) as batches:
        assert batches.first(Position()) is not None
        assert batches.next() is None
    assert source.polled == [0]
