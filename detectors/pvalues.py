"""P-values from the large-sample laws of the statistics. Thresholds do not come from here.

Each takes the score and its table, or those of several tables side by side; leading axes are many pairs.

They hold for many independent rows; at a window's real size and at the small levels of a false-alarm
budget the calibration by resampling is right and these are not. SciPy is imported where it is used: its
import costs more than the daemon's start may.
"""

from functools import lru_cache

import numpy as np

from detectors.quadratic_form import QuadraticForm
from detectors.table import Floats, Joined, Table

SERIES_TERMS = 20
BRIDGE_TERMS = 200
"""Of Anderson-Darling's law; what the others weigh together is added as a constant, 1 / 201."""


def warm_up() -> None:
    """Import SciPy now, in a thread that has nothing else to do, rather than when a window waits for it."""
    from scipy import special  # noqa: PLC0415 - see the module's text

    special.kolmogorov(1.0)


def psi_pvalue(_score: Floats, table: Table | Joined) -> Floats:
    """Return P(chi2(K - 1) > PSI / (1/N + 1/M)), K the cells in use; 1 when there is only one.

    Examples
    --------
    >>> from detectors.distances import psi
    >>> table = Table.of(np.array([100, 100, 100, 100]), np.array([30, 20, 30, 20]))
    >>> round(float(psi_pvalue(psi(table), table)), 2)
    0.37

    References
    ----------
    Yurdakul, B., Naranjo, J. (2020). Statistical properties of the population stability index.

    """
    return _chi2_tail(table.index / table.noise, table)


def chi2_pvalue(score: Floats, table: Table | Joined) -> Floats:
    """Return the p-value of Pearson's chi-square test of homogeneity; 1 when one cell is in use.

    Examples
    --------
    >>> from detectors.distances import chi2
    >>> table = Table.of(np.array([50, 50]), np.array([70, 30]))
    >>> round(float(chi2_pvalue(chi2(table), table)), 4)
    0.0039

    """
    return _chi2_tail(score, table)


def _chi2_tail(statistic: Floats, table: Table | Joined) -> Floats:
    from scipy import special  # noqa: PLC0415 - a slow import, see the module's text

    freedom = table.cells_used - 1
    tail = special.chdtrc(np.maximum(freedom, 1), statistic)
    return np.asarray(np.where(freedom > 0, tail, 1.0), dtype=np.float64)


def ks_pvalue(score: Floats, table: Table | Joined) -> Floats:
    """Return P(sup |Brownian bridge| > D sqrt(NM/(N+M))), Kolmogorov's law.

    D on the grid is never larger than D on the rows, so this is never too small.

    Examples
    --------
    >>> from detectors.distances import ks
    >>> table = Table.of(np.array([250] * 4), np.array([20, 25, 25, 30]))
    >>> round(float(ks_pvalue(ks(table), table)), 3)
    0.977

    """
    from scipy import special  # noqa: PLC0415 - a slow import, see the module's text

    return np.asarray(special.kolmogorov(score * np.sqrt(1.0 / table.noise)), dtype=np.float64)


def cramer_von_mises_pvalue(score: Floats, table: Table | Joined) -> Floats:
    """Return the p-value of T by its limiting law, T first brought to that law's mean and variance.

    Below about 1e-13 it is 0: the law is known by its distribution function.

    Examples
    --------
    >>> from detectors.distances import cramer_von_mises
    >>> table = Table.of(np.array([25] * 4), np.array([10, 20, 30, 40]))
    >>> round(float(cramer_von_mises_pvalue(cramer_von_mises(table), table)), 3)
    0.003

    References
    ----------
    Anderson, T. W. (1962). On the distribution of the two-sample Cramer-von Mises criterion.
    Anderson, T. W., Darling, D. A. (1952). Asymptotic theory of certain goodness of fit criteria.

    """
    n, m = table.sizes
    total, product = n + m, n * m
    mean = (1 + 1 / total) / 6
    inner = 4 * product * total - 3 * (n * n + m * m) - 2 * product
    known = inner > 0  # else one row each: T has one value only
    variance = (total + 1) * np.where(known, inner, 1.0) / (45 * total * total * 4 * product)
    statistic = 1 / 6 + (score - mean) / np.sqrt(45 * variance)
    tail = np.clip(1.0 - _cramer_von_mises_law(statistic), 0.0, 1.0)
    return np.asarray(np.where(known, tail, 1.0), dtype=np.float64)


def _cramer_von_mises_law(statistic: Floats) -> Floats:
    """Return P(W <= statistic) for the integral W of a squared Brownian bridge, [...] for [...]."""
    from scipy import special  # noqa: PLC0415 - a slow import, see the module's text

    possible = statistic > 0
    w = np.where(possible, statistic, 1.0)
    weights, squares = _cramer_von_mises_terms()
    argument = squares / (16.0 * w[..., None])
    decay = np.exp(-2.0 * argument)
    some, bessel = decay > 0, np.zeros_like(argument)  # it is slow, and makes nothing of those that decayed
    bessel[some] = special.kve(0.25, argument[some])
    series = weights * decay * bessel
    return np.asarray(np.where(possible, series.sum(axis=-1) / np.sqrt(w), 0.0), dtype=np.float64)


@lru_cache(1)
def _cramer_von_mises_terms() -> tuple[Floats, Floats]:
    """Return what the terms of the law's series are weighed by, and the squares of 1, 5, 9, ..."""
    from scipy import special  # noqa: PLC0415 - a slow import, see the module's text

    terms = np.arange(SERIES_TERMS)
    odd = 4.0 * terms + 1.0
    weights = np.exp(special.gammaln(terms + 0.5) - special.gammaln(terms + 1.0)) / np.pi**1.5
    return weights * np.sqrt(odd), odd * odd


def anderson_darling_pvalue(score: Floats, _table: Table | Joined) -> Floats:
    """Return the p-value of `anderson_darling`: the tail of the sum of z_j^2 / (j (j + 1)), j = 1, 2, ...

    Examples
    --------
    The law's quantiles at 5 and 1 % are 2.492 and 3.857 (Anderson and Darling, 1954):

    >>> from detectors.distances import anderson_darling
    >>> p, q = np.array([300, 300, 300, 300]), np.array([60, 65, 80, 95])
    >>> table = Table.of(p, q)
    >>> round(float(anderson_darling_pvalue(anderson_darling(table), table)), 3)
    0.010

    """
    values, logs = _anderson_darling_law()
    return np.asarray(np.exp(np.interp(score, values, logs)))


@lru_cache(1)
def _anderson_darling_law() -> tuple[Floats, Floats]:
    """Return values of A^2, ascending, and the logarithms of their tails."""
    order = np.arange(1.0, BRIDGE_TERMS + 1.0)
    values, tails = QuadraticForm(1.0 / (order * (order + 1.0))).table()
    return values + 1.0 / (BRIDGE_TERMS + 1.0), np.log(tails)
