"""A numeric feature on the scale of its own reference: the place of each value in it, from 0 to 1."""

import numpy as np
from msgspec import Struct

from detectors.mean_bound import Moments
from detectors.measure import Floats, Ints
from detectors.profile import NumericGrid, NumericSummary


class Pit(Struct, frozen=True, eq=False):
    """The probability integral transform by the reference's distribution function on its grid.

    A value becomes the reference's share below its bin plus half of its bin's share (mid-distribution), so
    that ties need no random number and the reference's own mean is 1/2. Whatever lies below the reference is
    0, above it 1. Only so does a detector of streams have a unit: a shift of a standard deviation is nothing
    to ADWIN where a feature is measured in thousandths, and all noise is drift to it where in thousands.

    grid: the feature's bins. places: float64 [B + 2], ascending, what a value in each cell becomes.
    reference: the sums over the reference's own values, of which the true mean is as uncertain as that of n
    independent rows: what e_sr takes.

    Examples
    --------
    >>> grid = NumericGrid("age", 0.0, 9.0, (1.0, 5.0), 0.0, 1.0, 1.0, ())
    >>> pit = Pit.of(grid, np.array([0, 10, 70, 20, 0]))
    >>> pit.map(np.array([-1.0, 1.0, 1.5, 9.0, 10.0, np.nan, np.inf])).tolist()
    [0.0, 0.05, 0.45, 0.9, 1.0, nan, nan]

    References
    ----------
    Parzen, E. (2004). Quantile probability and statistical data modeling. Statistical Science 19(4).

    """

    grid: NumericGrid
    places: Floats
    reference: Moments

    @classmethod
    def of(cls, grid: NumericGrid, counts: Ints) -> "Pit":
        """Make it from the reference's counts [B + 2] (`NumericSummary.counts`); ValueError without rows."""
        n = int(counts.sum())
        if not n:
            raise ValueError(f"{grid.name}: the reference has no value to compare with")
        places = (np.cumsum(counts) - counts / 2) / n
        squares = float(counts @ np.square(places))
        return cls(grid, places, Moments(n, float(counts @ places), squares))

    @classmethod
    def of_summary(cls, reference: NumericSummary) -> "Pit":
        """Make it from the reference's profile of the feature."""
        return cls.of(reference.grid, reference.counts)

    def map(self, values: Floats) -> Floats:
        """Return float64 [n] in [0, 1], NaN where a value is not finite."""
        cells = np.searchsorted(np.array(self.grid.edges), values) + 1
        cells[values < self.grid.lo] = 0
        cells[values > self.grid.hi] = self.grid.bins + 1
        placed = self.places[cells]
        placed[~np.isfinite(values)] = np.nan
        return placed
