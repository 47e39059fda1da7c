"""Seasons of the day and the week: which windows of the past a window may be compared with.

Time is microseconds of UTC; the day begins at midnight and the week on Monday.
"""

from enum import IntEnum

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

Ints = NDArray[np.int64]

DAY = 86_400_000_000
WEEK = 7 * DAY
MONDAY = 4 * DAY
"""The first Monday: time 0 is a Thursday."""
WORKDAYS = 5
PERIODS_NEEDED = 3
"""Fewer windows than this of one kind are no mean to compare with."""


class Season(IntEnum):
    """Which windows are alike."""

    NONE = 0
    DAILY = 1
    WORKWEEK = 2
    WEEKLY = 3


SAID = {
    Season.NONE: "all windows",
    Season.DAILY: "the same time of day",
    Season.WORKWEEK: "the same time of a working or a free day",
    Season.WEEKLY: "the same time of the week",
}


class Clock(Struct, frozen=True, eq=False):
    """When windows of one length start. starts: int64 [R], ascending; length: microseconds."""

    starts: Ints
    length: int

    def cells(self, season: Season) -> Ints:
        """Return which kind of window each is, int64 [R], counted from 0.

        Examples
        --------
        >>> night = Clock(MONDAY + np.arange(0, 8 * DAY, DAY // 4), DAY // 4)
        >>> night.cells(Season.DAILY)[:6].tolist(), night.cells(Season.WEEKLY)[-4:].tolist()
        ([0, 1, 2, 3, 0, 1], [0, 1, 2, 3])

        """
        since = self.starts - MONDAY
        if season is Season.NONE:
            return np.zeros(len(since), np.int64)
        if season is Season.WEEKLY:
            return since % WEEK // self.length
        time = since % DAY // self.length
        if season is Season.DAILY:
            return time
        free = since % WEEK // DAY >= WORKDAYS
        return time + free * max(DAY // self.length, 1)

    def periods(self, season: Season) -> Ints:
        """Return which windows belong together, int64 [R]: those of a day, of a week, or each by itself."""
        length = WEEK if season is Season.WEEKLY else max(self.length, DAY)
        return (self.starts - MONDAY) // length

    def per_period(self, season: Season) -> int:
        """Return how many windows such a period has room for."""
        length = WEEK if season is Season.WEEKLY else max(self.length, DAY)
        return max(length // self.length, 1)

    def possible(self) -> tuple[Season, ...]:
        """Return the seasons that can be seen: each kind of window occurred in three periods or more."""
        return tuple(season for season in Season if self._fits(season) and self._seen(season))

    def _fits(self, season: Season) -> bool:
        if season is Season.NONE:
            return True
        if season is Season.DAILY:
            return DAY % self.length == 0 and self.length < DAY
        return DAY % self.length == 0

    def _seen(self, season: Season) -> bool:
        cells = self.cells(season)
        if season is Season.NONE:
            return True
        whole = 7 if season is Season.WEEKLY else 2 if season is Season.WORKWEEK else 1
        counts = np.bincount(cells, minlength=max(DAY // self.length, 1) * whole)
        return bool(counts.min() >= PERIODS_NEEDED)
