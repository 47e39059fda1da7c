"""The null model `windows` for a configured distance: which scores the reference's own windows reach.

A distance has one direction and no cells of its own, so that its scores are a series like any other: per
reference window the score against the whole reference. What is usual at the time and how it is spread is
learnt as for readings (adjustment.py, blocks.py), one window at a time.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from detectors.adjustment import TINY, Usual, adjust, parts
from detectors.blocks import learn_tail, merge_blocks
from detectors.evidence import Merged, Tail
from detectors.readings import Reading
from detectors.seasons import Clock, Ints
from detectors.statistic import Statistic
from detectors.table import Floats

SMALL = 0.05
NO_NOISE = 1e-12


class ScoreNull(Struct, frozen=True, eq=False):
    """Thresholds of J monitors from their scores on the reference's windows; all arrays are float64 [J].

    roots: the power that makes a score grow like a shift. lifts: the power of the rows that a score without
    a limit of its own grows with. between, by_rows: its mean square is between + by_rows / rows.
    """

    roots: Floats
    lifts: Floats
    between: Floats
    by_rows: Floats
    usual: Usual
    tail: Tail

    def dump(self) -> dict[str, NDArray[Any]]:
        """Return everything as named arrays."""
        own = {name: getattr(self, name) for name in _NAMES}
        usual = {f"usual/{k}": v for k, v in self.usual.arrays().items()}
        return {**own, **usual, **{f"tail/{k}": v for k, v in self.tail.arrays().items()}}

    @classmethod
    def load(cls, arrays: Mapping[str, NDArray[Any]]) -> "ScoreNull":
        """Read what `dump` gave."""

        def part(name: str) -> dict[str, NDArray[Any]]:
            return {k.partition("/")[2]: v for k, v in arrays.items() if k.startswith(f"{name}/")}

        roots, lifts, between, by_rows = (arrays[name] for name in _NAMES)
        return cls(roots, lifts, between, by_rows, Usual.of(part("usual")), Tail.of(1, part("tail")))

    def thresholds(self, sizes: Ints, clock: Clock, level: float) -> Floats:
        """Return the scores [R, J] that windows of `sizes` [R, J] rows exceed with probability `level`.

        It takes the place of no other bound: what rows do by chance is better known by resampling, so the
        larger of both is the threshold.
        """
        means, precision = self.usual.at(clock)
        spread = np.sqrt(self.usual.between + 1.0 / np.maximum(precision, TINY))
        one = np.ones(np.shape(sizes))
        block = Merged(one, one / np.maximum(self.tail.variance, TINY), one, one)
        levels = np.full(len(self.roots), min(2.0 * level, 0.5))
        limit = self.tail.limit(block, levels, np.maximum(self.tail.lean, 0.0))
        n = np.maximum(sizes, 1).astype(np.float64)
        size = (means + spread * limit) * np.sqrt(self.between + self.by_rows / n)
        return np.asarray((np.maximum(size, 0.0) * n**self.lifts) ** (1.0 / self.roots))


_NAMES = ("roots", "lifts", "between", "by_rows")


def learn_scores(rows: Sequence[Statistic], scores: Floats, sizes: Ints, clock: Clock) -> ScoreNull:
    """Learn from the scores [R, J] of the reference's windows; rows: the statistic of each of the J monitors.

    sizes: [R, J], the rows behind each score, 0 where there is none. Monitors of one statistic lend each
    other what they know of the spread.

    Examples
    --------
    Kolmogorov-Smirnov distances of hourly windows that are larger at night: each hour gets its own threshold.

    >>> from detectors.drift import STATISTICS
    >>> from detectors.seasons import DAY
    >>> clock = Clock(np.arange(480) * DAY // 24, DAY // 24)
    >>> night = np.arange(480)[:, None] % 24 < 6
    >>> scores = np.random.default_rng(1).normal(np.where(night, 0.3, 0.1), 0.02)
    >>> null = learn_scores([STATISTICS["ks"]], scores, np.full((480, 1), 500), clock)
    >>> first = Clock(clock.starts[[0, 12]], clock.length)
    >>> null.thresholds(np.full((2, 1), 500), first, 1e-4).ravel().round(1).tolist()
    [0.4, 0.2]

    """
    roots = np.array([row.tail_power / 2.0 for row in rows])
    lifts = np.array([0.5 if row.exponent == 0.0 else 0.0 for row in rows])
    n = np.maximum(sizes, 1).astype(np.float64)
    size = np.maximum(scores, 0.0) ** roots / n**lifts
    between, by_rows = _mean_square(size, n, sizes > 0)
    even = Reading(size / np.sqrt(np.maximum(between + by_rows / n, TINY)), (sizes > 0).astype(np.int64))
    usual, z = adjust(even, np.full(len(rows), NO_NOISE), clock)
    merged = merge_blocks(z, np.where(sizes > 0, 1.0, 0.0), even.sizes, clock, 1)
    named = {id(row): place for place, row in enumerate(rows)}
    kinds = np.array([named[id(row)] for row in rows])
    return ScoreNull(roots, lifts, between, by_rows, usual, learn_tail(merged, usual, clock, kinds, 1, 0.0))


def _mean_square(size: Floats, n: Floats, known: NDArray[np.bool_]) -> tuple[Floats, Floats]:
    """Return how the mean square depends on the rows; what the smallest show is the least that they make."""
    products = np.where(known, size**2 * n, np.nan)
    products[:, ~known.any(axis=0)] = 0.0
    least = np.maximum(np.nanquantile(products, SMALL, axis=0), TINY)
    between, design = parts(size**2, least / n, known)
    return between, design * least
