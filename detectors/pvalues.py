"""P-values from the large-sample laws of the statistics. Thresholds do not come from here.

They hold for many independent rows; at a window's real size and at the small levels of a false-alarm
budget the calibration by resampling is right and these are not. SciPy is imported where it is used: its
import costs more than the daemon's start may.
"""

import numpy as np

from detectors.distances import Counts, chi2, cramer_von_mises, ks, noise, raw_psi

SERIES_TERMS = 20


def warm_up() -> None:
    """Import SciPy now, in a thread that has nothing else to do, rather than when a window waits for it."""
    from scipy import special  # noqa: PLC0415 - see the module's text

    special.kolmogorov(1.0)


def psi_pvalue(p: Counts, q: Counts) -> float:
    """Return P(chi2(K - 1) > PSI / (1/N + 1/M)), K the cells in use; 1 when there is only one.

    Examples
    --------
    >>> round(psi_pvalue(np.array([100, 100, 100, 100]), np.array([30, 20, 30, 20])), 2)
    0.37

    References
    ----------
    Yurdakul, B., Naranjo, J. (2020). Statistical properties of the population stability index.

    """
    statistic = float(raw_psi(p, q)) / noise(float(p.sum()), float(q.sum()))
    return _chi2_tail(statistic, p, q)


def chi2_pvalue(p: Counts, q: Counts) -> float:
    """Return the p-value of Pearson's chi-square test of homogeneity; 1 when one cell is in use.

    Examples
    --------
    >>> round(chi2_pvalue(np.array([50, 50]), np.array([70, 30])), 4)
    0.0039

    """
    return _chi2_tail(float(chi2(p, q)), p, q)


def _chi2_tail(statistic: float, p: Counts, q: Counts) -> float:
    from scipy import special  # noqa: PLC0415 - a slow import, see the module's text

    freedom = int(((p + q) > 0).sum()) - 1
    return float(special.chdtrc(freedom, statistic)) if freedom else 1.0


def ks_pvalue(p: Counts, q: Counts) -> float:
    """Return P(sup |Brownian bridge| > D sqrt(NM/(N+M))), Kolmogorov's law.

    D on the grid is never larger than D on the rows, so this is never too small.

    Examples
    --------
    >>> round(ks_pvalue(np.array([250] * 4), np.array([20, 25, 25, 30])), 3)
    0.977

    """
    from scipy import special  # noqa: PLC0415 - a slow import, see the module's text

    size = 1.0 / noise(float(p.sum()), float(q.sum()))
    return float(special.kolmogorov(float(ks(p, q)) * np.sqrt(size)))


def cramer_von_mises_pvalue(p: Counts, q: Counts) -> float:
    """Return the p-value of T by its limiting law, T first brought to that law's mean and variance.

    Below about 1e-13 it is 0: the law is known by its distribution function.

    Examples
    --------
    >>> round(cramer_von_mises_pvalue(np.array([25, 25, 25, 25]), np.array([10, 20, 30, 40])), 3)
    0.003

    References
    ----------
    Anderson, T. W. (1962). On the distribution of the two-sample Cramer-von Mises criterion.
    Anderson, T. W., Darling, D. A. (1952). Asymptotic theory of certain goodness of fit criteria.

    """
    n, m = float(p.sum()), float(q.sum())
    total, product = n + m, n * m
    mean = (1 + 1 / total) / 6
    inner = 4 * product * total - 3 * (n * n + m * m) - 2 * product
    if inner <= 0:  # one row each: T has one value only
        return 1.0
    variance = (total + 1) * inner / (45 * total * total * 4 * product)
    statistic = 1 / 6 + (float(cramer_von_mises(p, q)) - mean) / np.sqrt(45 * variance)
    return float(np.clip(1.0 - _cramer_von_mises_law(statistic), 0.0, 1.0))


def _cramer_von_mises_law(statistic: float) -> float:
    """Return P(W <= statistic) for the integral W of a squared Brownian bridge."""
    from scipy import special  # noqa: PLC0415 - a slow import, see the module's text

    if statistic <= 0:
        return 0.0
    terms = np.arange(SERIES_TERMS)
    odd = 4.0 * terms + 1.0
    argument = odd * odd / (16.0 * statistic)
    weights = np.exp(special.gammaln(terms + 0.5) - special.gammaln(terms + 1.0)) / np.pi**1.5
    series = weights * np.sqrt(odd) * np.exp(-2.0 * argument) * special.kve(0.25, argument)
    return float(series.sum() / np.sqrt(statistic))
