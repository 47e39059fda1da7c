"""What every Source keeps, whatever it reads from."""

from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

import polars as pl
import pytest

from monitor.sources.base import Source
from monitor.sources.files import FilesSource, Format
from monitor.sources.memory import Crash, MemorySource, SourceCrashed
from monitor.sources.reading import Limits
from monitor.types import Batch, Chunk, Position


class Place(Protocol):
    """Where a kind of source reads from: numbers can be written to it, sources opened on it."""

    def write(self, numbers: range) -> None: ...

    def open(self) -> Source: ...

    def close(self) -> None: ...


class MemoryPlace:
    def __init__(self, folder: Path) -> None:
        self.file = str(folder)
        self.chunks: list[Chunk] = []

    def write(self, numbers: range) -> None:
        self.chunks += [Chunk(self.file, number, f"{number}\n".encode()) for number in numbers]

    def open(self) -> Source:
        return MemorySource("source", self.chunks)

    def close(self) -> None:
        """Nothing is open."""


class FilesPlace:
    format: Format
    ending: str

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.opened: list[Source] = []

    def open(self) -> Source:
        pattern = f"{self.folder}/*{self.ending}"
        self.opened.append(FilesSource("source", pattern, self.format, lambda _: None, Limits()))
        return self.opened[-1]

    def close(self) -> None:
        for source in self.opened:
            source.close()


class LinesPlace(FilesPlace):
    format: Format = "jsonl"
    ending = ".log"

    def write(self, numbers: range) -> None:
        with (self.folder / "a.log").open("a") as file:
            file.writelines(f"{number}\n" for number in numbers)


class CsvPlace(FilesPlace):
    format: Format = "csv"
    ending = ".csv"

    def write(self, numbers: range) -> None:
        path = self.folder / "a.csv"
        with path.open("a") as file:
            file.writelines(["number\n"] * (path.stat().st_size == 0))
            file.writelines(f"{number}\n" for number in numbers)


class ParquetPlace(FilesPlace):
    format: Format = "parquet"
    ending = ".parquet"

    def write(self, numbers: range) -> None:
        path = self.folder / f"{numbers.start:04}{self.ending}"
        pl.DataFrame({"number": numbers}).write_parquet(path, row_group_size=4)


class IpcPlace(FilesPlace):
    format: Format = "ipc"
    ending = ".arrow"

    def write(self, numbers: range) -> None:
        pl.DataFrame({"number": numbers}).write_ipc(self.folder / f"{numbers.start:04}{self.ending}")


@pytest.fixture(params=[MemoryPlace, LinesPlace, CsvPlace, ParquetPlace, IpcPlace])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    made: Place = request.param(tmp_path)
    yield made
    made.close()


def numbers_in(batch: Batch) -> list[int]:
    numbers: list[int] = []
    for chunk in batch.chunks:
        if isinstance(chunk.data, bytes):
            numbers += [int(line) for line in chunk.data.splitlines()]
        else:
            numbers += chunk.data["number"].to_list()
    return numbers


def batches(source: Source, after: Position, limit: int = 1000) -> Iterator[Batch]:
    while (batch := source.poll(after, limit)) is not None:
        yield batch
        after = batch.position


def test_a_source_without_rows_has_no_batch(place: Place) -> None:
    assert place.open().poll(Position(), 10) is None


def test_every_row_comes_once_and_in_order(place: Place) -> None:
    place.write(range(20))
    got = [number for batch in batches(place.open(), Position(), 7) for number in numbers_in(batch)]
    assert got == list(range(20))


def test_the_limit_on_rows_is_kept(place: Place) -> None:
    place.write(range(20))
    assert all(len(numbers_in(batch)) <= 7 for batch in batches(place.open(), Position(), 7))


def test_more_is_said_until_the_last_batch(place: Place) -> None:
    place.write(range(20))
    said = [batch.more for batch in batches(place.open(), Position(), 7)]
    assert said == [True] * (len(said) - 1) + [False]


def test_polling_twice_from_one_position_gives_the_same_rows(place: Place) -> None:
    place.write(range(20))
    source = place.open()
    first, again = source.poll(Position(), 7), source.poll(Position(), 7)
    assert first is not None
    assert again is not None
    assert numbers_in(first) == numbers_in(again)


def test_another_object_goes_on_from_the_position(place: Place) -> None:
    place.write(range(20))
    first = place.open().poll(Position(), 7)
    assert first is not None
    rest = [number for batch in batches(place.open(), first.position) for number in numbers_in(batch)]
    assert numbers_in(first) + rest == list(range(20))


def test_a_position_survives_a_round_trip_through_text(place: Place) -> None:
    place.write(range(5))
    source = place.open()
    batch = source.poll(Position(), 100)
    assert batch is not None
    stored = dict(batch.position.entries)
    assert all(isinstance(text, str) for item in stored.items() for text in item)
    assert source.poll(Position(stored), 100) is None


def test_the_position_given_is_not_changed(place: Place) -> None:
    place.write(range(5))
    source = place.open()
    first = source.poll(Position(), 3)
    assert first is not None
    before = dict(first.position.entries)
    place.write(range(5, 9))
    source.poll(first.position, 100)
    assert first.position.entries == before


def test_rows_that_come_later_are_found(place: Place) -> None:
    place.write(range(5))
    source = place.open()
    first = source.poll(Position(), 100)
    assert first is not None
    place.write(range(5, 9))
    reopened = place.open() if isinstance(place, MemoryPlace) else source
    second = reopened.poll(first.position, 100)
    assert second is not None
    assert numbers_in(second) == [5, 6, 7, 8]


def test_the_batch_is_named_after_the_source(place: Place) -> None:
    place.write(range(1))
    source = place.open()
    batch = source.poll(Position(), 1)
    assert batch is not None
    assert batch.source == source.name == "source"


def test_closing_twice_is_fine(place: Place) -> None:
    place.write(range(3))
    source = place.open()
    source.poll(Position(), 1)
    source.close()
    source.close()
    again = place.open().poll(Position(), 100)
    assert again is not None
    assert numbers_in(again) == [0, 1, 2]


def test_the_memory_source_crashes_once_and_loses_nothing() -> None:
    chunks = [Chunk("memory", number, b"%d\n" % number) for number in range(3)]
    source = MemorySource("source", [chunks[0], Crash(), *chunks[1:]])
    first = source.poll(Position(), 10)
    assert first is not None
    assert numbers_in(first) == [0]
    with pytest.raises(SourceCrashed):
        source.poll(first.position, 10)
    second = source.poll(first.position, 10)
    assert second is not None
    assert numbers_in(second) == [1, 2]


def test_the_memory_source_grows() -> None:
    source = MemorySource("source")
    source.append(Chunk("memory", 0, b"7\n"))
    batch = source.poll(Position(), 10)
    assert batch is not None
    assert numbers_in(batch) == [7]
