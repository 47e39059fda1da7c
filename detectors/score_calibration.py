"""What a classifier's scores mean: how often each comes true, learnt from labelled rows.

Rows are counted in histograms, which merge by addition. K is 1 in binary tasks (class 1) and the number of
classes in others, each against the rest; BINS bins cut the score's range [0, 1], bin b from b / BINS on, the
last with 1.0. A reference is [K, 2 (label is k), 2 (predicted is k), BINS], a window's predictions, whatever
their labels, [K, 2 (predicted is k), BINS]; int64 or float64.
"""

from functools import cached_property

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from detectors.isotonic import isotonic

Floats = NDArray[np.float64]
Counts = NDArray[np.int64] | Floats

BINS = 1000
SPLITS = 5
"""The reference is halved so many times: with one split, noise decided every third time among 1,000 rows."""
GROUPS = 15
"""The calibration error is summed over so many groups of about equally many rows."""
NEAR = 10
"""Bins that are no further apart are neighbours: within 0.01 of the score."""
ROWS_NEEDED = 5
"""The reference knows a score when it has so many rows near it."""
LEAST_COVERAGE = 0.9
SEED = 20_240_108
"""Which rows of the reference are in which half; any number would do."""


class Calibration(Struct, frozen=True, eq=False, dict=True):
    """How often each score comes true, as learnt from a reference.

    probability: float64 [K, BINS], of class k given the bin. rows: float64 [K, BINS], the reference's rows.
    isotonic: bool [K], whether the class has a map of its own; without one the bin's middle is believed.
    """

    probability: Floats
    rows: Floats
    isotonic: NDArray[np.bool_]

    @cached_property
    def known(self) -> NDArray[np.bool_]:
        """Which bins the reference knows: see `known`."""
        return known(self.rows)

    @cached_property
    def blocks(self) -> list[tuple[NDArray[np.intp], Floats]]:
        """Of each class, which bins err together and how much: see `learnt`."""
        return [learnt(self, k) for k in range(len(self.rows))]


def fit(reference_labelled: Counts) -> Calibration:
    """Learn how often each score comes true. ValueError for a wrong shape or a class without any row.

    Per class an isotonic map of the bins, weighted by their rows, is fitted to one half of the reference's
    rows and judged by its calibration error on the other, and the reverse, for SPLITS random halvings. It is
    used (then fitted to all rows) if that is lower on average than the error of the scores themselves.

    Examples
    --------
    >>> rng = np.random.default_rng(1)
    >>> score = rng.random(20_000)
    >>> label = rng.random(20_000) < score**2  # the model is too sure of class 1
    >>> reference = np.zeros((1, 2, 2, 1000))
    >>> np.add.at(reference, (0, label * 1, (score > 0.5) * 1, (score * 1000).astype(int)), 1)
    >>> learnt = fit(reference)
    >>> bool(learnt.isotonic[0]), round(float(learnt.probability[0, 700]), 1)
    (True, 0.5)

    References
    ----------
    Bialek, J., Kuberski, W., Perrakis, N., Bifet, A. (2024). Estimating model performance under covariate
    shift without labels. arXiv 2401.08348.

    """
    reference = checked(reference_labelled, 4)
    by_label = reference.sum(axis=2)
    rows = by_label.sum(axis=1)
    if not (rows.sum(axis=1) > 0.0).all():
        raise ValueError("the reference has no labelled rows with a score")
    maps = [_isotonic(one) for one in by_label]
    better = np.array([_generalises(one) for one in by_label])
    return Calibration(np.where(better[:, None], maps, _middles()), rows, better)


def covered(seen: NDArray[np.bool_], window_open: Floats) -> float | None:
    """Return the share of the window's rows with a score that the reference knows; None without rows.

    seen: bool [K, BINS], which bins the reference knows. Of several classes the least share counts. It looks
    at scores, one class at a time, and never at features.
    """
    window = window_open.sum(axis=1)
    size = window.sum(axis=1)
    if not (size > 0.0).all():
        return None
    return float(((window * seen).sum(axis=1) / size).min())


def coverage_note(share: float | None) -> str:
    """Say that the reference knows too little to believe the estimate; "" when it knows enough.

    Examples
    --------
    >>> coverage_note(0.75)
    'the reference knows 75.0 % of the scores: the band counts the others as all right or all wrong'
    >>> coverage_note(0.97)
    ''

    """
    if share is None or share >= LEAST_COVERAGE:
        return ""
    percent = f"{100.0 * share:.1f} %"
    return (
        f"the reference knows {percent} of the scores: the band counts the others as all right or all wrong"
    )


def learnt(calibration: Calibration, k: int) -> tuple[NDArray[np.intp], Floats]:
    """Return which bins of a class err together, int [BINS], and the variance of each block's probability.

    A block of the isotonic map is what has one probability, a share of its rows; of one without rows, of
    those near it. Scores that are believed have been judged in groups, so those are their blocks. Half a row
    of each label is added: a share of 0 or 1 is no certainty.
    """
    probability, rows = calibration.probability[k], calibration.rows[k]
    changes = np.diff(probability, prepend=probability[:1]) != 0.0
    found = np.cumsum(changes) if calibration.isotonic[k] else _groups(rows)
    block = np.unique(found, return_inverse=True)[1]
    size = np.bincount(block, rows)
    middle = np.bincount(block, probability) / np.bincount(block)
    share = np.where(size > 0.0, np.bincount(block, rows * probability) / np.maximum(size, 1e-9), middle)
    near = _near(rows)[np.searchsorted(block, np.arange(len(size)))]
    size = np.where(size > 0.0, size, np.maximum(near, 1.0))
    share = (share * size + 0.5) / (size + 1.0)
    return block, np.asarray(share * (1.0 - share) / size)


def known(rows: Floats) -> NDArray[np.bool_]:
    """Return which bins the reference knows: bool [K, BINS] from its rows [K, BINS].

    It knows a score when it has ROWS_NEEDED rows or more in its bin and those within NEAR bins.
    """
    return np.asarray(_near(rows) >= ROWS_NEEDED)


def checked(counts: Counts, axes: int) -> Floats:
    """Return histograms as float64; ValueError unless [K, 2, ..., BINS] with finite counts of 0 or more."""
    found = np.asarray(counts, dtype=np.float64)
    if found.ndim != axes or found.shape[1:] != (2,) * (axes - 2) + (BINS,) or len(found) == 0:
        raise ValueError(f"not histograms of {BINS} bins: {found.shape}")
    if not (np.isfinite(found) & (found >= 0.0)).all():
        raise ValueError("a count is negative or not finite")
    return found


def _near(rows: Floats) -> Floats:
    """Return the rows of each bin and its neighbours."""
    padding = [(0, 0)] * (rows.ndim - 1) + [(NEAR + 1, NEAR)]
    total = np.cumsum(np.pad(rows, padding), axis=-1)
    return np.asarray(total[..., 2 * NEAR + 1 :] - total[..., : -2 * NEAR - 1])


def _middles() -> Floats:
    return (np.arange(BINS) + 0.5) / BINS


def _isotonic(by_label: Floats) -> Floats:
    """Return the isotonic map [BINS] of counts [2 (label), BINS]; between bins with rows, interpolated."""
    rows = by_label.sum(axis=0)
    used = np.flatnonzero(rows)
    fitted = isotonic(by_label[1, used] / rows[used], rows[used])
    return np.asarray(np.clip(np.interp(np.arange(BINS), used, fitted), 0.0, 1.0))


def _generalises(by_label: Floats) -> bool:
    """Whether a map fitted to half of the rows has the lower calibration error on the others, on average."""
    whole = np.rint(by_label).astype(np.int64)
    rng = np.random.default_rng(SEED)
    gain = 0.0
    for _ in range(SPLITS):
        one = rng.binomial(whole, 0.5)
        halves = one.astype(np.float64), (whole - one).astype(np.float64)
        if min(half.sum() for half in halves) == 0.0:
            return False
        for learning, judging in (halves, halves[::-1]):
            gain += _error(_middles(), judging) - _error(_isotonic(learning), judging)
    return gain > 0.0


def _error(probability: Floats, by_label: Floats) -> float:
    """Return the expected calibration error over the groups of the rows [2 (label), BINS]."""
    rows = by_label.sum(axis=0)
    excess = np.bincount(_groups(rows), by_label[1] - rows * probability)
    return float(np.abs(excess).sum() / rows.sum())


def _groups(rows: Floats) -> NDArray[np.intp]:
    """Return the group of each bin [BINS]: neighbours together, with about equal shares of the rows."""
    middle = (np.cumsum(rows) - rows / 2.0) / rows.sum()
    return np.asarray(np.minimum((middle * GROUPS).astype(np.intp), GROUPS - 1))
