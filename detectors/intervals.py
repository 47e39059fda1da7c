"""Intervals of confidence 1 - level from sums: of shares, means, bounded values and what only draws tell.

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


def of_mean(total: float, squares: float, n: float, level: float) -> Interval | None:
    """Return the normal interval of the mean total / n from the sum of squares; None below two rows.

    Examples
    --------
    >>> low, high = of_mean(6.0, 14.0, 3, 0.05)
    >>> round(low, 2), round(high, 2)
    (0.87, 3.13)

    """
    if n < 2:  # noqa: PLR2004 - one row has no variance
        return None
    mean = total / n
    variance = max(squares - total * mean, 0.0) / (n - 1)
    reach = normal_quantile(level) * math.sqrt(variance / n)
    return mean - reach, mean + reach


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
