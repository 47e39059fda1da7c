"""What a multivariate detector sees and says: whole rows of the reference beside whole rows of a window."""

from collections.abc import Mapping
from typing import NamedTuple, Protocol

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from detectors.profile import Floats
from detectors.sample import Sample, Vectors

Option = bool | int | float | str


class RefusedError(ValueError):
    """A window, or a reference, that a detector can say nothing of: too few rows, above all."""


class Joint(Struct, frozen=True, eq=False):
    """k rows, each with all of its columns.

    numeric: float64 [k, N], NaN where a value is missing or not finite. codes: int32 [k, C], the category's
    place among the reference's (`_other` and `_new` behind them), -1 where it is missing. columns: the names,
    the N numeric ones first. vectors: the columns are the coordinates of an embedding, of one unit, whose
    names mean nothing alone.
    """

    columns: tuple[str, ...]
    numeric: Floats
    codes: NDArray[np.int32]
    vectors: bool = False

    @property
    def rows(self) -> int:
        """How many rows there are."""
        return len(self.numeric)

    @classmethod
    def of(cls, columns: tuple[str, ...], sample: Sample, numeric: list[int], codes: list[int]) -> "Joint":
        """Take columns out of a bottom-k sample, by their places in it."""
        return cls(columns, sample.numeric[:, numeric], sample.codes[:, codes])

    @classmethod
    def of_vectors(cls, name: str, vectors: Vectors) -> "Joint":
        """Take an embedding's vectors of a bottom-k sample, of rows that have one: a column a dimension."""
        return cls.of_coordinates(name, vectors[~np.isnan(vectors[:, 0])].astype(np.float64))

    @classmethod
    def of_coordinates(cls, name: str, found: Floats) -> "Joint":
        """Return an embedding's vectors, float64 [k, dimensions], as rows: a column a dimension."""
        columns = tuple(f"{name}[{place}]" for place in range(found.shape[1]))
        return cls(columns, found, np.empty((len(found), 0), np.int32), vectors=True)


class Comparison(Struct, frozen=True):
    """What a multivariate detector found: higher is more drift, above the threshold it is a breach.

    score and threshold: in the statistic's own unit. pvalue: of a window without drift to score as much.
    effect: the size of the change from 0 (none) upwards, comparable over detectors where that is possible.
    parts: the columns' shares in the change, the largest first, where the detector can tell; they sum to 1.
    """

    score: float
    threshold: float
    pvalue: float
    effect: float
    parts: tuple[tuple[str, float], ...] = ()
    note: str = ""


class Asked(NamedTuple):
    """What is asked: a detector by its name, and what it takes, as `Compare` does."""

    detector: str
    reference: Joint
    window: Joint
    level: float
    options: Mapping[str, Option]
    seed: int


class Compare(Protocol):
    """A multivariate two-sample detector: stateless, and the same for the same rows, options and seed."""

    def __call__(
        self, reference: Joint, window: Joint, level: float, options: Mapping[str, Option], seed: int
    ) -> Comparison:
        """Compare; `level` is the probability of a breach without drift. RefusedError: too few rows."""
