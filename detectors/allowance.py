"""How much a share may exceed the reference's by chance: an upper bound for the window's share."""

import numpy as np

from detectors.table import Floats


def largest_share(found: float, n: int, m: int, level: float) -> float:
    """Return a share that m more rows exceed with probability `level` at most.

    `found` of the reference's n rows had the property; its true share then has about the law
    Beta(found + 1/2, n - found + 1/2) (Jeffreys). Half of the level is spent on that share being larger
    than its upper quantile, the other half on the window's own chance (union bound): simple and never too
    small, at the cost of some power where n and m are alike.

    Examples
    --------
    >>> round(largest_share(100, 10_000, 1_000, 1e-4), 3)
    0.031
    >>> round(largest_share(0, 10_000, 1_000, 1e-4), 3)
    0.006

    References
    ----------
    Brown, L. D., Cai, T. T., DasGupta, A. (2001). Interval estimation for a binomial proportion.
    Statistical Science 16(2).

    """
    from scipy import special  # noqa: PLC0415 - a slow import, which the daemon's start must not pay

    found = min(max(found, 0.0), float(n))
    top = float(special.betaincinv(found + 0.5, n - found + 0.5, 1.0 - level / 2.0))
    low, high = int(m * top), m
    while low < high:  # the smallest count that is exceeded with probability level / 2 at most
        middle = (low + high) // 2
        if special.bdtrc(middle, m, top) <= level / 2.0:
            high = middle
        else:
            low = middle + 1
    return high / m


def volume_threshold(history: Floats, level: float) -> float:
    """Return how far log2(rows / median) may be from 0 by chance, judged by earlier windows.

    history: log2 of the rows of earlier windows, at least 2. The next one's distance from their middle
    over their spread has Student's law when they vary like a normal; a day's or week's season counts as
    spread.

    Examples
    --------
    >>> round(volume_threshold(np.log2([900.0, 1000.0, 1100.0, 1000.0, 950.0, 1050.0]), 0.01), 2)
    0.45

    """
    from scipy import special  # noqa: PLC0415 - see above

    count = len(history)
    spread = float(history.std(ddof=1)) * np.sqrt(1.0 + 1.0 / count)
    return float(-special.stdtrit(count - 1, level / 2.0)) * float(spread)
