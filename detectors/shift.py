"""What a shift of a feature's location does to everything else that is read off it.

A feature whose mean wanders from day to day changes its spread and the shares of its groups as well. How,
is computed for normal scores: the reference's cells are cut out of a normal law, which is moved.
"""

from functools import cached_property

import numpy as np
from msgspec import Struct

from detectors.comparison import GROUPS
from detectors.probability import normal_cdf, normal_quantile
from detectors.table import Counts, Floats

LEAST_PACE = 0.01
"""A mean rank that follows a shift less tells nothing of it: nearly all rows have one value."""
STEP = 0.02
SHIFTS = np.arange(-200, 201) * STEP
"""In standard deviations."""


class Shift(Struct, frozen=True, eq=False, dict=True):
    """What moving normal scores does to the readings of one feature, as a table over SHIFTS.

    readings: float64 [shifts, S], the mean rank first. noise: the variance of one row's rank. even: no
    value is heavy, so that the shift of a window can be told from its mean rank.
    """

    readings: Floats
    noise: float
    even: bool

    @property
    def unit(self) -> float:
        """What the mean rank is divided by, near no shift, to be the location."""
        return float(self.pace[0]) if self.even else 1.0

    @cached_property
    def still(self) -> Floats:
        """The readings without a shift."""
        return np.asarray(self.readings[len(SHIFTS) // 2])

    @cached_property
    def slopes(self) -> Floats:
        """How the readings after the location follow the mean rank, at first."""
        return np.asarray(self.pace[1:] / self.pace[0])

    @cached_property
    def pace(self) -> Floats:
        """How the readings follow a shift, at first, per standard deviation."""
        middle = len(SHIFTS) // 2
        return np.asarray((self.readings[middle + 1] - self.readings[middle - 1]) / (2 * STEP))

    @cached_property
    def _curve(self) -> Floats:
        middle = len(SHIFTS) // 2
        around = self.readings[middle + 1] + self.readings[middle - 1]
        return np.asarray((around - 2 * self.still)[1:] / STEP**2)

    def of(self, ranks: Floats) -> Floats:
        """Return the shift that gives these mean ranks."""
        return np.asarray(np.interp(ranks, self.readings[:, 0], SHIFTS))

    def explained(self, shift: Floats, n: Counts) -> Floats:
        """Return what shifts [R], seen in n rows, explain of the readings after the location, [R, S - 1].

        It is 0 on average without a shift: what the location's own noise bends is taken off.
        """
        place = np.minimum((shift - SHIFTS[0]) / STEP, len(SHIFTS) - 1.001)
        lower = place.astype(np.int64)
        part = (place - lower)[:, None]
        table = self.readings[:, 1:]
        found = (1.0 - part) * table[lower] + part * table[lower + 1]
        by_chance = 0.5 * self.noise / self.pace[0] ** 2 / n[:, None] * self._curve
        return np.asarray(found - self.still[1:] - by_chance)


def shift_of(masses: Floats, weights: Floats) -> Shift | None:
    """Return the table for ordered cells, None where a shift does not move the location.

    masses: [K], the reference's. weights: [K, S], what a row of each cell adds to each reading, ranks first.

    Examples
    --------
    >>> masses = np.full(200, 0.005)
    >>> ranks = np.cumsum(masses) - masses / 2
    >>> table = shift_of(masses, np.stack([ranks, (2 * ranks - 1) ** 2], axis=1))
    >>> table.of(np.array([0.5, 0.6])).round(2).tolist()  # sqrt(2) times the normal quantile
    [0.0, 0.36]
    >>> table.explained(np.array([1.0]), np.array([10_000])).round(2).tolist()
    [[0.16]]

    """
    cuts = normal_quantile(np.minimum(np.cumsum(masses)[:-1], 1.0))
    below = normal_cdf(cuts - SHIFTS[:, None])
    edge = np.ones((len(SHIFTS), 1))
    moved = np.diff(np.concatenate([0 * edge, below, edge], axis=1), axis=1)
    readings = moved @ weights
    ranks = weights[:, 0]
    noise = float(masses @ ranks**2 - (masses @ ranks) ** 2)
    found = Shift(readings, noise, bool(masses.max() * GROUPS <= 1.0))
    return found if found.pace[0] > LEAST_PACE else None
