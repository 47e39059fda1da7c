"""Batches read ahead of their turn: polled and decoded, and which one is next."""

from collections.abc import Callable, Iterable, Mapping

from msgspec import Struct
from msgspec.structs import replace

from exporters.tracing import Tracer
from monitor.config import Columns
from monitor.core.timestamps import read_times
from monitor.fields import TimeUnit
from monitor.sources.base import Source
from monitor.types import Batch, Decoded, Position

ROWS = 250_000
PEEKS = 100
"""Rows of a batch looked at to find its first timestamp."""
Decode = Callable[[Batch], tuple[Decoded, ...]]
Feed = tuple[Source, Decode]


class Read(Struct):
    """A batch and its columns. times: when the poll began and ended, and when the decoding did."""

    batch: Batch
    decoded: tuple[Decoded, ...]
    times: tuple[int, int, int, int] = (0, 0, 0, 0)

    def forget(self) -> None:
        """Let go of the rows once they are counted: the next ones take their memory, quicker than new one.

        Of one of several sources (`held`) it is a copy that lets go: those are not read ahead.
        """
        self.batch = replace(self.batch, chunks=())
        self.decoded = ()


class Fetched(Struct, frozen=True):
    """A batch as it was read. times: when the poll began and ended."""

    batch: Batch
    times: tuple[int, int]


def of_outcomes(source: str) -> bool:
    """Tell a source of outcomes by its name."""
    return source.startswith("outcomes-")


def rank(source: Source, time: int | None) -> int:
    """Return when a source's turn is: rows without a time first, outcomes without one after all others."""
    if time is not None:
        return 1
    return 2 if of_outcomes(source.name) else 0


def earliest(times: Iterable[int | None]) -> int | None:
    """Return the smallest time there is."""
    return min((time for time in times if time is not None), default=None)


def held(read: Read, hold: int | None) -> Read:
    """Return the batch as one beside others that go on at `hold`."""
    chunks = tuple(replace(chunk, hold=earliest([chunk.hold, hold])) for chunk in read.batch.chunks)
    return Read(replace(read.batch, chunks=chunks, more=True), read.decoded, read.times)


def poll(tracer: Tracer, source: Source, decode: Decode, after: Position) -> Read | None:
    """Read and decode the next batch of a source; None when there is nothing."""
    found = fetched(tracer, source, after)
    return decoded(tracer, found, decode) if found is not None else None


def fetched(tracer: Tracer, source: Source, after: Position) -> Fetched | None:
    """Read the next batch of a source; None when there is nothing."""
    began = tracer.now()
    batch = source.poll(after, ROWS)
    return Fetched(batch, (began, tracer.now())) if batch is not None else None


def decoded(tracer: Tracer, found: Fetched, decode: Decode) -> Read:
    """Decode a batch."""
    began = tracer.now()
    columns = decode(found.batch)
    return Read(found.batch, columns, (*found.times, began, tracer.now()))


def first_time(columns: Columns, units: Mapping[str, TimeUnit], read: Read) -> int | None:
    """Return the timestamp of a batch's first row that has one, over its chunks the earliest."""
    unit = units.get(read.batch.source, columns.timestamp_unit)
    firsts: list[int | None] = []
    for decoded in read.decoded:
        if columns.timestamp in decoded.frame.columns:
            time, good = read_times(decoded.frame[columns.timestamp].head(PEEKS), unit)
            firsts.append(int(time[good][0]) if good.any() else None)
    return earliest(firsts)
