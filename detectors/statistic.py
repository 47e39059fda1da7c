"""What one row of the table of statistics holds; the table itself is in drift.py."""

from collections.abc import Callable
from typing import Any, Literal

from msgspec import Struct

from detectors.comparison import Comparison
from detectors.table import Floats, Joined, Table

Takes = Literal["groups", "cells", "places"]


class Statistic(Struct, frozen=True, eq=False):
    """One statistic: how to compute it, how it scales, and what size of change it means.

    takes: what `score` is given of a comparison: the table of its groups; that of its fine cells; or |F - G|
    at the ends of these and the ways from each to the next. The last two exist for numeric features only. It
    broadcasts over leading axes: features of one shape are scored together.
    pvalue: of scores, and the table or tables that they are of.
    exponent: without drift the score shrinks like (1/N + 1/M)**exponent: 0, 0.5 or 1.
    effect(score, n, m): the size of the change, on one scale for all statistics, 0 for none.
    floor(effect, n, m): the score that has this effect.
    """

    score: Callable[..., Floats]
    takes: Takes
    exponent: float
    effect: Callable[[float, int, int], float]
    floor: Callable[[float, int, int], float]
    pvalue: Callable[[Floats, Table | Joined], Floats] | None = None

    @property
    def numeric_only(self) -> bool:
        """Whether it needs an order of the values."""
        return self.takes != "groups"

    @property
    def tail_power(self) -> float:
        """The power of the score whose tail is exponential: a norm of Gaussian noise squared."""
        return 1.0 if self.exponent in {0.0, 1.0} else 1.0 / self.exponent

    def arguments(self, comparison: Comparison) -> tuple[Any, ...]:
        """Return what `score` takes of the comparison."""
        if self.takes == "groups":
            return (comparison.groups,)
        if self.takes == "cells":
            return (comparison.cells,)
        return comparison.cells.apart, comparison.gaps

    def of(self, comparison: Comparison) -> Floats:
        """Return the score of the comparison, or of each of its simulated pairs."""
        return self.score(*self.arguments(comparison))
