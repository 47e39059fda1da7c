"""The vocabulary: what moves between the parts of the daemon. Times are microseconds since 1970 UTC."""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext

import numpy as np
import polars as pl
from msgspec import Struct, field
from numpy.typing import NDArray

Micros = int
"""A point in event time: microseconds since 1970-01-01T00:00:00Z."""

EntryKey = tuple[str, str, str]
"""Space, model and key: under which the store holds bytes."""
Changes = dict[EntryKey, bytes | None]
"""What one commit puts (bytes) or deletes (None)."""

Around = Callable[[str], AbstractContextManager[None]]
"""Is told what is done, and stays until it is over: where a trace has its spans."""

REJECT_TEXT = 1024
"""How much of a rejected row is kept, in bytes."""


def alone(_: str) -> AbstractContextManager[None]:
    """Tell nobody what is done."""
    return nullcontext()


class Reject(Struct, frozen=True):
    """One row that could not be used: where it was, why, and its first kilobyte.

    `offset` counts bytes of the (decompressed) file for text formats and rows for Parquet and IPC.
    """

    file: str
    offset: int
    reason: str
    text: str


class Position(Struct, frozen=True):
    """How far a source has been read: opaque entries that only the source understands."""

    entries: Mapping[str, str] = field(default_factory=dict)


class Chunk(Struct, frozen=True):
    """A contiguous part of one file: whole lines as bytes, or rows of a columnar file as a frame.

    `hold` is the smallest next timestamp among the other files that still have unread rows when this
    chunk's rows are taken in; the watermark must not pass it. newlines: how many each block of the file has
    in the data (core/newlines.py), () where they were not counted.
    """

    file: str
    offset: int
    data: bytes | pl.DataFrame
    header: bytes = b""
    hold: Micros | None = None
    newlines: tuple[int, ...] = ()


class Batch(Struct, frozen=True):
    """What one poll brought: chunks to take in this order, and the position after the last of them."""

    source: str
    position: Position
    chunks: tuple[Chunk, ...] = ()
    rejects: tuple[Reject, ...] = ()
    truncations: int = 0
    more: bool = False


class Wanted(Struct, frozen=True):
    """Which columns of the log to decode. A column that is wanted both ways comes as text.

    numeric: come out as Float64. text: come out as String. timestamp: one of the text columns, which
    columnar formats leave as it is stored. vectors: come out as lists, or as texts of them.
    """

    numeric: frozenset[str]
    text: frozenset[str]
    timestamp: str = ""
    vectors: frozenset[str] = frozenset()


class Decoded(Struct, frozen=True):
    """A chunk as columns. `locate(row)` gives the file offset and the raw text of a row, for rejects.

    frame: one row per good line; numeric feature columns Float64, every other column String (text
    formats) or as stored (columnar formats). Only wanted columns that occur in the data are present.
    invalid: per wanted numeric column, how its type failed: a boolean array of the frame's height.
    columns: every column name seen in the data, wanted or not.
    shape, shapes: where rows have columns of their own (JSON lines), which ones a row has:
    shapes[shape[row] - 1], unless shape[row] is 0, for a row that was not looked at.
    received: lines seen, good and bad, blank ones not counted.
    """

    frame: pl.DataFrame
    received: int
    locate: Callable[[int], tuple[int, str]]
    columns: frozenset[str] = frozenset()
    rejects: tuple[Reject, ...] = ()
    invalid: Mapping[str, NDArray[np.bool_]] = field(default_factory=dict)
    shape: NDArray[np.uint16] | None = None
    shapes: tuple[frozenset[str], ...] = ()


class TypedRows(Struct, frozen=True):
    """Rows ready for the windows. Arrays are parallel, in the order of the log.

    time: int64 microseconds. ids: uint64 hash of the prediction id, None where the model has none.
    keys: uint64 hash that picks the bottom-k sample (the id's, or the row's content).
    frame: the watched columns under their canonical names: numeric Float64, categorical String,
    `version` String, segment columns String, and what the join needs where it does.
    invalid: per watched numeric column, a boolean array of type failures. shape: as in Decoded.
    checks: a second hash of the id, where outcomes are joined; made: the time of the row, where `time` has
    become its window's start.
    """

    time: NDArray[np.int64]
    ids: NDArray[np.uint64] | None
    keys: NDArray[np.uint64]
    frame: pl.DataFrame
    invalid: Mapping[str, NDArray[np.bool_]]
    shape: NDArray[np.uint16] | None = None
    checks: NDArray[np.uint64] | None = None
    made: NDArray[np.int64] | None = None

    def take(self, mask: NDArray[np.bool_]) -> "TypedRows":
        """Return the rows where the mask holds."""
        return TypedRows(
            self.time[mask],
            None if self.ids is None else self.ids[mask],
            self.keys[mask],
            self.frame.filter(pl.Series(mask)),
            {name: failed[mask] for name, failed in self.invalid.items()},
            None if self.shape is None else self.shape[mask],
            None if self.checks is None else self.checks[mask],
            None if self.made is None else self.made[mask],
        )
