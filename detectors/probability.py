"""The laws that windows are judged by: the normal one, Student's, and the spread of estimated variances.

The only file of the windows' null model that names SciPy, imported where it is used: a slow import, which
the daemon's start must not pay.
"""

import numpy as np
from numpy.typing import ArrayLike

from detectors.table import Floats

SURE = 2000.0
"""Degrees of freedom beyond which Student's law is the normal one for every level in use."""
NEWTON_STEPS = 20


def normal_cdf(x: ArrayLike) -> Floats:
    """Return P(X <= x) of a standard normal X."""
    from scipy import special  # noqa: PLC0415 - see the module's text

    return np.asarray(special.ndtr(x))


def normal_quantile(p: ArrayLike) -> Floats:
    """Return the x with P(X <= x) = p of a standard normal X; 0 and 1 give the infinities."""
    from scipy import special  # noqa: PLC0415 - see the module's text

    return np.asarray(special.ndtri(p))


def student_quantile(dof: ArrayLike, level: ArrayLike) -> Floats:
    """Return what Student's law exceeds with probability `level`, in (0, 1/2)."""
    from scipy import special  # noqa: PLC0415 - see the module's text

    return np.asarray(-special.stdtrit(dof, level))


def student_tail(dof: ArrayLike, value: ArrayLike) -> Floats:
    """Return the probability that Student's law exceeds `value`."""
    from scipy import special  # noqa: PLC0415 - see the module's text

    return np.asarray(special.stdtr(dof, -np.asarray(value)))


def chi2_tail(dof: ArrayLike, value: ArrayLike) -> Floats:
    """Return the probability that the chi-square law exceeds `value`."""
    from scipy import special  # noqa: PLC0415 - see the module's text

    return np.asarray(special.chdtrc(dof, value))


def chi2_quantile(dof: ArrayLike, level: float) -> Floats:
    """Return what the chi-square law falls below with probability `level`."""
    from scipy import special  # noqa: PLC0415 - see the module's text

    return np.asarray(special.chdtri(dof, 1.0 - level))


def chi2_limit(dof: ArrayLike, level: float) -> Floats:
    """Return what the chi-square law exceeds with probability `level`, however small.

    Examples
    --------
    >>> round(float(chi2_limit(3.0, 1e-200)), 1)
    927.4

    """
    from scipy import special  # noqa: PLC0415 - see the module's text

    return np.asarray(special.chdtri(dof, level))


def log_variance(dof: ArrayLike) -> tuple[Floats, Floats]:
    """Return mean and variance of the logarithm of a variance estimated with `dof` degrees of freedom.

    Examples
    --------
    >>> [round(float(v), 3) for v in log_variance(10.0)]
    [-0.103, 0.221]

    """
    from scipy import special  # noqa: PLC0415 - see the module's text

    half = np.asarray(dof, np.float64) / 2.0
    return np.asarray(special.digamma(half) - np.log(half)), np.asarray(special.polygamma(1, half))


def dof_of_spread(variance: float) -> float:
    """Return the degrees of freedom whose logarithm of a variance varies that much, at most SURE.

    Examples
    --------
    >>> round(dof_of_spread(0.2213), 1)
    10.0

    """
    from scipy import special  # noqa: PLC0415 - see the module's text

    if variance <= 2.0 / SURE:
        return SURE
    half = 0.5 + 1.0 / variance
    for _ in range(NEWTON_STEPS):  # Newton's on 1 / trigamma, which is convex and nearly a line
        found = float(special.polygamma(1, half))
        half += found * (1.0 - found / variance) / float(special.polygamma(2, half))
    return min(2.0 * half, SURE)
