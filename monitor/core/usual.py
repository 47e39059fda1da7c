"""What errors and losses the reference itself has: what streams of them are compared with."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import numpy as np
import polars as pl
from msgspec import Struct
from msgspec.structs import astuple

from detectors.class_sums import Counting
from detectors.dependence import depends
from detectors.mean_bound import Moments, moments_of
from detectors.measure import Floats, Scored
from detectors.pit import Pit
from detectors.profile import Grid, NumericGrid
from monitor.config import Model
from monitor.core.codec import grid_head, grid_of
from monitor.core.outcomes import Vocabulary
from monitor.core.reference import numeric_grid

ERROR, LOSS = "_error", "_loss"
"""What streams of outcomes are called where others have a feature."""
BLOCKS = tuple(2**power for power in range(11))
"""Rows in a block of whose means the moments are known."""
TRIED = (1, 16, 64, 256, 1024)
"""Which of them are looked at for dependence: the shortest without any is used."""
LEAST_BLOCKS, LEAST_TESTED = 100, 10
"""Blocks of a longer length, and rows, that are enough to be looked at."""
MOST_TESTED = 1_000_000
"""Rows of a reference that are looked at for dependence."""
MAPPED: Mapping[str, tuple[str, ...]] = MappingProxyType({"regression": (LOSS,)})
"""Losses that are not from 0 to 1 by themselves, by task."""
RowLoss = Callable[[Scored], Floats]


class Usual(Struct, frozen=True):
    """The reference's own errors or losses.

    moments: of the means of each of BLOCKS, in the reference's order, on the scale of 0 to 1. block: rows
    beyond which they do not depend on each other; 1 where they never do. dependent: they do at any length
    that could be looked at. grid, counts: the reference's values on its bins, which are the scale; None and
    () where the values are from 0 to 1 as they are.
    """

    moments: tuple[Moments, ...]
    block: int
    dependent: bool
    grid: NumericGrid | None = None
    counts: tuple[int, ...] = ()

    @classmethod
    def of(cls, values: Floats, *, mapped: bool) -> "Usual | None":
        """Sum up the finite values of a reference, float64 [n] in order; None if there is none."""
        known = values[np.isfinite(values)]
        if not len(known):
            return None
        grid = numeric_grid(LOSS, pl.Series(known)) if mapped else None
        counts = _counted(grid, known) if grid is not None else ()
        pit = Pit.of(grid, np.array(counts)) if grid is not None else None
        scaled = known if pit is None else pit.map(known)
        block, dependent = _memory(scaled[:MOST_TESTED])
        return cls(tuple(moments_of(scaled, b) for b in BLOCKS), block, dependent, grid, counts)

    @property
    def pit(self) -> Pit | None:
        """The scale, None where the values need none."""
        return Pit.of(self.grid, np.array(self.counts, np.int64)) if self.grid is not None else None

    def moments_of(self, block: int) -> Moments:
        """Return the moments of the means of one of BLOCKS."""
        return self.moments[BLOCKS.index(block)]

    def grown(self, share: float) -> float:
        """Return by how much the mean moves on the scale when every loss grows by a share of itself."""
        pit = self.pit
        if pit is None or self.grid is None:
            return self.moments[0].mean * share
        losses, weights = np.array(self.grid.places), np.array(self.counts[1:-1])
        return float(weights @ (pit.map(losses * (1.0 + share)) - pit.map(losses)) / weights.sum())

    def item(self) -> dict[str, Any]:
        """Return it as plain data."""
        return {
            "moments": [astuple(m) for m in self.moments],
            "block": self.block,
            "dependent": self.dependent,
            "grid": grid_head(Grid((self.grid,))) if self.grid is not None else [],
            "counts": self.counts,
        }

    @classmethod
    def load(cls, item: Mapping[str, Any]) -> "Usual":
        """Read what `item` returned."""
        grids = grid_of(item["grid"]).numeric
        moments = tuple(Moments(*m) for m in item["moments"])
        grid = grids[0] if grids else None
        return cls(moments, item["block"], item["dependent"], grid, tuple(item["counts"]))


def _counted(grid: NumericGrid, values: Floats) -> tuple[int, ...]:
    cells = np.searchsorted(np.array(grid.edges), values) + 1
    return tuple(np.bincount(cells, minlength=grid.bins + 2).tolist())


def _memory(values: Floats) -> tuple[int, bool]:
    """Return the shortest block whose means do not depend on each other, and whether all of them do."""
    block = 1
    for tried in TRIED:
        means = values[: len(values) // tried * tried].reshape(-1, tried).mean(axis=1)
        if tried > 1 and len(means) < LEAST_BLOCKS:
            break
        block = tried
        if len(means) < LEAST_TESTED or not depends(means):
            return block, False
    return block, True


def usual_of(model: Model, scored: Scored) -> dict[str, Usual]:
    """Return what a reference's rows with outcomes show of each kind of loss that the model has."""
    found = {
        kind: Usual.of(loss(scored), mapped=kind in MAPPED.get(model.task, ()))
        for kind, loss in losses(model).items()
    }
    return {kind: usual for kind, usual in found.items() if usual is not None}


def losses(model: Model) -> Mapping[str, RowLoss]:
    """Return how each row's error or loss is reckoned, by `_error` and `_loss`; what a task lacks is absent.

    Error: 1 where the class is wrong, else 0. Loss: of classes the probability that was not given to the true
    one, of numbers how far the predicted one was off.
    """
    if model.task == "regression":
        return {LOSS: _off}
    vocabulary = Vocabulary.of(model)
    if not vocabulary.classes:
        return {}
    scored = bool(vocabulary.scores)
    counting = Counting(len(vocabulary.classes), scored, model.performance.threshold)
    of_class: dict[str, RowLoss] = {ERROR: counting.errors}
    return of_class | ({LOSS: counting.doubts} if scored else {})


def _off(rows: Scored) -> Floats:
    return np.abs(rows.prediction - rows.label)
