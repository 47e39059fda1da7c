"""Areas under curves from two histograms of one score: rows that are not of a class and rows that are.

All rows of a bin count as tied. How far that can be from the areas on the rows is the curve's bound.
"""

import math
from collections.abc import Sequence

import numpy as np
from msgspec import Struct

from detectors.measure import Floats

FEW = 10
"""With fewer rows on one side the components of DeLong's variance are too few to vary enough."""


class Area(Struct, frozen=True):
    """An area in [0, 1] with the variance of its estimate.

    bound: how far binning can have moved the value, either way. rows: on how many it rests, the rarer side.
    """

    value: float
    variance: float
    bound: float
    rows: float
    method: str


def roc_auc(other: Floats, own: Floats) -> Area | None:
    """Return the area under the ROC curve: P(a row of the class scores higher), ties by half.

    other, own: [BINS] rows not of the class and of it, by ascending score. None where a side is empty.
    The bound is half of the probability that one row of each falls into the same bin. The variance is
    DeLong's, whose components are exact on a histogram; Hanley and McNeil's with fewer than FEW rows.

    Examples
    --------
    >>> area = roc_auc(np.array([30.0, 15.0, 5.0]), np.array([5.0, 15.0, 30.0]))
    >>> round(area.value, 3), round(area.variance, 5), round(area.bound, 3)
    (0.825, 0.00158, 0.105)

    References
    ----------
    DeLong, E. R., DeLong, D. M., Clarke-Pearson, D. L. (1988). Comparing the areas under two or more
    correlated receiver operating characteristic curves. Biometrics 44(3).
    Hanley, J. A., McNeil, B. J. (1982). The meaning and use of the area under a receiver operating
    characteristic (ROC) curve. Radiology 143(1).

    """
    q, p = float(other.sum()), float(own.sum())
    if p <= 0 or q <= 0:
        return None
    beaten = (np.cumsum(other) - other / 2) / q
    beaten_by = (p - np.cumsum(own) + own / 2) / p
    value = min(max(float(own @ beaten) / p, 0.0), 1.0)
    bound = float(own @ other) / (2 * p * q)
    if min(p, q) < FEW:
        return Area(value, _hanley_mcneil(value, p, q), bound, min(p, q), "hanley-mcneil")
    variance = float(own @ np.square(beaten - value)) / (p * (p - 1))
    variance += float(other @ np.square(beaten_by - value)) / (q * (q - 1))
    return Area(value, variance, bound, min(p, q), "delong")


def _hanley_mcneil(value: float, p: float, q: float) -> float:
    both, twice = value / (2 - value), 2 * value * value / (1 + value)
    spread = value * (1 - value)
    spread += max(p - 1, 0.0) * (both - value * value) + max(q - 1, 0.0) * (twice - value * value)
    return max(spread, 0.0) / (p * q)


def average_precision(other: Floats, own: Floats) -> Area | None:
    """Return the average precision: the precision at each bin's threshold, weighted by the recall it adds.

    other, own: as for roc_auc. None where no row is of the class. The variance is that of the delta
    method, from the derivative by the count of every bin.

    Examples
    --------
    >>> area = average_precision(np.array([30.0, 15.0, 5.0]), np.array([5.0, 15.0, 30.0]))
    >>> round(area.value, 3), round(area.variance, 5), round(area.bound, 3)
    (0.772, 0.00313, 0.169)

    """
    p = float(own.sum())
    if p <= 0:
        return None
    falling, own_falling = other[::-1], own[::-1]
    false, true = np.cumsum(falling), np.cumsum(own_falling)
    flagged = np.where(true + false > 0, true + false, 1.0)
    precision, gained = true / flagged, own_falling / p
    value = min(max(float(gained @ precision), 0.0), 1.0)
    by_true = (precision - value) / p + _from_here(gained * false / np.square(flagged))
    by_false = -_from_here(gained * true / np.square(flagged))
    variance = float(own_falling @ np.square(by_true) + falling @ np.square(by_false))
    return Area(value, variance, _precision_bound(falling, own_falling, value), p, "delta")


def _from_here(terms: Floats) -> Floats:
    return np.cumsum(terms[::-1])[::-1]


def _precision_bound(other: Floats, own: Floats, value: float) -> float:
    """Bound the average precision of any order within the bins, the highest bin first.

    Best, a bin's own rows come first and tied. Worst, they come one by one after its other rows, and the
    i-th has precision 1 - a / (i + a + t) with a other rows and t own rows before; the sum of the
    reciprocals is at most the logarithm below, for 1/x is convex.
    """
    p = float(own.sum())
    true, false = np.cumsum(own) - own, np.cumsum(other)
    used = own > 0
    leading = np.where(used, true + own + false - other, 1.0)
    best = float((np.where(used, own * (true + own), 0.0) / leading).sum()) / p
    reciprocals = np.log((true + false + own + 0.5) / (true + false + 0.5))
    worst = float((own - false * reciprocals).sum()) / p
    return max(best - value, value - worst, 0.0)


def mean_area(areas: Sequence[Area | None]) -> Area | None:
    """Return the mean over the classes that have an area; None if none has.

    The areas rest on the same rows, so their errors are taken to go together: the deviation of the mean
    is the mean of the deviations, the most that it can be.
    """
    found = [area for area in areas if area is not None]
    if not found:
        return None
    size = len(found)
    return Area(
        sum(area.value for area in found) / size,
        (sum(math.sqrt(area.variance) for area in found) / size) ** 2,
        sum(area.bound for area in found) / size,
        min(area.rows for area in found),
        found[0].method if len({area.method for area in found}) == 1 else "delong and hanley-mcneil",
    )
