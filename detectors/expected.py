"""Metrics of a classifier from counts that need not be whole: each with its gradient and its sampling error.

Every metric here is unchanged when all counts are doubled, so the sum of
count x gradient is 0, and the sum of count x gradient^2 is the variance of the metric over samples of rows.
"""

import math
from collections.abc import Callable, Mapping
from functools import cached_property, lru_cache
from types import MappingProxyType

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from detectors.intervals import FEW, exact, normal_quantile, of_area

Floats = NDArray[np.float64]
Cells = tuple[tuple[int, int], tuple[int, int]]

ALL: Cells = ((1, 1), (1, 1))
FRACTIONS: Mapping[str, tuple[Cells, Cells]] = MappingProxyType(
    {
        "accuracy": (((1, 0), (0, 1)), ALL),
        "precision": (((0, 0), (0, 1)), ((0, 1), (0, 1))),
        "recall": (((0, 0), (0, 1)), ((0, 0), (1, 1))),
        "f1": (((0, 0), (0, 2)), ((0, 1), (1, 2))),
        "specificity": (((1, 0), (0, 0)), ((1, 1), (0, 0))),
        "positive_share_true": (((0, 0), (1, 1)), ALL),
    }
)
"""What is counted, of what: both as weights [label][predicted]."""
SHARES_KEPT = 64


class Expected(Struct, frozen=True, eq=False, dict=True):
    """How many rows of each label and prediction have their score in each of B bins, the lowest first.

    counts: float64 [2 (label), 2 (predicted), B].
    """

    counts: Floats

    @cached_property
    def confusion(self) -> list[list[float]]:
        """The rows by label and prediction."""
        found: list[list[float]] = self.counts.sum(axis=2).tolist()
        return found

    @cached_property
    def by_label(self) -> Floats:
        """The rows by label and bin, float64 [2, B]."""
        return np.asarray(self.counts.sum(axis=1))

    def weighed(self, cells: Cells) -> float:
        """Return the sum of the rows by label and prediction, each with its weight."""
        (a, b), (c, d) = cells
        (p, q), (r, t) = self.confusion
        return a * p + b * q + c * r + d * t


class Share(Struct, frozen=True):
    """How many rows of how many, both expected; twice: 2J / (1 + J) is meant of that share J."""

    hits: float
    rows: float
    twice: bool = False

    def distances(self, level: float) -> tuple[float, float]:
        """Return how far its exact interval reaches down and up."""
        ends = _exact(self.hits, self.rows, level)
        low, value, high = (self._made(x) for x in (ends[0], self.hits / self.rows, ends[1]))
        return max(value - low, 0.0), max(high - value, 0.0)

    def _made(self, share: float) -> float:
        return 2.0 * share / (1.0 + share) if self.twice else share


@lru_cache(SHARES_KEPT)
def _exact(hits: float, rows: float, level: float) -> tuple[float, float]:
    """Return the interval of a share; several metrics of a window rest on the same."""
    low, high = exact(np.array(hits), np.array(rows), level)
    return float(low), float(high)


class Rated(Struct, frozen=True, eq=False, dict=True):
    """A metric's value, and how it depends on the counts.

    slope: makes the gradient. shares: those that the metric is the mean of; () of an area, which rests on
    `rows` rows, those of the rarer label. others: values that it may also have, where a label is so rare that
    it may not occur.
    """

    value: float
    slope: Callable[[], Floats]
    shares: tuple[Share, ...] = ()
    rows: float = 0.0
    others: tuple[float, ...] = ()

    @cached_property
    def gradient(self) -> Floats:
        """The gradient by the counts: float64 [2 (label), 2 (predicted), B], of length 1 where all is one."""
        return self.slope()

    def distances(self, table: Expected, level: float) -> tuple[float, float]:
        """Return how far the band of samples of as many rows as the table has reaches down and up.

        It holds what such a sample will have, by the normal law, and what rows without end would have, by
        exact intervals: of few rows the one reaches further here, the other there.
        """
        error = math.sqrt(variance(self, table))
        normal = normal_quantile(level) * error
        if self.shares:
            sides = zip(*(share.distances(level) for share in self.shares), strict=True)
            down, up = (math.hypot(*side) / len(side) for side in sides)
        else:
            low, high = of_area(self.value, error * error, self.rows, level)
            down, up = self.value - low, high - self.value
        return max(down, normal), max(up, normal)


Metric = Callable[[Expected], Rated | None]


def fraction(name: str, table: Expected) -> Rated | None:
    """Return a metric of FRACTIONS; None where the rows it is a share of do not exist.

    Examples
    --------
    >>> found = fraction("precision", Expected(np.array([[[50.0], [10.0]], [[10.0], [30.0]]])))
    >>> found.value
    0.75

    """
    part, whole = FRACTIONS[name]
    size = table.weighed(whole)
    if size <= 0.0:
        return None
    hits = table.weighed(part)
    share = Share(hits / 2.0, size - hits / 2.0, twice=True) if name == "f1" else Share(hits, size)
    value = hits / size
    return Rated(value, lambda: (np.array(part) - value * np.array(whole))[:, :, None] / size, (share,))


def balanced_accuracy(table: Expected) -> Rated | None:
    """Return the mean of recall and specificity; None where a class has no rows.

    Of rows in which one of the classes does not occur it is the other's recall alone.
    """
    recall, specificity = fraction("recall", table), fraction("specificity", table)
    if recall is None or specificity is None:
        return None
    shares = (*recall.shares, *specificity.shares)
    others = ((specificity.value, shares[0].rows), (recall.value, shares[1].rows))
    alone = tuple(value for value, rows in others if rows < FEW)
    value = (recall.value + specificity.value) / 2
    return Rated(value, lambda: (recall.gradient + specificity.gradient) / 2, shares, others=alone)


def roc_auc(table: Expected) -> Rated | None:
    """Return the area under the ROC curve, rows of one bin being tied; None where a class has no rows.

    Its gradient is made of the structural components, so the variance from it is DeLong's.

    Examples
    --------
    >>> table = np.zeros((2, 2, 3))
    >>> table[0, 0], table[1, 0] = (3.0, 1.0, 0.0), (0.0, 1.0, 3.0)
    >>> roc_auc(Expected(table)).value
    0.96875

    References
    ----------
    DeLong, E. R., DeLong, D. M., Clarke-Pearson, D. L. (1988). Comparing the areas under two or more
    correlated receiver operating characteristic curves. Biometrics 44(3).

    """
    negative, positive = table.by_label
    size = float(negative.sum()), float(positive.sum())
    if min(size) <= 0.0:
        return None
    below = (np.cumsum(negative) - negative / 2) / size[0]
    value = float(positive @ below) / size[1]

    def slope() -> Floats:
        above = (size[1] - np.cumsum(positive) + positive / 2) / size[1]
        return _by_label((above - value) / size[0], (below - value) / size[1])

    return Rated(value, slope, rows=min(size))


def average_precision(table: Expected) -> Rated | None:
    """Return the precision at each bin's lower end, averaged over the positive rows; None without such.

    Examples
    --------
    >>> table = np.zeros((2, 2, 3))
    >>> table[0, 0], table[1, 0] = (3.0, 1.0, 0.0), (0.0, 1.0, 3.0)
    >>> round(average_precision(Expected(table)).value, 3)
    0.95

    """
    negative, positive = table.by_label[:, ::-1]  # highest score first
    size = float(positive.sum())
    if size <= 0.0:
        return None
    found, taken = np.cumsum(positive), np.cumsum(negative + positive)
    used = np.where(taken > 0.0, taken, 1.0)
    precision = found / used
    value = float(positive @ precision) / size

    def slope() -> Floats:
        # A row changes the precision of its own bin and of every bin further down.
        by_found = np.cumsum((positive / used)[::-1])
        by_taken = np.cumsum((positive * precision / used)[::-1])
        gain = (precision[::-1] + by_found - by_taken - value) / size
        return _by_label(-by_taken / size, gain)

    return Rated(value, slope, rows=size)


def variance(rated: Rated, table: Expected) -> float:
    """Return the variance of the metric over samples of as many rows as the table has."""
    return float((table.counts * np.square(rated.gradient)).sum())


def _by_label(negative: Floats, positive: Floats) -> Floats:
    """Return a gradient that does not depend on the prediction, from those of both labels, each [B]."""
    return np.stack([negative, positive])[:, None, :]
