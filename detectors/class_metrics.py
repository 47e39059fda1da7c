"""Metrics of classification and their intervals, from the sums.

A share of no rows is 0 (scikit-learn's zero_division=0) and has no interval; what is not defined without
rows of a class (the areas under curves) or without any rows is None. Intervals are of what an endless window
would have: a class that this one has few rows of, or none, may there be anything.
"""

import math
from collections.abc import Mapping, Sequence

import numpy as np
from msgspec.structs import replace

from detectors.class_curves import Area, average_precision, mean_area, roc_auc
from detectors.class_ratios import NO_ROWS, RATIOS, Part, Ratios
from detectors.class_sums import BINS, LEAST, ClassSums
from detectors.intervals import drawn_deviation, exact, normal_quantile, of_area, of_losses, poisson
from detectors.measure import Estimate, Floats

NOTHING = Estimate(None, None, None, 0)
SMOOTHING = 0.5


class Table:
    """The metrics that rest on the confusion counts [C + 1, C + 1], of which the last class is any other."""

    def __init__(self, confusion: Floats, level: float) -> None:
        self._counts = confusion
        self._level = level
        self.n = float(confusion.sum())
        self._hits = np.diagonal(confusion)[:-1]
        self._true = confusion.sum(axis=1)
        self._predicted = confusion.sum(axis=0)
        self._ratios = {
            name: Ratios.of(name, (self._part(above), self._part(below)), level)
            for name, (above, below) in RATIOS.items()
        }

    def accuracy(self) -> Estimate:
        """Return the share of rows whose class was predicted; another class is never a hit."""
        return self._share(float(self._hits.sum()))

    def true_share(self, k: int) -> Estimate:
        """Return the share of rows that are of class k."""
        return self._share(float(self._true[k]))

    def predicted_share(self, k: int) -> Estimate:
        """Return the share of rows predicted to be of class k."""
        return self._share(float(self._predicted[k]))

    def of_class(self, name: str, k: int) -> Estimate:
        """Return a metric of RATIOS for class k against the rest."""
        return self._ratios[name].estimate(k)

    def macro(self, name: str) -> Estimate:
        """Return the mean of a metric of RATIOS over all classes."""
        classes = len(self._hits)
        return self._mean_ratio(name, np.full(classes, 1 / classes))

    def weighted(self, name: str) -> Estimate:
        """Return the mean of a metric of RATIOS, every class weighted by how many rows are of it."""
        known = float(self._true[:-1].sum())
        if known <= 0:
            return NO_ROWS
        return self._mean_ratio(name, self._true[:-1] / known, known)

    def balanced_accuracy(self) -> Estimate:
        """Return the mean recall of the classes that occur; None where none does.

        The interval also holds the mean over all classes, whatever the recall of the others is.
        """
        occurs = self._true[:-1] > 0
        if not occurs.any():
            return NOTHING
        found, whole = self._mean_ratio("recall", occurs / occurs.sum()), self.macro("recall")
        ends = [end for one in (found, whole) for end in (one.low, one.high) if end is not None]
        return replace(found, low=min(ends), high=max(ends))

    def mcc(self) -> Estimate:
        """Return Matthews' correlation coefficient of any number of classes, in [-1, 1]; 0 if undefined.

        References
        ----------
        Gorodkin, J. (2004). Comparing two K-category assignments by a K-category correlation
        coefficient. Computational Biology and Chemistry 28(5-6).

        """
        true, predicted, n = self._true, self._predicted, self.n
        spread = n * n - float(true @ true), n * n - float(predicted @ predicted)
        if min(spread) <= 0:
            return NO_ROWS
        value = float(self._mcc_after(np.zeros_like(self._counts))[0, 0])
        hit = np.diag([*np.ones(len(self._hits)), 0.0])
        slope = float(self._hits.sum()) + n * hit - predicted[:, None] - true[None, :]
        slope = slope / (math.sqrt(spread[0]) * math.sqrt(spread[1]))
        slope -= value * ((n - true) / spread[0])[:, None] + value * (n - predicted) / spread[1]
        ends = poisson(self._counts, self._level)
        moves = np.stack([self._mcc_after(end - self._counts) for end in ends]) - value
        down, up = _reaches(self._counts * np.square(slope), moves, self._level)
        return Estimate(value, max(value - down, -1.0), min(value + up, 1.0), round(n), "mover")

    def cost(self, costs: Floats) -> Estimate:
        """Return the mean cost of the rows of known true and predicted class; costs: [C, C]."""
        counts = self._counts[:-1, :-1]
        n = float(counts.sum())
        if n <= 0:
            return NOTHING
        each, kind = np.unique(costs, return_inverse=True)
        rows = np.bincount(kind.ravel(), counts.ravel(), len(each)).astype(np.float64)
        value = float(each @ rows) / n
        slope = (each - value) / n
        moves = np.stack([slope * (end - rows) for end in poisson(rows, self._level)])
        down, up = _reaches(rows * np.square(slope), moves, self._level)
        return Estimate(value, value - down, value + up, round(n), "mover")

    def _part(self, part: Part) -> Floats:
        ends = part.true * self._true[:-1] + part.predicted * self._predicted[:-1]
        return np.asarray(part.hits * self._hits + ends + part.rows * self.n)

    def _mcc_after(self, change: Floats) -> Floats:
        """Return the coefficient if one cell alone changed by this much, for every cell: [C + 1, C + 1]."""
        true, predicted, n = self._true, self._predicted, self.n + change
        hits = self._hits.sum() + change * np.diag([*np.ones(len(self._hits)), 0.0])
        squares = change * change
        met = true @ predicted + change * (predicted[:, None] + true) + squares * np.eye(len(true))
        of_true = n * n - (true @ true + 2 * change * true[:, None] + squares)
        of_predicted = n * n - (predicted @ predicted + 2 * change * predicted + squares)
        root = np.sqrt(np.maximum(of_true, LEAST)) * np.sqrt(np.maximum(of_predicted, LEAST))
        return np.asarray(np.clip((n * hits - met) / root, -1.0, 1.0))

    def _mean_ratio(self, name: str, weights: Floats, known: float | None = None) -> Estimate:
        """Average a ratio over classes; known: the rows that the weights are shares of, where they are.

        A sum of ratios of counts, so its variance by the delta method is the sum over the cells of the
        count times the squared slope (the slopes average to 0 over the rows).
        """
        above, below = RATIOS[name]
        bottom, each = self._part(below), self._ratios[name]
        used = (bottom > 0) & (weights > 0)
        if not used.any():
            return NO_ROWS
        factor = np.where(used, weights, 0.0) / np.where(used, bottom, 1.0)
        slope = self._slope(above, factor) - self._slope(below, factor * each.value)
        if known is not None:
            slope[:-1] += ((each.value - float(weights @ each.value)) / known)[:, None]
        variance = float((self._counts * np.square(slope)).sum())
        return Estimate(*each.mean(weights, variance, self._level), round(self.n), "mover")

    def _slope(self, part: Part, factor: Floats) -> Floats:
        """Return the derivative of the sum over classes of factor times part, by each cell's count."""
        padded = np.append(factor, 0.0)
        by_row = part.hits * np.diag(padded) + part.rows * float(factor.sum())
        return np.asarray(by_row + (part.true * padded)[:, None] + part.predicted * padded)

    def _share(self, k: float) -> Estimate:
        if self.n <= 0:
            return NO_ROWS
        low, high = exact(np.array(k), np.array(self.n), self._level)
        return Estimate(k / self.n, float(low), float(high), round(self.n), "exact")


def _reaches(variances: Floats, moves: Floats, level: float) -> tuple[float, float]:
    """Return how far a value made of counts reaches down and up.

    variances: of every count's share in it, by the delta method. moves: [2, ...] how far it goes if one count
    alone is at an end of its own interval. A rare count goes further than its variance says; the one that
    does so most is added, as squares. More are not: many rare counts together are no rare count.
    """
    normal = normal_quantile(level) ** 2 * variances
    reach = []
    for side in (-moves, moves):
        beyond = np.square(np.maximum(side, 0.0)).max(axis=0) - normal
        reach.append(math.sqrt(float(normal.sum() + np.max(beyond, initial=0.0))))
    return reach[0], reach[1]


def log_loss(sums: ClassSums, level: float) -> Estimate:
    """Return the mean log loss of the rows with scores.

    The heavy loss of its interval is the one to be expected of these scores, weighted by the loss itself.
    """
    rows = sums.labelled.sum(axis=(1, 2))
    own = (np.arange(BINS) + 0.5) / BINS
    loss = -np.log(own)
    if len(rows) == 1:  # of two classes, the other one's scores are the rest
        rows = rows + rows[:, ::-1]
    expected = rows.sum(axis=0) * own * loss
    heaviest = float(expected @ loss) / float(expected.sum()) if sums.scored > 0 else 0.0
    return _loss((sums.scored, sums.log_loss, sums.log_loss_squares), heaviest, level)


def brier(sums: ClassSums, level: float) -> Estimate:
    """Return the mean Brier score: in [0, 1] for two classes; the sum over the classes for more."""
    heaviest = 1.0 if len(sums.labelled) == 1 else 2.0
    return _loss((sums.scored, sums.brier, sums.brier_squares), heaviest, level)


def _loss(sums: tuple[float, float, float], heaviest: float, level: float) -> Estimate:
    n = sums[0]
    if n <= 0:
        return NOTHING
    value = max(sums[1] / n, 0.0)
    found = of_losses(sums, heaviest, level)
    if found is None:
        return Estimate(value, None, None, round(n))
    return Estimate(value, *found, round(n), "gamma")


def areas(sums: ClassSums) -> Mapping[str, Sequence[Area | None]]:
    """Return roc_auc and average_precision of the one class, or of each against the rest; None without."""
    by_label = sums.labelled.sum(axis=2)
    return {
        "roc_auc": [roc_auc(other, own) for other, own in by_label],
        "average_precision": [average_precision(other, own) for other, own in by_label],
    }


def area_estimate(each: Sequence[Area | None], scored: float, level: float) -> Estimate:
    """Return the mean area of the classes that have one, without the bound of its binning.

    The areas rest on the same rows, so their errors are taken to go together: the ends of the interval are
    the means of theirs. A class without an area may have any.
    """
    area = mean_area(each)
    if area is None:
        return NOTHING
    known = [(0.0, 1.0) if a is None else of_area(a.value, a.variance, a.rows, level) for a in each]
    low, high = np.mean(known, axis=0).tolist()
    return Estimate(area.value, min(low, area.value), max(high, area.value), round(scored), area.method)


def ece(sums: ClassSums, level: float) -> Estimate:
    """Return the expected calibration error: the mean distance of score and share of hits, by bin.

    It is never below 0, and so above 0 by chance even where scores are right. The interval is normal with
    the deviation of multinomial draws, in which each row of a bin has the bin's mean score; half a row is
    added to both sides of every bin in use, so that bins without a miss vary too. Its lower end is lower
    by what chance adds where scores are right.

    References
    ----------
    Guo, C., Pleiss, G., Sun, Y., Weinberger, K. Q. (2017). On calibration of modern neural networks.
    International Conference on Machine Learning 34.

    """
    rows = sums.top_counts.sum(axis=1)
    n = float(rows.sum())
    if n <= 0:
        return NOTHING
    mean = np.where(rows > 0, sums.top_scores, 0.0) / np.where(rows > 0, rows, 1.0)
    value = min(float(_calibration_errors(sums.top_counts, mean)), 1.0)
    smoothed = sums.top_counts + np.where(rows > 0, SMOOTHING, 0.0)[:, None]
    deviation = drawn_deviation(smoothed, lambda drawn: _calibration_errors(drawn, mean))
    reach = normal_quantile(level) * deviation
    by_chance = float(np.sqrt(2 / np.pi * rows * np.clip(mean * (1 - mean), 0.0, 1.0)).sum()) / n
    return Estimate(
        value, max(value - by_chance - reach, 0.0), min(value + reach, 1.0), round(n), "bootstrap"
    )


def _calibration_errors(counts: Floats, mean: Floats) -> Floats:
    """Return the error of counts [..., ECE_BINS, 2 hit] whose bins have these mean scores."""
    rows = counts.sum(axis=-1)
    return np.asarray(np.abs(rows * mean - counts[..., 1]).sum(axis=-1) / rows.sum(axis=-1))
