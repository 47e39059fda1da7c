"""Which cell of a grid each value falls into, nearly without searching: a table of the range's small parts.

The range is cut into thousands of equally wide parts. All values of a part without a threshold in it fall
into the same cell; where it has one, one comparison decides; where it has more, the value is searched for.
It costs 3 to 4 ns a value where a binary search costs 46 ns and sorting 10 to 40 ns, by machine
(benchmarks/kernels.py).
"""

from functools import lru_cache

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from detectors.profile import NumericGrid

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Places = NDArray[np.intp]

PARTS = 16384
CUTS = (0, 1, 2, 8)
"""Thresholds that the table may leave out at each end: what is far out must not make it coarse."""
MANY = 4
"""One value of so many beside a threshold is the rule, and not looked at one by one."""
GRIDS_KEPT = 4096


class Lookup(Struct, frozen=True, eq=False):
    """A table made for one grid.

    thresholds: ascending; a value's place is how many of them are below it. low, high, scale: where the table
    lies, and parts per unit. base: per part, the thresholds in all parts before it. held: the thresholds in
    it; unsure: whether there are any. step: one of these. runs: the first part of each run of equal bases.
    """

    thresholds: Floats
    low: float
    high: float
    scale: float
    base: Places
    held: NDArray[np.uint8]
    unsure: NDArray[np.bool_]
    step: Floats
    runs: Places

    def places(self, values: Floats) -> Places:
        """Return the place of each finite value: 0 below, 1 to B the bins, B + 1 above."""
        return self._places(values, _parts(values, self.low, self.high, self.scale))

    def counts(self, values: Floats) -> Ints:
        """Return how many of the finite values have each place, int64 [B + 2]."""
        part = _parts(values, self.low, self.high, self.scale)
        beside = self.unsure.take(part)
        if np.count_nonzero(beside) > len(part) // MANY:
            return self._counts_of_both_sides(values, part)
        unsure = np.flatnonzero(beside)
        fine = np.bincount(part, minlength=PARTS)
        fine[self.unsure] = 0
        places = self._places(values[unsure], part[unsure])
        found = np.bincount(places, minlength=len(self.thresholds) + 1)
        found[self.base[self.runs]] += np.add.reduceat(fine, self.runs)
        return found

    def _counts_of_both_sides(self, values: Floats, part: Places) -> Ints:
        """Count each part's values up to its threshold and above it: whole numbers often are thresholds."""
        crowded = self.held > 1
        apart = np.flatnonzero(crowded.take(part)) if crowded.any() else np.empty(0, np.intp)
        found = np.bincount(
            np.searchsorted(self.thresholds, values[apart]), minlength=len(self.thresholds) + 2
        )
        side = part * 2
        side += values > self.step.take(part)
        fine = np.bincount(side, minlength=2 * PARTS).reshape(PARTS, 2)
        fine[crowded] = 0
        base = self.base[self.runs]
        found[base] += np.add.reduceat(fine[:, 0], self.runs)
        found[base + 1] += np.add.reduceat(fine[:, 1], self.runs)
        return found[:-1]

    def _places(self, values: Floats, part: Places) -> Places:
        found = self.base.take(part)
        found += values > self.step.take(part)
        crowded = np.flatnonzero(self.held.take(part) > 1)
        found[crowded] = np.searchsorted(self.thresholds, values[crowded])
        return found


@lru_cache(GRIDS_KEPT)
def lookup_of(grid: NumericGrid) -> Lookup:
    """Return the grid's table: of a few ranges that with the fewest crowded thresholds."""
    thresholds = np.array([np.nextafter(grid.lo, -np.inf), *grid.edges, grid.hi])
    cuts = [cut for cut in CUTS if 2 * cut < len(thresholds) - 1]
    made = [_table(thresholds, float(thresholds[cut]), float(thresholds[-1 - cut])) for cut in cuts]
    return min(made, key=lambda table: int(table.held[table.held > 1].sum()))


def _table(thresholds: Floats, low: float, high: float) -> Lookup:
    width = high - low
    scale = (PARTS - 1) / width if width > 0.0 else 0.0
    if not (np.isfinite(width) and np.isfinite(scale)):
        high, scale = low, 0.0  # a range beyond a float's: one part, every value is searched for
    parts = _parts(thresholds, low, high, scale)
    held = np.bincount(parts, minlength=PARTS)
    base = np.cumsum(held) - held
    step = np.full(PARTS, np.inf)
    step[parts] = thresholds
    runs = np.flatnonzero(np.diff(base, prepend=-1))
    return Lookup(
        thresholds, low, high, scale, base, np.minimum(held, 255).astype(np.uint8), held > 0, step, runs
    )


def _parts(values: Floats, low: float, high: float, scale: float) -> Places:
    """Return each value's part. It never falls as the value grows, rounding included: that makes it exact."""
    part = np.clip(values, low, high)
    part -= low
    part *= scale
    return part.astype(np.intp)
