"""Event time: the frontier, the watermark, which rows are late, which windows are over.

The frontier is how far the log is known to have got, the watermark is the frontier minus the lateness. Row
by row the frontier follows the largest timestamp of the row's own file, but never passes the next unread
row of another file (`hold`), so replicas read one after the other are not late to each other. It is
defined per row, not per batch: the same log cut differently gives the same late rows and windows. Rows that
were read ahead of other files count as reached only when nothing is left unread (`caught_up`).
"""

from itertools import pairwise

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

Ints = NDArray[np.int64]
NEVER = int(np.iinfo(np.int64).min)
FEW_WINDOWS = 16
NO_HOLD = int(np.iinfo(np.int64).max)


class Progress(Struct, frozen=True):
    """frontier: as above; newest: the largest timestamp seen. Both microseconds, NEVER before any row."""

    frontier: int = NEVER
    newest: int = NEVER

    def watermark(self, lateness: int) -> int:
        """Return the point in event time up to which windows are over."""
        return self.frontier - lateness if self.frontier != NEVER else NEVER


def advance(progress: Progress, time: Ints, hold: int | None) -> tuple[Ints, Progress]:
    """Take in one chunk's timestamps: each row's frontier (int64) and the progress after the chunk."""
    bound = NO_HOLD if hold is None else hold
    own = np.minimum(np.maximum.accumulate(time), bound)
    frontiers = np.maximum(own, progress.frontier)
    if not len(time):
        return frontiers, progress
    return frontiers, Progress(int(frontiers[-1]), max(progress.newest, int(time.max())))


def caught_up(progress: Progress) -> Progress:
    """Return the progress when no file has unread rows: the log has got as far as its newest row."""
    return Progress(max(progress.frontier, progress.newest), progress.newest)


def stretches(frontiers: Ints, window: int, most: int) -> list[slice]:
    """Cut rows where the frontier has passed `most` windows, so that no stretch opens many more than that."""
    if not len(frontiers):
        return []
    if frontiers[0] // (window * most) == frontiers[-1] // (window * most):  # they never go back
        return [slice(0, len(frontiers))]
    steps = frontiers // (window * most)
    cuts = [0, *(np.flatnonzero(steps[1:] != steps[:-1]) + 1).tolist(), len(steps)]
    return [slice(a, b) for a, b in pairwise(cuts)]


def starts(time: Ints, window: int) -> Ints:
    """Return the start of each row's tumbling window, aligned to 1970-01-01T00:00:00Z."""
    if not len(time):
        return time
    first, last = int(time.min()) // window, int(time.max()) // window
    if last - first > FEW_WINDOWS:
        return time // window * window
    found = np.full(len(time), first * window, np.int64)  # comparing is cheaper than dividing 64-bit integers
    for number in range(first + 1, last + 1):
        found[time >= number * window] = number * window
    return found


def late(row_starts: Ints, frontiers: Ints, window: int, lateness: int) -> NDArray[np.bool_]:
    """Tell which rows came after their window was over; row_starts as from `starts`."""
    return row_starts <= frontiers - (lateness + window)


def distinct(row_starts: Ints) -> list[int]:
    """Return the different window starts, ascending."""
    changes = row_starts[1:] != row_starts[:-1]
    heads = row_starts[np.flatnonzero(np.concatenate([[True], changes]))] if len(row_starts) else row_starts
    return sorted(set(heads.tolist()))
