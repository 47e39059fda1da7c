"""Thresholds at the window's real size: the null distribution of a statistic, by resampling.

Three facts make it cheap enough to do while a window closes. A statistic divided by its power of
(1/N + 1/M) hardly depends on N and M, so M is simulated at powers of two and interpolated between them,
up to one from which on it does not at all, and N, which stays, is rounded to one of eight steps between
these. Features without a heavy value share one set of draws. And Wasserstein and energy need of these
draws only |F - G|, and the feature's own distances between cells. The draws are seeded from what is drawn,
so a replay finds the same thresholds.
"""

import math
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any

from msgspec import Struct

from detectors.monitors import FAILURES, known
from detectors.null import Null, Simulation
from detectors.recent import Recent
from detectors.statistic import Statistic
from detectors.table import Floats, noise
from detectors.tail import upper_quantile

REFERENCE_STEPS = 8
LARGEST_WINDOW = 2**15
"""Rows from which a standardised statistic depends on more of them less than on the draws by chance."""
QUANTILES_KEPT = 65_536
FEATURES_KEPT = 16_384
STANDARDS_KEPT = 4096

Run = Callable[[Callable[[Any], Any], Iterable[Any]], Iterable[Any]]
Threshold = float | Exception
Quantiles = tuple[Threshold, ...]
Simulated = dict[Hashable, tuple[Statistic, Null]]


class Asked(Struct, frozen=True):
    """What thresholds of a feature are wanted for. sizes: rows of the reference and of the window, from 1."""

    rows: tuple[Statistic, ...]
    null: Null
    sizes: tuple[int, int]

    def standards(self) -> Sequence[tuple[float, tuple[int, int]]]:
        """Return which sizes are simulated for it, with the weight of each."""
        n, m = self.sizes
        return _standards(n, min(m, LARGEST_WINDOW))

    def key(self, sizes: tuple[int, int], level: float) -> Hashable:
        """Name the quantiles that are simulated at these sizes."""
        return (self.rows, self.null.key, self.null.gaps_key, sizes, level)

    def keys(self, sizes: tuple[int, int], level: float) -> list[Hashable]:
        """Name each of these quantiles: what does not depend on the ways between cells is all features'."""
        null = self.null
        return [
            (row, null.key, null.gaps_key if row.takes == "places" else b"", sizes, level)
            for row in self.rows
        ]


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
        self._together: Recent[Quantiles] = Recent(FEATURES_KEPT)

    def threshold(self, row: Statistic, null: Null, sizes: tuple[int, int], level: float) -> float:
        """Return one threshold. Raises what the statistic raises on the simulated pairs."""
        return known(self.thresholds([Asked((row,), null, sizes)], level)[0][0])

    def thresholds(self, asked: Sequence[Asked], level: float) -> list[list[Threshold]]:
        """Return each threshold, or why there is none; what draws the same is simulated once."""
        parts = [[(w, sizes, one.key(sizes, level)) for w, sizes in one.standards()] for one in asked]
        found = {key: self._together.find(key) for part in parts for _, _, key in part}
        lacking = {
            key: (one, sizes)
            for one, part in zip(asked, parts, strict=True)
            for _, sizes, key in part
            if found[key] is None
        }
        found |= self._quantiles_of(lacking, level) if lacking else {}
        return [
            _between(one, [(weight, found[key] or ()) for weight, _, key in part])
            for one, part in zip(asked, parts, strict=True)
        ]

    def _quantiles_of(
        self, lacking: Mapping[Hashable, tuple[Asked, tuple[int, int]]], level: float
    ) -> dict[Hashable, Quantiles]:
        """Return what is not remembered as a whole; what is known of it is not simulated again."""
        quantiles: dict[Hashable, Threshold] = {}
        missing: dict[tuple[bytes, tuple[int, int]], Simulated] = {}
        for one, sizes in lacking.values():
            for row, key in zip(one.rows, one.keys(sizes, level), strict=True):
                kept = self._quantiles.find(key)
                if kept is None:
                    missing.setdefault((one.null.key, sizes), {})[key] = row, one.null
                else:
                    quantiles[key] = kept
        for simulated in self._run(lambda item: _simulated(item[0][1], item[1], level), missing.items()):
            quantiles |= simulated
            for key, quantile in simulated.items():
                if not isinstance(quantile, Exception):  # which would hold the draws
                    self._quantiles.keep(key, quantile)
        found = {}
        for whole, (one, sizes) in lacking.items():
            found[whole] = tuple(quantiles[key] for key in one.keys(sizes, level))
            if not any(isinstance(quantile, Exception) for quantile in found[whole]):
                self._together.keep(whole, found[whole])
        return found


def _simulated(sizes: tuple[int, int], asked: Simulated, level: float) -> dict[Hashable, Threshold]:
    """Return the standardised quantiles of statistics that are asked of one null model."""
    found: dict[Hashable, Threshold] = {}
    drawn = Simulation(next(iter(asked.values()))[1], *sizes)
    for key, (row, null) in asked.items():
        try:
            scores = _scores(row, null, drawn) / noise(*sizes) ** row.exponent
            found[key] = upper_quantile(scores, level, row.tail_power)
        except FAILURES as error:
            found[key] = error
    return found


def _scores(row: Statistic, null: Null, drawn: Simulation) -> Floats:
    """Return the statistic of the simulated pairs, with the feature's own ways between cells."""
    if row.takes == "places" and null.gaps is not None:
        return row.score(drawn.apart, null.gaps)
    return row.of(drawn.pairs)


def _between(one: Asked, standards: Sequence[tuple[float, Quantiles]]) -> list[Threshold]:
    """Return the thresholds at the sizes asked for, from those at sizes below and above."""
    size = noise(*one.sizes)
    powers = {exponent: size**exponent for exponent in {row.exponent for row in one.rows}}
    weights = [weight for weight, _ in standards]
    each = zip(one.rows, zip(*(quantiles for _, quantiles in standards), strict=True), strict=True)
    return [_weighted(weights, quantiles, powers[row.exponent]) for row, quantiles in each]


def _weighted(weights: Sequence[float], quantiles: Quantiles, power: float) -> Threshold:
    total = 0.0
    for weight, quantile in zip(weights, quantiles, strict=True):
        if isinstance(quantile, Exception):
            return quantile
        total += weight * quantile
    return float(total * power)
