"""One feature of a window beside the reference, as counts on the same cells.

Numeric features keep two views: the fine cells (below, bins, above) for the statistics of the
distribution function, and about ten groups of them for the statistics that compare shares. A category
has one view: its most common values, the rest together, and what the reference never held.
"""

from functools import cached_property, lru_cache

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from detectors.distances import gaps
from detectors.profile import CategorySummary, NumericSummary, Summary
from detectors.table import Counts, Floats, Table

GROUPS = 10
COMMON_CATEGORIES = 49
STARTS_KEPT = 4096


class Comparison(Struct, frozen=True, eq=False, dict=True):
    """Two samples on the same cells; leading axes of the counts are many simulated pairs.

    reference, window: counts [..., K]. starts: the first cell of each group, None where every cell is a
    group of its own. places: float64 [K], where Wasserstein puts each cell's rows, None for categories.
    unit: what one unit of distance is, in the feature's unit. unseen: of as many rows as the
    reference has, how many would, without drift, hold a category that it never held (the last cell),
    and the variance of that estimate.
    """

    reference: Counts
    window: Counts
    starts: NDArray[np.int64] | None = None
    places: Floats | None = None
    unit: float = 1.0
    unseen: tuple[float, float] = (0.0, 0.0)

    @property
    def cells(self) -> Table:
        """The fine cells of both, made anew: of thousands of pairs too much would be kept."""
        return Table.of(self.reference, self.window)

    @cached_property
    def groups(self) -> Table:
        """The groups of both."""
        if self.starts is None:
            return self.cells
        return Table.of(self.grouped(self.reference), self.grouped(self.window))

    def grouped(self, counts: Counts) -> Counts:
        """Return the counts of the groups, from those of the cells."""
        return counts if self.starts is None else np.add.reduceat(counts, self.starts, axis=-1)

    @cached_property
    def gaps(self) -> Floats:
        """The way from each cell to the next in units of the reference's, float64 [K - 1]."""
        if self.places is None:
            raise TypeError("categories have no places")
        return gaps(self.places, self.unit)


def group_starts(counts: Counts) -> NDArray[np.int64]:
    """Return the first cell of each of about ten neighbouring groups of about equal counts.

    A cell with more than a tenth of the rows is a group of its own, and no group reaches across it.

    Examples
    --------
    >>> group_starts(np.full(20, 5)).tolist()
    [0, 2, 4, 6, 8, 10, 12, 14, 16, 18]
    >>> group_starts(np.array([60, 10, 10, 10, 10])).tolist()
    [0, 1, 2, 3, 4]

    """
    total = counts.sum()
    heavy = counts * GROUPS > total
    opens = heavy.copy()
    opens[1:] |= heavy[:-1]
    opens[0] = True
    run = np.cumsum(opens) - 1
    mass = np.bincount(run, weights=counts)
    parts = np.where(heavy[opens], 1.0, np.maximum(np.rint(mass * GROUPS / total), 1.0))
    middle = np.cumsum(counts) - counts / 2 - (np.cumsum(mass) - mass)[run]
    part = np.minimum(np.floor(middle / np.maximum(mass, 1e-300)[run] * parts[run]), parts[run] - 1)
    label = run * (GROUPS + 1.0) + part
    return np.flatnonzero(np.diff(label, prepend=-1.0)).astype(np.int64)


class Half(Struct, frozen=True, eq=False):
    """The reference's half of a comparison, which stays while windows pass: see `Comparison`.

    order: the categories, the most common first; None for numeric features.
    """

    reference: Counts
    order: NDArray[np.int64] | None = None
    starts: NDArray[np.int64] | None = None
    places: Floats | None = None
    unit: float = 1.0
    unseen: tuple[float, float] = (0.0, 0.0)

    def beside(self, window: Summary) -> Comparison:
        """Return the window's summary of the feature on the same cells; its counts may be of many, [R, K]."""
        if isinstance(window, NumericSummary) is not (self.order is None):
            raise TypeError("a numeric feature cannot be compared with a category")
        counts = window.counts if self.order is None else _merged(window.counts, self.order)
        return Comparison(self.reference, counts, self.starts, self.places, self.unit, self.unseen)


def compare(reference: Summary, window: Summary) -> Comparison:
    """Return both summaries of one feature on the same cells; the window's counts may be of many, [R, K].

    Examples
    --------
    >>> from detectors.profile import CategoryGrid
    >>> grid = CategoryGrid("colour", ("red", "blue"))
    >>> reference = CategorySummary(grid, 100, np.array([60, 40, 0, 0]), null=0, invalid=0)
    >>> window = CategorySummary(grid, 10, np.array([5, 4, 0, 1]), null=0, invalid=0)
    >>> compare(reference, window).window.tolist()
    [5, 4, 0, 1]

    """
    return half_of(reference).beside(window)


def half_of(reference: Summary) -> Half:
    """Return the reference's half of a comparison.

    Rows outside a numeric reference's range count as its extremes: how far out they are is known to no
    reference, so no threshold could be right (on Cauchy rows 100 times too many breaches), and one
    absurd value would be a drift. The unit of distance is the reference's standard deviation. A constant
    has none: there the distance is the share of the rows that left it. Of a category there are the
    reference's most common values, the rest, and the new.
    """
    if isinstance(reference, CategorySummary):
        listed = len(reference.grid.categories)
        order = np.argsort(-reference.counts[:listed], kind="stable")
        return Half(_merged(reference.counts, order), order, unseen=unseen_rows(reference))
    grid = reference.grid
    starts = _remembered_starts(reference.counts.astype(np.int64, copy=False).tobytes())
    places = np.array([grid.lo, *grid.places, grid.hi] if grid.sd > 0 else [-1.0, *[0.0] * grid.bins, 1.0])
    return Half(reference.counts, None, starts, places, grid.sd if grid.sd > 0 else 1.0)


@lru_cache(STARTS_KEPT)
def _remembered_starts(counts: bytes) -> NDArray[np.int64]:
    """Return the groups of a reference's counts, which stay the same window after window."""
    starts = numeric_starts(np.frombuffer(counts, np.int64))
    starts.flags.writeable = False
    return starts


def numeric_starts(counts: Counts) -> NDArray[np.int64]:
    """Return the groups of [below, bins, above]: rows outside join the outermost group.

    Where that group is one heavy value (a constant, many zeros), they stay apart: a move away from such
    a value must be seen.
    """
    bins = counts[1:-1]
    starts = group_starts(bins) + 1
    heavy = bins * GROUPS > bins.sum()
    head = np.zeros(1, np.int64)
    inner = starts if heavy[0] else starts[1:]
    tail = np.array([len(counts) - 1] if heavy[-1] else [], np.int64)
    return np.concatenate([head, inner, tail])


def _merged(counts: NDArray[np.int64], order: NDArray[np.int64]) -> NDArray[np.int64]:
    rest = counts[..., order[COMMON_CATEGORIES:]].sum(axis=-1) + counts[..., -2]
    ends = np.stack([rest, counts[..., -1]], axis=-1)
    return np.concatenate([counts[..., order[:COMMON_CATEGORIES]], ends], axis=-1)


def unseen_rows(reference: CategorySummary) -> tuple[float, float]:
    """Return how many of as many more rows would hold a category that the reference, by chance, never held.

    It is about the number of categories that occur once, f1, with variance f1 + 2 f2 (Good-Turing). Of the
    categories without a cell of their own, L with O rows, about L * L / O are taken to occur once, and as
    many twice.

    Examples
    --------
    >>> from detectors.profile import CategoryGrid
    >>> grid = CategoryGrid("town", ("a", "b", "c"))
    >>> unseen_rows(CategorySummary(grid, 100, np.array([97, 2, 1, 0, 0]), null=0, invalid=0))
    (1.0, 3.0)

    References
    ----------
    Good, I. J. (1953). The population frequencies of species and the estimation of population parameters.
    Biometrika 40(3/4).

    """
    grid = reference.grid
    if not grid.closed:
        return 0.0, 0.0
    listed, rows = len(grid.others), int(reference.counts[-2])
    rare = min(listed * listed / rows, listed) if rows else 0.0
    counts = reference.counts[: len(grid.categories)]
    once, twice = (float((counts == k).sum()) + rare for k in (1, 2))
    return once, once + 2.0 * twice
