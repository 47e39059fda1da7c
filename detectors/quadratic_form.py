"""The law of a squared distance of two means, far out in its tail: a sum of weighted chi-squares."""

from collections.abc import Callable
from functools import cached_property

import numpy as np
from msgspec import Struct

from detectors.probability import normal_cdf
from detectors.table import Floats

HALVINGS = 80
REACH = 60.0
"""The saddlepoint is looked for in (1 - exp(-t)) / 2, with t from -REACH to REACH."""
NEAR_THE_MEAN = 0.01
"""Nearer to t = 0 than this the formula divides 0 by 0, and the tail is interpolated."""
NEGLIGIBLE = 1e-9
TABLE_FROM, TABLE_TO, TABLE_POINTS = 6.0, 6.0, 240


class QuadraticForm(Struct, frozen=True, eq=False, dict=True):
    """Q = the sum of weights * z**2 for independent standard normal z; weights: float64 [K].

    The tail is the saddlepoint approximation, whose relative error stays small however far out: at a
    probability of 1e-6 permutations say nothing, and laws fitted by three moments little.

    Examples
    --------
    Two equal weights make an exponential law:

    >>> law = QuadraticForm(np.array([0.5, 0.5]))
    >>> [round(float(law.tail(value) / np.exp(-value)), 2) for value in (0.5, 2.0, 5.0)]
    [1.0, 1.01, 1.02]
    >>> round(float(law.quantile(1e-6) / -np.log(1e-6)), 2)
    1.0

    References
    ----------
    Kuonen, D. (1999). Saddlepoint approximations for distributions of quadratic forms in normal variables.
    Biometrika 86(4).

    """

    weights: Floats

    @property
    def mean(self) -> float:
        """Its expectation."""
        return float(self.weights.sum())

    @cached_property
    def _largest(self) -> float:
        return max(float(self.weights.max(initial=0.0)), 0.0)

    @cached_property
    def _relative(self) -> Floats:
        """The weights that count, the largest 1."""
        return np.asarray(self.weights[self.weights > NEGLIGIBLE * self._largest] / self._largest)

    def tail(self, value: float) -> float:
        """Return P(Q >= value)."""
        if value <= 0.0 or not self._largest:
            return float(value <= 0.0)
        aim = value / self._largest
        return self._tail_at(_solve(lambda t: self._slope(t) - aim))

    def quantile(self, level: float) -> float:
        """Return the value that Q exceeds with probability `level`, in (0, 1); 0 without any weight."""
        if not self._largest:
            return 0.0
        return self._slope(_solve(lambda t: level - self._tail_at(t))) * self._largest

    def table(self) -> tuple[Floats, Floats]:
        """Return ascending values and their tails, from near 1 to 1e-100 or so."""
        points = [*np.linspace(-TABLE_FROM, TABLE_TO, TABLE_POINTS).tolist()]
        values = np.array([self._slope(t) for t in points]) * self._largest
        return values, np.array([self._tail_at(t) for t in points])

    def _slope(self, t: float) -> float:
        """Return the derivative of the cumulant generating function at the point t."""
        return float((self._relative / (1.0 + self._relative * np.expm1(-t))).sum())

    def _tail_at(self, t: float) -> float:
        """Return the tail at the value whose saddlepoint is at t."""
        if abs(t) < NEAR_THE_MEAN:
            left, right = (self._tail_at(end) for end in (-NEAR_THE_MEAN, NEAR_THE_MEAN))
            return left + (right - left) * (t + NEAR_THE_MEAN) / (2.0 * NEAR_THE_MEAN)
        point = -np.expm1(-t) / 2.0
        rest = 1.0 + self._relative * np.expm1(-t)
        generating = -0.5 * np.log(rest).sum()
        bend = 2.0 * np.square(self._relative / rest).sum()
        root = np.sign(t) * np.sqrt(2.0 * (point * self._slope(t) - generating))
        scaled = point * np.sqrt(bend)
        return float(normal_cdf(-(root + np.log(scaled / root) / root)))


def _solve(rising: Callable[[float], float]) -> float:
    """Return where a rising function of t crosses 0, by halving."""
    low, high = -REACH, REACH
    for _ in range(HALVINGS):
        middle = (low + high) / 2.0
        low, high = (low, middle) if rising(middle) >= 0.0 else (middle, high)
    return high


def spectrum(centred: Floats) -> Floats:
    """Return the eigenvalues of the covariance of centred rows [n, D], the smaller of n and D of them.

    Examples
    --------
    >>> spectrum(np.array([[2.0, 0.0, 0.0], [-2.0, 0.0, 0.0], [0.0, 0.0, 0.0]])).round(9).tolist()
    [0.0, 0.0, 4.0]

    """
    tall = centred.shape[0] >= centred.shape[1]
    products = centred.T @ centred if tall else centred @ centred.T
    return np.maximum(np.linalg.eigvalsh(products) / (len(centred) - 1), 0.0)
