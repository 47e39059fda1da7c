"""The reference: its grid, its profiles and the categories it knows. Computed once, never grown."""

import hashlib
from collections.abc import Mapping
from functools import cached_property
from typing import Any

import numpy as np
import polars as pl
from msgspec import Struct
from msgspec.structs import replace
from numpy.typing import NDArray

from detectors.profile import CategoryGrid, FeatureGrid, Grid, NumericGrid, Profile
from monitor.core.codec import grid_head, grid_of, pack, profile_arrays, profile_of, unpack
from monitor.core.profiles import ALL, OTHER, Rows, Run, profile_all, segment_label
from monitor.core.vectors import grid_of_vectors, with_cosines

BINS = 200
CATEGORIES = 1000
OTHERS = 10_000
SEGMENT_VALUES = 50
UNIT_BITS = 36
LEAST_EXPONENT = -960
"""Of a power of two whose inverse is a number as well."""
FORMAT = 1


class Baseline(Struct, frozen=True, dict=True):
    """One version of a model's reference.

    number: 1, 2, ... per model. since: windows that start here or later are judged by it (microseconds).
    segments: column -> monitored values. profiles: segment label -> profile. columns: every column name of
    the reference, so that a column nobody knew can be told. origin: where it came from, for people.
    """

    number: int
    since: int
    origin: str
    grid: Grid
    segments: Mapping[str, tuple[str, ...]]
    profiles: Mapping[str, Profile]
    columns: frozenset[str]

    @cached_property
    def hash(self) -> str:
        """Identify the content: grid, counts and sample, whatever its number."""
        return hashlib.blake2b(self._content, digest_size=8).hexdigest()

    @property
    def rows(self) -> int:
        """How many rows the reference has."""
        return self.profiles[ALL].rows

    @property
    def from_log(self) -> bool:
        """Whether a part of the log was made the reference, which no file's name can tell to be outdated."""
        return self.origin.startswith("log ")

    @cached_property
    def _content(self) -> bytes:
        head = {
            "format": FORMAT,
            "grid": grid_head(self.grid),
            "segments": {c: list(v) for c, v in sorted(self.segments.items())},
            "rows": {label: p.rows for label, p in sorted(self.profiles.items())},
            "columns": sorted(self.columns),
        }
        arrays: dict[str, NDArray[Any]] = {}
        for label, profile in sorted(self.profiles.items()):
            arrays |= profile_arrays(profile, f"{label}/")
        return pack(head, arrays)

    def dump(self) -> bytes:
        """Write it for the store."""
        return pack({"number": self.number, "since": self.since, "origin": self.origin}, {}) + self._content

    @classmethod
    def load(cls, data: bytes) -> "Baseline":
        """Read what `dump` wrote."""
        size = 4 + int.from_bytes(data[:4], "little")
        outer, _ = unpack(data[:size])
        head, arrays = unpack(data[size:])
        return cls(
            outer["number"],
            outer["since"],
            outer["origin"],
            grid_of(head["grid"]),
            {c: tuple(v) for c, v in head["segments"].items()},
            {label: profile_of(rows, arrays, f"{label}/") for label, rows in head["rows"].items()},
            frozenset(head["columns"]),
        )


class Watched(Struct, frozen=True):
    """Which canonical columns of a model are watched, and how."""

    numeric: tuple[str, ...]
    categorical: tuple[str, ...]
    segments: tuple[str, ...] = ()
    embeddings: tuple[str, ...] = ()


def build(rows: Rows, watched: Watched, origin: str, columns: frozenset[str], run: Run = map) -> Baseline:
    """Make baseline 0 (not yet numbered) from typed reference rows: grids, then profiles on them.

    Features without a single usable value get a grid all the same, so that their coming to life is seen.
    """
    embeddings = tuple(grid_of_vectors(name, rows.frame[f"vector:{name}"]) for name in watched.embeddings)
    rows = replace(rows, frame=with_cosines(embeddings, rows.frame))
    features: list[FeatureGrid] = list(run(lambda n: numeric_grid(n, rows.frame[n]), watched.numeric))
    features += run(lambda n: category_grid(n, rows.frame[n]), watched.categorical)
    grid = Grid(tuple(features), embeddings)
    values = {c: _segment_values(rows.frame[f"segment:{c}"]) for c in watched.segments}
    profiles = {ALL: profile_all(grid, rows, run)}
    for column, named in values.items():
        place = rows.frame[f"segment:{column}"]
        for value in named:
            profiles[segment_label(column, value)] = _part(grid, rows, place.eq_missing(value), run)
        others = ~place.is_in(list(named)).fill_null(value=False)
        profiles[segment_label(column, OTHER)] = _part(grid, rows, others, run)
    return Baseline(0, 0, origin, grid, values, profiles, columns)


def _part(grid: Grid, rows: Rows, mask: pl.Series, run: Run) -> Profile:
    chosen = np.flatnonzero(mask.to_numpy())
    whole = profile_all(grid, rows.take(chosen), run)
    return Profile(whole.rows, whole.cells, whole.low, whole.high)


def numeric_grid(name: str, column: pl.Series, bins: int = BINS) -> NumericGrid:
    """Make the grid of one numeric feature: interior edges at the reference's quantiles.

    A value with at least one bin's mass gets a bin of its own, by an edge directly below it; with few
    distinct values every one of them has its bin.
    """
    values = column.drop_nulls().sort(multithreaded=False).to_numpy()  # columns are sorted side by side
    values = values[np.isfinite(values)] + 0.0
    if not len(values):
        return NumericGrid(name, 0.0, 0.0, (), 0.0, 2.0**-UNIT_BITS, 0.0, (0.0,))
    lo, hi = float(values[0]), float(values[-1])
    edges = _edges(values, bins)
    places = _places(values, edges)
    centre = float(values[(len(values) - 1) // 2])
    return NumericGrid(
        name,
        lo,
        hi,
        tuple(edges.tolist()),
        centre,
        _unit(lo, centre, hi),
        _sd(values),
        tuple(places.tolist()),
    )


def _unit(lo: float, centre: float, hi: float) -> float:
    """Return a power of two that the range is many times of; a range beyond a float's is still one."""
    half = max(hi / 2 - centre / 2, centre / 2 - lo / 2)
    exponent = int(np.frexp(half)[1]) + 1 if half > 0 else int(np.frexp(max(abs(centre), 1.0))[1])
    return float(np.ldexp(1.0, max(exponent - UNIT_BITS, LEAST_EXPONENT)))


def _sd(values: NDArray[np.float64]) -> float:
    """Return the standard deviation; scaled, so that the squares of huge and tiny values are numbers too."""
    if values[0] == values[-1]:
        return 0.0
    exponent = int(np.frexp(np.abs(values[[0, -1]]).max())[1]) - 1
    scale = float(np.ldexp(1.0, max(exponent, LEAST_EXPONENT)))
    return float(np.std(values / scale) * scale)


def _edges(values: NDArray[np.float64], bins: int) -> NDArray[np.float64]:
    """Return the interior edges for sorted values; they need not be sorted again to see which are equal."""
    first = np.append(0, np.flatnonzero(values[1:] != values[:-1]) + 1)
    distinct: NDArray[np.float64] = values[first]
    counts = np.diff(first, append=len(values))
    if len(distinct) <= bins:
        return distinct[:-1]
    at = np.ceil(np.arange(1, bins) * (len(values) / bins)).astype(np.int64) - 1
    heavy = distinct[counts * bins >= len(values)]
    edges = np.unique(np.concatenate([values[at], heavy, np.nextafter(heavy[heavy > values[0]], -np.inf)]))
    inside: NDArray[np.float64] = edges[(edges >= values[0]) & (edges < values[-1])]
    return inside


def _places(values: NDArray[np.float64], edges: NDArray[np.float64]) -> NDArray[np.float64]:
    bounds = np.concatenate([[values[0]], edges, [values[-1]]])
    middle = bounds[:-1] / 2 + bounds[1:] / 2
    # of sorted values each bin is a run, up to the last one that is not above its upper edge
    counts = np.diff(np.searchsorted(values, edges, side="right"), prepend=0, append=len(values))
    codes = np.repeat(np.arange(len(middle)), counts)
    # offsets from the bin's middle keep the sum exact enough far from zero; divided first, they stay numbers
    offsets = np.bincount(codes, weights=(values - middle[codes]) / counts[codes], minlength=len(middle))
    with np.errstate(over="ignore"):
        means = middle + offsets
    return np.clip(means, bounds[:-1], bounds[1:])


def category_grid(name: str, column: pl.Series) -> CategoryGrid:
    """Make the grid of one categorical feature: its most common values, the rest, and unknown ones."""
    ranked = common(column, CATEGORIES + OTHERS + 1)
    closed = len(ranked) <= CATEGORIES + OTHERS
    others = ranked[CATEGORIES:] if closed else ()
    return CategoryGrid(name, ranked[:CATEGORIES], others, closed)


def _segment_values(column: pl.Series) -> tuple[str, ...]:
    return common(column.filter(column.ne_missing(OTHER)), SEGMENT_VALUES)


def common(column: pl.Series, limit: int) -> tuple[str, ...]:
    """Return the most common values, at most `limit` of them."""
    counts = column.drop_nulls().alias("value").value_counts(name="n")
    ranked = counts.sort(["n", "value"], descending=[True, False])
    return tuple(ranked["value"].head(limit).to_list())
