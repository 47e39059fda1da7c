"""How far a distance computed on the grid can be from the same distance computed on the rows."""

import numpy as np

from detectors.profile import NumericSummary
from detectors.table import Counts, Floats, Table, noise, shares


def _enclosure(p: Counts, q: Counts) -> tuple[Floats, Floats]:
    """Return the least and the largest F - G that any row of each cell can see.

    Inside a cell F rises by at most p's mass there and G by at most q's, from the cell's lower end.
    """
    ends = Table.of(p, q).climb
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
    return max(largest - float(np.abs(Table.of(p, q).climb).max()), 0.0)


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


def anderson_darling_range(p: Counts, q: Counts) -> tuple[float, float]:
    """Return the least and the largest A^2 that rows in these cells can have; `anderson_darling` is within.

    After k of a cell's a + b rows F - G is farthest up when the first of them are the reference's, and
    farthest down when they are the window's; H is k rows further. Rows may be tied, so each counts as the
    least and the largest of its cell; the very last row, where H is 1, counts nothing.

    Examples
    --------
    >>> low, high = anderson_darling_range(np.full(200, 50), np.arange(200) // 20 + 1)
    >>> round(low, 1), round(high, 1)
    (125.7, 143.5)

    """
    both, n, m = (p + q).astype(np.int64), float(p.sum()), float(q.sum())
    used = np.flatnonzero(both)
    cell = np.repeat(used, both[used])
    first = np.cumsum(both) - both
    k = np.arange(len(cell)) - first[cell] + 1.0
    a, b = p[cell].astype(np.float64), q[cell].astype(np.float64)
    before = (Table.of(p, q).climb - (shares(p) - shares(q)))[cell]
    high = before + np.minimum(k, a) / n - np.maximum(k - a, 0.0) / m
    low = before + np.maximum(k - b, 0.0) / n - np.minimum(k, b) / m
    share = (first[cell] + k) / len(cell)
    weight = 1.0 / np.where(share < 1.0, share * (1.0 - share), np.inf)
    least = np.where((low < 0) & (high > 0), 0.0, np.minimum(low * low, high * high)) * weight
    most = np.maximum(low * low, high * high) * weight
    starts = first[used]
    size = 1.0 / noise(n, m) / len(cell)
    ends = np.minimum.reduceat(least, starts), np.maximum.reduceat(most, starts)
    return float(size * (both[used] @ ends[0])), float(size * (both[used] @ ends[1]))


def energy_bound(reference: NumericSummary, window: NumericSummary, unit: float) -> float:
    """Return how far `energy` can be from the distance on the rows, in either direction.

    The distance is a metric, so moving every row to its cell's place costs at most the distance of each
    sample from itself so moved: within a cell the distribution functions differ by its share of the rows at
    most, over its width. Outside the grid the width is the way to the window's extreme. unit: as for
    `wasserstein_bound`.
    """
    grid = window.grid
    ends = np.array([grid.lo, *grid.edges, grid.hi])
    outside = max(grid.lo - window.low, 0.0), max(window.high - grid.hi, 0.0)
    widths = np.concatenate([outside[:1], np.diff(ends), outside[1:]]) / unit
    return float(sum(np.sqrt(2.0 * (np.square(shares(s.counts)) @ widths)) for s in (reference, window)))


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
