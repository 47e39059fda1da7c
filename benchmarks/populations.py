"""Populations that windows are drawn from, of every task: their metrics are known exactly."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from detectors.classification import ClassMeasure
from detectors.measure import Estimate, Floats, Measure, Scored
from detectors.ranking import RankingMeasure
from detectors.regression import RegressionMeasure

POOL = 1_000_000
BINARY = (0.3, 0.05, 0.01, 0.005)
SEVERAL = ((0.6, 0.395, 0.005), (0.6, 0.39, 0.01), (1 / 3, 1 / 3, 1 / 3))
SHARP = 2.0
"""The sum of the parameters of the scores' law: below 2 most scores are near an end."""
ITEMS = 10
"""Of each query of a ranking."""
KINDS = ("binary", "multiclass", "regression", "ranking")
Values = Mapping[str, Estimate]


@dataclass(frozen=True, slots=True, eq=False)
class World:
    """A population: its rows, and the measure of them. unit: rows that are drawn together (a query's).

    A window's size is counted in units.
    """

    name: str
    measure: Measure
    rows: Scored
    unit: int = 1

    def sums(self, random: np.random.Generator, size: int, count: int) -> tuple[Floats, Floats]:
        """Draw windows; return their sums, labelled and open: float64 [count, width] each."""
        chosen = random.integers(0, len(self.rows.label) // self.unit, size * count)
        drawn = self.rows.take((chosen[:, None] * self.unit + np.arange(self.unit)).ravel())
        query = np.repeat(np.arange(len(chosen), dtype=np.uint64), self.unit)
        drawn = Scored(drawn.prediction, drawn.scores, drawn.label, query)
        groups = np.repeat(np.arange(count), size * self.unit)
        return self.measure.sums(drawn, groups, count), self.measure.open_sums(drawn, groups, count)

    def truth(self) -> Values:
        """Return the population's own metrics."""
        return self.measure.values(
            self.measure.sums(self.rows, np.zeros(len(self.rows.label), np.int64), 1)[0], 0.05
        )


def binary(share: float) -> World:
    """Return rows of which this share is positive; their scores are right."""
    random = np.random.default_rng(1)
    score = random.beta(SHARP * share, SHARP * (1.0 - share), POOL)
    label = (random.random(POOL) < score).astype(np.float64)
    rows = Scored((score >= 0.5).astype(np.float64), score[:, None], label)
    return World(f"{share:g}", ClassMeasure(("0", "1"), scored=True), rows)


def several(shares: tuple[float, ...]) -> World:
    """Return rows of more classes; their scores are right."""
    random = np.random.default_rng(2)
    score = random.dirichlet(SHARP * np.array(shares), POOL)
    label = (score.cumsum(axis=1) < random.random((POOL, 1))).sum(axis=1).clip(0, len(shares) - 1)
    rows = Scored(score.argmax(axis=1).astype(np.float64), score, label.astype(np.float64))
    name = ", ".join(f"{share:.3g}" for share in shares)
    return World(name, ClassMeasure(tuple("abc"), scored=True), rows)


def numbers(name: str, draw: Callable[[np.random.Generator], Floats]) -> World:
    """Return predicted numbers with errors of a law."""
    random = np.random.default_rng(3)
    label = random.normal(100.0, 20.0, POOL)
    rows = Scored(label + draw(random), np.empty((POOL, 0)), label)
    return World(name, RegressionMeasure((), (0.9,), 100.0), rows)


def ranked(name: str, quality: float) -> World:
    """Return queries of ten items, each relevant one time in five."""
    random = np.random.default_rng(4)
    label = (random.random(POOL) < 0.2).astype(np.float64)
    score = quality * label + random.normal(size=POOL)
    rows = Scored(label, score[:, None], label, np.arange(POOL, dtype=np.uint64) // ITEMS)
    return World(name, RankingMeasure((3,)), rows, ITEMS)


def worlds(kind: str) -> Iterator[World]:
    """Yield the populations of a kind."""
    if kind == "binary":
        yield from map(binary, BINARY)
    elif kind == "multiclass":
        yield from map(several, SEVERAL)
    elif kind == "regression":
        yield numbers("normal", lambda random: random.normal(0.0, 5.0, POOL))
        yield numbers("t of 3", lambda random: 5.0 * random.standard_t(3, POOL))
        yield numbers("lognormal", lambda random: random.lognormal(0.0, 1.5, POOL) - 3.0)
    else:
        yield ranked("good", 3.0)
        yield ranked("poor", 0.5)
