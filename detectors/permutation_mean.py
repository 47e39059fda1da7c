"""The permutation law of a mean, far out in its tail: values dealt at random to two samples."""

from collections.abc import Callable

import numpy as np

from detectors.probability import normal_cdf
from detectors.table import Floats

HALVINGS = 50
STEEPEST = 20.0
"""The saddlepoint is looked for from -STEEPEST to STEEPEST, per standard deviation of the values."""
NEAR_THE_MEAN = 1e-3
TINY = 1e-300


class DealtMean:
    """The mean of k of the values, drawn without replacement: how far above the mean of all of them it is.

    The tail is the double saddlepoint approximation: right to a few per cent at probabilities that no number
    of permutations reaches, also for skewed values and few rows. values: float64 [N], not all equal;
    0 < k < N.

    Examples
    --------
    Ten of twenty ranks, against all 184,756 ways to draw them (the exact tail is 0.0116):

    >>> law = DealtMean(np.arange(20.0), 10)
    >>> round(law.tail(3.0), 3)
    0.010

    References
    ----------
    Robinson, J. (1982). Saddlepoint approximations for permutation tests and confidence intervals.
    Journal of the Royal Statistical Society B 44(1).
    Skovgaard, I. M. (1987). Saddlepoint expansions for conditional distributions. Journal of Applied
    Probability 24(4).

    """

    def __init__(self, values: Floats, k: int) -> None:
        self._unit = float(values.std())
        self._values = (values - values.mean()) / self._unit
        self._k = k
        self._odds = float(np.log(k / (len(values) - k)))

    def tail(self, above: float) -> float:
        """Return the probability that the drawn mean is more than `above` over the mean of all."""
        aim = above / self._unit
        return self._tail_at(_halve(lambda s: self._mean_at(s) >= aim, STEEPEST))

    def quantile(self, level: float) -> float:
        """Return what the drawn mean is above the mean of all by with probability `level`, or the most."""
        if self._tail_at(STEEPEST) > level:
            return float(np.sort(self._values)[-self._k :].mean()) * self._unit
        return self._mean_at(_halve(lambda s: self._tail_at(s) <= level, STEEPEST)) * self._unit

    def _tilted(self, s: float) -> tuple[float, Floats]:
        """Return the shift by which k values are drawn when tilted by s, and each one's probability."""
        reach = abs(s) * float(np.abs(self._values).max()) + 1.0
        start = self._odds + s * self._values

        def full(u: float) -> bool:
            return bool(_logistic(start + u).sum() >= self._k)

        shift = _halve(full, reach)
        return shift, _logistic(start + shift)

    def _mean_at(self, s: float) -> float:
        return float(self._tilted(s)[1] @ self._values) / self._k

    def _tail_at(self, s: float) -> float:
        if abs(s) < NEAR_THE_MEAN:
            left, right = (self._tail_at(end) for end in (-NEAR_THE_MEAN, NEAR_THE_MEAN))
            return left + (right - left) * (s + NEAR_THE_MEAN) / (2.0 * NEAR_THE_MEAN)
        shift, chosen = self._tilted(s)
        share = self._k / len(self._values)
        generating = float(np.logaddexp(np.log1p(-share), np.log(share) + s * self._values + shift).sum())
        reached = float(chosen @ self._values)
        root = np.sign(s) * np.sqrt(max(2.0 * (shift * self._k + s * reached - generating), TINY))
        weights = chosen * (1.0 - chosen)
        total = max(float(weights.sum()), TINY)
        middle = float(weights @ self._values) / total
        spread = float(weights @ np.square(self._values - middle))
        bend = total * spread / (len(self._values) * share * (1.0 - share))
        scaled = s * np.sqrt(max(bend, TINY))
        return float(normal_cdf(-(root + np.log(scaled / root) / root)))


def _logistic(x: Floats) -> Floats:
    return np.asarray(0.5 + 0.5 * np.tanh(0.5 * x))


def _halve(reached: Callable[[float], bool], reach: float) -> float:
    """Return the least number between -reach and reach from which on `reached` is true, by halving."""
    low, high = -reach, reach
    for _ in range(HALVINGS):
        middle = (low + high) / 2.0
        low, high = (low, middle) if reached(middle) else (middle, high)
    return high
