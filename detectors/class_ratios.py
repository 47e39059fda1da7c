"""Shares that are told of each class against the rest, and what their means over the classes are."""

import math
from collections.abc import Mapping
from types import MappingProxyType

import numpy as np
from msgspec import Struct

from detectors.intervals import FEW, exact, normal_quantile
from detectors.measure import Estimate, Floats

NO_ROWS = Estimate(0.0, None, None, 0)
"""A share of no rows."""


class Part(Struct, frozen=True):
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


class Ratios(Struct, frozen=True, eq=False):
    """A metric of RATIOS of every class, [C] each.

    value: 0 without rows. low, high: its exact interval, [0, 1] without rows. rows: of how many it is a
    share. variance: by the delta method, 0 where all rows are alike.
    """

    value: Floats
    low: Floats
    high: Floats
    rows: Floats
    variance: Floats

    @classmethod
    def of(cls, name: str, counts: tuple[Floats, Floats], level: float) -> "Ratios":
        """Make them from numerators and denominators."""
        above, below = counts
        used = np.where(below > 0, below, 1.0)
        value = np.where(below > 0, above, 0.0) / used
        variance = value * (1 - value) / used
        if name != "f1":
            return cls(value, *exact(above, below, level), below, variance)
        # F1 = 2J / (1 + J) grows with J, the share of hits among the rows that are or are said to be of k.
        rows = below - above / 2
        low, high = (2 * end / (1 + end) for end in exact(above / 2, rows, level))
        return cls(value, np.minimum(low, value), np.maximum(high, value), rows, variance * (2 - value))

    def estimate(self, k: int) -> Estimate:
        """Return the metric of one class."""
        if self.rows[k] <= 0:
            return NO_ROWS
        value, low, high = (float(each[k]) for each in (self.value, self.low, self.high))
        return Estimate(value, low, high, round(float(self.rows[k])), "exact")

    def mean(self, weights: Floats, variance: float, level: float) -> tuple[float, float, float]:
        """Return the weighted mean with its interval; variance: the mean's, by the delta method.

        The normal reach of that variance is widened by what each class's own interval reaches beyond its own
        variance; squares of distances add up. So one class of few rows counts by its exact interval, and many
        classes by the normal law. To a class of fewer than FEW rows neither applies: its whole distance adds.

        References
        ----------
        Zou, G. Y., Donner, A. (2008). Construction of confidence limits about effect measures: a general
        approach. Statistics in Medicine 27(10).

        """
        value, few = min(float(weights @ self.value), 1.0), self.rows < FEW
        z2 = normal_quantile(level) ** 2
        reach = []
        for distance in (self.value - self.low, self.high - self.value):
            beyond = np.maximum(np.square(distance) - z2 * self.variance, 0.0)
            squares = z2 * variance + float(np.square(weights[~few]) @ beyond[~few])
            reach.append(math.sqrt(squares) + float(weights[few] @ distance[few]))
        return value, max(value - reach[0], 0.0), min(value + reach[1], 1.0)
