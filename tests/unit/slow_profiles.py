"""Profiles made row by row from arrays: slow, and plain enough to be right at a glance."""

import math
from collections import Counter
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

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

Columns = Mapping[str, NDArray[Any]]
"""A float array is numeric (NaN: a NaN); an array of objects, str or None, is categorical."""

MASK = (1 << LIMB_BITS) - 1
FARTHEST = 2**45


def numeric_grid(name: str, values: Floats, bins: int = 200) -> NumericGrid:
    finite = np.sort(values[np.isfinite(values)])
    lo, hi = float(finite[0]), float(finite[-1])
    cuts = np.quantile(finite, np.arange(1, bins) / bins, method="inverted_cdf")
    edges = tuple(float(e) for e in np.unique(cuts) if e < hi)
    cell = np.searchsorted(np.array(edges), finite, side="left")
    places = tuple(float(finite[cell == k].mean()) for k in range(len(edges) + 1))
    unit = 2.0 ** max(math.frexp(hi - lo)[1] - 30, -1022) if hi > lo else 1.0  # 0 would be none
    return NumericGrid(name, lo, hi, edges, float(finite.mean()), unit, float(finite.std()), places)


def category_grid(name: str, values: NDArray[Any], limit: int = 1000) -> CategoryGrid:
    ranked = [c for c, _ in Counter(v for v in values if v is not None).most_common()]
    return CategoryGrid(name, tuple(ranked[:limit]), tuple(ranked[limit:]))


def make_grid(columns: Columns, bins: int = 200, limit: int = 1000) -> Grid:
    features: list[FeatureGrid] = []
    for name, values in columns.items():
        if values.dtype.kind == "f":
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
            cells += _category_cells(feature, columns.get(feature.name, np.full(rows, None)))
    return Profile(rows, np.array(cells, dtype=np.int64), np.array(low), np.array(high))


def _numeric_cells(grid: NumericGrid, numbers: Floats, finite: Floats, nulls: int) -> list[int]:
    edges = np.array(grid.edges)
    counts = [0] * (grid.bins + 2)
    s1 = s2 = 0
    for x, inside in zip(finite.tolist(), np.searchsorted(edges, finite, side="left").tolist(), strict=True):
        counts[0 if x < grid.lo else grid.bins + 1 if x > grid.hi else 1 + inside] += 1
        q = round(min(max((x - grid.centre) / grid.unit, -FARTHEST), FARTHEST))
        s1 += q
        s2 += round(q / 2**SQUARE_SHIFT) ** 2
    odd = [nulls, *(int(f(numbers).sum()) for f in (np.isnan, np.isneginf, np.isposinf)), 0]
    return [*counts, *odd, s1 & MASK, s1 >> LIMB_BITS, s2 & MASK, s2 >> LIMB_BITS]


def _category_cells(grid: CategoryGrid, texts: NDArray[Any]) -> list[int]:
    cells = [0] * grid.width
    c = len(grid.categories)
    place = {name: i for i, name in enumerate(grid.categories)} | dict.fromkeys(grid.others, c)
    for text in texts:
        cells[c + 2 if text is None else place.get(text, c + 1)] += 1
    return cells


def make_window(reference: Columns, window: Columns, *, bins: int = 200, limit: int = 1000) -> WindowProfile:
    grid = make_grid(reference, bins, limit)
    return WindowProfile(grid, make_profile(grid, window), make_profile(grid, reference))
