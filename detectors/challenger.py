"""Champion against challenger: whether two versions differ, at a level that looking every window keeps.

Each version serves its own rows; window after window both report n, sum and sum of squares of a loss per
row (error 0 or 1, absolute error, cost). A usual test looked at after every window finds a difference
sooner or later where there is none; the sequence here may be looked at, and stopped, at any time.
"""

import math
from enum import StrEnum

from msgspec import Struct
from msgspec.structs import astuple

from detectors.measure import Better, Estimate
from detectors.table import Floats

BLOCK_ROWS = 30
"""A block needs so many rows of each version, for a variance of its own; fewer wait for the next window."""
MIN_ROWS, MIN_BLOCKS = 100, 5
"""Rows of each version and blocks before a judgement: the law used here is that of large samples."""

Dumped = tuple[float, ...]


class LossSums(Struct, frozen=True):
    """Sums over one version's rows; adding two gives those of both. ValueError where one is not finite.

    The variance comes of sum and sum of squares: take off a constant first where the losses are far from 0
    compared with their spread; the same one for both versions changes nothing else.
    """

    n: int = 0
    total: float = 0.0
    squares: float = 0.0

    def __post_init__(self) -> None:
        if self.n < 0 or not (math.isfinite(self.total) and math.isfinite(self.squares)):
            raise ValueError(f"sums of losses that are no sums: {self}")

    @classmethod
    def of(cls, losses: Floats) -> "LossSums":
        """Sum up one window's rows: float64 [n], all finite."""
        return cls(len(losses), float(losses.sum()), float(losses @ losses))

    def __add__(self, other: "LossSums") -> "LossSums":
        return LossSums(self.n + other.n, self.total + other.total, self.squares + other.squares)

    @property
    def mean(self) -> float:
        """Return the mean loss; 0 without rows."""
        return self.total / max(self.n, 1)

    def spread(self, middle: float) -> float:
        """Return the variance of one row, taken about `middle`; 0 with fewer than two rows."""
        around = self.squares - 2.0 * middle * self.total + self.n * middle * middle
        return max(around, 0.0) / max(self.n - 1, 1)


class Blocks(Struct, frozen=True):
    """Sums over blocks of rows; adding two gives those of both. A block's difference d has the weight w.

    count: blocks. weight, weighted: of w and wd. apart, pooled: of w^2 times the variance of d by its rows,
    each version with its own spread or both with that of all rows. w2, w2d, w2d2: of w^2, w^2 d, w^2 d^2.
    """

    count: int = 0
    weight: float = 0.0
    weighted: float = 0.0
    apart: float = 0.0
    pooled: float = 0.0
    w2: float = 0.0
    w2d: float = 0.0
    w2d2: float = 0.0

    @classmethod
    def of(cls, champion: LossSums, challenger: LossSums) -> "Blocks":
        """Return one block. Its rows' spread is taken about the mean of both versions.

        With equal means that is the same; with different ones a little more, and never 0 for a difference.
        """
        both = champion + challenger
        weight = champion.n * challenger.n / both.n
        d = challenger.mean - champion.mean
        apart = champion.spread(both.mean) / champion.n + challenger.spread(both.mean) / challenger.n
        square = weight * weight
        sums = square * apart, weight * both.spread(both.mean), square, square * d, square * d * d
        return cls(1, weight, weight * d, *sums)

    def __add__(self, other: "Blocks") -> "Blocks":
        return Blocks(
            self.count + other.count,
            self.weight + other.weight,
            self.weighted + other.weighted,
            self.apart + other.apart,
            self.pooled + other.pooled,
            self.w2 + other.w2,
            self.w2d + other.w2d,
            self.w2d2 + other.w2d2,
        )

    @property
    def difference(self) -> float:
        """Return the weighted mean of the blocks' differences, challenger less champion."""
        return self.weighted / self.weight

    def noise(self) -> float:
        """Return the variance of `difference`: the largest of three estimates. Needs 4 blocks.

        Pooled is right, and larger, where a version with few rows has shown none of its rare errors yet;
        apart where the versions' spreads differ; between the blocks where rows of one window go together,
        with the variance of Student's law for their number.
        """
        d, freedom = self.difference, self.count - 1
        between = self.w2d2 - 2.0 * d * self.w2d + d * d * self.w2
        between *= self.count / (freedom - 2)
        return max(self.apart, self.pooled, between) / (self.weight * self.weight)


class Lead(StrEnum):
    """Who is ahead, once it is known."""

    CHAMPION = "champion"
    CHALLENGER = "challenger"
    UNDECIDED = "undecided"


class Plan(Struct, frozen=True):
    """What is asked of a contest, fixed before its first window.

    level: probability of ever naming a leader where there is none. rows: rows per version at which the
    interval is to be tightest; it is valid at all others. better: LOWER for a loss; NEITHER names no leader.
    """

    level: float = 0.05
    rows: int = 10_000
    better: Better = Better.LOWER

    @property
    def rate(self) -> float:
        """Return rho squared, the mixture's variance per unit of weight, that is best at `rows`.

        n rows of each version weigh n / 2.
        """
        bits = -2.0 * math.log(self.level)
        return (bits + math.log(bits) + 1.0) / (self.rows / 2.0)


class Standing(Struct, frozen=True):
    """How a contest stands. difference: challenger less champion, with the interval valid at any time.

    pvalue: the smallest level at which the sequence has excluded 0 at any look so far; valid at any time,
    and never rising. The interval is today's, so it can hold 0 again after the leader was known.
    """

    champion: float | None
    challenger: float | None
    difference: Estimate
    pvalue: float
    lead: Lead


class Contest(Struct, frozen=True):
    """The state of a comparison: add windows, ask how it stands, dump and load it as plain numbers.

    Idea: inside a block (a window, or some where rows are few) the difference of the two means is free of
    whatever changes with time for both, also when the traffic's split changes, where pooled means are not
    (Simpson). The blocks' differences, weighted by n m / (n + m), add up to a martingale under equality;
    Robbins' normal mixture bounds it at all times at once, asymptotically, with an estimated variance:
    difference +- se sqrt((1 + 1/r) log((1 + r) / level^2)), where r is rho^2 times the weight. What it
    covers is the weighted mean of the difference so far, so that it means something also when it changes.
    Rows of the two versions must be independent; where both score the same rows, it is conservative if
    their losses rise together. Feed windows whose outcomes are complete: the first outcomes to come are
    often not a random part.

    Parameters
    ----------
    blocks
        Sums over the blocks compared so far.
    champion, challenger
        All rows so far.
    waiting
        Rows of the champion and the challenger that do not make a block yet.
    pvalue
        The smallest so far.

    Examples
    --------
    >>> import numpy as np
    >>> rng, contest = np.random.default_rng(7), Contest()
    >>> plan = Plan(level=0.05, rows=10_000)
    >>> for window in range(1, 101):
    ...     wrong = (rng.random(200) < 0.10).astype(float), (rng.random(200) < 0.08).astype(float)
    ...     contest = contest.add(LossSums.of(wrong[0]), LossSums.of(wrong[1]), plan)
    ...     if contest.standing(plan).lead is not Lead.UNDECIDED:
    ...         break
    >>> standing = contest.standing(plan)
    >>> window, standing.lead.value, round(standing.difference.value, 3), standing.pvalue < 0.05
    (19, 'challenger', -0.026, True)

    References
    ----------
    Waudby-Smith, I., Arbour, D., Sinha, R., Kennedy, E. H., Ramdas, A. (2021). Time-uniform central limit
    theory and asymptotic confidence sequences. arXiv 2103.06476.
    Robbins, H. (1970). Statistical methods related to the law of the iterated logarithm. Annals of
    Mathematical Statistics 41(5).

    """

    blocks: Blocks = Blocks()
    champion: LossSums = LossSums()
    challenger: LossSums = LossSums()
    waiting: tuple[LossSums, LossSums] = (LossSums(), LossSums())
    pvalue: float = 1.0

    def add(self, champion: LossSums, challenger: LossSums, plan: Plan) -> "Contest":
        """Return the contest after one more window; each window once, in any order fixed beforehand."""
        one, two = self.waiting[0] + champion, self.waiting[1] + challenger
        totals = self.champion + champion, self.challenger + challenger
        if min(one.n, two.n) < BLOCK_ROWS:
            return Contest(self.blocks, *totals, (one, two), self.pvalue)
        blocks = self.blocks + Blocks.of(one, two)
        looked = Contest(blocks, *totals, pvalue=self.pvalue)
        return Contest(blocks, *totals, pvalue=min(self.pvalue, looked.look(plan)))

    @property
    def begun(self) -> bool:
        """Return whether there is enough to judge."""
        return self.blocks.count >= MIN_BLOCKS and min(self.champion.n, self.challenger.n) >= MIN_ROWS

    def look(self, plan: Plan) -> float:
        """Return the smallest level at which the interval of now excludes 0."""
        noise = self.blocks.noise() if self.begun else 0.0
        if not 0.0 < noise < math.inf:  # no spread seen yet, or losses beyond all measure
            return 1.0
        r = plan.rate * self.blocks.weight
        z2 = self.blocks.difference / noise * self.blocks.difference
        return math.exp(min(0.5 * (math.log1p(r) - z2 * r / (1.0 + r)), 0.0))

    def standing(self, plan: Plan) -> Standing:
        """Return how it stands; the interval has confidence 1 - plan.level over all looks together."""
        champion, challenger = (arm.mean if arm.n else None for arm in (self.champion, self.challenger))
        return Standing(champion, challenger, self._difference(plan), self.pvalue, self._lead(plan))

    def _difference(self, plan: Plan) -> Estimate:
        n = self.champion.n + self.challenger.n
        if not self.blocks.count:
            return Estimate(None, None, None, n)
        if not self.begun:
            return Estimate(self.blocks.difference, None, None, n)
        d, noise, r = self.blocks.difference, self.blocks.noise(), plan.rate * self.blocks.weight
        if not 0.0 < noise < math.inf:
            return Estimate(d, None, None, n)
        factor = (1.0 + 1.0 / r) * (math.log1p(r) - 2.0 * math.log(plan.level))
        reach = math.sqrt(noise * factor)
        return Estimate(d, d - reach, d + reach, n, "confidence_sequence")

    def _lead(self, plan: Plan) -> Lead:
        if not self.begun:
            return Lead.UNDECIDED
        d = self.blocks.difference
        if self.pvalue > plan.level or plan.better is Better.NEITHER or d == 0.0:
            return Lead.UNDECIDED
        return Lead.CHALLENGER if (d < 0.0) == (plan.better is Better.LOWER) else Lead.CHAMPION

    def dump(self) -> tuple[Dumped, ...]:
        """Return the state as plain tuples: blocks, champion, challenger, two waiting, (pvalue,)."""
        arms = (self.champion, self.challenger, *self.waiting)
        return (astuple(self.blocks), *map(astuple, arms), (self.pvalue,))

    @classmethod
    def load(cls, dumped: tuple[Dumped, ...]) -> "Contest":
        """Return the contest that was dumped; lists will do for tuples."""
        blocks, *arms, (pvalue,) = dumped
        count, *sums = blocks
        champion, challenger, one, two = (LossSums(int(n), total, squares) for n, total, squares in arms)
        return cls(Blocks(int(count), *sums), champion, challenger, (one, two), pvalue)
