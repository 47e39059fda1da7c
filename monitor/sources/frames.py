"""Slices of a Parquet or Arrow IPC file, decoded once each."""

import os
from bisect import bisect_right
from hashlib import blake2b
from itertools import accumulate

import polars as pl

from monitor.failures import POLARS_FAILURES
from monitor.sources.footer import row_group_sizes
from monitor.sources.identity import FULL, Found, Head
from monitor.sources.reading import Limits, Room, Taken
from monitor.types import Chunk, Reject

SAMPLES = 64
SAMPLE = 16 * 2**10
"""Blocks, evenly spaced, and their bytes, that identify a columnar file. Its first bytes alone may be the
same in every export (an id column that starts at 0), and so may its footer."""

CELL = 8
"""Bytes that one value takes at least; keeps slices of very wide files within the byte limit."""


def slice_end(edges: list[int], offset: int, limit: int) -> int:
    """Return where a slice of at most `limit` rows from `offset` should end.

    edges: where row groups end, ascending. The slice takes in whole groups as far as they fit; a group
    larger than that is cut into equal parts.

    >>> slice_end([100, 200, 300], 0, 250), slice_end([1000], 0, 400), slice_end([1000], 334, 400)
    (200, 334, 668)
    """
    following = bisect_right(edges, offset)
    beyond = bisect_right(edges, offset + limit)
    if beyond > following:
        return edges[beyond - 1]
    start = edges[following - 1] if following else 0
    end = edges[following]
    parts = -(-(end - start) // limit)
    width = -(-(end - start) // parts)
    part = (offset - start) // width + 1
    return min(start + part * width, end)


class FrameReader:
    """A finished Parquet or IPC file; one slice is kept decoded.

    Raises no Polars error: a file that cannot be read has nothing pending until it is settled, and is
    then rejected as a unit.
    """

    columnar = True
    header = b""

    def __init__(self, found: Found, *, ipc: bool, limits: Limits) -> None:
        self._found = found
        self._settled = False
        self._ipc = ipc
        self._limits = limits
        self._edges: list[int] | None = None
        self._broken = False
        self._step = limits.rows
        self._slice: tuple[int, pl.DataFrame] | None = None
        self._begun = False

    def meet(self, found: Found, *, settled: bool) -> None:
        """Take note of the file as this poll sees it; what failed is tried once more."""
        self._found = found
        self._settled = settled
        self._broken = False

    def head(self) -> Head:
        """Return a digest of the size and of evenly spaced blocks, drawn out to FULL bytes."""
        with open(self._found.path, "rb") as file:  # noqa: PTH123 -- a path here is a string throughout
            size = os.fstat(file.fileno()).st_size
            digest = blake2b(size.to_bytes(8, "little"))
            for index in range(SAMPLES):
                file.seek(max(size - SAMPLE, 0) * index // (SAMPLES - 1))
                digest.update(file.read(SAMPLE))
        return Head(digest.digest() * (FULL // digest.digest_size))

    def pending(self, offset: int) -> bool:
        """Tell whether rows follow, or the file is to be rejected."""
        edges = self._open()
        return self._settled if edges is None or self._broken else offset < edges[-1]

    def next_row(self, offset: int) -> Chunk | None:
        """Return a frame of the next row.

        A file that is being read has its next slice decoded, which `take` then finds; of another file
        one row is read.
        """
        edges = self._open()
        if edges is None or self._broken or offset >= edges[-1]:
            return None
        frame = self._rows(offset) if self._begun else self._read(offset, 1)
        return None if frame is None else Chunk(self._found.path, offset, frame.head(1))

    def take(self, offset: int, room: Room) -> Taken:
        """Return rows up to the end of a slice or of the room."""
        edges = self._open()
        self._begun = True
        frame = self._rows(offset) if edges and offset < edges[-1] else None
        if edges is None or self._broken:
            return self._reject(offset)
        if frame is None:
            return Taken(offset, offset, done=offset >= edges[-1])
        part = frame.head(room.rows)
        if part.height == frame.height:
            self._slice = None
        end = offset + part.height
        return Taken(offset, end, part, part.height, done=end >= edges[-1])

    def _reject(self, offset: int) -> Taken:
        if not self._settled:
            return Taken(offset, offset)
        reject = Reject(self._found.path, offset, "unreadable_file", "")
        return Taken(offset, offset, rejects=(reject,), done=True)

    def _scan(self) -> pl.LazyFrame:
        if self._ipc:
            return pl.scan_ipc(self._found.path, glob=False, hive_partitioning=False)
        return pl.scan_parquet(self._found.path, glob=False, hive_partitioning=False)

    def _open(self) -> list[int] | None:
        """Return where row groups end; the last is the number of rows. None when the file is unreadable."""
        if self._edges is None and not self._broken:
            try:
                rows = int(self._scan().select(pl.len()).collect().item())
                width = len(self._scan().collect_schema())
            except POLARS_FAILURES:
                self._broken = True
                return None
            self._step = max(1, min(self._limits.rows, self._limits.bytes // (CELL * max(width, 1))))
            self._edges = [edge for edge in accumulate(self._groups()) if edge < rows] + [rows]
        return self._edges

    def _groups(self) -> tuple[int, ...]:
        if self._ipc:
            return ()
        with open(self._found.path, "rb") as file:  # noqa: PTH123 -- a path here is a string throughout
            return row_group_sizes(file)

    def _rows(self, offset: int) -> pl.DataFrame | None:
        """Return decoded rows from `offset` on, to the end of their slice."""
        if self._slice is not None:
            start, frame = self._slice
            if start <= offset < start + frame.height:
                return frame.slice(offset - start)
        self._slice = None  # freed before the next one is decoded
        edges = self._edges or [0]
        frame_or_none = self._read(offset, slice_end(edges, offset, self._step) - offset)
        if frame_or_none is not None:
            self._slice = (offset, frame_or_none)
        return frame_or_none

    def _read(self, offset: int, rows: int) -> pl.DataFrame | None:
        try:
            frame = self._scan().slice(offset, rows).collect()
        except POLARS_FAILURES:
            self._broken = True
            return None
        if frame.height == 0:
            self._broken = True
            return None
        return frame

    def release(self) -> None:
        """Free the decoded slice."""
        self._slice = None

    def found(self) -> Found | None:
        """Return None: a finished file is read by its name."""
        return None

    def close(self) -> None:
        """Free the decoded slice; no file is held."""
        self._slice = None
