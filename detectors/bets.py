"""The bets that an e-detector plays side by side, against a mean that the reference leaves possible."""

from collections.abc import Iterable
from functools import reduce
from math import inf
from typing import Literal

import numpy as np
from msgspec import Struct

from detectors.mean_bound import Moments, upper_mean
from detectors.measure import Floats

BETS = 8
WEAKEST, STRONGEST = 0.08, 0.8
"""The shifts that the bets are best for, in standard deviations of the reference."""
LARGEST_BET = 0.8
"""A bet of 1 would lose everything on one value of 0."""
SMALLEST_SPREAD = 0.01
"""Bets on a constant reference are as large as if this were its standard deviation."""
DEEPEST = 600.0
"""Within a frame no bet can lose more than e^-600 of its money, so that all of it stays a float64."""
SLACK = 1e-9
"""Sums of floats are off by their rounding."""


class Plan(Struct, frozen=True):
    """What is asked of the detector.

    arl: rows between false alarms, on average at least (average run length). side: which change of the mean
    is an alarm. block: rows in a block; an alarm comes at the end of one, and the cost per row falls with it.
    means: bet on each block's mean instead of its rows; for streams whose rows depend on each other within a
    block. The reference's moments are then those of block means. risk: the probability that the reference was
    so untypical that arl does not hold. tolerance: how far the mean may move, in the values' unit.
    """

    arl: float = 1e6
    side: Literal["up", "down", "both"] = "up"
    block: int = 2
    means: bool = False
    risk: float = 0.05
    tolerance: float = 0.0

    def __post_init__(self) -> None:
        if self.side not in {"up", "down", "both"}:
            raise ValueError(f"side is {self.side!r}: it must be up, down or both")
        if not inf > self.arl > self.block >= 1:
            raise ValueError(f"arl is {self.arl}, block {self.block}: arl > block >= 1 is needed")
        if not (0 < self.risk < 1 and 0 <= self.tolerance < 1):
            raise ValueError("risk must be between 0 and 1, tolerance at least 0 and below 1")


class Bets(Struct, frozen=True, eq=False):
    """All bets side by side. The factor of bet c on a value x is base[c] + slope[c] x, never below 0."""

    base: Floats
    slope: Floats

    def gains(self, blocks: Floats) -> Floats:
        """Return the logarithm of each bet's factor on each block: [n, block] values to [bets, n].

        The logarithm is linear in a value of 0 or 1, so of such blocks the sum is enough; that sum would also
        be valid for other values (by convexity, a smaller factor), but it forgets how little they may vary.
        """
        base, slope = self.base[:, None], self.slope[:, None]
        zero, one = np.log(base), np.log(base + slope)
        gains: Floats = blocks.sum(axis=1) * (one - zero) + blocks.shape[1] * zero
        other = ~((blocks == 0) | (blocks == 1)).all(axis=1)
        if other.any():
            gains[:, other] = in_turn(
                np.log(base + slope * row) for row in np.ascontiguousarray(blocks[other].T)
            )
        return gains

    @property
    def frame(self) -> float:
        """How many rows can be judged from one starting point."""
        return DEEPEST / -float(np.log(np.minimum(self.base, self.base + self.slope)).min())


def in_turn(parts: Iterable[Floats]) -> Floats:
    """Add up one after the other: a sum by NumPy takes another order when there is one block only."""
    return np.asarray(reduce(np.add, parts))


def bets_of(reference: Moments, plan: Plan) -> Bets:
    """Return the bets on either side that is asked for; ValueError when none can be made."""
    if reference.n < 2:  # noqa: PLR2004 - one row has no variance
        raise ValueError("e_sr needs at least 2 rows of reference")
    if not -SLACK <= reference.squares <= reference.total * (1 + SLACK) <= reference.n * (1 + 3 * SLACK):
        raise ValueError("e_sr needs a reference of values from 0 to 1")
    sides = ("up", "down") if plan.side == "both" else (plan.side,)
    made = [_one_side(reference, plan, side, plan.risk / len(sides)) for side in sides]
    live = [bets for bets in made if bets is not None]
    if not live:
        raise ValueError(
            f"with {reference.n} rows of reference the mean may be anything: no change could show"
        )
    return Bets(np.concatenate([b.base for b in live]), np.concatenate([b.slope for b in live]))


def _one_side(reference: Moments, plan: Plan, side: str, risk: float) -> Bets | None:
    seen = reference if side == "up" else reference.mirrored()
    most = upper_mean(seen, risk) + plan.tolerance
    if most >= 1:
        return None
    spread = max(seen.variance**0.5, SMALLEST_SPREAD)
    bets = np.minimum(np.geomspace(WEAKEST, STRONGEST, BETS) * most / spread, LARGEST_BET)
    if side == "up":
        return Bets(1 - bets, bets / most)
    return Bets(1 - bets + bets / most, -bets / most)
