"""Whether windows of the reference depend on each other.

E-detectors over windows keep their promise only if they do not.
"""

import numpy as np
from msgspec import Struct
from msgspec.structs import astuple, replace

from detectors.adjustment import TINY, TOGETHER
from detectors.probability import chi2_tail
from detectors.readings import Kind, Readers, Reading
from detectors.seasons import DAY, Clock
from detectors.table import Floats

LARGEST_PART = 5
FEWEST_LAGS = 10
LEVEL = 0.05
CRITICAL = 18.30703805327515
"""What the chi-square law with FEWEST_LAGS degrees of freedom exceeds with probability LEVEL."""
SURE, LONG = 1e-9, 2100
"""P-values below, or of series longer than that, are the chi-square law's."""
DRAWS, FAR = 5120, 0.01
"""How often a series without dependence is drawn, and the part of them whose excess tells of the tail."""
WINDOWS_NEEDED = 100
"""Fewer windows would often not show that they depend on each other."""


class Dependence(Struct, frozen=True):
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
        return f"the reference's windows show no dependence: largest {most}, p-value {self.pvalue:.2g}"

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
    windows if that is more; the smallest p-value of the J columns counts, times J. The chi-square law, which
    long series lead to, gives p-values ten times too small as far out as many columns reach: where that
    matters, seeded draws of normal series as long judge instead, with an exponential tail.

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
    r = _correlations(deviations, lags)
    statistic = _statistic(r, rows)
    worst = int(statistic.argmax())
    lag = int(np.abs(r[:, worst]).argmax())
    pvalue = float(chi2_tail(float(lags), statistic[worst])) * columns
    if SURE < pvalue < 1.0 and rows <= LONG:
        pvalue = _drawn(float(statistic[worst]), rows, lags) * columns
    return Dependence(min(pvalue, 1.0), worst, lag + 1, float(r[lag, worst]), rows)


def depends(series: Floats) -> bool:
    """Tell whether `dependence` finds some in one series [R], looked at over FEWEST_LAGS lags.

    Of a long one without SciPy: its import takes a tenth of what a start may take, and a start asks this.

    Examples
    --------
    >>> noise = np.random.default_rng(3).normal(size=3000)
    >>> depends(noise), depends(noise[1:] + noise[:-1])
    (False, True)

    """
    if len(series) <= LONG:
        return dependence(series[:, None], Clock(np.arange(len(series)), DAY)).found
    z = series - series.mean()
    r = np.array([z[:-lag] @ z[lag:] for lag in range(1, FEWEST_LAGS + 1)]) / max(float(z @ z), TINY)
    return bool(_statistic(r[:, None], len(z))[0] > CRITICAL)


def _correlations(series: Floats, lags: int) -> Floats:
    """Return the autocorrelations of series [R, J] at the lags from 1, [lags, J]."""
    z = series - series.mean(axis=0)
    power = np.abs(np.fft.rfft(z, 2 * len(z), axis=0)) ** 2
    covariance = np.fft.irfft(power, axis=0)[: lags + 1]
    return np.asarray(covariance[1:] / np.maximum(covariance[0], TINY))


def _statistic(r: Floats, rows: int) -> Floats:
    pairs = rows - np.arange(1, len(r) + 1)
    return np.asarray(rows * (rows + 2.0) * (r**2 / pairs[:, None]).sum(axis=0))


def _drawn(statistic: float, rows: int, lags: int) -> float:
    """Return how often a series without dependence has as large a statistic."""
    rng = np.random.default_rng([rows, lags])
    pieces = [_correlations(rng.normal(size=(rows, TOGETHER)), lags) for _ in range(DRAWS // TOGETHER)]
    drawn = np.concatenate([_statistic(r, rows) for r in pieces])
    edge = float(np.quantile(drawn, 1.0 - FAR))
    if statistic <= edge:
        return float((drawn >= statistic).mean())
    return FAR * float(np.exp((edge - statistic) / (drawn[drawn > edge] - edge).mean()))


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
