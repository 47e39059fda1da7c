"""Metrics of classification and their intervals, from the sums.

A share of no rows is 0 (scikit-learn's zero_division=0) and has no interval; what is not defined without
rows of a class (the areas under curves) or without any rows is None.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from detectors.class_curves import Area, average_precision, mean_area, roc_auc
from detectors.class_sums import ClassSums
from detectors.intervals import bounded, drawn_deviation, normal_quantile, of_mean, wilson
from detectors.measure import Estimate, Floats

NOTHING = Estimate(None, None, None, 0)
NO_ROWS = Estimate(0.0, None, None, 0)
"""A share of no rows."""
SMOOTHING = 0.5


@dataclass(frozen=True, slots=True)
class Part:
    """A count of one class against the rest, as a sum of these four with whole factors."""

    hits: int = 0
    true: int = 0
    predicted: int = 0
    rows: int = 0


RATIOS: Mapping[str, tuple[Part, Part]] = MappingProxyType(
    {
        "precision": (Part(hits=1), Part(predicted=1)),
        "recall": (Part(hits=1), Part(true=1)),
        "f1": (Part(hits=2), Part(true=1, predicted=1)),
        "specificity": (Part(hits=1, true=-1, predicted=-1, rows=1), Part(true=-1, rows=1)),
    }
)
"""Every metric of one class, as a numerator and a denominator."""


class Table:
    """The metrics that rest on the confusion counts [C + 1, C + 1], of which the last class is any other."""

    def __init__(self, confusion: Floats, level: float) -> None:
        self._counts = confusion
        self._level = level
        self.n = float(confusion.sum())
        self._hits = np.diagonal(confusion)[:-1]
        self._true = confusion.sum(axis=1)
        self._predicted = confusion.sum(axis=0)

    def accuracy(self) -> Estimate:
        """Return the share of rows whose class was predicted; another class is never a hit."""
        return self._share(float(self._hits.sum()), self.n)

    def true_share(self, k: int) -> Estimate:
        """Return the share of rows that are of class k."""
        return self._share(float(self._true[k]), self.n)

    def predicted_share(self, k: int) -> Estimate:
        """Return the share of rows predicted to be of class k."""
        return self._share(float(self._predicted[k]), self.n)

    def of_class(self, name: str, k: int) -> Estimate:
        """Return a metric of RATIOS for class k against the rest."""
        above, below = (float(self._part(part)[k]) for part in RATIOS[name])
        if name != "f1":
            return self._share(above, below)
        # F1 = 2J / (1 + J) grows with J, the share of hits among the rows that are or are said to be of k.
        jaccard = self._share(above / 2, below - above / 2)
        if jaccard.low is None or jaccard.high is None:
            return jaccard
        low, high = (2 * end / (1 + end) for end in (jaccard.low, jaccard.high))
        value = above / below
        return Estimate(value, min(low, value), max(high, value), jaccard.n, jaccard.method)

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
        """Return the mean recall of the classes that occur; None where none does."""
        occurs = self._true[:-1] > 0
        return self._mean_ratio("recall", occurs / occurs.sum()) if occurs.any() else NOTHING

    def mcc(self) -> Estimate:
        """Return Matthews' correlation coefficient of any number of classes, in [-1, 1]; 0 if undefined.

        References
        ----------
        Gorodkin, J. (2004). Comparing two K-category assignments by a K-category correlation
        coefficient. Computational Biology and Chemistry 28(5-6).

        """
        true, predicted, n = self._true, self._predicted, self.n
        joint = n * float(self._hits.sum()) - float(true @ predicted)
        spread = n * n - float(true @ true), n * n - float(predicted @ predicted)
        if min(spread) <= 0:
            return NO_ROWS
        root = math.sqrt(spread[0]) * math.sqrt(spread[1])
        value = min(max(joint / root, -1.0), 1.0)
        hit = np.diag([*np.ones(len(self._hits)), 0.0])
        slope = float(self._hits.sum()) + n * hit - predicted[:, None] - true[None, :]
        slope = slope / root - value * ((n - true) / spread[0])[:, None] - value * (n - predicted) / spread[1]
        low, high = bounded(
            (value + 1) / 2, self._variance(slope) / 4, float(true[true > 0].min()), self._level
        )
        return Estimate(value, min(2 * low - 1, value), max(2 * high - 1, value), round(n), "delta")

    def cost(self, costs: Floats) -> Estimate:
        """Return the mean cost of the rows of known true and predicted class; costs: [C, C]."""
        counts = self._counts[:-1, :-1]
        n = float(counts.sum())
        return _mean(float((counts * costs).sum()), float((counts * costs * costs).sum()), n, self._level)

    def _part(self, part: Part) -> Floats:
        ends = part.true * self._true[:-1] + part.predicted * self._predicted[:-1]
        return np.asarray(part.hits * self._hits + ends + part.rows * self.n)

    def _mean_ratio(self, name: str, weights: Floats, known: float | None = None) -> Estimate:
        """Average a ratio over classes; known: the rows that the weights are shares of, where they are.

        A sum of ratios of counts, so its variance by the delta method is the sum over the cells of the
        count times the squared slope (the slopes average to 0 over the rows).
        """
        above, below = RATIOS[name]
        bottom = self._part(below)
        used = (bottom > 0) & (weights > 0)
        if not used.any():
            return NO_ROWS
        ratio = np.where(used, self._part(above), 0.0) / np.where(used, bottom, 1.0)
        value = min(float(weights @ ratio), 1.0)
        factor = np.where(used, weights, 0.0) / np.where(used, bottom, 1.0)
        slope = self._slope(above, factor) - self._slope(below, factor * ratio)
        if known is not None:
            slope[:-1] += ((ratio - value) / known)[:, None]
        rows = float(bottom[used].min()) / max(below.true + below.predicted, 1)
        low, high = bounded(value, self._variance(slope), rows, self._level)
        return Estimate(value, low, high, round(self.n), "delta")

    def _slope(self, part: Part, factor: Floats) -> Floats:
        """Return the derivative of the sum over classes of factor times part, by each cell's count."""
        padded = np.append(factor, 0.0)
        by_row = part.hits * np.diag(padded) + part.rows * float(factor.sum())
        return np.asarray(by_row + (part.true * padded)[:, None] + part.predicted * padded)

    def _variance(self, slope: Floats) -> float:
        return float((self._counts * np.square(slope)).sum())

    def _share(self, k: float, n: float) -> Estimate:
        if n <= 0:
            return NO_ROWS
        return Estimate(k / n, *wilson(k, n, self._level), round(n), "wilson")


def log_loss(sums: ClassSums, level: float) -> Estimate:
    """Return the mean log loss of the rows with scores."""
    return _mean(sums.log_loss, sums.log_loss_squares, sums.scored, level, floor=0.0)


def brier(sums: ClassSums, level: float) -> Estimate:
    """Return the mean Brier score: in [0, 1] for two classes; the sum over the classes for more."""
    return _mean(sums.brier, sums.brier_squares, sums.scored, level, floor=0.0)


def _mean(total: float, squares: float, n: float, level: float, floor: float = -math.inf) -> Estimate:
    if n <= 0:
        return NOTHING
    value = max(total / n, floor)
    found = of_mean(total, squares, n, level)
    if found is None:
        return Estimate(value, None, None, round(n))
    return Estimate(value, max(found[0], floor), max(found[1], value), round(n), "normal")


def areas(sums: ClassSums) -> Mapping[str, Area | None]:
    """Return roc_auc and average_precision, of more than two classes the means one against the rest."""
    by_label = sums.labelled.sum(axis=2)
    return {
        "roc_auc": mean_area([roc_auc(other, own) for other, own in by_label]),
        "average_precision": mean_area([average_precision(other, own) for other, own in by_label]),
    }


def area_estimate(area: Area | None, scored: float, level: float) -> Estimate:
    """Return the interval of an area, without the bound of its binning."""
    if area is None:
        return NOTHING
    low, high = bounded(area.value, area.variance, area.rows, level)
    return Estimate(area.value, low, high, round(scored), area.method)


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
