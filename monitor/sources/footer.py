"""How many rows each row group of a Parquet file has, from its footer.

Polars slices a file fast only along row groups, and tells nobody where they are.
"""

import os
from typing import BinaryIO

MAGIC = b"PAR1"
FOOTER_MAX = 8 * 2**20
"""Larger footers are not walked; slices are then not aligned, which only costs time."""

STOP, TRUE, FALSE, BYTE, I16, I32, I64, DOUBLE, BINARY, LIST, SET, MAP, STRUCT = (
    0,
    1,
    2,
    3,
    4,
    5,
    6,
    7,
    8,
    9,
    10,
    11,
    12,
)
"""Type codes of Thrift's compact protocol."""

ROW_GROUPS, NUM_ROWS = 4, 3
"""Field numbers in parquet.thrift: FileMetaData.row_groups and RowGroup.num_rows."""


def row_group_sizes(file: BinaryIO) -> tuple[int, ...]:
    """Return the rows of every row group, in order; empty when the footer cannot be walked."""
    length = file.seek(0, os.SEEK_END)
    file.seek(max(length - 8, 0))
    tail = file.read(8)
    size = int.from_bytes(tail[:4], "little")
    if tail[4:] != MAGIC or not 0 < size <= min(FOOTER_MAX, length - 8):
        return ()
    file.seek(length - 8 - size)
    try:
        return _Walker(file.read(size)).row_groups()
    except (IndexError, ValueError):
        return ()


class _Walker:
    """Walks a Thrift compact structure, passing over what is not asked for."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def row_groups(self) -> tuple[int, ...]:
        field = 0
        while (head := self._byte()) != STOP:
            field = self._field(field, head)
            if field == ROW_GROUPS and head & 15 == LIST:
                count, _ = self._list()
                return tuple(self._num_rows() for _ in range(count))
            self._skip(head & 15)
        return ()

    def _num_rows(self) -> int:
        field, rows = 0, 0
        while (head := self._byte()) != STOP:
            field = self._field(field, head)
            if field == NUM_ROWS and head & 15 == I64:
                raw = self._varint()
                rows = raw >> 1 ^ -(raw & 1)
            else:
                self._skip(head & 15)
        return rows

    def _byte(self) -> int:
        self._at += 1
        return self._data[self._at - 1]

    def _varint(self) -> int:
        value, shift = 0, 0
        while True:
            byte = self._byte()
            value |= (byte & 127) << shift
            if byte < 128:  # noqa: PLR2004 -- the top bit says that another byte follows
                return value
            shift += 7

    def _field(self, last: int, head: int) -> int:
        """Return a field's number: a step from the last one, or written out."""
        if head >> 4:
            return last + (head >> 4)
        raw = self._varint()
        return raw >> 1 ^ -(raw & 1)

    def _list(self) -> tuple[int, int]:
        head = self._byte()
        count = head >> 4
        return (self._varint() if count == 15 else count), head & 15  # noqa: PLR2004 -- 15: the count follows

    def _skip(self, kind: int, *, element: bool = False) -> None:
        if kind in (TRUE, FALSE):
            self._at += element  # as a field, a truth value sits in the type code itself
        elif kind == BYTE:
            self._at += 1
        elif kind in (I16, I32, I64):
            self._varint()
        elif kind == DOUBLE:
            self._at += 8
        elif kind == BINARY:
            length = self._varint()
            self._at += length
        elif kind in (LIST, SET):
            count, inner = self._list()
            for _ in range(count):
                self._skip(inner, element=True)
        elif kind == STRUCT:
            while (head := self._byte()) != STOP:
                self._field(0, head)
                self._skip(head & 15)
        else:
            raise ValueError(f"Thrift type {kind} does not occur in a Parquet footer")
