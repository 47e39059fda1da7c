"""How high the mean behind a reference may be: an upper confidence bound from three sums."""

import math

import numpy as np
from msgspec import Struct

from detectors.measure import Floats


class Moments(Struct, frozen=True):
    """Sums of n values in [0, 1]: they merge by addition. squares: the sum of the squares."""

    n: int
    total: float
    squares: float

    @property
    def mean(self) -> float:
        """The mean of the values; n is at least 1."""
        return self.total / self.n

    @property
    def variance(self) -> float:
        """The unbiased variance of the values; n is at least 2."""
        return max(self.squares - self.total * self.mean, 0.0) / (self.n - 1)

    @property
    def binary(self) -> bool:
        """Whether all values are 0 or 1: only then is no value above its square."""
        return self.total == self.squares

    def mirrored(self) -> "Moments":
        """Return the sums of 1 - value."""
        return Moments(self.n, self.n - self.total, self.n - 2 * self.total + self.squares)


def moments_of(values: Floats, block: int = 1) -> Moments:
    """Return the sums of the finite values, or of the means of as many whole blocks of them as there are.

    Examples
    --------
    >>> moments_of(np.array([0.0, 1.0, 1.0, np.nan, 1.0, 0.0]), block=2)
    Moments(n=2, total=1.5, squares=1.25)

    """
    finite = values[np.isfinite(values)]
    whole = finite[: len(finite) // block * block].reshape(-1, block)
    means = whole.mean(axis=1) if len(whole) else np.empty(0)
    return Moments(len(means), float(means.sum()), float(np.square(means).sum()))


def upper_mean(moments: Moments, risk: float) -> float:
    """Return a value that the true mean exceeds with probability `risk` at most, for independent values.

    Of values that are all 0 or 1 it is the exact bound of a share (Clopper and Pearson): for 50,000 of them
    it is 1.64 standard errors above the mean. Of others it is the empirical Bernstein bound, 2.7 of them. It
    may be above 1 where the values are few. Needs 2 of them.

    Examples
    --------
    >>> errors = moments_of(np.repeat([0.0, 1.0], [45_000, 5_000]))
    >>> round(upper_mean(errors, 0.05), 4)
    0.1022
    >>> round(upper_mean(Moments(50_000, 5_000.0, 4_999.0), 0.05), 4)
    0.1038

    References
    ----------
    Clopper, C. J., Pearson, E. S. (1934). The use of confidence or fiducial limits. Biometrika 26(4).
    Maurer, A., Pontil, M. (2009). Empirical Bernstein bounds and sample variance penalization. COLT.

    """
    if moments.binary:
        return float(upper_shares(np.array(moments.total), np.array(moments.n), risk))
    rarity = math.log(2.0 / risk)
    reach = math.sqrt(2.0 * moments.variance * rarity / moments.n)
    return moments.mean + reach + 7.0 * rarity / (3.0 * (moments.n - 1))


def upper_shares(found: Floats, rows: Floats, risk: float) -> Floats:
    """Return the share that each true one exceeds with probability `risk` at most (Clopper and Pearson).

    found: how many of the rows have a property, not more than these; parts of rows may be counted.

    Examples
    --------
    >>> upper_shares(np.array([0.0, 100.0, 1000.0]), np.array(1000.0), 0.05).round(4).tolist()
    [0.003, 0.117, 1.0]

    """
    from scipy import special  # noqa: PLC0415 - a slow import, see detectors/pvalues.py

    rest = rows - found
    most = special.betaincinv(found + 1.0, np.where(rest > 0, rest, 1.0), 1.0 - risk)
    return np.asarray(np.where(rest > 0, most, 1.0))
