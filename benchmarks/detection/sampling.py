"""Streams as counts per window: rows are drawn, changed, and counted on the grid of their reference."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmarks.detection.families import CHANGES, MISSING, ONSET_DAYS, RAMP_DAYS, SHIFTS, Family, Rng
from detectors.seasons import DAY, MONDAY, Ints

Floats = NDArray[np.float64]
Rows = NDArray[np.float32]

BINS = 200
FINE, FARTHEST = 512, 64
CATEGORY_CUTS = np.array([-0.2533, 0.3853, 1.0364, 1.6449], np.float32)
"""Of a normal value: categories with 40, 25, 20, 10 and 5 % of the rows."""


@dataclass(frozen=True, eq=False)
class Stream:
    """Counts of the windows. counts: of each feature [T, K]; missing: [T, F]; rows, starts: [T].

    reference: the first windows that are the reference; onset: the first that is changed.
    """

    counts: tuple[Ints, ...]
    ordered: tuple[bool, ...]
    missing: Ints
    rows: Ints
    starts: Ints
    length: int
    reference: int
    onset: int


@dataclass(frozen=True, eq=False)
class Column:
    """The rows of a feature. values: of all rows, of a category its codes; present: which are not missing."""

    values: Rows
    present: NDArray[np.bool_]
    category: bool


@dataclass(frozen=True, eq=False)
class Rowwise:
    """The rows of a stream. rows, window: how many each window has, and the window of each; onset as above.

    columns: the calm features and then the changed ones, drawn as one asks for them, once.
    """

    family: Family
    rows: Ints
    window: Ints
    onset: int
    columns: Iterator[Column]


def rowwise(family: Family, seed: int, changes: tuple[str, ...] = CHANGES) -> Rowwise:
    """Return one stream row by row; `changes` happen to features of their own, behind the calm ones."""
    rng = np.random.default_rng([seed, *family.name.encode()])
    calendar = family.calendar
    per_day = calendar.per_day
    names = ("",) * family.features + changes
    means = family.means(rng, calendar, len(names))
    rows = family.rows(rng, calendar)
    onset = calendar.reference + int(rng.integers(ONSET_DAYS[0] * per_day, ONSET_DAYS[1] * per_day))
    common = rng.standard_normal(int(rows.sum()), np.float32) * np.float32(np.sqrt(family.common))
    window = np.repeat(np.arange(len(rows)), rows)
    made = _Maker(family, rng, window, common, onset)
    columns = (made.column(place, name, means[:, place]) for place, name in enumerate(names))
    return Rowwise(family, rows, window, onset, columns)


def stream(family: Family, seed: int, changes: tuple[str, ...] = CHANGES) -> Stream:
    """Return one stream as counts, of the same rows."""
    drawn = rowwise(family, seed, changes)
    calendar = family.calendar
    found = [counted(drawn, column) for column in drawn.columns]
    length = DAY // calendar.per_day
    return Stream(
        tuple(counts for counts, _, _ in found),
        tuple(ordered for _, _, ordered in found),
        np.stack([missing for _, missing, _ in found], axis=1),
        drawn.rows,
        MONDAY + np.arange(calendar.windows) * length,
        length,
        calendar.reference,
        drawn.onset,
    )


def counted(drawn: Rowwise, column: Column) -> tuple[Ints, Ints, bool]:
    """Return counts [T, K], missing rows [T] and whether the cells have an order."""
    windows, present = len(drawn.rows), column.present
    missing = np.bincount(drawn.window[~present], minlength=windows)
    codes, width = cells(drawn, column)
    places = drawn.window[present] * width + codes[present]
    counts = np.bincount(places, minlength=windows * width).reshape(windows, width)
    return counts, missing, not column.category


def cells(drawn: Rowwise, column: Column) -> tuple[Ints, int]:
    """Return the cell of each row on the grid of the reference, and how many cells there are."""
    if column.category:
        return column.values.astype(np.int64), len(CATEGORY_CUTS) + 1
    return _binned(column.values, (drawn.window < drawn.family.calendar.reference) & column.present)


@dataclass(frozen=True, eq=False)
class _Maker:
    family: Family
    rng: Rng
    window: Ints
    common: Rows
    onset: int

    def column(self, place: int, change: str, means: Floats) -> Column:
        changed = self.window >= self.onset if change else np.zeros(1, bool)
        values = self._changed(self._noise() + means.astype(np.float32)[self.window], change, changed)
        chance = MISSING + 0.02 * changed if change == CHANGES[5] else MISSING
        present = self.rng.random(len(values), np.float32) >= chance
        if change == CHANGES[4] or (self.family.shape == "categories" and place % 2 == 0):
            return Column(
                self._categories(values, change, changed).astype(np.float32), present, category=True
            )
        return Column(self._shaped(values), present, category=False)

    def _noise(self) -> Rows:
        rest = np.float32(np.sqrt(1.0 - self.family.common))
        if self.family.tail is not None:
            return self.rng.standard_t(self.family.tail, len(self.window)).astype(np.float32)
        return self.common + rest * self.rng.standard_normal(len(self.window), np.float32)

    def _changed(self, values: Rows, change: str, changed: NDArray[np.bool_]) -> Rows:
        if change in SHIFTS:
            values[changed] += np.float32(SHIFTS[change])
        elif change == CHANGES[3]:
            values[changed] *= np.float32(np.sqrt(1.5))
        elif change == CHANGES[6]:
            length = RAMP_DAYS * self.family.calendar.per_day
            ramp = np.clip((self.window[changed] - self.onset + 1) / length, 0.0, 1.0)
            values[changed] += (0.5 * ramp).astype(np.float32)
        return values

    def _categories(self, values: Rows, change: str, changed: NDArray[np.bool_]) -> Ints:
        codes = np.searchsorted(CATEGORY_CUTS, values)
        if change == CHANGES[4]:  # an eighth of the first one's 40 % becomes the second
            codes[changed & (codes == 0) & (self.rng.random(len(codes), np.float32) < 0.05 / 0.4)] = 1
        return codes

    def _shaped(self, values: Rows) -> Rows:
        if self.family.shape == "zeros":
            return np.maximum(values, np.float32(0.0))
        if self.family.shape == "counts":
            return np.asarray(np.floor(np.exp(np.float32(0.6) * values + np.float32(1.0))), np.float32)
        return values


def _binned(values: Rows, reference: NDArray[np.bool_]) -> tuple[Ints, int]:
    """Return each value's cell (below, bins at the reference's quantiles, above) and how many there are.

    Values are rounded to a 512th first, so that a table knows the cell of each.
    """
    rounded = (np.clip(values, -FARTHEST, FARTHEST) * FINE).astype(np.int32) + FARTHEST * FINE
    counts = np.bincount(rounded[reference], minlength=2 * FARTHEST * FINE + 1)
    distinct, ranks = np.flatnonzero(counts), np.cumsum(counts)
    at = np.ceil(np.arange(1, BINS) * (ranks[-1] / BINS)).astype(np.int64)
    edges = distinct[:-1] if len(distinct) <= BINS else np.unique(np.searchsorted(ranks, at))
    table = np.searchsorted(edges, np.arange(len(counts))) + 1
    table[: distinct[0]] = 0
    table[distinct[-1] + 1 :] = len(edges) + 2
    return table[rounded], len(edges) + 3
