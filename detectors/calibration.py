"""Thresholds at the window's real size: the null distribution of a statistic, by resampling.

Three facts make it cheap enough to do while a window closes. A statistic divided by its power of
(1/N + 1/M) hardly depends on N and M, so M is simulated at powers of two and interpolated between them,
and N, which stays, is rounded to one of eight steps between these. Features without a heavy value share
one set of draws. And Wasserstein and energy need of these draws only |F - G|, and the feature's own
distances between cells. The draws are seeded from what is drawn, so a replay finds the same thresholds.
"""

import math
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

from detectors.distances import Floats, noise
from detectors.null import Null, Simulation
from detectors.statistic import Statistic
from detectors.tail import upper_quantile

SIMULATIONS_KEPT = 3
REFERENCE_STEPS = 8
QUANTILES_KEPT = 65_536

T = TypeVar("T")


class Recent(Generic[T]):
    """A bounded memory: the values asked for most lately are kept, the others made again."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._kept: OrderedDict[Hashable, T] = OrderedDict()

    def get(self, key: Hashable, make: Callable[[], T]) -> T:
        """Return the value of the key, made if it is not kept."""
        if key in self._kept:
            self._kept.move_to_end(key)
            return self._kept[key]
        made = self._kept[key] = make()
        if len(self._kept) > self._size:
            self._kept.popitem(last=False)
        return made


class Calibrator:
    """Gives the score that a statistic exceeds with a given probability when nothing has changed.

    One object may serve every model of a daemon: what it remembers depends on nothing but its arguments.
    It is not safe for threads.

    Examples
    --------
    Kolmogorov's limit for rows at this level is 1.63 sqrt(1/10000 + 1/1000) = 0.054; on a grid a little
    less.

    >>> import numpy as np
    >>> from detectors.comparison import Comparison
    >>> from detectors.drift import STATISTICS
    >>> from detectors.null import null_of
    >>> null = null_of(Comparison(np.full(200, 50), np.full(200, 5), places=np.arange(200.0)))
    >>> round(Calibrator().threshold(STATISTICS["ks"], null, (10_000, 1_000), 0.01), 2)
    0.05

    References
    ----------
    Efron, B., Tibshirani, R. J. (1993). An Introduction to the Bootstrap, chapter 16.

    """

    def __init__(self) -> None:
        self._simulations: Recent[Simulation] = Recent(SIMULATIONS_KEPT)
        self._quantiles: Recent[float] = Recent(QUANTILES_KEPT)

    def threshold(self, row: Statistic, null: Null, sizes: tuple[int, int], level: float) -> float:
        """Return the threshold for (rows of the reference, rows of the window), each at least 1."""
        n, m = sizes
        nearest = round(2.0 ** (round(math.log2(n) * REFERENCE_STEPS) / REFERENCE_STEPS))
        place = math.log2(m)
        lower, part = 2 ** int(place), place % 1.0
        standard = (1.0 - part) * self._standard(row, null, (nearest, lower), level)
        if part:
            standard += part * self._standard(row, null, (nearest, 2 * lower), level)
        return float(standard * noise(n, m) ** row.exponent)

    def _standard(self, row: Statistic, null: Null, sizes: tuple[int, int], level: float) -> float:
        gaps = null.gaps if row.takes == "places" else None
        key = (row, null.key, null.gaps_key if gaps is not None else b"", sizes, level)
        return self._quantiles.get(key, lambda: self._simulate(row, null, sizes, level))

    def _simulate(self, row: Statistic, null: Null, sizes: tuple[int, int], level: float) -> float:
        drawn = self._simulations.get((null.key, *sizes), lambda: Simulation(null, *sizes))
        scores = _scores(row, null, drawn) / noise(*sizes) ** row.exponent
        return upper_quantile(scores, level, row.tail_power)


def _scores(row: Statistic, null: Null, drawn: Simulation) -> Floats:
    if row.of_gaps is not None and null.gaps is not None:
        return row.of_gaps(drawn.distances, null.gaps)
    return row.of(drawn.pairs)
