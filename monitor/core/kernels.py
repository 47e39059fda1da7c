"""Counting cells, the hot path: one column, rows in group order, to the cells of each group.

Three ways to the same integers. Where driftd's own library was built it counts numeric columns. Else a group
of thousands of rows is counted block by block, each small enough for the processor's cache, and many small
groups with one bincount, whose cost does not grow with the number of groups.
"""

from functools import lru_cache

import numpy as np
import polars as pl
from msgspec import Struct
from numpy.typing import NDArray

from detectors.profile import LIMB_BITS, NUMERIC_EXTRA, SQUARE_SHIFT, CategoryGrid, NumericGrid
from monitor.core.lookup import GRIDS_KEPT, lookup_of
from monitor.native import categories as native_categories
from monitor.native import cells as native_numbers

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

BIG_GROUP = 4096
BLOCK = 1 << 16
FAST_LIMIT = float(1 << 36)
SATURATION = float(1 << 50)
LIMB_MASK = (1 << LIMB_BITS) - 1
_EXTRA = {name: i for i, name in enumerate(NUMERIC_EXTRA)}


class Groups(Struct, frozen=True):
    """Contiguous groups of rows: group i holds rows starts[i]..stops[i]; codes names each row's group."""

    starts: Ints
    stops: Ints
    codes: Ints

    @classmethod
    def of(cls, keys: Ints) -> "Groups":
        """Find the runs in keys that are sorted already."""
        starts = np.flatnonzero(np.concatenate([[True], keys[1:] != keys[:-1]]))
        stops = np.append(starts[1:], len(keys))
        return cls(starts, stops, np.repeat(np.arange(len(starts)), stops - starts))

    @property
    def count(self) -> int:
        """How many groups there are."""
        return len(self.starts)

    @property
    def big(self) -> bool:
        """Whether each group is worth a loop of its own."""
        return len(self.codes) >= BIG_GROUP * self.count


class NumericCells(Struct, frozen=True):
    """Per group: cells int64 [G, width], finite extremes float64 [G]."""

    cells: Ints
    low: Floats
    high: Floats


def numeric_cells(
    grid: NumericGrid, column: pl.Series, invalid: NDArray[np.bool_] | None, groups: Groups
) -> NumericCells:
    """Count one numeric column (Float64, nulls for missing) into each group's cells."""
    native = _natively(grid, column, invalid, groups)
    if native is not None:
        return native
    if groups.big:
        return _group_by_group(grid, column, invalid, groups)
    return _at_once(grid, column, invalid, groups)


def _natively(
    grid: NumericGrid, column: pl.Series, invalid: NDArray[np.bool_] | None, groups: Groups
) -> NumericCells | None:
    usable = native_numbers.is_built() and grid.bins < native_numbers.MOST_BINS
    found = native_numbers.count(_table(grid), column, groups.stops) if usable else None
    if found is None:
        return None
    cells, bad = found[0], _per_group(invalid, groups)
    cells[:, grid.bins + 2 + _EXTRA["null"]] -= bad
    cells[:, grid.bins + 2 + _EXTRA["invalid"]] = bad
    return NumericCells(*found)


def _per_group(mask: NDArray[np.bool_] | None, groups: Groups) -> Ints:
    if mask is None or not mask.any():
        return np.zeros(groups.count, np.int64)
    return np.add.reduceat(mask, groups.starts, dtype=np.int64)


@lru_cache(GRIDS_KEPT)
def _table(grid: NumericGrid) -> native_numbers.Table:
    """Return the grid's table as the library reads it."""
    lookup = lookup_of(grid)
    reach = SATURATION * grid.unit
    span = native_numbers.Range(
        lookup.low,
        lookup.high,
        lookup.scale,
        per_unit=1.0 / grid.unit,
        centre_units=grid.centre / grid.unit,
        near=_near(grid),
        reach=(grid.centre - reach, grid.centre + reach),
        square_scale=1.0 / (1 << SQUARE_SHIFT),
    )
    return native_numbers.Table.of(lookup.thresholds, lookup.base, lookup.held, lookup.step, span)


def _near(grid: NumericGrid) -> tuple[float, float]:
    """Return between which values moments are sums of small integers."""
    return grid.centre - FAST_LIMIT * grid.unit, grid.centre + FAST_LIMIT * grid.unit


def category_codes(grid: CategoryGrid, column: pl.Series) -> NDArray[np.int32]:
    """Return each row's cell: its category's place, C for `_other`, C + 1 for `_new`, -1 for missing."""
    known = len(grid.categories)
    unknown = known + 1 if grid.closed else known
    native = native_categories.codes_of(_listed(grid), column)
    if native is not None:
        strange = native == native_categories.UNKNOWN
        native = np.minimum(native, known, out=native)
        native[strange] = unknown
        return native
    codes = column.cast(pl.Enum([*grid.categories, *grid.others]), strict=False).to_physical()
    if not codes.null_count():
        found: NDArray[np.int32] = codes.to_numpy().astype(np.int32)
        return np.minimum(found, known) if grid.others else found
    found = codes.cast(pl.Int32).fill_null(-1).to_numpy()
    missing = found < 0
    found = np.where(missing, unknown, np.minimum(found, known) if grid.others else found)
    if column.null_count():
        found[column.is_null().to_numpy()] = -1
    return found.astype(np.int32, copy=False)


@lru_cache(GRIDS_KEPT)
def _listed(grid: CategoryGrid) -> pl.Series:
    return pl.Series([*grid.categories, *grid.others], dtype=pl.String)


def category_cells(
    grid: CategoryGrid, codes: NDArray[np.int32], invalid: NDArray[np.bool_] | None, groups: Groups
) -> Ints:
    """Count category codes into each group's cells, int64 [G, width]."""
    places: NDArray[np.int32] = codes
    if invalid is not None and invalid.any():
        places = np.where(invalid, grid.width - 1, codes).astype(np.int32)
    if len(places) and int(places.min()) < 0:
        places = np.where(places < 0, grid.width - 2, places).astype(np.int32)
    return _count(places, grid.width, groups)


def _count(places: NDArray[np.int32] | Ints, width: int, groups: Groups) -> Ints:
    if groups.big:
        parts = zip(groups.starts.tolist(), groups.stops.tolist(), strict=True)
        return np.array([np.bincount(places[a:b], minlength=width) for a, b in parts])
    flat = groups.codes * width + places
    return np.bincount(flat, minlength=groups.count * width).reshape(groups.count, width)


def _group_by_group(
    grid: NumericGrid, column: pl.Series, invalid: NDArray[np.bool_] | None, groups: Groups
) -> NumericCells:
    cells = np.zeros((groups.count, grid.width), np.int64)
    low, high = np.full(groups.count, np.inf), np.full(groups.count, -np.inf)
    lookup = lookup_of(grid)
    for i, (start, stop) in enumerate(zip(groups.starts, groups.stops, strict=True)):
        part = column.slice(start, stop - start)
        values = part.drop_nulls().to_numpy()
        bad = int(np.count_nonzero(invalid[start:stop])) if invalid is not None else 0
        extra = cells[i, grid.bins + 2 :]
        extra[_EXTRA["null"]], extra[_EXTRA["invalid"]] = part.null_count() - bad, bad
        low[i], high[i] = _extremes(values)
        if len(values) and not (np.isfinite(low[i]) and np.isfinite(high[i])):
            extra[_EXTRA["nan"]] = np.count_nonzero(np.isnan(values))
            extra[_EXTRA["neg_inf"]] = np.count_nonzero(values == -np.inf)
            extra[_EXTRA["pos_inf"]] = np.count_nonzero(values == np.inf)
            values = values[np.isfinite(values)]
            low[i], high[i] = _extremes(values)
        if len(values):
            cells[i, : grid.bins + 2] = lookup.counts(values)
            extra[-4:] = _moments(grid, values, low[i], high[i])
    return NumericCells(cells, low, high)


def _extremes(values: Floats) -> tuple[float, float]:
    return (values.min() + 0.0, values.max() + 0.0) if len(values) else (np.inf, -np.inf)


def _moments(grid: NumericGrid, finite: Floats, low: float, high: float) -> Ints:
    """Return the four limbs of values; the few that are far out, which cost more, apart from the others."""
    least, most = _near(grid)
    if least <= low and high <= most:
        return _limbs(*_near_sums(grid, finite))
    near = (finite >= least) & (finite <= most)
    s1, s2 = _near_sums(grid, finite[near])
    far = _exact_limbs(grid, finite[~near], np.zeros(1, np.int64)).reshape(-1).tolist()
    return _limbs(s1 + (far[1] << LIMB_BITS) + far[0], s2 + (far[3] << LIMB_BITS) + far[2])


def _limbs(s1: int, s2: int) -> Ints:
    return np.array([s1 & LIMB_MASK, s1 >> LIMB_BITS, s2 & LIMB_MASK, s2 >> LIMB_BITS])


def _near_sums(grid: NumericGrid, finite: Floats) -> tuple[int, int]:
    """Return both sums. Those of a block are sums of integers below 2**53: exact in any order."""
    s1 = s2 = 0
    for at in range(0, len(finite), BLOCK):
        q = finite[at : at + BLOCK] * (1.0 / grid.unit)
        q -= grid.centre / grid.unit  # scaled first, so that no difference is too large for a float
        np.rint(q, out=q)
        s1 += int(q.sum())
        q *= 1.0 / (1 << SQUARE_SHIFT)
        np.rint(q, out=q)
        s2 += int(np.einsum("i,i", q, q))
    return s1, s2


def _exact_limbs(grid: NumericGrid, values: Floats, starts: Ints) -> Ints:
    """Return limbs [groups, 4] of any finite values; those beyond 2**50 units saturate (16,384 ranges)."""
    reach = SATURATION * grid.unit
    near = np.clip(values, grid.centre - reach, grid.centre + reach)
    whole = np.rint(near * (1.0 / grid.unit) - grid.centre / grid.unit)
    ints = whole.astype(np.int64)
    r = np.rint(whole / (1 << SQUARE_SHIFT)).astype(np.int64)
    a, b = r >> 16, r & 0xFFFF
    cross = np.add.reduceat(a * b, starts)
    s1_lo = np.add.reduceat(ints & LIMB_MASK, starts)
    s1_hi = np.add.reduceat(ints >> LIMB_BITS, starts) + (s1_lo >> LIMB_BITS)
    s2_lo = np.add.reduceat(b * b, starts) + ((cross & 0x7FFF) << 17)
    s2_hi = np.add.reduceat(a * a, starts) + (cross >> 15) + (s2_lo >> LIMB_BITS)
    return np.stack([s1_lo & LIMB_MASK, s1_hi, s2_lo & LIMB_MASK, s2_hi], axis=1)


def _at_once(
    grid: NumericGrid, column: pl.Series, invalid: NDArray[np.bool_] | None, groups: Groups
) -> NumericCells:
    values = column.to_numpy()
    finite = np.isfinite(values)
    safe = np.where(finite, values, grid.centre)
    places = lookup_of(grid).places(safe)
    if not finite.all():
        extra = grid.bins + 2
        places[np.isnan(values)] = extra + _EXTRA["nan"]
        places[values == -np.inf] = extra + _EXTRA["neg_inf"]
        places[values == np.inf] = extra + _EXTRA["pos_inf"]
        places[column.is_null().to_numpy()] = extra + _EXTRA["null"]
        if invalid is not None:
            places[invalid] = extra + _EXTRA["invalid"]
    cells = _count(places, grid.width, groups)
    cells[:, -4:] = _exact_limbs(grid, safe, groups.starts)
    low = np.minimum.reduceat(np.where(finite, values, np.inf), groups.starts) + 0.0
    high = np.maximum.reduceat(np.where(finite, values, -np.inf), groups.starts) + 0.0
    return NumericCells(cells, low, high)
