"""One feature of a window beside the reference, as counts on the same cells.

Numeric features keep two views: the fine cells (below, bins, above) for the statistics of the
distribution function, and about ten groups of them for the statistics that compare shares. A category
has one view: its most common values, the rest together, and what the reference never held.
"""

from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
from numpy.typing import NDArray

from detectors.distances import Counts, Floats
from detectors.profile import CategorySummary, NumericSummary, Summary

GROUPS = 10
COMMON_CATEGORIES = 49
STARTS_KEPT = 4096


@dataclass(frozen=True, eq=False)
class Comparison:
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
    def cells(self) -> tuple[Counts, Counts]:
        """The fine cells of both."""
        return self.reference, self.window

    @cached_property
    def groups(self) -> tuple[Counts, Counts]:
        """The groups of both."""
        if self.starts is None:
            return self.cells
        return (
            np.add.reduceat(self.reference, self.starts, axis=-1),
            np.add.reduceat(self.window, self.starts, axis=-1),
        )


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


def compare(reference: Summary, window: Summary) -> Comparison:
    """Return both summaries of one feature on the same cells; the window's counts may be of many, [R, K]."""
    if isinstance(reference, NumericSummary) and isinstance(window, NumericSummary):
        return compare_numeric(reference, window)
    if isinstance(reference, CategorySummary) and isinstance(window, CategorySummary):
        return compare_categories(reference, window)
    raise TypeError("a numeric feature cannot be compared with a category")


def compare_numeric(reference: NumericSummary, window: NumericSummary) -> Comparison:
    """Return the numeric comparison.

    Rows outside the reference's range count as its extremes: how far out they are is known to no
    reference, so no threshold could be right (on Cauchy rows 100 times too many breaches), and one
    absurd value would be a drift. The unit of distance is the reference's standard deviation. A constant
    has none: there the distance is the share of the rows that left it.
    """
    grid = reference.grid
    return Comparison(
        reference.counts,
        window.counts,
        _remembered_starts(reference.counts.astype(np.int64, copy=False).tobytes()),
        np.array([grid.lo, *grid.places, grid.hi] if grid.sd > 0 else [-1.0, *[0.0] * grid.bins, 1.0]),
        grid.sd if grid.sd > 0 else 1.0,
    )


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


def compare_categories(reference: CategorySummary, window: CategorySummary) -> Comparison:
    """Return the categorical comparison: the reference's most common values, the rest, the new.

    Examples
    --------
    >>> from detectors.profile import CategoryGrid
    >>> grid = CategoryGrid("colour", ("red", "blue"))
    >>> reference = CategorySummary(grid, 100, np.array([60, 40, 0, 0]), null=0, invalid=0)
    >>> window = CategorySummary(grid, 10, np.array([5, 4, 0, 1]), null=0, invalid=0)
    >>> compare_categories(reference, window).window.tolist()
    [5, 4, 0, 1]

    """
    listed = len(reference.grid.categories)
    order = np.argsort(-reference.counts[:listed], kind="stable")
    return Comparison(
        _merged(reference.counts, order),
        _merged(window.counts, order),
        unseen=unseen_rows(reference),
    )


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
