"""How good predictions were: what every measure takes and gives. Sums merge by addition, values come of sums.

A measure turns rows into one vector of float64 sums per group. The sums of two sets of rows add up to those
of both, and rows that were counted can be subtracted again (an outcome that was corrected). Whole counts are
exact; other sums are floating-point sums, to be added up in one fixed order where equal bytes matter.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import Protocol

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


class Scored(Struct, frozen=True, eq=False):
    """Rows to measure, as parallel arrays of n rows.

    prediction: float64 [n]; a class's code (0 is the negative one in binary tasks) or the number predicted,
    NaN where the row has none. scores: float64 [n, S]; S = 1 (binary: probability of class 1; ranking: what
    the rows are ranked by, highest first), C (multiclass: probability of each class) or 0 (no scores); NaN
    where a row has none. label: float64 [n]; the class's code, the true number or the relevance (ranking).
    Of rows whose outcome is not known, NaN. query: uint64 [n], which query a row belongs to (ranking only).
    """

    prediction: Floats
    scores: Floats
    label: Floats
    query: NDArray[np.uint64] | None = None

    def take(self, chosen: NDArray[np.intp] | NDArray[np.bool_]) -> "Scored":
        """Return some of the rows."""
        query = None if self.query is None else self.query[chosen]
        return Scored(self.prediction[chosen], self.scores[chosen], self.label[chosen], query)


class Better(StrEnum):
    """Which way a metric is an improvement. NEITHER: a description, never an alarm."""

    HIGHER = "higher"
    LOWER = "lower"
    NEITHER = "neither"


class Estimate(Struct, frozen=True):
    """A metric with its interval. None where there is nothing to say; never NaN or infinite.

    n: rows (ranking: queries) it rests on. method: names the interval ("wilson", "delta", ...), "" without.
    """

    value: float | None
    low: float | None
    high: float | None
    n: int
    method: str = ""


class Measure(Protocol):
    """The metrics of one task. `width` and `open_width` are the lengths of the two vectors of sums."""

    width: int
    open_width: int
    better: Mapping[str, Better]
    """Every metric's name and direction, in the order in which they are shown."""

    def sums(self, rows: Scored, groups: Ints, count: int) -> Floats:
        """Sum up rows with labels: float64 [count, width]; groups [n] names each row's group, 0..count-1."""

    def open_sums(self, rows: Scored, groups: Ints, count: int) -> Floats:
        """Sum up predictions whatever their labels: float64 [count, open_width]."""

    def values(self, sums: Floats, level: float) -> Mapping[str, Estimate]:
        """Return every metric of `better` from sums [width], with intervals of confidence 1 - level."""

    def losses(self, sums: Floats) -> tuple[int, float, float]:
        """Return of sums [width] the rows (ranking: queries), the sum of losses, and that of the squares.

        Two versions are compared by them, lower is better: 1 for a wrong class, or what it costs; the
        absolute error; 1 - reciprocal rank.
        """
