"""Whether windows of the reference depend on each other.

E-detectors over windows keep their promise only if they do not.
"""

from dataclasses import dataclass

import numpy as np

from detectors.adjustment import TINY
from detectors.distances import Floats
from detectors.probability import chi2_tail
from detectors.seasons import DAY, Clock

LARGEST_PART = 5
FEWEST_LAGS = 10
LEVEL = 0.05


@dataclass(frozen=True, slots=True)
class Dependence:
    """The outcome of the test.

    pvalue: of no dependence in any column. column, lag, correlation: the strongest one, for people.
    """

    pvalue: float
    column: int
    lag: int
    correlation: float

    @property
    def found(self) -> bool:
        """Whether the windows are taken to depend on each other."""
        return self.pvalue < LEVEL


def dependence(deviations: Floats, clock: Clock) -> Dependence:
    """Test whether series [R, J] are free of autocorrelation, all columns together.

    deviations: of each window from the mean of all, in standard deviations for its rows: no season is taken
    off, since a season is a dependence too. Ljung and Box's statistic over the lags of a day, or of ten
    windows if that is more; the smallest p-value of the J columns counts, times J.

    Examples
    --------
    >>> noise = np.random.default_rng(3).normal(size=(300, 2))
    >>> clock = Clock(np.arange(300) * DAY // 24, DAY // 24)
    >>> dependence(noise, clock).found
    False
    >>> wandering = dependence(noise + 0.5 * np.cumsum(noise, axis=0) * [0, 1], clock)
    >>> wandering.found, wandering.column, wandering.lag
    (True, 1, 1)

    References
    ----------
    Ljung, G. M., Box, G. E. P. (1978). On a measure of lack of fit in time series models. Biometrika 65(2).

    """
    rows, columns = deviations.shape
    lags = min(max(DAY // clock.length, FEWEST_LAGS), rows // LARGEST_PART)
    if lags < 1:
        raise ValueError(f"{rows} windows are too few to test whether they depend on each other")
    z = deviations - deviations.mean(axis=0)
    power = np.abs(np.fft.rfft(z, 2 * rows, axis=0)) ** 2
    covariance = np.fft.irfft(power, axis=0)[: lags + 1]
    r = covariance[1:] / np.maximum(covariance[0], TINY)
    statistic = rows * (rows + 2.0) * (r**2 / (rows - np.arange(1, lags + 1))[:, None]).sum(axis=0)
    pvalues = chi2_tail(float(lags), statistic)
    worst = int(statistic.argmax())
    lag = int(np.abs(r[:, worst]).argmax())
    return Dependence(min(float(pvalues.min()) * columns, 1.0), worst, lag + 1, float(r[lag, worst]))
