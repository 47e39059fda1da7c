"""Thresholds at the window's real size: the null distribution of a statistic, by resampling.

Three facts make it cheap enough to do while a window closes. A statistic divided by its power of
(1/N + 1/M) hardly depends on N and M, so M is simulated at powers of two and interpolated between them,
up to one from which on it does not at all, and N, which stays, is rounded to one of eight steps between
these. Features without a heavy value share one set of draws. And Wasserstein and energy need of these
draws only |F - G|, and the feature's own distances between cells. The draws are seeded from what is drawn,
so a replay finds the same thresholds.
"""

import math
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Generic, TypeVar

from detectors.distances import Floats, noise
from detectors.monitors import FAILURES, known
from detectors.null import Null, Simulation
from detectors.statistic import Statistic
from detectors.tail import upper_quantile

REFERENCE_STEPS = 8
LARGEST_WINDOW = 2**15
"""Rows from which a standardised statistic depends on more of them less than on the draws by chance."""
QUANTILES_KEPT = 65_536
STANDARDS_KEPT = 4096

T = TypeVar("T")
Run = Callable[[Callable[[Any], Any], Iterable[Any]], Iterable[Any]]


class Recent(Generic[T]):
    """A bounded memory: the values asked for most lately are kept, the others made again."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._kept: OrderedDict[Hashable, T] = OrderedDict()

    def find(self, key: Hashable) -> T | None:
        """Return the value of the key if it is kept."""
        if key not in self._kept:
            return None
        self._kept.move_to_end(key)
        return self._kept[key]

    def keep(self, key: Hashable, value: T) -> T:
        """Remember the value; forget the one that was not asked for longest."""
        self._kept[key] = value
        if len(self._kept) > self._size:
            self._kept.popitem(last=False)
        return value

    def get(self, key: Hashable, make: Callable[[], T]) -> T:
        """Return the value of the key, made if it is not kept."""
        found = self.find(key)
        return self.keep(key, make()) if found is None else found


@dataclass(frozen=True, slots=True)
class Asked:
    """What a threshold is wanted for. sizes: rows of the reference and of the window, each at least 1."""

    row: Statistic
    null: Null
    sizes: tuple[int, int]

    def standards(self) -> Sequence[tuple[float, tuple[int, int]]]:
        """Return which sizes are simulated for it, with the weight of each."""
        n, m = self.sizes
        return _standards(n, min(m, LARGEST_WINDOW))

    def key(self, sizes: tuple[int, int], level: float) -> Hashable:
        """Name the quantile that is simulated at these sizes."""
        gaps = self.null.gaps_key if self.row.takes == "places" else b""
        return (self.row, self.null.key, gaps, sizes, level)

    def scores(self, drawn: Simulation) -> Floats:
        """Return the statistic of the simulated pairs."""
        if self.row.of_gaps is not None and self.null.gaps is not None:
            return self.row.of_gaps(drawn.distances, self.null.gaps)
        return self.row.of(drawn.pairs)


@lru_cache(STANDARDS_KEPT)
def _standards(n: int, m: int) -> Sequence[tuple[float, tuple[int, int]]]:
    """Return the sizes for rows of a reference and of a window; all statistics of a feature have the same."""
    nearest = round(2.0 ** (round(math.log2(n) * REFERENCE_STEPS) / REFERENCE_STEPS))
    place = math.log2(m)
    lower, part = 2 ** int(place), place % 1.0
    beside = [(part, (nearest, 2 * lower))] if part else []
    return (1.0 - part, (nearest, lower)), *beside


class Calibrator:
    """Gives the score that a statistic exceeds with a given probability when nothing has changed.

    One object may serve every model of a daemon: what it remembers depends on nothing but its arguments.
    It is not safe for threads. run: maps independent simulations.

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

    def __init__(self, run: Run = map) -> None:
        self._run = run
        self._quantiles: Recent[float] = Recent(QUANTILES_KEPT)

    def threshold(self, row: Statistic, null: Null, sizes: tuple[int, int], level: float) -> float:
        """Return one threshold. Raises what the statistic raises on the simulated pairs."""
        return known(self.thresholds([Asked(row, null, sizes)], level)[0])

    def thresholds(self, asked: Sequence[Asked], level: float) -> list[float | Exception]:
        """Return each threshold, or why there is none; what draws the same is simulated once."""
        parts = [[(w, sizes, one.key(sizes, level)) for w, sizes in one.standards()] for one in asked]
        quantiles: dict[Hashable, float | Exception] = {}
        missing: dict[tuple[bytes, tuple[int, int]], dict[Hashable, Asked]] = {}
        for one, found in zip(asked, parts, strict=True):
            for _, sizes, key in found:
                kept = self._quantiles.find(key)
                if kept is None:
                    missing.setdefault((one.null.key, sizes), {})[key] = one
                else:
                    quantiles[key] = kept
        for simulated in self._run(lambda item: _simulated(item[0][1], item[1], level), missing.items()):
            quantiles |= simulated
            for key, quantile in simulated.items():
                if not isinstance(quantile, Exception):  # which would hold the draws
                    self._quantiles.keep(key, quantile)
        return [
            _between(one, [(weight, quantiles[key]) for weight, _, key in found])
            for one, found in zip(asked, parts, strict=True)
        ]


def _simulated(
    sizes: tuple[int, int], asked: Mapping[Hashable, Asked], level: float
) -> dict[Hashable, float | Exception]:
    """Return the standardised quantiles of statistics that are asked of one null model."""
    found: dict[Hashable, float | Exception] = {}
    drawn = Simulation(next(iter(asked.values())).null, *sizes)
    for key, one in asked.items():
        try:
            scores = one.scores(drawn) / noise(*sizes) ** one.row.exponent
            found[key] = upper_quantile(scores, level, one.row.tail_power)
        except FAILURES as error:
            found[key] = error
    return found


def _between(one: Asked, standards: Sequence[tuple[float, float | Exception]]) -> float | Exception:
    """Return the threshold at the sizes asked for, from those at sizes below and above."""
    total = 0.0
    for weight, standard in standards:
        if isinstance(standard, Exception):
            return standard
        total += weight * standard
    return float(total * noise(*one.sizes) ** one.row.exponent)
