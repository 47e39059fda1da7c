"""Profiles made row by row from arrays: slow, and plain enough to be right at a glance."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np

from detectors.profile import (
    LIMB_BITS,
    SQUARE_SHIFT,
    CategoryGrid,
    FeatureGrid,
    Floats,
    Grid,
    NumericGrid,
    Profile,
    WindowProfile,
)

Column = Floats | Sequence[str | None]
Columns = Mapping[str, Column]
"""A float array is numeric (NaN: a NaN); a sequence of strings is categorical (None: a null)."""

MASK = (1 << LIMB_BITS) - 1


def numeric_grid(name: str, values: Floats, bins: int = 200) -> NumericGrid:
    finite = np.sort(values[np.isfinite(values)])
    lo, hi = float(finite[0]), float(finite[-1])
    cuts = np.quantile(finite, np.arange(1, bins) / bins, method="inverted_cdf")
    edges = tuple(float(e) for e in np.unique(cuts) if e < hi)
    cell = np.searchsorted(np.array(edges), finite, side="left")
    places = tuple(float(finite[cell == k].mean()) for k in range(len(edges) + 1))
    unit = 2.0 ** (math.frexp(hi - lo)[1] - 30) if hi > lo else 1.0
    return NumericGrid(name, lo, hi, edges, finite.mean(), unit, float(finite.std()), places)


def category_grid(name: str, values: Sequence[str | None], limit: int = 1000) -> CategoryGrid:
    ranked = [c for c, _ in Counter(v for v in values if v is not None).most_common()]
    return CategoryGrid(name, tuple(ranked[:limit]), tuple(ranked[limit:]))


def make_grid(columns: Columns, bins: int = 200, limit: int = 1000) -> Grid:
    features: list[FeatureGrid] = []
    for name, values in columns.items():
        if isinstance(values, np.ndarray):
            features.append(numeric_grid(name, values, bins))
        else:
            features.append(category_grid(name, values, limit))
    return Grid(tuple(features))


def make_profile(grid: Grid, columns: Columns) -> Profile:
    """Return the profile of the columns; a column that is absent is null in every row."""
    rows = max((len(v) for v in columns.values()), default=0)
    cells, low, high = [], [], []
    for feature in grid.features:
        if isinstance(feature, NumericGrid):
            values = columns.get(feature.name)
            numbers = np.empty(0) if values is None else np.asarray(values, dtype=np.float64)
            finite = numbers[np.isfinite(numbers)]
            cells += _numeric_cells(feature, numbers, finite, nulls=rows - len(numbers))
            low.append(finite.min() if len(finite) else np.inf)
            high.append(finite.max() if len(finite) else -np.inf)
        else:
            texts = columns.get(feature.name, [None] * rows)
            cells += _category_cells(feature, [None if t is None else str(t) for t in texts])
    return Profile(rows, np.array(cells, dtype=np.int64), np.array(low), np.array(high))


def _numeric_cells(grid: NumericGrid, numbers: Floats, finite: Floats, nulls: int) -> list[int]:
    counts = [0] * (grid.bins + 2)
    s1 = s2 = 0
    for x in finite:
        inside = 1 + int(np.searchsorted(np.array(grid.edges), x, side="left"))
        counts[0 if x < grid.lo else grid.bins + 1 if x > grid.hi else inside] += 1
        q = round((x - grid.centre) / grid.unit)
        s1 += q
        s2 += round(q / 2**SQUARE_SHIFT) ** 2
    odd = [nulls, *(int(f(numbers).sum()) for f in (np.isnan, np.isneginf, np.isposinf)), 0]
    return [*counts, *odd, s1 & MASK, s1 >> LIMB_BITS, s2 & MASK, s2 >> LIMB_BITS]


def _category_cells(grid: CategoryGrid, texts: Sequence[str | None]) -> list[int]:
    cells = [0] * grid.width
    others = set(grid.others)
    c = len(grid.categories)
    for text in texts:
        if text is None:
            cells[c + 2] += 1
        elif text in grid.categories:
            cells[grid.categories.index(text)] += 1
        else:
            cells[c if text in others else c + 1] += 1
    return cells


def make_window(reference: Columns, window: Columns, *, bins: int = 200, limit: int = 1000) -> WindowProfile:
    grid = make_grid(reference, bins, limit)
    return WindowProfile(grid, make_profile(grid, window), make_profile(grid, reference))
