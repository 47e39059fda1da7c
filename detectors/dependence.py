"""Whether windows of the reference depend on each other.

E-detectors over windows keep their promise only if they do not.
"""

from dataclasses import astuple, dataclass, replace

import numpy as np

from detectors.adjustment import TINY
from detectors.distances import Floats
from detectors.probability import chi2_tail
from detectors.readings import Kind, Readers, Reading
from detectors.seasons import DAY, Clock

LARGEST_PART = 5
FEWEST_LAGS = 10
LEVEL = 0.05
WINDOWS_NEEDED = 100
"""Fewer windows would often not show that they depend on each other."""


@dataclass(frozen=True, slots=True)
class Dependence:
    """The outcome of the test.

    pvalue: of no dependence in any column. column, lag, correlation: the strongest one, for people. windows:
    how many were looked at.
    """

    pvalue: float
    column: int
    lag: int
    correlation: float
    windows: int

    @property
    def found(self) -> bool:
        """Whether the windows are taken to depend on each other."""
        return self.pvalue < LEVEL

    @property
    def excluded(self) -> bool:
        """Whether the windows may be taken not to depend on each other."""
        return not self.found and self.windows >= WINDOWS_NEEDED

    def account(self, readers: Readers) -> str:
        """Say the outcome in one sentence, for people."""
        name, part = readers.features[readers.feature[self.column]].name, readers.parts[self.column]
        most = f"correlation {self.correlation:+.2f} at a lag of {self.lag} in the {part} of {name}"
        if self.found:
            return f"the reference's windows depend on each other: {most}, p-value {self.pvalue:.2g}"
        if not self.excluded:
            return f"{self.windows} windows are too few to show whether they depend on each other"
        return f"the reference's windows show no dependence: at most {most}, p-value {self.pvalue:.2g}"

    def array(self) -> Floats:
        """Return it as numbers, to be stored."""
        return np.array(astuple(self), np.float64)

    @classmethod
    def of(cls, array: Floats) -> "Dependence":
        """Read what `array` gave."""
        pvalue, column, lag, correlation, windows = array.tolist()
        return cls(pvalue, int(column), int(lag), correlation, int(windows))


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
    return Dependence(min(float(pvalues.min()) * columns, 1.0), worst, lag + 1, float(r[lag, worst]), rows)


def dependence_of(readers: Readers, reading: Reading, clock: Clock) -> Dependence:
    """Test the readings of a reference's windows [R, J], all but those of missing values.

    Few missing rows are far from normal, and the sum of many such readings' evidence is no test.
    """
    columns = np.array([j for j, kind in enumerate(readers.kinds) if kind is not Kind.MISSING])
    values, sizes = reading.values[:, columns], reading.sizes[:, columns]
    mean = (values * sizes).sum(axis=0) / np.maximum(sizes.sum(axis=0), 1)
    step = np.sqrt(sizes / np.maximum(readers.noise[0][columns], TINY))
    found = dependence((values - mean) * step, clock)
    return replace(found, column=int(columns[found.column]))
