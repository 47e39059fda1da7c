"""How good predictions are before their labels come: confidence-based performance estimation (CBPE).

A labelled reference says how often a score comes true (score_calibration.py, with the shapes of all
histograms); the scores of a window then say how many of its predictions are right.

The assumption: a score means in the window what it meant in the reference. When the world changes so that the
same score comes true less often (concept drift), the estimate does not move. See docs/estimation.md.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property, partial

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from detectors.expected import (
    Expected,
    Metric,
    Rated,
    average_precision,
    balanced_accuracy,
    fraction,
    roc_auc,
)
from detectors.intervals import normal_quantile
from detectors.measure import Estimate
from detectors.score_calibration import Calibration, Counts, Floats, checked

METHOD = "cbpe"


def estimate(
    calibration: Calibration, window_open: Counts, level: float, classes: Sequence[str] = ()
) -> Mapping[str, Estimate]:
    """Return the metrics that the window's rows will probably have, each with a band.

    The realised value is in the band with probability 1 - level or more, if scores mean what they meant: the
    band holds the chance of the labels, of which rows came, and of the reference's rows. It is widened by
    rows with unknown scores, which count as all right, all wrong, all of the class or none of it, whichever
    is furthest. A metric without rows to be a share of is None, not 0.

    classes: the names for the metrics of one class in tasks of several ("recall:<class>"), by default their
    codes. There the calibrated probabilities are scaled so that they sum to 1 on average; a mean over classes
    has the mean of their deviations, as if they erred together. ValueError for a wrong shape or number.

    Examples
    --------
    >>> from detectors.score_calibration import fit
    >>> reference = np.zeros((1, 2, 2, 1000))
    >>> reference[0, :, 0, 100], reference[0, :, 1, 800] = (450, 50), (100, 400)
    >>> window = np.zeros((1, 2, 1000))
    >>> window[0, 0, 100], window[0, 1, 800] = 300, 100
    >>> found = estimate(fit(reference), window, level=0.05)["accuracy"]
    >>> round(found.value, 3), round(found.low, 3), round(found.high, 3), found.n
    (0.875, 0.832, 0.914, 400)

    References
    ----------
    Bialek, J., Kuberski, W., Perrakis, N., Bifet, A. (2024). Estimating model performance under covariate
    shift without labels. arXiv 2401.08348.

    """
    window = checked(window_open, 3)
    if len(window) != len(calibration.rows):
        raise ValueError(f"{len(window)} histograms for {len(calibration.rows)} calibrated classes")
    names = classes or [str(k) for k in range(len(window))]
    if len(window) > 1 and len(names) != len(window):
        raise ValueError(f"{len(names)} names for {len(window)} classes")
    views = _views(calibration, window)
    guess = _Guess(views, round(float(window[0].sum())), level)
    return dict(_binary(guess) if len(views) == 1 else _multiclass(guess, names))


class _View(Struct, frozen=True, eq=False, dict=True):
    """What the metrics of one class are computed from; B bins.

    chance: float64 [B], of the class given the bin. window: float64 [2 (predicted), B]. known: bool [B],
    whether the reference knows the scores. block: int [B], bins with the same block share one probability;
    variance: that of each block's probability.
    """

    chance: Floats
    window: Floats
    known: NDArray[np.bool_]
    block: NDArray[np.intp]
    variance: Floats

    @cached_property
    def table(self) -> Expected:
        """The expected counts."""
        return self._expected(self.chance)

    @cached_property
    def extremes(self) -> list[Expected]:
        """The tables if unknown scores are all right, all wrong, all of the class or none of it."""
        if not self.window[:, ~self.known].any():
            return []
        predicted = np.array([[0.0], [1.0]])
        ends = (predicted, 1.0 - predicted, 0.0 * predicted, 0.0 * predicted + 1.0)
        return [self._expected(np.where(self.known, self.chance, end)) for end in ends]

    def _expected(self, chance: Floats) -> Expected:
        return Expected(np.stack([(1.0 - chance) * self.window, chance * self.window]))

    def band(self, metric: Metric, rated: Rated | None, level: float) -> tuple[float, float]:
        """Return the ends of the band of a metric rated so; [0, 1] where it does not exist.

        From the least and the largest value that the rows with unknown scores allow, it reaches as far as the
        sampling of rows and the chance of the reference's rows do together: squares of distances add up.
        """
        if rated is None:
            return 0.0, 1.0
        values = [rated.value, *rated.others]
        values += [one.value for one in map(metric, self.extremes) if one is not None]
        learnt = normal_quantile(level) * math.sqrt(self._learnt_variance(rated))
        down, up = (math.hypot(reach, learnt) for reach in rated.distances(self.table, level))
        return max(min(values) - down, 0.0), min(max(values) + up, 1.0)

    def _learnt_variance(self, rated: Rated) -> float:
        """Return the variance of a metric by the chance of the reference's rows.

        What the reference says of scores that it does not know is no chance: the extremes stand for it.
        """
        slope = ((rated.gradient[1] - rated.gradient[0]) * self.window).sum(axis=0) * self.known
        return float(np.square(np.bincount(self.block, slope)) @ self.variance)


def _views(calibration: Calibration, window: Floats) -> list[_View]:
    """Return a view of each class; of several, also one of the predictions as whichever class, the last."""
    chance = calibration.probability
    if len(window) > 1:
        expected = float((chance * window.sum(axis=1)).sum())
        chance = np.minimum(chance * (window[0].sum() / expected if expected > 0.0 else 1.0), 1.0)
    parts = zip(chance, window, calibration.known, calibration.blocks, strict=True)
    found = [_View(share, rows, seen, *blocks) for share, rows, seen, blocks in parts]
    return found if len(found) == 1 else [*found, _predicted(found)]


def _predicted(views: Sequence[_View]) -> _View:
    """Return the rows predicted as each class, side by side: each row once."""
    starts = np.cumsum([0, *(len(view.variance) for view in views[:-1])])
    return _View(
        np.concatenate([view.chance for view in views]),
        np.concatenate([view.window * np.array([[0.0], [1.0]]) for view in views], axis=1),
        np.concatenate([view.known for view in views]),
        np.concatenate([view.block + start for view, start in zip(views, starts, strict=True)]),
        np.concatenate([view.variance for view in views]),
    )


class _Guess(Struct, frozen=True, eq=False):
    """A window's views and number of rows; the band is of confidence 1 - level."""

    views: Sequence[_View]
    rows: int
    level: float

    def mean(self, metric: Metric, which: Sequence[int] = (0,)) -> Estimate:
        """Return the mean of a metric over some views; those where it does not exist are left out.

        Its band is the mean of theirs, in which those may have any value.
        """
        rated = [metric(self.views[k].table) for k in which]
        values = [one.value for one in rated if one is not None]
        if not values:
            return Estimate(None, None, None, self.rows)
        ends = [self.views[k].band(metric, one, self.level) for k, one in zip(which, rated, strict=True)]
        low, high = np.mean(ends, axis=0).tolist() if len(ends) > 1 else ends[0]
        value = float(np.mean(values)) if len(values) > 1 else values[0]
        return Estimate(value, min(low, value), max(high, value), self.rows, METHOD)


def _binary(guess: _Guess) -> Iterator[tuple[str, Estimate]]:
    for name in ("accuracy", "precision", "recall", "f1", "specificity"):
        yield name, guess.mean(partial(fraction, name))
    yield "balanced_accuracy", guess.mean(balanced_accuracy)
    yield "roc_auc", guess.mean(roc_auc)
    yield "average_precision", guess.mean(average_precision)
    yield "positive_share_true", guess.mean(partial(fraction, "positive_share_true"))


def _multiclass(guess: _Guess, names: Sequence[str]) -> Iterator[tuple[str, Estimate]]:
    every = range(len(names))
    of_one_class = {name: partial(fraction, name) for name in ("precision", "recall", "f1")}
    yield "accuracy", guess.mean(partial(fraction, "accuracy"), (len(names),))
    yield from ((f"{name}_macro", guess.mean(metric, every)) for name, metric in of_one_class.items())
    yield "roc_auc", guess.mean(roc_auc, every)
    yield "average_precision", guess.mean(average_precision, every)
    for k, one in enumerate(names):
        yield from ((f"{name}:{one}", guess.mean(metric, (k,))) for name, metric in of_one_class.items())
        yield f"true_share:{one}", guess.mean(partial(fraction, "positive_share_true"), (k,))
