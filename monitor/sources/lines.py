"""Whole lines of a text file: never half a line, never a line of unbounded length in memory."""

import os

import numpy as np
from msgspec.structs import replace

from monitor.core.newlines import NEWLINE, newlines_by_block
from monitor.sources.identity import FULL, Found, Head
from monitor.sources.reading import Room, Taken
from monitor.sources.streams import ByteStream, End, PlainStream
from monitor.types import REJECT_TEXT, Chunk, Reject

BOM = b"\xef\xbb\xbf"
FIRST_LOOK = 4096
"""Bytes read to find one line's end, before a longer line is suspected."""

SCAN = 256 * 2**10
"""Bytes per step when looking for the end of a line that is too long."""

PIECE = 30 * 2**20
"""Bytes read at once at most. glibc hands out 32 MiB and more as fresh memory each time, whatever it is told
(memory.py), and the kernel's clearing of that took a quarter of the time of reading JSON lines."""

ROW_SPREAD = 1.05
"""How much longer than the last rows the next ones are expected to be at most, when rows are the limit."""

SKIPS = 100
"""Lines too long that one call passes over at most."""


def whole_lines(data: bytes, max_line: int, *, final: bool) -> int:
    r"""Return how many bytes of `data` are whole lines of at most `max_line` bytes without the newline.

    Stops before the first line that is longer. With `final`, a last line needs no newline.

    >>> whole_lines(b"one\ntwo", 10, final=False), whole_lines(b"one\ntwo", 10, final=True)
    (4, 7)
    >>> whole_lines(b"one\ntoo long\n", 5, final=True)
    4
    """
    at = 0
    while (newline := data.rfind(b"\n", at, at + max_line + 1)) >= 0:
        at = newline + 1
    return len(data) if final and len(data) - at <= max_line else at


def cut(data: bytes, at: int, whole: int, room: Room) -> tuple[int, int, tuple[int, ...]]:
    """Return how many of the `whole` bytes fit into the room, cut at a line; their rows; newlines by block.

    at: the file's offset at data[0]. The newlines are () where they are not known of what was cut.
    """
    if whole > room.bytes:
        fitting = data.rfind(b"\n", 0, room.bytes) + 1
        whole = fitting or (data.find(b"\n") + 1 or whole if room.must else 0)
    newlines = newlines_by_block(data, at, whole)
    rows = sum(newlines)
    if rows > room.rows:
        ends = np.flatnonzero(np.frombuffer(data, np.uint8, whole) == NEWLINE)
        return int(ends[room.rows - 1]) + 1, room.rows, ()
    return whole, rows + (whole > 0 and data[whole - 1 : whole] != b"\n"), newlines


class LineReader:
    """JSON lines or CSV (`csv`: the first line is the header), growing or compressed."""

    columnar = False

    def __init__(self, found: Found, stream: ByteStream, *, csv: bool, max_line: int) -> None:
        self.settled = False
        self._found = found
        self._stream = stream
        self._csv = csv
        self._max_line = max_line
        self._begin: int | None = None
        self.header = b""
        self._content = b""
        self._row_bytes = 0.0
        self._scanned = (0, 0)
        self._long: tuple[int, int, Reject] | None = None

    def meet(self, found: Found, *, settled: bool) -> None:
        """Take note of the file as this poll sees it."""
        self._found = found
        self.settled = settled

    def head(self) -> Head:
        """Return the first bytes; of a CSV file those behind its header, which other files share."""
        self._begin, self._long = None, None
        begin = self._start() if self._csv else 0
        usable = begin is not None and not self._headless()
        content = self._stream.read_at(begin or 0, FULL) if usable else b""
        if not content.startswith(self._content):
            self._scanned = (0, 0)  # other content: what was scanned is gone
        self._content = content
        return Head(content)

    def _start(self) -> int | None:
        """Return where the rows begin, None while the header is incomplete."""
        if self._begin is None:
            mark = len(BOM) if self._stream.read_at(0, len(BOM)) == BOM else 0
            if not self._csv:
                self._begin = mark
                return mark
            line = self._probe(mark)
            if b"\n" in line or len(line) > self._max_line or self._stream.end is End.COMPLETE:
                self.header = line
                self._begin = mark + len(line)
        return self._begin

    def _probe(self, at: int) -> bytes:
        """Return the line at an offset with its newline, or what there is of it up to max_line + 1 bytes."""
        for size in (min(FIRST_LOOK, self._max_line + 1), self._max_line + 1):
            data = self._stream.read_at(at, size)
            if (newline := data.find(b"\n")) >= 0:
                return data[: newline + 1]
            if len(data) < size:
                break
        return data

    def _headless(self) -> bool:
        """Tell whether the first line of a CSV file is too long to be a header."""
        return len(self.header.removesuffix(b"\n")) > self._max_line

    def _ended(self) -> bool:
        """Tell whether nothing more will come behind what has been read."""
        return self._stream.end in (End.COMPLETE, End.DAMAGED) or (
            self._stream.end is End.CUT and self.settled
        )

    def _broken(self) -> bool:
        return self._ended() and self._stream.end is not End.COMPLETE

    def pending(self, offset: int) -> bool:
        """Tell whether a whole line, a line too long, or the end of a finished file follows."""
        begin = self._start()
        if begin is None:
            return self._broken()
        at = max(offset, begin)
        if self._headless() or self._long_line(at):
            return True
        line = self._probe(at)
        return line.endswith(b"\n") or (len(line) <= self._max_line and self._ended())

    def next_row(self, offset: int) -> Chunk | None:
        """Return a chunk of the next line."""
        at = max(offset, self._start() or 0)
        if self._headless() or self._long_line(at):
            return None
        line = self._probe(at)
        usable = line.endswith(b"\n") or (line and not self._broken())
        return Chunk(self._found.path, at, line, self.header) if usable else None

    def take(self, offset: int, room: Room) -> Taken:
        """Read whole lines; a line too long at the front becomes a reject."""
        begin = self._start()
        if begin is None or self._headless():
            return self._without_rows(offset)
        at, rejects = self._pass_long(max(offset, begin))
        size = self._stream.whole(at, self._wanted(room))
        data = self._stream.read_at(at, size)
        short = len(data) < size
        whole = whole_lines(data, self._max_line, final=short and self._stream.end is End.COMPLETE)
        length, rows, newlines = cut(data, at, whole, room)
        behind = at + length
        done = short and length == whole and self._ended() and len(data) - whole <= self._max_line
        if done and self._broken():
            rejects = (*rejects, Reject(self._found.path, behind, "corrupt_compression", ""))
        if rows:
            self._row_bytes = length / rows
        kept = data if length == len(data) else data[:length]
        offset = behind if rejects or length else offset
        return Taken(at, offset, kept or None, rows, rejects, done, newlines)

    def _wanted(self, room: Room) -> int:
        """Return how much to read: not 30 MiB where the limit on rows ends a batch after two."""
        enough = max(int(room.rows * self._row_bytes * ROW_SPREAD), self._max_line + 1)
        size = min(room.bytes, PIECE)
        size = max(size, self._max_line + 1) if room.must else size
        return min(size, enough) if self._row_bytes else size

    def _without_rows(self, offset: int) -> Taken:
        """Answer for a file that has no usable header."""
        path = self._found.path
        if self._begin is not None:
            text = self.header[:REJECT_TEXT].decode(errors="replace")
            return Taken(offset, offset, rejects=(Reject(path, 0, "line_too_long", text),), done=True)
        if self._broken():
            return Taken(offset, offset, rejects=(Reject(path, 0, "corrupt_compression", ""),), done=True)
        return Taken(offset, offset)

    def _pass_long(self, at: int) -> tuple[int, tuple[Reject, ...]]:
        rejects: list[Reject] = []
        while len(rejects) < SKIPS and (long := self._long_line(at)):
            _, at, reject = long
            rejects.append(reject)
        return at, tuple(rejects)

    def _long_line(self, at: int) -> tuple[int, int, Reject] | None:
        """Return a whole line that is too long: its start, the offset behind it, and its reject."""
        if self._long is None or self._long[0] != at:
            line = self._probe(at)
            if len(line) <= self._max_line or line.endswith(b"\n"):
                return None
            end = self._line_end(at)
            if end is None:
                return None
            text = line[:REJECT_TEXT].decode(errors="replace")
            self._long = (at, end, Reject(self._found.path, at, "line_too_long", text))
        return self._long

    def _line_end(self, at: int) -> int | None:
        """Return the offset behind a long line's newline, None when it has not been written yet."""
        start, scanned = self._scanned
        # One byte is asked for to notice a file that was cut back below what had been scanned.
        fresh = start != at or scanned <= at or not self._stream.read_at(scanned - 1, 1)
        position = at + self._max_line if fresh else scanned
        while block := self._stream.read_at(position, SCAN):
            if (newline := block.find(b"\n")) >= 0:
                return position + newline + 1
            position += len(block)
        self._scanned = (at, position)
        return position if self._ended() else None

    def release(self) -> None:
        """Nothing: a stream keeps only its small window."""

    def found(self) -> Found | None:
        """Return the open file as it is now; only a growing file is followed without its name."""
        if not isinstance(self._stream, PlainStream):
            return None
        stat = os.fstat(self._stream.descriptor)
        return replace(self._found, size=stat.st_size, mtime=stat.st_mtime_ns, named=False)

    def close(self) -> None:
        """Close the stream."""
        self._stream.close()
