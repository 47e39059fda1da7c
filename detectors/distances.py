"""How far apart two samples are, from their counts on the same cells: pure functions, no thresholds.

Each takes a table, the reference's counts and the window's, both [..., K], or |F - G| of it and the ways
between its cells. Every function returns [...]; higher is always further apart, and samples in equal
proportions give 0.
"""

import numpy as np

from detectors.table import Floats, Table, shares

CEILING = 1e100
"""A distance beyond this says nothing more, and would overflow when divided by its threshold."""


def psi(table: Table) -> Floats:
    """Return the population stability index, bias corrected: 0 or more, no upper end.

    Without drift the plain index is about (K - 1)(1/N + 1/M), which is noise and not a change; that much
    is taken off. K counts the cells in use.

    Examples
    --------
    >>> p = np.array([100, 100, 100, 100])
    >>> round(float(psi(Table.of(p, np.array([50, 50, 50, 50])))), 3)
    0.0
    >>> round(float(psi(Table.of(p, np.array([80, 60, 40, 20])))), 3)
    0.201

    References
    ----------
    Yurdakul, B., Naranjo, J. (2020). Statistical properties of the population stability index.
    Journal of Risk Model Validation 14(4).

    """
    bias = (table.cells_used - 1) * table.noise
    return np.asarray(np.maximum(table.index - bias, 0.0))


def js(table: Table) -> Floats:
    """Return the Jensen-Shannon distance, base 2: the root of the divergence, in [0, 1].

    Examples
    --------
    >>> round(float(js(Table.of(np.array([50, 50]), np.array([90, 10])))), 3)
    0.383
    >>> float(js(Table.of(np.array([50, 0]), np.array([0, 10]))))
    1.0

    References
    ----------
    Lin, J. (1991). Divergence measures based on the Shannon entropy. IEEE Trans. Inf. Theory 37(1).

    """
    a, b = table.reference.shares, table.window.shares
    middle = (a + b) / 2
    divergence = (_entropy_terms(a, middle) + _entropy_terms(b, middle)).sum(axis=-1) / 2
    return np.asarray(np.sqrt(np.clip(divergence, 0.0, 1.0)))


def _entropy_terms(a: Floats, b: Floats) -> Floats:
    """Return a log2(a / b), and 0 where a is 0."""
    used = a > 0
    return np.asarray(a * np.log2(np.where(used, a, 1.0) / np.where(used, b, 1.0)))


def chi2(table: Table) -> Floats:
    """Return Pearson's chi-square of the 2 x K table; cells that neither sample uses are left out.

    Examples
    --------
    >>> round(float(chi2(Table.of(np.array([50, 50, 0]), np.array([70, 30, 0])))), 3)
    8.333

    Of predicted classes it is `prior_drift`. One in ten is of the second, from the sixth window on one in
    five; 15.1 is exceeded once in 10,000 windows without a change:

    >>> rng = np.random.default_rng(1)
    >>> windows = [rng.multinomial(500, [0.8, 0.2] if at >= 5 else [0.9, 0.1]) for at in range(8)]
    >>> [chi2(Table.of(np.array([9000, 1000]), window)) > 15.1 for window in windows].index(True)
    5

    References
    ----------
    Pearson, K. (1900). On the criterion that a given system of deviations is such that it can be reasonably
    supposed to have arisen from random sampling. Philosophical Magazine 50.

    """
    total = np.asarray(table.both, dtype=np.float64)
    spread = np.square(table.difference) / np.where(total > 0, total, 1.0)
    size = np.asarray(table.reference.rows, dtype=np.float64) * table.window.rows
    return np.asarray(size * spread.sum(axis=-1))


def hellinger(table: Table) -> Floats:
    """Return the Hellinger distance, in [0, 1].

    Examples
    --------
    >>> round(float(hellinger(Table.of(np.array([50, 50]), np.array([90, 10])))), 3)
    0.325

    """
    roots = table.reference.roots - table.window.roots
    return np.asarray(np.sqrt(np.square(roots).sum(axis=-1) / 2))


def total_variation(table: Table) -> Floats:
    """Return half the sum of the differences of shares: the share of rows that moved, in [0, 1].

    Examples
    --------
    >>> round(float(total_variation(Table.of(np.array([50, 50]), np.array([90, 10])))), 3)
    0.4

    """
    return np.asarray(table.moved.sum(axis=-1) / 2)


def l_infinity(table: Table) -> Floats:
    """Return the largest difference of a cell's share, in [0, 1].

    Examples
    --------
    >>> round(float(l_infinity(Table.of(np.array([50, 30, 20]), np.array([50, 10, 40])))), 3)
    0.2

    """
    return np.asarray(table.moved.max(axis=-1))


def ks(table: Table) -> Floats:
    """Return the Kolmogorov-Smirnov distance on the grid: the largest |F - G| at a cell's end, in [0, 1].

    Examples
    --------
    >>> round(float(ks(Table.of(np.array([25, 25, 25, 25]), np.array([10, 20, 30, 40])))), 3)
    0.2

    """
    return np.asarray(np.abs(table.climb).max(axis=-1))


def cramer_von_mises(table: Table) -> Floats:
    """Return the two-sample Cramer-von Mises T on the grid: NM/(N+M) times the mean of (F - G)^2.

    The mean is over the pooled rows, each taken at the end of its cell. Tied rows share one place, which
    keeps T right where a mid-rank formula (SciPy's) grows without bound for heavy ties and N != M.

    Examples
    --------
    >>> round(float(cramer_von_mises(Table.of(np.array([25, 25, 25, 25]), np.array([10, 20, 30, 40])))), 3)
    0.956

    References
    ----------
    Anderson, T. W. (1962). On the distribution of the two-sample Cramer-von Mises criterion.
    Annals of Mathematical Statistics 33(3).

    """
    mean = (shares(table.both) * np.square(table.climb)).sum(axis=-1)
    return np.asarray(mean / table.noise)


def anderson_darling(table: Table) -> Floats:
    """Return the two-sample Anderson-Darling A^2 on the grid: Cramer-von Mises' T with weight on the tails.

    It is NM/(N+M) times the mean of (F - G)^2 / (H (1 - H)) over the pooled rows, with H their distribution
    function, each row taken at the end of its cell; the last cell, where H is 1, has none. Without a change
    it is 1 on average.

    Examples
    --------
    >>> round(float(anderson_darling(Table.of(np.array([25, 25, 25, 25]), np.array([10, 20, 30, 40])))), 3)
    4.649

    From the sixth window on the tails hold a fifth of the rows, not a tenth; 8.2 is exceeded once in 10,000
    windows without a change:

    >>> rng, usual, wide = np.random.default_rng(1), [0.05, 0.45, 0.45, 0.05], [0.1, 0.4, 0.4, 0.1]
    >>> windows = [rng.multinomial(2000, wide if at >= 5 else usual) for at in range(8)]
    >>> [anderson_darling(Table.of(10_000 * np.array(usual), window)) > 8.2 for window in windows].index(True)
    5

    References
    ----------
    Scholz, F. W., Stephens, M. A. (1987). K-sample Anderson-Darling tests.
    Journal of the American Statistical Association 82(399).

    """
    both = np.asarray(table.both, dtype=np.float64)
    below = np.cumsum(both, axis=-1)
    above = below[..., -1:] - below
    spread = below * above / np.square(below[..., -1:])
    weights = np.where((both > 0) & (above > 0), shares(both) / np.where(spread > 0, spread, 1.0), 0.0)
    return np.asarray((weights * np.square(table.climb)).sum(axis=-1) / table.noise)


def wasserstein(apart: Floats, between: Floats) -> Floats:
    """Return the Wasserstein-1 distance in units of the reference's: how far the rows moved, on average.

    apart: |F - G| at the end of each cell but the last, [..., K - 1]. between: the way from each cell to the
    next, [K - 1] or [..., K - 1]: see `gaps`.

    Examples
    --------
    >>> between = gaps(np.array([0.0, 1.0, 2.0]), 0.5)
    >>> round(float(wasserstein(Table.of(np.array([1, 1, 0]), np.array([0, 1, 1])).apart, between)), 3)
    2.0

    References
    ----------
    Vallender, S. S. (1974). Calculation of the Wasserstein distance between probability distributions on
    the line. Theory of Probability and its Applications 18(4).

    """
    return _summed(apart, between)


def energy(apart: Floats, between: Floats) -> Floats:
    """Return the energy distance, in units of the reference's: the root of twice the integral of (F - G)^2.

    Its square is twice the mean distance of a row of each sample, less the mean distances within them. A
    shift by d standard deviations of a normal feature is about 0.75 d. apart, between: as for `wasserstein`.

    Examples
    --------
    >>> places = np.array([0.0, 1.0, 2.0])
    >>> round(float(energy(Table.of(np.array([1, 1, 0]), np.array([0, 1, 1])).apart, gaps(places, 0.5))), 3)
    1.414

    From the sixth window on a tenth of the rows is two places further on:

    >>> rng, usual, moved_on = np.random.default_rng(1), [0.4, 0.4, 0.2], [0.3, 0.4, 0.3]
    >>> windows = [rng.multinomial(500, moved_on if at >= 5 else usual) for at in range(8)]
    >>> tables = [Table.of(1000 * np.array(usual), window) for window in windows]
    >>> [energy(table.apart, gaps(places, 0.75)) > 0.2 for table in tables].index(True)
    5

    References
    ----------
    Székely, G. J., Rizzo, M. L. (2013). Energy statistics: a class of statistics based on distances.
    Journal of Statistical Planning and Inference 143(8).

    """
    ways = np.maximum(between, 0.0)  # of rounding: -1e-17
    return np.asarray(np.sqrt(2.0 * _summed(np.square(apart), ways)))


def _summed(values: Floats, between: Floats) -> Floats:
    """Sum values [..., K - 1] over the way from each cell to the next, which may be each feature's own."""
    return np.asarray(values @ between if between.ndim == 1 else np.vecdot(values, between))


def gaps(places: Floats, unit: float) -> Floats:
    """Return the distance from each place to the next in units of `unit`, at most CEILING.

    places: float64 [K], ascending, where each cell's rows are taken to sit. unit: the reference's standard
    deviation, so that no distance depends on the feature's scale.
    """
    with np.errstate(over="ignore"):
        return np.asarray(np.minimum(np.diff(places) / unit, CEILING))
