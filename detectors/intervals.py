"""Intervals of confidence 1 - level from sums: of shares, losses, bounded values and what only draws tell.

Every interval contains its value. SciPy is imported where it is used, as in detectors/pvalues.py.
"""

import math
from collections.abc import Callable
from zlib import crc32

import numpy as np

from detectors.measure import Floats

Interval = tuple[float, float]

DRAWS = 200
"""Enough to know a standard deviation to a twentieth of itself."""
TINY = 1e-9
"""A count below this is none: rows that are subtracted can leave a trace."""
FEW = 5
"""A class (or a side of an area) with fewer rows than this says next to nothing."""
FARTHEST = 500.0
"""Steps on the logit scale beyond this end at 0 and 1, and exp would overflow."""


def normal_quantile(level: float) -> float:
    """Return how many standard errors an interval of confidence 1 - level reaches to either side.

    Examples
    --------
    >>> round(normal_quantile(0.05), 2)
    1.96

    """
    from scipy import special  # noqa: PLC0415 - a slow import, see detectors/pvalues.py

    return -float(special.ndtri(level / 2))


def wilson(k: float, n: float, level: float) -> Interval:
    """Return Wilson's interval of a share k / n, n above 0; counts may be fractions (expected counts).

    It is right for small n too, and never empty where k is 0 or n.

    Examples
    --------
    >>> low, high = wilson(8, 10, 0.05)
    >>> round(low, 3), round(high, 3)
    (0.490, 0.943)

    References
    ----------
    Wilson, E. B. (1927). Probable inference, the law of succession, and statistical inference.
    Journal of the American Statistical Association 22(158).

    """
    z = normal_quantile(level)
    share = k / n
    centre = (k + z * z / 2) / (n + z * z)
    reach = z * math.sqrt(max(n * share * (1 - share), 0.0) + z * z / 4) / (n + z * z)
    return max(min(centre - reach, share), 0.0), min(max(centre + reach, share), 1.0)


def exact(k: Floats, n: Floats, level: float) -> tuple[Floats, Floats]:
    """Return Clopper and Pearson's intervals of shares k / n, by element: both ends, of the arrays' shape.

    Each side is missed with probability level / 2 at most, however few rows there are and however rare what
    is counted is; Wilson's misses the side of rare things far more often. Without rows it is [0, 1]. Counts
    may be fractions (expected counts).

    Examples
    --------
    >>> low, high = exact(np.array([8.0, 0.0]), np.array([10.0, 10.0]), 0.05)
    >>> low.round(3).tolist(), high.round(3).tolist()
    ([0.444, 0.0], [0.975, 0.308])

    References
    ----------
    Clopper, C. J., Pearson, E. S. (1934). The use of confidence or fiducial limits illustrated in the case
    of the binomial. Biometrika 26(4).

    """
    from scipy import special  # noqa: PLC0415 - a slow import, see detectors/pvalues.py

    others = np.maximum(n - k, 0.0)
    some, all_but_some = np.maximum(k, TINY), np.maximum(others, TINY)
    low = np.where(k > TINY, special.betaincinv(some, others + 1.0, level / 2), 0.0)
    high = np.where(others > TINY, special.betainccinv(k + 1.0, all_but_some, level / 2), 1.0)
    share = k / np.where(n > 0.0, n, 1.0)
    return np.minimum(low, share), np.maximum(high, share)


def poisson(counts: Floats, level: float) -> tuple[Floats, Floats]:
    """Return Garwood's intervals of what counts are expected to be, by element: both ends.

    Examples
    --------
    >>> low, high = poisson(np.array([0.0, 10.0]), 0.05)
    >>> low.round(3).tolist(), high.round(3).tolist()
    ([0.0, 4.795], [3.689, 18.39])

    References
    ----------
    Garwood, F. (1936). Fiducial limits for the Poisson distribution. Biometrika 28(3/4).

    """
    from scipy import special  # noqa: PLC0415 - a slow import, see detectors/pvalues.py

    low = np.where(counts > TINY, special.gammaincinv(np.maximum(counts, TINY), level / 2), 0.0)
    return low, np.asarray(special.gammainccinv(counts + 1.0, level / 2))


def of_losses(sums: tuple[float, float, float], heaviest: float, level: float) -> Interval | None:
    """Return the interval of a mean of losses of 0 or more, few of which may be heavy; None below two rows.

    sums: rows, sum and sum of squares. heaviest: what one more heavy loss would be. The sum's law is taken as
    a gamma with its mean and variance, which is skewed as a sum of rare losses is; for the upper end it
    counts one heavy loss more than was seen.

    Examples
    --------
    >>> low, high = of_losses((200.0, 2.0, 2.0), 1.0, 0.05)
    >>> round(low, 4), round(high, 4)
    (0.0012, 0.0361)

    References
    ----------
    Fay, M. P., Feuer, E. J. (1997). Confidence intervals for directly standardized rates: a method based on
    the gamma distribution. Statistics in Medicine 16(7).

    """
    from scipy import special  # noqa: PLC0415 - a slow import, see detectors/pvalues.py

    n, total, squares = sums
    if n < 2:  # noqa: PLR2004 - one row has no variance
        return None
    spread = max(squares - total * (total / n), 0.0) * (n / (n - 1))
    mean, low, high = max(total / n, 0.0), 0.0, 0.0
    if total > 0.0 and spread > 0.0:
        shape = max((total / math.sqrt(spread)) ** 2, TINY)
        low = float(special.gammaincinv(shape, level / 2)) * (spread / total)
    elif total > 0.0:
        low = total
    above, wider = total + heaviest, spread + heaviest * heaviest
    if above > 0.0 and wider > 0.0:
        high = float(special.gammainccinv(above * above / wider, level / 2)) * wider / above
    return min(low / n, mean), max(high / n, mean)


def bounded(value: float, variance: float, rows: float, level: float) -> Interval:
    """Return the interval of a value in [0, 1] with a known variance: normal on the logit scale.

    rows: on how many rows the value rests at least, above 0. Where the variance is 0 (all rows right, or
    all wrong) that says nothing of the next row; the interval then reaches as far as Wilson's does at 1.

    Examples
    --------
    >>> low, high = bounded(0.9, 0.0004, 200, 0.05)
    >>> round(low, 3), round(high, 3)
    (0.853, 0.933)
    >>> bounded(1.0, 0.0, 100, 0.05)
    (0.963, 1.0)

    """
    z = normal_quantile(level)
    spread = value * (1 - value)
    if variance <= 0 or spread <= 0:
        reach = z * z / (rows + z * z)
        return max(value - reach, 0.0), min(value + reach, 1.0)
    step = math.exp(min(z * math.sqrt(variance) / spread, FARTHEST))
    low, high = value / (value + (1 - value) * step), value * step / (1 - value + value * step)
    return min(low, value), max(high, value)


def of_area(value: float, variance: float, rows: float, level: float) -> Interval:
    """Return the interval of an area: `bounded`; on fewer rows than FEW also that of a share of as many rows.

    Examples
    --------
    >>> low, high = of_area(0.9, 0.0004, 200, 0.05)
    >>> round(low, 3), round(high, 3)
    (0.853, 0.933)
    >>> low, high = of_area(0.02, 0.000008, 1, 0.05)  # what one row shows varies far more than this
    >>> round(low, 3), round(high, 3)
    (0.0, 0.977)

    """
    low, high = bounded(value, variance, rows, level)
    if rows >= FEW:
        return low, high
    least, most = exact(np.array(value * rows), np.array(rows), level)
    return min(low, float(least)), max(high, float(most))


def drawn_deviation(counts: Floats, statistic: Callable[[Floats], Floats]) -> float:
    """Return a statistic's standard deviation over DRAWS multinomial draws of as many rows.

    counts: [...] rows by cell, not all 0. statistic: takes [DRAWS, ...] such counts and returns [DRAWS].
    The seed comes of the counts, so the same counts always give the same figure.

    Examples
    --------
    >>> counts = np.array([70.0, 30.0])
    >>> round(drawn_deviation(counts, lambda c: c[:, 0] / 100), 3)
    0.044

    References
    ----------
    Efron, B. (1979). Bootstrap methods: another look at the jackknife. Annals of Statistics 7(1).

    """
    flat = counts.ravel() + 0.0  # subtracted sums can hold -0.0, which has other bytes than 0.0
    rng = np.random.default_rng(crc32(flat.tobytes()))
    drawn = rng.multinomial(max(round(float(flat.sum())), 1), flat / flat.sum(), size=DRAWS)
    return float(np.std(statistic(drawn.reshape(DRAWS, *counts.shape).astype(np.float64)), ddof=1))
