"""Bounded memories of what was asked for lately."""

from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

from detectors.profile import Grid, Profile

REFERENCES_KEPT = 8
"""Of one model and its segments; what is kept of each is a few hundred kilobytes."""

T = TypeVar("T")


class Recent(Generic[T]):
    """A bounded memory: the values asked for most lately are kept, the others made again."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._kept: OrderedDict[Hashable, T] = OrderedDict()

    def find(self, key: Hashable) -> T | None:
        """Return the value of the key if it is kept."""
        if key not in self._kept:
            return None
        self._kept.move_to_end(key)
        return self._kept[key]

    def keep(self, key: Hashable, value: T) -> T:
        """Remember the value; forget the one that was not asked for longest."""
        self._kept[key] = value
        if len(self._kept) > self._size:
            self._kept.popitem(last=False)
        return value

    def get(self, key: Hashable, make: Callable[[], T]) -> T:
        """Return the value of the key, made if it is not kept."""
        found = self.find(key)
        return self.keep(key, make()) if found is None else found


class OfReferences(Generic[T]):
    """What `make` makes of a reference, which is the same window after window."""

    def __init__(self, make: Callable[[Grid, Profile], T]) -> None:
        self._make = make
        self._kept: Recent[tuple[Profile, T]] = Recent(REFERENCES_KEPT)

    def of(self, grid: Grid, profile: Profile) -> T:
        """Return what was made of this very profile."""
        found = self._kept.find(id(profile))
        if found is None or found[0] is not profile:  # another one, that is gone, had the id
            found = self._kept.keep(id(profile), (profile, self._make(grid, profile)))
        return found[1]
