"""A source held in memory, with crashes among its chunks: the twin that tests use."""

from collections.abc import Iterable

from msgspec import Struct
from msgspec.structs import replace

from monitor.types import Batch, Chunk, Position

NEXT = "next"
"""The one entry of a position: how many items have been delivered."""


class Crash(Struct, frozen=True):
    """Reaching this item raises, once: what follows it comes on the next poll."""

    reason: str = "crash"


class SourceCrashed(RuntimeError):  # noqa: N818 -- says what happened, as a test asks for it
    """A `Crash` was reached. Everything polled but not committed is to be polled again."""


class MemorySource:
    """Delivers a list of chunks; one item counts as one row of the limit."""

    def __init__(self, name: str, items: Iterable[Chunk | Crash] = ()) -> None:
        self.name = name
        self._items: list[Chunk | Crash] = list(items)
        self._survived: set[int] = set()

    def append(self, *items: Chunk | Crash) -> None:
        """Add items at the end, as a log that grows."""
        self._items.extend(items)

    def poll(self, after: Position, limit: int) -> Batch | None:
        """Return up to `limit` chunks after the position; raises SourceCrashed at a `Crash`."""
        chunks: list[Chunk] = []
        at = int(after.entries.get(NEXT, "0"))
        while at < len(self._items) and len(chunks) < limit:
            item = self._items[at]
            if isinstance(item, Crash):
                if at not in self._survived and chunks:
                    break  # what came before the crash can still be committed
                self._crash_once(at, item)
            else:
                chunks.append(item)
            at += 1
        if not chunks:
            return None
        position = replace(after, entries={**after.entries, NEXT: str(at)})
        return Batch(self.name, position, tuple(chunks), more=at < len(self._items))

    def _crash_once(self, at: int, item: Crash) -> None:
        if at not in self._survived:
            self._survived.add(at)
            raise SourceCrashed(item.reason)

    def close(self) -> None:
        """Nothing is held."""
