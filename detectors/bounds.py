"""How far a distance computed on the grid can be from the same distance computed on the rows."""

import numpy as np

from detectors.distances import Counts, Floats, cdf_difference, noise, shares
from detectors.profile import NumericSummary


def _enclosure(p: Counts, q: Counts) -> tuple[Floats, Floats]:
    """Return the least and the largest F - G that any row of each cell can see.

    Inside a cell F rises by at most p's mass there and G by at most q's, from the cell's lower end.
    """
    ends = cdf_difference(p, q)
    a, b = shares(p), shares(q)
    before = ends - (a - b)
    return before - b, before + a


def ks_bound(p: Counts, q: Counts) -> float:
    """Return how much larger than `ks` the distance on the rows can be; it is never smaller.

    It is at most the largest share of one sample in one cell.

    Examples
    --------
    >>> round(ks_bound(np.array([25, 25, 25, 25]), np.array([10, 20, 30, 40])), 3)
    0.2

    """
    low, high = _enclosure(p, q)
    largest = max(float(np.abs(low).max()), float(np.abs(high).max()))
    return max(largest - float(np.abs(cdf_difference(p, q)).max()), 0.0)


def cramer_von_mises_range(p: Counts, q: Counts) -> tuple[float, float]:
    """Return the least and the largest T that untied rows in these cells can have.

    T is NM/(N+M) times the mean of (F - G)^2 over the pooled rows, and in each cell F - G stays between
    its value before the cell less q's share and that value plus p's share. The ends are within the
    range: `cramer_von_mises` lies in it too.

    Examples
    --------
    >>> low, high = cramer_von_mises_range(np.full(200, 50), np.arange(200) // 20 + 1)
    >>> round(low, 2), round(high, 2)
    (25.37, 28.37)

    """
    low, high = _enclosure(p, q)
    least = np.where((low < 0) & (high > 0), 0.0, np.minimum(np.square(low), np.square(high)))
    most = np.maximum(np.square(low), np.square(high))
    size = 1.0 / noise(float(p.sum()), float(q.sum()))
    weights = shares(p + q)
    return float(size * (weights @ least)), float(size * (weights @ most))


def wasserstein_bound(reference: NumericSummary, window: NumericSummary, unit: float) -> float:
    """Return how far `wasserstein` can be from the distance on the rows, in either direction.

    Moving every row to its cell's place costs at most the mean displacement of each sample (triangle
    inequality). A reference row sits at the mean of its bin, so on average at most half the bin's width
    away; a window row at most the longer way from the place to the bin's ends; a row outside the grid at
    most the way from the grid to the window's extreme. unit: the grid's standard deviation, not 0.
    """
    grid = window.grid
    left = np.array([grid.lo, *grid.edges])
    right = np.array([*grid.edges, grid.hi])
    places = np.array(grid.places)
    outside = np.array([max(grid.lo - window.low, 0.0), max(window.high - grid.hi, 0.0)])
    far = np.concatenate([outside[:1], np.maximum(places - left, right - places), outside[1:]])
    half = (right - left) / 2
    return float(shares(reference.counts)[1:-1] @ half + shares(window.counts) @ far) / unit
