"""Several windows taken together, and how their evidence is spread when nothing has changed.

Deviations of neighbouring windows are added by their precision, which is what merging their profiles would
give. Were the windows independent, the sum would again have the variance 1; what it has instead is learnt
from the reference, at each scale by itself: no model of the dependence is assumed. What is learnt from few
independent blocks is uncertain, and Student's law is wide for it.
"""

import numpy as np
from msgspec import Struct
from msgspec.structs import replace
from numpy.typing import NDArray

from detectors.adjustment import TINY, TOGETHER, Usual
from detectors.block_bootstrap import bootstrap_dof
from detectors.evidence import Merged, Tail
from detectors.probability import SURE, dof_of_spread, log_variance
from detectors.seasons import DAY, Clock, Ints, Season
from detectors.table import Floats

LAGS = 3
"""Autocorrelation is looked at up to a third of the series."""
FEWEST_FEATURES = 4
FEWEST_DOF = 1.5
CONSTANT = 0.05
"""A reading that varies less than this part of what its rows should make does not vary."""
UNLIKE = 0.05
"""Columns that are all alike hold at least this share of independent evidence about their differences."""
CHANCE_OF_SKEW, CHANCE_OF_EXCESS = 6.0, 24.0
"""n times the variance of the skewness, and of the kurtosis, of n normal values."""
WINDOWS_NEEDED = 30
DAYS_NEEDED = 7
ONE_PAIR = 1.5
"""Of lags with no more pairs than one, nothing is known."""
SHORT = 1.4
"""How much `independent_blocks` falls short."""


def merge_blocks(z: Floats, precision: Floats, sizes: Ints, clock: Clock, scale: int) -> Merged:
    """Merge each window with those that start up to `scale` - 1 windows before it.

    Examples
    --------
    >>> clock = Clock(np.array([0, 1, 2, 5]), 1)
    >>> ones = np.ones((4, 1))
    >>> merge_blocks(ones, ones, np.full((4, 1), 10), clock, 2).rows.ravel().tolist()
    [10.0, 20.0, 20.0, 10.0]

    """
    if scale == 1:
        return Merged(z, precision, sizes.astype(np.float64), (precision > 0).astype(np.float64))
    first = np.searchsorted(clock.starts, clock.starts - (scale - 1) * clock.length)
    roots = np.sqrt(precision)
    total = _rolled(precision, first)
    return Merged(
        _rolled(roots * z, first) / np.sqrt(np.maximum(total, TINY)),
        total,
        _rolled(sizes.astype(np.float64), first),
        _rolled((precision > 0).astype(np.float64), first),
    )


def merge_last(z: Floats, precision: Floats, sizes: Ints, clock: Clock, scale: int) -> Merged:
    """Return the last block that `merge_blocks` would give, without the others."""
    late = clock.starts >= clock.starts[-1] - (scale - 1) * clock.length
    total = precision[late].sum(axis=0)
    added = (np.sqrt(precision[late]) * z[late]).sum(axis=0) / np.sqrt(np.maximum(total, TINY))
    rows = sizes[late].sum(axis=0).astype(np.float64)
    windows = (precision[late] > 0).sum(axis=0).astype(np.float64)
    return Merged(added[None], total[None], rows[None], windows[None])


def _rolled(values: Floats, first: Ints) -> Floats:
    total = np.concatenate([np.zeros((1, values.shape[1])), np.cumsum(values, axis=0)])
    return np.asarray(total[1:] - total[first])


def learn_tail(
    merged: Merged, usual: Usual, clock: Clock, kinds: Ints, scale: int, dof_needed: float
) -> Tail:
    """Return the tail at one scale from the reference's own blocks.

    Columns of one kind lend each other what they know of the spread as far as they agree (empirical Bayes);
    none gets a smaller spread than its own.

    References
    ----------
    Smyth, G. K. (2004). Linear models and empirical Bayes methods for assessing differential expression.
    Statistical Applications in Genetics and Molecular Biology 3(1).

    """
    whole = clock.starts - clock.starts[0] >= (scale - 1) * clock.length
    z, known = merged.z[whole], merged.windows[whole] > 0
    own = _moments(z, known, _ahead(usual, clock, scale), usual.periods)
    told = bootstrap_dof(z, known, kinds, Clock(clock.starts[whole], clock.length), scale)
    own = replace(own, dof=np.maximum(np.minimum(own.dof, told), FEWEST_DOF))
    usual_noise = usual.between / usual.noise * np.maximum(np.median(merged.rows / scale, axis=0), 1.0)
    lent = own
    for kind in np.unique(kinds):
        lent = _lend(lent, own, np.flatnonzero(kinds == kind), z, usual_noise + usual.design)
    excess = np.maximum(lent.excess, 0.0)
    top = np.abs(z).max(axis=0) * np.sqrt(_ahead(usual, clock, scale))
    sure = (lent.dof >= dof_needed) | (scale == 1)
    used = np.asarray(sure & enough(merged.windows > 0, clock), np.float64)
    variance = merged.windows.sum(axis=0) / np.maximum(merged.precision.sum(axis=0), TINY)
    return Tail(
        scale,
        np.maximum(lent.square, 1.0),
        lent.dof,
        excess / (4.0 * excess + 6.0),
        lent.skew,
        top,
        variance,
        used,
    )


class Spread(Struct, frozen=True, eq=False):
    """Of each column [J]: mean square, the degrees of freedom of that, excess kurtosis, skewness."""

    square: Floats
    dof: Floats
    excess: Floats
    skew: Floats


def _moments(z: Floats, known: NDArray[np.bool_], ahead: Floats, periods: Floats) -> Spread:
    """Return what the series [R, J] shows of itself where it is known; z is 0 elsewhere.

    The kurtosis of few values is too small: of n normal ones it is 3n / (n + 2).
    """
    n = np.maximum(known.sum(axis=0), 1)
    square = np.maximum((z * z).sum(axis=0) / n, TINY)
    dof = np.maximum(independent_blocks(z, known) * (1.0 - 1.0 / periods), FEWEST_DOF)
    few = SHORT * dof
    kurtosis = (z**4).sum(axis=0) / n / square**2 * (few + 2.0) / few
    skew = (z**3).sum(axis=0) / n / square**1.5
    return Spread(np.maximum(square * ahead, TINY), dof, kurtosis - 3.0, skew)


def _ahead(usual: Usual, clock: Clock, scale: int) -> Floats:
    """Return how much more a block to come varies about the mean than one the mean was made of.

    A block of q of D days is part of the mean, so its square is short by (1 - q/D), and that of a new one
    longer by (1 + q/D). For one day the deviations have it right already (adjustment.py).
    """
    room = np.array([clock.per_period(season) for season in Season])[usual.season]
    q = np.maximum(scale / room, 1.0)
    d = np.maximum(usual.periods, q + 1.0)
    return np.asarray((d + q) / (d - q) * (d - 1.0) / (d + 1.0))


def independent_blocks(z: Floats, known: NDArray[np.bool_]) -> Floats:
    """Return how many independent values would tell the variance as well as the series [R, J] does, [J].

    known: where the series has values; elsewhere z is 0.

    Squares of Gaussian values with correlation r have the correlation r * r, so it is
    R / (1 + 2 sum r_k * r_k). The noise of the r_k makes it too small by a third or so; never too large.

    Examples
    --------
    >>> z = np.repeat(np.random.default_rng(0).normal(size=(40, 1)), 10, axis=0)
    >>> bool(20 < independent_blocks(z, np.ones(z.shape, bool))[0] < 45)
    True

    """
    some = [slice(i, i + TOGETHER) for i in range(0, z.shape[1], TOGETHER)]
    return np.concatenate([_independent(z[:, part], known[:, part]) for part in some])


def _independent(z: Floats, known: NDArray[np.bool_]) -> Floats:
    lags = len(z) // LAGS + 1
    present = np.asarray(known[:, :1] if known.all() else known, np.float64)
    pairs = _lagged(present, lags)
    covariance = _lagged(z, lags) / np.maximum(pairs, 1.0)
    r = np.clip(covariance / np.maximum(covariance[0], TINY), -1.0, 1.0) * (pairs > ONE_PAIR)
    return np.asarray(pairs[0] / (1.0 + 2.0 * (r[1:] ** 2).sum(axis=0)))


def _lagged(values: Floats, lags: int) -> Floats:
    """Return the sums of the products of each series with itself, lagged by 0, 1, ... windows: [lags, J]."""
    power = np.abs(np.fft.rfft(values, 2 * len(values), axis=0)) ** 2
    return np.asarray(np.fft.irfft(power, axis=0)[:lags])


def enough(known: NDArray[np.bool_], clock: Clock) -> NDArray[np.bool_]:
    """Return which series [R, J] are known in windows and on days enough to learn from, bool [J]."""
    day = clock.starts // max(DAY, clock.length)
    firsts = np.flatnonzero(np.diff(day, prepend=day[0] - 1))
    days = np.add.reduceat(known, firsts, axis=0) > 0
    return np.asarray((known.sum(axis=0) >= WINDOWS_NEEDED) & (days.sum(axis=0) >= DAYS_NEEDED))


def _lend(found: Spread, own: Spread, columns: Ints, z: Floats, unit: Floats) -> Spread:
    """Return `found` with the columns of one kind moderated; unit: their variance per row's noise, [J].

    Variances are compared in units of what the rows alone would make, the scale on which features of a kind
    are alike. The variance between columns is taken one standard error high; columns that depend on each
    other count for fewer. Tails are at least as heavy as the kind's are on average, and as much of the
    skewness is kept as is no chance.
    """
    columns = columns[own.square[columns] * unit[columns] > CONSTANT]
    if len(columns) < FEWEST_FEATURES:
        return found
    dof, excess, skew = own.dof[columns], own.excess[columns], own.skew[columns]
    square, more = _moderated(own.square[columns], dof, unit[columns], _alike(z[:, columns], dof.mean()))
    kept = 1.0 - (CHANCE_OF_SKEW / SHORT / dof).mean() / max(float((skew**2).mean()), TINY)
    result = Spread(found.square.copy(), found.dof.copy(), found.excess.copy(), found.skew.copy())
    result.square[columns] = square
    result.dof[columns] = dof + more
    result.excess[columns] = np.maximum(excess - np.sqrt(CHANCE_OF_EXCESS / (SHORT * dof)), excess.mean())
    result.skew[columns] = skew * max(kept, 0.0)
    return result


def _moderated(square: Floats, dof: Floats, unit: Floats, alike: float) -> tuple[Floats, float]:
    """Return the moderated variances and how many degrees of freedom the other columns add."""
    count = len(square)
    mean, chance = log_variance(dof)
    logs = np.log(square * unit) - mean
    apart = logs.var(ddof=1) / max(1.0 - alike, UNLIKE) * (1.0 + np.sqrt(2.0 / (count - 1)))
    prior = dof_of_spread(float(apart - chance.mean()))
    middle = np.exp(logs.mean() + (float(log_variance(prior)[0]) if prior < SURE else 0.0)) / unit
    others = count / (1.0 + (count - 1.0) * alike) - 1.0
    moderated = (prior * middle + dof * square) / (prior + dof)
    return np.maximum(square, moderated), min(prior, float(dof.mean()) * others)


def _alike(z: Floats, dof: float) -> float:
    """Return the mean squared correlation of two columns, beyond what chance makes."""
    rows, count = z.shape
    z = z / np.sqrt(np.maximum((z * z).mean(axis=0), TINY))
    narrow = z.T @ z if count <= rows else z @ z.T  # both have the same sum of squares
    squares = float(np.square(narrow / rows).sum())
    return float(max((squares - count) / (count * (count - 1.0)) - 1.0 / dof, 0.0))
