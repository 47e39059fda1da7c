"""Gathering a reference from the log itself: typed rows of a span of event time, a uniform sample if many."""

from dataclasses import dataclass, field

import numpy as np

from monitor.core.learning import MOST_ROWS
from monitor.core.profiles import Rows
from monitor.core.segments import joined
from monitor.types import TypedRows


@dataclass(slots=True)
class Gathered:
    """Rows of [begin, end) so far, microseconds. columns: every column name seen in the log."""

    begin: int
    end: int
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
        self.parts.append(Rows(kept.time * 0, kept.keys, kept.frame, kept.invalid))
        self.held += len(kept.time)
        if self.held > 2 * MOST_ROWS:
            self._shrink()

    def _shrink(self) -> None:
        whole = joined(self.parts)
        self.parts = [whole.take(np.sort(np.argpartition(whole.keys, MOST_ROWS)[:MOST_ROWS]))]
        self.held = MOST_ROWS

    def rows(self) -> Rows | None:
        """Return each row once (an id seen twice counts once), at most MOST_ROWS; None when there is none."""
        if not self.parts:
            return None
        whole = joined(self.parts)
        _, firsts = np.unique(whole.keys, return_index=True)
        return whole.take(np.sort(firsts[:MOST_ROWS]))
