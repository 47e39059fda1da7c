"""E-detectors over windows: evidence against "nothing has changed", gathered from window to window.

It is for windows that do not depend on each other (dependence.py). The wealth of a feature's gamblers, who
bet on small p-values, grows while a change lasts; without one it is on average no more than the number of
windows.
"""

import numpy as np
from msgspec import Struct
from msgspec.structs import replace
from numpy.typing import NDArray

from detectors.adjustment import TINY
from detectors.blocks import merge_last
from detectors.probability import chi2_quantile
from detectors.readings import Kind, Reading
from detectors.seasons import Clock
from detectors.table import Floats
from detectors.window_null import WindowNull

BETS = (0.1, 0.3, 0.6)
"""The exponents k of the bets k p^(k - 1), each of integral 1; the same money begins with each."""
SMALLEST = 1e-15
"""Of the p-values: a smaller one is taken as this."""
RICHEST = 1e300
HELD = 3.0
"""While a feature is flagged, its wealth is held at so many times its limit."""
MEANS_APART = 1.96
"""The reference's mean is taken to be off by so many standard errors at most: one time in 20 it is not."""
SPREAD_RISK = 0.05
"""How often the true spread is larger than is allowed for."""
LEAST_DOF = 1.5


class Wealth(Struct, frozen=True, eq=False):
    """What the gamblers of F features own.

    money: float64 [F, bets]. flagged: bool [F], whether the last verdict on each was a breach.
    """

    money: Floats
    flagged: NDArray[np.bool_]

    @classmethod
    def none(cls, features: int) -> "Wealth":
        """Return that of gamblers who have not begun."""
        return cls(np.zeros((features, len(BETS))), np.zeros(features, bool))

    @property
    def scores(self) -> Floats:
        """Each feature's e-detector M, float64 [F]: 0 or more, in windows."""
        return np.asarray(self.money.mean(axis=1))

    def after(self, pvalues: Floats, judged: NDArray[np.bool_]) -> "Wealth":
        """Return it one window later: M = e (M + 1), e being what each bet makes of the p-value.

        Before a change M less the number of windows does not grow on average (the Shiryaev-Roberts form), so
        it takes `1 / alpha` windows or more on average to exceed that. pvalues: float64 [F]; judged: bool
        [F], a feature without enough rows stays as it is.

        Examples
        --------
        P-values without a change, then of one that lasts: 0.03 on average.

        >>> rng = np.random.default_rng(1)
        >>> wealth, scores = Wealth.none(1), []
        >>> for p in np.concatenate([rng.random(200), 0.06 * rng.random(20)]):
        ...     wealth = wealth.after(np.array([p]), np.array([True]))
        ...     scores.append(wealth.scores[0])
        >>> round(max(scores[:200])), int(np.argmax(np.array(scores) > 1000))
        (32, 205)

        References
        ----------
        Shin, J., Ramdas, A., Rinaldo, A. (2022). E-detectors: a nonparametric framework for sequential change
        detection. arXiv 2203.03532.

        """
        bets = np.array(BETS)
        return self.grown(bets * np.maximum(pvalues, SMALLEST)[:, None] ** (bets - 1.0), judged)

    def grown(self, e: Floats, judged: NDArray[np.bool_]) -> "Wealth":
        """Return it one window later, by what that makes of each bet's money: e [F, bets], 0 or more."""
        later = np.minimum(e * (np.minimum(self.money, RICHEST * TINY) + 1.0), RICHEST)
        return replace(self, money=np.where(judged[:, None], later, self.money))

    def settled(self, limits: Floats, flagged: NDArray[np.bool_]) -> "Wealth":
        """Return it after a verdict: held while a feature is flagged, begun anew when it is so no more.

        limits: float64 [F], infinite for those without a verdict.
        """
        ended = self.flagged & ~flagged & np.isfinite(limits)
        part = np.minimum(HELD * limits / np.maximum(self.scores, TINY), 1.0) * ~ended
        return Wealth(self.money * part[:, None], np.where(np.isfinite(limits), flagged, self.flagged))


def limits(scores: Floats, alpha: float) -> Floats:
    """Return what each of K e-detectors must exceed, given the others, to be flagged by e-d-BH, float64 [K].

    Flagged are the k largest with k the largest number for which the k-th exceeds K / (alpha k). At any time
    at which one may stop, the expected share of those flagged falsely is alpha times the windows so far, or
    less, whatever the dependence between them.

    Examples
    --------
    >>> limits(np.array([1.0, 500.0, 900.0, 0.0]), 0.01).tolist()
    [133.33333333333334, 200.0, 200.0, 133.33333333333334]

    References
    ----------
    Dandapanthula, S., Ramdas, A. (2025). Multiple testing in multi-stream sequential change detection.
    arXiv 2501.04130.

    """
    count = len(scores)
    at = count / (alpha * np.arange(1.0, count + 1.0))
    over = scores[:, None] > at
    others = over.sum(axis=0) - over
    return np.asarray(np.where(others >= np.arange(count), at, np.inf).min(axis=1, initial=np.inf))


class Change(Struct, frozen=True, eq=False):
    """The change of each feature that stands out most, over one of the null model's scales.

    column: int64 [F], of the reading; scale: int64 [F], windows; apart: float64 [F], in the reading's unit;
    effect: float64 [F], in standard deviations.
    """

    column: NDArray[np.int64]
    scale: NDArray[np.int64]
    apart: Floats
    effect: Floats


def doubtful(null: WindowNull, reading: Reading, clock: Clock) -> Floats:
    """Return each feature's p-value of the last window alone, float64 [F]: the largest that is possible.

    What is usual is estimated, and its error is in all windows to come: a bet on it would win without end.
    So a deviation counts from the edge of where the mean may be, in units of the largest spread that may be
    (for one reading in 20 either is not large enough). Given the reference, p is then below u with
    probability u or less, window after window. A reading's p-value is divided by its share; the smallest one
    is the feature's.
    """
    z, precision = null.usual.standardise(reading, clock)
    tail = null.tails[0]
    merged = merge_last(z, precision, reading.sizes, clock, 1)
    last = Clock(clock.starts[-1:], clock.length)
    means, known = null.usual.at(last)
    apart = np.abs(reading.values[-1:] - means) - MEANS_APART / np.sqrt(np.maximum(known, TINY))
    _, certainty = tail.spread(merged)
    dof = np.maximum(tail.dof * certainty, LEAST_DOF)
    wide = np.sqrt(dof / np.maximum(chi2_quantile(dof, SPREAD_RISK), TINY))
    x = np.sign(merged.z) * np.maximum(apart, 0.0) * np.sqrt(merged.precision) / wide
    pvalue = tail.pvalue(replace(merged, z=np.where(known > 0, x, 0.0)), null.skew(tail, merged))
    return np.asarray(np.minimum.reduceat(_shared(null, pvalue[0]), _firsts(null)))


def strongest(null: WindowNull, reading: Reading, clock: Clock) -> Change:
    """Return the change of each feature that is the least likely by chance, of the last windows.

    It tells how large the change is: a large sum of evidence alone does not.
    """
    z, precision = null.usual.standardise(reading, clock)
    pvalues, aparts = [], []
    for tail in null.tails:
        merged = merge_last(z, precision, reading.sizes, clock, tail.scale)
        pvalue = tail.pvalue(merged, null.skew(tail, merged))[0]
        judged = (tail.used > 0) & (merged.precision[0] > 0)
        pvalues.append(np.where(judged, _shared(null, pvalue), 1.0))
        aparts.append(merged.z[0] / np.sqrt(np.maximum(merged.precision[0], TINY)))
    best = np.argmin(pvalues, axis=0)
    least = np.min(pvalues, axis=0)
    ends = [*_firsts(null)[1:].tolist(), len(least)]
    pairs = zip(_firsts(null).tolist(), ends, strict=True)
    column = np.array([first + int(least[first:last].argmin()) for first, last in pairs])
    apart = np.stack(aparts)[best[column], column]
    scale = np.array([tail.scale for tail in null.tails])[best[column]]
    return Change(column, scale, apart, np.abs(apart) / null.readers.units[column])


def _firsts(null: WindowNull) -> NDArray[np.int64]:
    """Return the first column of each feature."""
    return np.searchsorted(null.readers.feature, np.arange(len(null.readers.features)))


def _shared(null: WindowNull, pvalues: Floats) -> Floats:
    """Return p-values [J] over their shares; missing values are another monitor's, and count as 1."""
    absent = np.array([kind is Kind.MISSING for kind in null.readers.kinds])
    return np.where(absent, 1.0, np.minimum(pvalues / null.readers.share, 1.0))
