"""Two samples' counts on the same cells: a 2 x K table, and what several statistics make of it, each once.

Both sides are [..., K] over K cells, each with at least one row; leading axes broadcast, so the same code
judges one window, many features of it and two thousand simulated ones.
"""

from collections.abc import Sequence
from functools import cached_property

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Counts = NDArray[np.int64] | NDArray[np.float64]

SMOOTHING = 0.5


def shares(counts: Counts) -> Floats:
    """Return the share of the rows in each cell."""
    return np.asarray(counts / counts.sum(axis=-1, keepdims=True), dtype=np.float64)


def noise(n: float, m: float) -> float:
    """Return 1/n + 1/m: the variance of a difference of two means, per variance of one row."""
    return 1.0 / n + 1.0 / m


class Side(Struct, frozen=True, eq=False, dict=True):
    """One sample's counts [..., K]; the reference's stays while windows pass."""

    counts: Counts

    @cached_property
    def rows(self) -> Counts:
        """How many rows the sample has, [...]."""
        return np.asarray(self.counts.sum(axis=-1))

    @cached_property
    def shares(self) -> Floats:
        """The share of the rows in each cell."""
        return shares(self.counts)

    @cached_property
    def roots(self) -> Floats:
        """The roots of the shares."""
        return np.sqrt(self.shares)


class Table(Struct, frozen=True, eq=False, dict=True):
    """The reference's counts beside the window's."""

    reference: Side
    window: Side

    @classmethod
    def of(cls, reference: Counts, window: Counts) -> "Table":
        """Set a window's counts beside the reference's.

        Examples
        --------
        >>> found = Table.of(np.array([1, 1, 2]), np.array([1, 0, 0]))
        >>> found.difference.tolist(), found.climb.tolist(), found.cells_used.tolist()
        ([-0.75, 0.25, 0.5], [-0.75, -0.5, 0.0], 3)

        """
        return cls(Side(reference), Side(window))

    @cached_property
    def both(self) -> Counts:
        """The rows of both samples in each cell."""
        return self.reference.counts + self.window.counts

    @cached_property
    def used(self) -> NDArray[np.bool_]:
        """Which cells either sample uses."""
        return self.both > 0

    @cached_property
    def cells_used(self) -> NDArray[np.int64]:
        """How many cells either sample uses, [...]."""
        return np.asarray(self.used.sum(axis=-1))

    @cached_property
    def noise(self) -> Floats:
        """The noise of samples of these sizes, [...]: see `noise`."""
        return np.asarray(1.0 / self.reference.rows + 1.0 / self.window.rows)

    @cached_property
    def sizes(self) -> tuple[Floats, Floats]:
        """How many rows the reference and the window have, [...] each."""
        return self.reference.rows.astype(np.float64), self.window.rows.astype(np.float64)

    @cached_property
    def difference(self) -> Floats:
        """The reference's share of each cell less the window's."""
        return self.reference.shares - self.window.shares

    @cached_property
    def moved(self) -> Floats:
        """The size of the difference."""
        return np.abs(self.difference)

    @cached_property
    def climb(self) -> Floats:
        """F - G at the upper end of each cell."""
        return np.cumsum(self.difference, axis=-1)

    @cached_property
    def apart(self) -> Floats:
        """|F - G| at the upper end of each cell but the last, where it is 0."""
        return np.abs(self.climb[..., :-1])

    @cached_property
    def index(self) -> Floats:
        """The population stability index before its bias is taken off, [...].

        Half a row is added to each cell that either sample has used, so that the logarithms exist.
        """
        used = self.used
        a, b = (shares(np.where(used, s.counts + SMOOTHING, 0.0)) for s in (self.reference, self.window))
        ratio = np.where(used, b, 1.0) / np.where(used, a, 1.0)
        return np.asarray(((b - a) * np.log(ratio)).sum(axis=-1))


class Joined(Struct, frozen=True, eq=False, dict=True):
    """What p-values need of several tables [F, K] of differing K, side by side: each as of a table."""

    tables: Sequence[Table]

    @cached_property
    def cells_used(self) -> NDArray[np.int64]:
        """How many cells either sample uses."""
        return np.concatenate([one.cells_used for one in self.tables])

    @cached_property
    def noise(self) -> Floats:
        """The noise of samples of these sizes."""
        return np.concatenate([one.noise for one in self.tables])

    @cached_property
    def sizes(self) -> tuple[Floats, Floats]:
        """How many rows the reference and the window have."""
        n, m = zip(*(one.sizes for one in self.tables), strict=True)
        return np.concatenate(n), np.concatenate(m)

    @cached_property
    def index(self) -> Floats:
        """The population stability index before its bias is taken off."""
        return np.concatenate([one.index for one in self.tables])
