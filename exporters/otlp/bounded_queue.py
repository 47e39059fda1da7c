"""What waits for the collector: so much and no more, the oldest given up first, and counted."""

from collections import deque
from collections.abc import Sequence
from threading import Lock
from typing import Generic, TypeVar

Item = TypeVar("Item")


class BoundedQueue(Generic[Item]):
    """Items in their order; used by any number of threads.

    >>> queue = BoundedQueue[str](2)
    >>> for item in "abc":
    ...     queue.put(item)
    >>> queue.take(10), queue.dropped
    (['b', 'c'], 1)
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._items: deque[Item] = deque()
        self._guard = Lock()
        self._taken = 0
        self.dropped = 0

    def __len__(self) -> int:
        """Return how many wait, those that were taken and not settled among them."""
        return len(self._items) + self._taken

    def put(self, item: Item) -> None:
        """Add an item; when there is no room, the oldest one goes."""
        with self._guard:
            if len(self._items) == self._limit:
                self._items.popleft()
                self.dropped += 1
            self._items.append(item)

    def take(self, count: int) -> list[Item]:
        """Take out up to `count` of the oldest items, to be settled or put back."""
        with self._guard:
            found = [self._items.popleft() for _ in range(min(count, len(self._items)))]
            self._taken += len(found)
            return found

    def put_back(self, items: Sequence[Item]) -> None:
        """Return items that were taken out; where newer ones have taken their room, the oldest go."""
        with self._guard:
            kept = items[max(len(items) - (self._limit - len(self._items)), 0) :]
            self._items.extendleft(reversed(kept))
            self.dropped += len(items) - len(kept)
            self._taken -= len(items)

    def settle(self, count: int, lost: int) -> None:
        """Say that items that were taken out are done with, and how many of them nobody wanted."""
        with self._guard:
            self._taken -= count
            self.dropped += lost
