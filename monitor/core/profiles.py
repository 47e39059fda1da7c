"""Rows to mergeable profiles: grouping by window, version and segment, then counting column by column."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import chain
from typing import Any

import numpy as np
import polars as pl
from msgspec import Struct
from msgspec.structs import replace
from numpy.typing import NDArray

from detectors.profile import Grid, NumericGrid, Profile, empty, merge
from detectors.sample import SAMPLE_ROWS, Sample, smallest
from monitor.core.kernels import Groups, NumericCells, category_cells, category_codes, numeric_cells
from monitor.core.vectors import halves, with_cosines

ALL = "all"
OTHER = "_other"
LOT = 3
"""Columns that a thread counts in one go: one takes less time than handing it over is worth."""
NEAR = 4096
"""Rows that change places are gathered together when they lie within this distance."""

Floats = NDArray[np.float64]
Run = Callable[[Callable[[Any], Any], Iterable[Any]], Iterable[Any]]
"""How independent column jobs are run: the builtin `map`, or a thread pool's."""


class GroupKey(Struct, frozen=True):
    """Which window, version and segment a profile belongs to. start: microseconds."""

    start: int
    version: str
    segment: str = ALL


class Rows(Struct, frozen=True):
    """The rows of one batch that count. start: int64 window starts; the rest as in TypedRows."""

    start: NDArray[np.int64]
    keys: NDArray[np.uint64]
    frame: pl.DataFrame
    invalid: Mapping[str, NDArray[np.bool_]]

    def take(self, order: NDArray[np.intp]) -> "Rows":
        """Return the rows in another order, or some of them."""
        invalid = {name: mask[order] for name, mask in self.invalid.items()}
        return Rows(self.start[order], self.keys[order], self.frame[order], invalid)

    def arranged(self, order: NDArray[np.intp]) -> "Rows":
        """Return all rows in another order, quickly where most of them stay in place.

        A log is nearly in order: only about a window's edge do rows change places, so only there columns
        are gathered; the rest is sliced.
        """
        moved = np.flatnonzero(order != np.arange(len(order)))
        if not len(moved) or len(moved) > len(order) // 2:
            return self.take(order) if len(moved) else self
        breaks = np.flatnonzero(np.diff(moved) > NEAR)
        firsts, lasts = moved[np.append(0, breaks + 1)], moved[np.append(breaks, len(moved) - 1)] + 1
        parts, at = [], 0
        for first, last in zip(firsts.tolist(), lasts.tolist(), strict=True):
            parts += [self.frame[at:first], self.frame[order[first:last]]]
            at = last
        frame = pl.concat([*parts, self.frame[at:]])
        invalid = {name: mask[order] if mask.any() else mask for name, mask in self.invalid.items()}
        return Rows(self.start[order], self.keys[order], frame, invalid)


class Profiling:
    """Rows on their way to profiles of `all` and of every value of each segment column.

    segments: column -> its monitored values; any other value is `_other`. Rows of the first segment
    column's groups add up to `all`, so that with one segment column nothing is counted twice. run: that of a
    thread pool counts while the caller does something else before it asks for the result.
    """

    def __init__(
        self, grid: Grid, rows: Rows, segments: Mapping[str, tuple[str, ...]], run: Run = map
    ) -> None:
        self.grid = grid
        self._rows = replace(rows, frame=with_cosines(grid.embeddings, rows.frame))
        self._segments = segments
        self._run = run
        self._first = self._counting(next(iter(segments), None), sample=True)

    def result(self) -> dict[GroupKey, Profile]:
        """Return the profiles; to be called once."""
        found: dict[GroupKey, Profile] = {}
        for place, column in enumerate([*self._segments] or [None]):
            counting = self._first if place == 0 else self._counting(column, sample=False)
            for key, profile in counting.profiles():
                if place == 0:
                    whole = GroupKey(key.start, key.version)
                    found[whole] = merge(self.grid, found[whole], profile) if whole in found else profile
                if column is not None:
                    found[key] = Profile(profile.rows, profile.cells, profile.low, profile.high)
        return found

    def _counting(self, column: str | None, *, sample: bool) -> "_Counting":
        values = self._segments[column] if column is not None else ()
        return _begun(self.grid, self._rows, (column, values), self._run, sample=sample)


def profile_rows(
    grid: Grid, rows: Rows, segments: Mapping[str, tuple[str, ...]], run: Run = map
) -> dict[GroupKey, Profile]:
    """Profile rows, as `Profiling` does."""
    return Profiling(grid, rows, segments, run).result()


def profile_all(grid: Grid, rows: Rows, run: Run = map) -> Profile:
    """Profile rows as one group whatever their window: how a reference is summed up."""
    total = empty(grid)
    frame = with_cosines(grid.embeddings, rows.frame).with_columns(version=pl.lit(""))
    flat = Rows(np.zeros_like(rows.start), rows.keys, frame, rows.invalid)
    for _, profile in _begun(grid, flat, (None, ()), run, sample=True).profiles():
        total = merge(grid, total, profile)
    return total


def segment_label(column: str, value: str) -> str:
    """Name a segment: the column and the configured value."""
    return f"{column}={value}"


class _Counting(Struct, frozen=True):
    """Rows in the order of their groups while their columns are counted: categories first, then numbers.

    numeric: cells, and the values of `chosen` rows. chosen: for each group the places of the rows that may be
    in its sample; empty where no sample is wanted.
    """

    grid: Grid
    rows: Rows
    groups: Groups
    keys: Sequence[GroupKey]
    codes: Iterable[NDArray[np.int32]]
    numeric: Iterable[tuple[NumericCells, Floats]]
    chosen: Sequence[NDArray[np.intp]]

    def profiles(self) -> Iterator[tuple[GroupKey, Profile]]:
        """Wait for all columns and yield each group's profile; what needs codes only is done meanwhile."""
        if not self.keys:
            return
        grid, rows, groups, codes = self.grid, self.rows, self.groups, list(self.codes)
        cells = np.empty((groups.count, grid.width), np.int64)
        for category, coded in zip(grid.categorical, codes, strict=True):
            counted = category_cells(category, coded, rows.invalid.get(category.name), groups)
            cells[:, grid.slices[category.name]] = counted
        numeric = list(self.numeric)
        for feature, (found, _) in zip(grid.numeric, numeric, strict=True):
            cells[:, grid.slices[feature.name]] = found.cells
        low = np.array([found.low for found, _ in numeric]).reshape(-1, groups.count).T
        high = np.array([found.high for found, _ in numeric]).reshape(-1, groups.count).T
        samples = self._samples(codes, [values for _, values in numeric]) if self.chosen else None
        sizes = (groups.stops - groups.starts).tolist()
        for i, (key, size) in enumerate(zip(self.keys, sizes, strict=True)):
            sample = None if samples is None else samples[i]
            yield key, Profile(size, cells[i].copy(), low[i].copy(), high[i].copy(), sample)

    def _samples(self, codes: Sequence[NDArray[np.int32]], numeric: Sequence[Floats]) -> list[Sample]:
        chosen = np.concatenate(self.chosen)
        values = np.array(numeric, np.float64).reshape(-1, len(chosen)).T
        coded = np.array([c[chosen] for c in codes], np.int32).reshape(-1, len(chosen)).T
        keys = self.rows.keys[chosen]
        vectors = [halves(e, self.rows.frame, chosen) for e in self.grid.embeddings]
        found = []
        at = 0
        for rows_of_group in self.chosen:
            part = slice(at, at + len(rows_of_group))
            found.append(smallest(keys[part], values[part], coded[part], tuple(v[part] for v in vectors)))
            at = part.stop
        return found


def _begun(
    grid: Grid, rows: Rows, segment: tuple[str | None, tuple[str, ...]], run: Run, *, sample: bool
) -> _Counting:
    """Group the rows by window, version and segment, and have their columns counted."""
    if not len(rows.start):
        return _Counting(grid, rows, Groups.of(rows.start), (), (), (), ())
    versions, codes = coded_versions(rows.frame["version"])
    labels = [ALL]
    column, values = segment
    if column is not None:
        labels = [segment_label(column, v) for v in (*values, OTHER)]
        codes = codes * len(labels) + _segments(rows.frame, column, values)
    first = int(rows.start.min())
    step = len(versions) * len(labels)
    keys = (rows.start - first) * step + codes  # window starts are far apart: keys stay unique
    if (keys[1:] < keys[:-1]).any():
        order = np.argsort(keys, kind="stable")
        rows, keys = rows.arranged(order), keys[order]
    groups = Groups.of(keys)
    named = []
    for key in keys[groups.starts].tolist():
        start, code = divmod(key, step)
        version, label = divmod(code, len(labels))
        named.append(GroupKey(first + start, versions[version], labels[label]))
    coded = _in_lots(run, lambda f: category_codes(f, rows.frame[f.name]), grid.categorical)
    edges = zip(groups.starts, groups.stops, strict=True)
    chosen = [_lowest(rows.keys[a:b]) + a for a, b in edges] if sample else []
    places = pl.Series(np.concatenate(chosen) if sample else [], dtype=pl.UInt32)

    def counted(feature: NumericGrid) -> tuple[NumericCells, Floats]:
        column = rows.frame[feature.name]
        cells = numeric_cells(feature, column, rows.invalid.get(feature.name), groups)
        picked = column[places].to_numpy() + 0.0
        return cells, np.where(np.isfinite(picked), picked, np.nan)

    return _Counting(grid, rows, groups, named, coded, _in_lots(run, counted, grid.numeric), chosen)


def _in_lots(run: Run, work: Callable[[Any], Any], features: Sequence[Any]) -> Iterable[Any]:
    """Have features counted, a few at a time; returns what each gives, in order."""
    lots = [features[at : at + LOT] for at in range(0, len(features), LOT)]
    return chain.from_iterable(run(lambda lot: [work(feature) for feature in lot], lots))


def coded_versions(column: pl.Series) -> tuple[list[str], NDArray[np.int64]]:
    """Return the versions in order, and each row's place among them; the column has no nulls."""
    if (
        len(column) and (column == column[0]).all()
    ):  # the usual case, and much cheaper than looking for all values
        return [column[0]], np.zeros(len(column), np.int64)
    names: list[str] = column.unique().sort().to_list()
    return names, column.cast(pl.Enum(names)).to_physical().cast(pl.Int64).to_numpy()


def _segments(frame: pl.DataFrame, column: str, values: tuple[str, ...]) -> NDArray[np.int64]:
    found = frame[f"segment:{column}"].cast(pl.Enum(values), strict=False).to_physical()
    return found.cast(pl.Int64).fill_null(len(values)).to_numpy()


def _lowest(keys: NDArray[np.uint64]) -> NDArray[np.intp]:
    """Return the places of the smallest keys, at least SAMPLE_ROWS of them and all ties of the last."""
    if len(keys) <= SAMPLE_ROWS:
        return np.arange(len(keys))
    near = np.arange(len(keys))
    likely = 2 * SAMPLE_ROWS / len(keys)  # keys are hashes: so small a share of all that there are has enough
    if likely < 1 and len(few := np.flatnonzero(keys <= np.uint64(int(likely * 2**64)))) >= SAMPLE_ROWS:
        near = few
    last = np.partition(keys[near], SAMPLE_ROWS - 1)[SAMPLE_ROWS - 1]
    return np.compress(keys[near] <= last, near)
