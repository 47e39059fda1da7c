"""In which order unread files are taken into one batch, and how far the watermark may follow.

The file whose next row is the oldest goes first, so that rotated logs come in order of time whatever
their names, and files written side by side advance together.
"""

from collections.abc import Callable

import polars as pl
from msgspec import Struct, field

from monitor.sources.reading import Limits, Reader, Room, Taken
from monitor.types import Chunk, Micros, Reject

SHARE_BYTES = 4 * 2**20
SHARE_ROWS = 25_000
"""The smallest part that several unread files get each, so that many files do not mean tiny chunks."""

PEEKS = 16
"""Rows looked at to find a timestamp before a file is taken to have none."""

Peek = Callable[[Chunk], Micros | None]


class Unread(Struct):
    """One file of a batch under construction: where it stands, and what was taken from it.

    open: returns the file's reader, which may have been closed for others meanwhile.
    """

    key: str
    path: str
    mtime: int
    open: Callable[[], Reader]
    offset: int
    pending: bool = True
    taken: bool = False
    done: bool = False
    failure: str = ""
    hold: Micros | None = None
    start: int = 0
    header: bytes = b""
    lines: list[bytes] = field(default_factory=list)
    newlines: tuple[int, ...] = ()
    frame: pl.DataFrame | None = None

    def fail(self, error: OSError) -> None:
        """Leave the file for a later poll."""
        self.failure = str(error)
        self.pending = False

    def look(self) -> None:
        """Ask whether the file goes on."""
        try:
            self.pending = not self.done and not self.failure and self.open().pending(self.offset)
        except OSError as error:
            self.fail(error)

    def take(self, room: Room) -> Taken | None:
        """Read on; None when that would leave a gap behind what was already taken."""
        reader = self.open()
        if self.frame is not None or (self.lines and reader.next_row(self.offset) is None):
            return None
        taken = reader.take(self.offset, room)
        if taken.data is not None and not self.lines:
            self.start, self.header = taken.start, reader.header
        if isinstance(taken.data, bytes):
            self.newlines = () if self.lines else taken.newlines
            self.lines.append(taken.data)
        else:
            self.frame = taken.data
        self.offset, self.done = taken.offset, taken.done
        return taken

    def chunk(self) -> Chunk | None:
        """Return what was taken, as one chunk."""
        if self.frame is None and not self.lines:
            return None
        data = b"".join(self.lines) if self.frame is None else self.frame
        return Chunk(self.path, self.start, data, self.header, self.hold, self.newlines)


class Merge:
    """Fills one batch from unread files. `frontiers` remembers the next timestamp per key and offset."""

    def __init__(self, peek: Peek, limits: Limits, frontiers: dict[tuple[str, int], Micros | None]) -> None:
        self._peek = peek
        self._room = Room(limits.rows, limits.bytes, must=True)
        self._limits = limits
        self._frontiers = frontiers
        self.chunks: list[Chunk] = []
        self.rejects: list[Reject] = []

    def fill(self, files: list[Unread]) -> None:
        """Take rows in order of time until the batch is full."""
        if len(files) > 1:
            for file in files:
                if (file.key, file.offset) not in self._frontiers:
                    self._look_first(file)
        share = self._share(sum(file.pending for file in files))
        while waiting := [file for file in files if file.pending and not file.taken]:
            unread = [file for file in files if file.pending]
            first = min(waiting, key=self._order) if len(unread) > 1 else waiting[0]
            others = [file for file in unread if file is not first]
            # A file of this batch that goes on earlier must come first, in the next batch.
            if self._room.empty or not self._is_first(first, [file for file in others if file.taken]):
                break
            self._take_from(first, others, share)

    def _share(self, files: int) -> Room:
        files = max(files, 1)
        return Room(
            max(self._limits.rows // files, SHARE_ROWS), max(self._limits.bytes // files, SHARE_BYTES)
        )

    def _look_first(self, file: Unread) -> None:
        """Find out whether a file goes on; lines too long are passed, so that they hide no timestamp."""
        file.look()
        try:
            if file.pending and not file.open().columnar and file.open().next_row(file.offset) is None:
                self._add(file.take(Room(0, 0)))
                file.look()
        except OSError as error:
            file.fail(error)

    def _frontier(self, file: Unread) -> Micros | None:
        """Return the timestamp of a file's next row that has one; None when there is none near."""
        at = (file.key, file.offset)
        if at not in self._frontiers:
            try:
                self._frontiers[at] = self._peek_on(file)
            except OSError as error:
                file.fail(error)
                return None
        return self._frontiers[at]

    def _peek_on(self, file: Unread) -> Micros | None:
        reader, offset = file.open(), file.offset
        for _ in range(1 if reader.columnar else PEEKS):
            row = reader.next_row(offset)
            if row is None or (stamp := self._peek(row)) is not None:
                return None if row is None else stamp
            offset = row.offset + len(row.data)
        return None

    def _order(self, file: Unread) -> tuple[bool, Micros, int, str]:
        frontier = self._frontier(file)
        return frontier is not None, frontier or 0, file.mtime, file.path

    def _earliest(self, files: list[Unread]) -> Micros | None:
        return min((at for file in files if (at := self._frontier(file)) is not None), default=None)

    def _is_first(self, file: Unread, others: list[Unread]) -> bool:
        return all(self._order(file) <= self._order(other) for other in others)

    def _take_from(self, file: Unread, others: list[Unread], share: Room) -> None:
        """Take a share from a file, and more as long as it stays the earliest."""
        file.taken = True
        file.hold = self._earliest(others)
        while self._take_once(file, share) and not self._room.empty:
            if not others or not self._is_first(file, others):
                break  # alone, a file was given all the room there is
        chunk = file.chunk()
        if chunk is not None:
            self.chunks.append(chunk)

    def _take_once(self, file: Unread, share: Room) -> bool:
        """Take one share; False when the file has no more to give to this batch."""
        before = file.offset
        try:
            # Slices of a columnar file follow its row groups: cutting them finer decodes groups twice.
            rows = self._room.rows if file.open().columnar else min(self._room.rows, share.rows)
            taken = file.take(Room(rows, min(self._room.bytes, share.bytes), must=self._room.must))
        except OSError as error:
            file.fail(error)
            return False
        self._add(taken)
        file.look()
        return file.pending and file.offset > before

    def _add(self, taken: Taken | None) -> None:
        if taken is None:
            return
        self.rejects += taken.rejects
        if taken.data is not None:
            size = len(taken.data) if isinstance(taken.data, bytes) else 0
            self._room = Room(self._room.rows - taken.rows, self._room.bytes - size)
