"""Gathering a reference from the log itself: typed rows of a span of event time, a uniform sample if many."""

import numpy as np
from msgspec import Struct, field

from monitor.core.learning import most_rows
from monitor.core.profiles import Rows
from monitor.core.segments import joined, lowest
from monitor.types import TypedRows


class Gathered(Struct):
    """Rows of [begin, end) so far and of windows of one length, microseconds. columns: every name in the log.

    once: rows have ids, and one that comes again is not counted again.
    """

    begin: int
    end: int
    window: int
    once: bool
    columns: set[str] = field(default_factory=set)
    parts: list[Rows] = field(default_factory=list)
    held: int = 0

    def add(self, rows: TypedRows, columns: frozenset[str]) -> None:
        """Take the rows of the span; halve what is held when it grows beyond twice the limit."""
        inside = (rows.time >= self.begin) & (rows.time < self.end)
        if not inside.any():
            return
        kept = rows.take(inside)
        self.columns |= columns
        self.parts.append(Rows(kept.time // self.window * self.window, kept.keys, kept.frame, kept.invalid))
        self.held += len(kept.time)
        if self.held > 2 * most_rows(kept.frame.width):
            self._shrink()

    def _shrink(self) -> None:
        whole = self._each()
        self.parts = [lowest(whole, most_rows(whole.frame.width))]
        self.held = len(self.parts[0].start)

    def _each(self) -> Rows:
        whole = joined(self.parts)
        if not self.once:
            return whole
        _, firsts = np.unique(whole.keys, return_index=True)
        return whole.take(np.sort(firsts))

    def rows(self) -> Rows | None:
        """Return a uniform sample of the rows, or all when they are not many; None when there is none."""
        if not self.parts:
            return None
        self._shrink()
        return self.parts[0]
