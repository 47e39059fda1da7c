"""What every source of rows does."""

from typing import Protocol

from monitor.types import Batch, Position


class Source(Protocol):
    """A place where rows come from.

    A source keeps no durable position: it is told where to go on, so that a position that was never
    committed is simply polled again. It may keep hints (open handles, caches) that cost time when lost.
    """

    name: str

    def poll(self, after: Position, limit: int) -> Batch | None:
        """Return what follows `after`, at most `limit` rows, or None when there is nothing new.

        Never blocks to wait for data, never changes `after`. A batch may hold no chunk at all: its
        position must be committed all the same.
        """

    def close(self) -> None:
        """Let go of handles and caches; closing twice is fine."""
