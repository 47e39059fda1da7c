"""Rows of numbers and categories as points of one space, in which a distance means something.

A numeric column is one coordinate of about unit spread: the normal score of the value's rank, the value in
standard deviations, or the value itself. A missing value sits in the middle, and where any is missing a
second coordinate says which. A category is a coordinate for each of its common values, of which missing is
one, and one for all others, scaled so that the column as a whole spreads like a numeric one.
"""

from typing import Literal

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from detectors.joint import Joint
from detectors.probability import normal_quantile
from detectors.table import Floats

Scale = Literal["ranks", "sd", "none"]
SCALES: tuple[Scale, ...] = ("ranks", "sd", "none")
COMMON = 20
"""Values of a category with a coordinate of their own."""
LARGEST_WEIGHT = 2.0
"""Of a category that hardly varies: else its few other rows would be far from everything."""
MISSING_WEIGHT = 2.0
"""A row that lacks a number is as far from the others as the two values of an even binary column."""
LARGEST = 1e100
"""Of unscaled values: the square of more overflows."""
FARTHEST = 1e6
"""Standard deviations; beyond, one row's square would swamp all others' digits."""


class Points(Struct, frozen=True, eq=False):
    """Rows as points: float64 [rows, coordinates]; owner: int64 [coordinates], the column of each."""

    rows: Floats
    owner: NDArray[np.int64]


class Encoder(Struct, frozen=True, eq=False):
    """How rows become points, learnt from some rows.

    sorted: the present values of each numeric column, ascending. values: the common codes of each category;
    weights: each category's scale. lacking: bool [N], the numeric columns that tell missing values apart.
    """

    scale: Scale
    ordered: tuple[Floats, ...]
    lacking: NDArray[np.bool_]
    values: tuple[NDArray[np.int32], ...]
    weights: tuple[float, ...]

    @classmethod
    def of(cls, rows: Joint, scale: Scale = "ranks", lacking: NDArray[np.bool_] | None = None) -> "Encoder":
        """Learn from rows; lacking: which numeric columns may miss values, by default those of the rows."""
        ordered = tuple(np.sort(column[~np.isnan(column)]) for column in rows.numeric.T)
        values, weights = [], []
        for column in rows.codes.T:
            found, counts = np.unique(column, return_counts=True)
            common = np.sort(found[np.argsort(-counts, kind="stable")[:COMMON]])
            values.append(common)
            weights.append(_weight(counts, len(column)))
        missing = lacks(rows) if lacking is None else lacking
        return cls(scale, ordered, missing, tuple(values), tuple(weights))

    def points(self, rows: Joint) -> Points:
        """Return the rows as points."""
        parts: list[Floats] = []
        owner: list[int] = []
        for place, (known, column) in enumerate(zip(self.ordered, rows.numeric.T, strict=True)):
            parts.append(_coordinate(self.scale, known, column)[:, None])
            if self.lacking[place]:
                parts.append(MISSING_WEIGHT * np.isnan(column)[:, None])
            owner += [place] * (1 + bool(self.lacking[place]))
        for place, (common, column) in enumerate(zip(self.values, rows.codes.T, strict=True)):
            one_hot = (column[:, None] == common).astype(np.float64)
            other = 1.0 - one_hot.sum(axis=1, keepdims=True)
            parts.append(self.weights[place] * np.hstack([one_hot, other]))
            owner += [len(self.ordered) + place] * (len(common) + 1)
        found = np.hstack(parts) if parts else np.empty((rows.rows, 0))
        return Points(found, np.array(owner, np.int64))


def lacks(rows: Joint) -> NDArray[np.bool_]:
    """Tell which numeric columns miss some value."""
    return np.asarray(np.isnan(rows.numeric).any(axis=0), np.bool_)


def _weight(counts: NDArray[np.int64], rows: int) -> float:
    """Return what makes one-hot coordinates spread by 1 together, bounded."""
    spread = 1.0 - float(np.square(counts / max(rows, 1)).sum())
    return min(LARGEST_WEIGHT, float(1.0 / np.sqrt(max(spread, 1e-9))))


def _coordinate(scale: Scale, known: Floats, column: Floats) -> Floats:
    """Return one numeric column's coordinate: the middle where it is missing, or was never known."""
    missing = np.isnan(column)
    if not len(known):
        return np.zeros(len(column))
    if scale == "ranks":
        rank = (np.searchsorted(known, column, "left") + np.searchsorted(known, column, "right")) / 2.0
        end = 0.5 / len(known)
        found = normal_quantile(np.clip(rank / len(known), end, 1.0 - end))
        return np.where(missing, 0.0, found)
    if scale == "none":
        return np.clip(np.where(missing, np.median(known), column), -LARGEST, LARGEST)
    unit = max(float(np.abs(known).max()), np.finfo(np.float64).tiny)  # squares of it could overflow
    middle, spread = float((known / unit).mean()), float((known / unit).std())
    apart = np.where(missing, 0.0, column / unit - middle)
    with np.errstate(over="ignore"):
        return np.clip(apart / max(spread, 1.0 / FARTHEST), -FARTHEST, FARTHEST)


def pooled(first: Joint, second: Joint) -> Joint:
    """Return the rows of both, the first's first."""
    return Joint(
        first.columns,
        np.concatenate([first.numeric, second.numeric]),
        np.concatenate([first.codes, second.codes]),
    )


def part(rows: Joint, places: NDArray[np.int64]) -> Joint:
    """Return these rows, in this order."""
    return Joint(rows.columns, rows.numeric[places], rows.codes[places])
