"""The readers kept open, so that a file can be read to its end after it lost its name."""

import os
from collections import OrderedDict
from collections.abc import Collection, Iterator
from typing import Literal

from monitor.sources.frames import FrameReader
from monitor.sources.identity import FileId, Found
from monitor.sources.lines import LineReader
from monitor.sources.reading import Limits, Reader
from monitor.sources.streams import CompressedStream, PlainStream

Format = Literal["jsonl", "csv", "parquet", "ipc"]

OPEN_FILES = 64
"""Readers kept; the one unused for longest is closed first."""

DECODED_FILES = 2
"""Columnar files that keep rows decoded ahead between polls."""

FOLLOWED_POLLS = 30
"""Polls without growth after which a file that left the glob is let go."""


class OpenFiles:
    """Readers by inode, least recently used first."""

    def __init__(self, format: Format, limits: Limits) -> None:  # noqa: A002 -- the configuration's word
        self._format = format
        self._limits = limits
        self._readers: OrderedDict[FileId, Reader] = OrderedDict()
        self._idle: dict[FileId, int] = {}

    def reader(self, found: Found, *, settled: bool) -> Reader:
        """Return the file's reader, opened when needed; raises OSError."""
        reader = self._readers.pop(found.id, None)
        if reader is None:
            reader = self._open(found)
            reader.meet(found, settled=settled)
        self._readers[found.id] = reader
        if len(self._readers) > OPEN_FILES:
            self.drop(next(iter(self._readers)))
        return reader

    def meet(self, found: Found, *, settled: bool) -> None:
        """Tell an open reader what this poll sees of its file."""
        if not settled and not found.growing:
            self.drop(found.id)  # a finished file that still changes is read anew
        if (reader := self._readers.get(found.id)) is not None:
            reader.meet(found, settled=settled)

    def nameless(self, named: Collection[FileId]) -> Iterator[Found]:
        """Return open growing files that the glob no longer finds; readers of other such files go."""
        for id_ in [id_ for id_ in self._readers if id_ not in named]:
            found = self._readers[id_].found()
            if found is None:
                self.drop(id_)
            else:
                yield found

    def rest(self, found: Found, *, idle: bool) -> None:
        """Count a nameless file's polls without growth; after enough of them it is closed."""
        count = self._idle[found.id] = self._idle.get(found.id, 0) + 1 if idle else 0
        if count >= FOLLOWED_POLLS:
            self.drop(found.id)

    def release(self) -> None:
        """Free what columnar readers decoded ahead, but for the last ones used."""
        for reader in list(self._readers.values())[:-DECODED_FILES]:
            reader.release()

    def drop(self, id_: FileId) -> None:
        """Close a reader."""
        self._idle.pop(id_, None)
        if (reader := self._readers.pop(id_, None)) is not None:
            reader.close()

    def close(self) -> None:
        """Close all."""
        for id_ in list(self._readers):
            self.drop(id_)

    def _open(self, found: Found) -> Reader:
        if self._format in ("parquet", "ipc"):
            return FrameReader(found, ipc=self._format == "ipc", limits=self._limits)
        descriptor = os.open(found.path, os.O_RDONLY | os.O_CLOEXEC)
        status = os.fstat(descriptor)
        if (status.st_dev, status.st_ino) != found.id:
            os.close(descriptor)
            raise FileNotFoundError(f"{found.path} was replaced a moment ago")
        stream = (
            PlainStream(descriptor)
            if found.growing
            else CompressedStream(found.path, os.fdopen(descriptor, "rb"))
        )
        return LineReader(found, stream, csv=self._format == "csv", max_line=self._limits.max_line)
