"""Batches of one source, read ahead: text while the one before is decoded, frames once that is counted."""

from collections.abc import Callable
from concurrent.futures import Executor, Future, wait
from typing import Self

import polars as pl

from exporters.tracing import Tracer
from monitor.polling import Feed, Fetched, Read, decoded, fetched
from monitor.types import Batch, Position

READERS = 2
"""Threads for it: one reads, one decodes."""
Stop = Callable[[], bool]


class Ahead:
    """Hands out what a source has, batch by batch. At most two are on their way: one read, one decoded.

    Text is decoded while the batch before is counted. Polars reads frames, and takes all cores for it: they
    are read while the windows of the batch before are closed, which one core does, when `counted` says so.

    A turn waits for a reading that was handed to the executor before it: one thread is enough for it to end,
    two are for it to be quick. Leaving waits for what is on its way, so that nobody polls the source twice at
    a time; what was read for nothing is read again, as no position of it was committed.
    """

    def __init__(self, executor: Executor, tracer: Tracer, feed: Feed, stop: Stop) -> None:
        self._executor = executor
        self._tracer = tracer
        self._source, self._decode = feed
        self._stop = stop
        self._turn: Future[Read | None] | None = None
        self._coming: Future[Fetched | None] | None = None
        self._behind: Position | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        wait([task for task in (self._turn,) if task is not None])
        wait([task for task in (self._coming,) if task is not None])

    def first(self, after: Position) -> Read | None:
        """Return the first batch behind a position, None when there is none: read by the caller's thread."""
        return self._handed(self._decoded(fetched(self._tracer, self._source, after)))

    def next(self) -> Read | None:
        """Return the batch after the last one; None where that was the last, or when asked to stop."""
        self.counted()
        turn = self._turn
        return self._handed(turn.result()) if turn is not None and not self._stop() else None

    def counted(self) -> None:
        """Hear that the last batch is counted: from now on there are cores and memory for another frame."""
        behind, self._behind = self._behind, None
        if behind is not None:
            self._have_read(behind)
            self._have_it_decoded()

    def _handed(self, read: Read | None) -> Read | None:
        self._turn = None
        if read is not None and not _is_text(read.batch):
            self._behind = read.batch.position if read.batch.more else None
        elif read is not None:
            self._have_it_decoded()
        return read

    def _have_it_decoded(self) -> None:
        if self._coming is not None:
            self._turn = self._executor.submit(self._decoded_of, self._coming)

    def _decoded_of(self, coming: Future[Fetched | None]) -> Read | None:
        return self._decoded(coming.result())

    def _decoded(self, found: Fetched | None) -> Read | None:
        """Decode a batch, while the one behind it is read."""
        self._coming = None
        if found is None:
            return None
        if _is_text(found.batch) and found.batch.more:
            self._have_read(found.batch.position)
        return decoded(self._tracer, found, self._decode)

    def _have_read(self, after: Position) -> None:
        if not self._stop():
            self._coming = self._executor.submit(fetched, self._tracer, self._source, after)


def _is_text(batch: Batch) -> bool:
    """Tell whether a batch is bytes only, still to be decoded: frames are large, and are read one ahead."""
    return not any(isinstance(chunk.data, pl.DataFrame) for chunk in batch.chunks)
