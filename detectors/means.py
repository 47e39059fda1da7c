"""Estimates of means and of what is made of them, with intervals by the normal law."""

import math

from msgspec.structs import replace

from detectors.intervals import normal_quantile
from detectors.measure import Estimate


def mean_estimate(n: int, total: float, squares: float, level: float) -> Estimate:
    """Return a mean and its interval by sample variance, from the sum and the sum of squares of n rows.

    Examples
    --------
    >>> mean_estimate(4, 8.0, 20.0, 0.05)
    Estimate(value=2.0, low=0.868, high=3.132, n=4, method='normal')

    """
    if n < 1:
        return Estimate(None, None, None, 0)
    return around(total / n, standard_error(n, total, squares), n, level, "normal")


def standard_error(n: int, total: float, squares: float) -> float:
    """Return the standard error of a mean from n rows' sum and sum of squares; infinite for one row."""
    if n < 2:  # noqa: PLR2004 - a variance takes two
        return math.inf
    return math.sqrt(max(squares - total * (total / n), 0.0) / (n - 1) / n)


def around(value: float, error: float, n: int, level: float, method: str) -> Estimate:
    """Return value +- z * error, error its standard error; without interval where that is not finite."""
    if not math.isfinite(value):
        return Estimate(None, None, None, n)
    reach = normal_quantile(level) * error
    if not math.isfinite(abs(value) + reach):
        return Estimate(value, None, None, n)
    return Estimate(value, value - reach, value + reach, n, method)


def within(found: Estimate, least: float, most: float) -> Estimate:
    """Return the estimate cut off at what its metric can be at least and at most."""

    def cut(number: float | None) -> float | None:
        return None if number is None else min(max(number, least), most)

    return replace(found, value=cut(found.value), low=cut(found.low), high=cut(found.high))


def moved(found: Estimate, by: float) -> Estimate:
    """Return the estimate of a mean taken about `by`."""

    def move(number: float | None) -> float | None:
        return None if number is None else number + by

    return replace(found, value=move(found.value), low=move(found.low), high=move(found.high))
