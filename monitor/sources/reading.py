"""What every reader of one file does, whatever its format."""

from typing import Protocol

import polars as pl
from msgspec import Struct

from monitor.sources.identity import Found, Head
from monitor.types import Chunk, Reject


class Limits(Struct, frozen=True):
    """How much one batch may hold, and how long one line may be. Sizes in bytes."""

    rows: int = 250_000
    bytes: int = 64 * 2**20
    max_line: int = 2**20


class Room(Struct, frozen=True):
    """What still fits into a batch. `must` allows one line that is longer than that."""

    rows: int
    bytes: int
    must: bool = False

    @property
    def empty(self) -> bool:
        """Tell whether nothing fits."""
        return self.rows <= 0 or self.bytes <= 0


class Taken(Struct, frozen=True):
    """What was read from one file: rows that start at `start`, where to go on, whether that is the end.

    newlines: as in Chunk.
    """

    start: int
    offset: int
    data: bytes | pl.DataFrame | None = None
    rows: int = 0
    rejects: tuple[Reject, ...] = ()
    done: bool = False
    newlines: tuple[int, ...] = ()


class Reader(Protocol):
    """Reads one file by offset. Keeps hints only; every method may raise OSError."""

    columnar: bool
    header: bytes

    def meet(self, found: Found, *, settled: bool) -> None:
        """Take note of the file as this poll sees it.

        settled: it did not change since the last poll, so what is unfinished now will stay so.
        """

    def head(self) -> Head:
        """Return the bytes that identify the file."""

    def pending(self, offset: int) -> bool:
        """Tell whether `take` would get on from here."""

    def next_row(self, offset: int) -> Chunk | None:
        """Return a chunk of just the next row, None when that row is unusable."""

    def take(self, offset: int, room: Room) -> Taken:
        """Read what fits into the room."""

    def release(self) -> None:
        """Free what was decoded ahead."""

    def found(self) -> Found | None:
        """Return the file as it is now when it can be followed without its name."""

    def close(self) -> None:
        """Let go of the file; closing twice is fine."""
