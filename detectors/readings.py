"""What is read off each feature of a window: a few numbers whose mean over windows has a meaning.

Every reading is, but for a small curvature, a mean over rows: those of neighbouring windows can be averaged.

location  mean rank, as the shift of normal rows that would give it, in standard deviations; a row's rank is
          the reference's distribution function at it (the middle of its cell). Of a feature with a heavy
          value it is the mean rank itself, 0 to 1: few rows beside that value would make it jump
spread    mean of (2 rank - 1)^2, less what the shift of the location alone explains
group     share of the rows in a group of cells, less what the shift of the location alone explains
share     share of the rows of a category
missing   share of all rows without a usable value

What a shift explains is computed for normal scores: a feature whose mean wanders from day to day changes
its spread and its groups as well, and that is no second finding.
"""

from collections.abc import Sequence
from enum import StrEnum
from functools import cached_property

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from detectors.comparison import numeric_starts
from detectors.shift import Shift, shift_of
from detectors.table import Counts, Floats

SLOPE = 0.5 / np.sqrt(np.pi)
"""How far the mean rank moves when normal rows move by one standard deviation."""
SHARE_SLOPE = 1.0 / np.sqrt(2.0 * np.pi)
"""The largest share of normal rows that crosses a point when they move by one standard deviation."""
SPREAD_SLOPE = 2.0 / (np.pi * np.sqrt(3.0))
"""How fast the spread of the ranks follows the scale of normal rows."""
LEAST_MISSING = 0.01
COMMON = 12


class Kind(StrEnum):
    """What a reading is; the readings of one kind are compared over all features."""

    LOCATION = "location"
    SPREAD = "spread"
    GROUP = "group"
    SHARE = "share"
    MISSING = "missing"


WEIGHT = {Kind.LOCATION: 0.5, Kind.SPREAD: 0.25}
"""How the level of a feature's shift is shared; the rest goes to its groups or shares."""


class Source(Struct, frozen=True, eq=False):
    """One feature of the reference. counts: [K], cells in order of the values if `ordered`; missing: rows."""

    name: str
    counts: Counts
    missing: int
    ordered: bool


class FeatureReader(Struct, frozen=True, eq=False, dict=True):
    """Reads one feature.

    kinds, parts: what each of the S + 1 readings is, and its name; the last is `missing`. weights: float64
    [K, S], what a row of each cell adds. masses: the reference's, float64 [K]. missing: its share of rows
    without a value. half: the share that half a row of it would be. shift: of ordered cells.
    """

    name: str
    kinds: tuple[Kind, ...]
    parts: tuple[str, ...]
    weights: Floats
    masses: Floats
    missing: float
    half: float
    shift: Shift | None

    def read(self, counts: Counts, missing: NDArray[np.int64], rows: NDArray[np.int64]) -> Floats:
        """Return the readings [R, S + 1] of counts [R, K]; a window without values reads 0."""
        n = np.maximum(counts.sum(axis=-1), 1)
        found: Floats = np.asarray(counts @ self.weights / n[:, None])
        if self.shift is not None:
            shift = self.shift.of(found[:, 0])
            found[:, 1:] -= self.shift.explained(shift, n)
            found[:, 0] = shift if self.shift.even else found[:, 0]
        absent: Floats = np.asarray(missing / np.maximum(rows, 1))
        return np.concatenate([found, absent[:, None]], axis=1)

    @property
    def units(self) -> Floats:
        """What an effect of 1 is in each reading, float64 [S + 1].

        It is what moving normal rows by one standard deviation, or doubling their spread, would do if the
        reading followed it at its first pace; of missing values it is all rows.
        """
        unit = {
            Kind.LOCATION: 1.0 if self.shift is not None and self.shift.even else SLOPE,
            Kind.SPREAD: SPREAD_SLOPE,
            Kind.GROUP: SHARE_SLOPE,
            Kind.SHARE: SHARE_SLOPE,
            Kind.MISSING: 1.0,
        }
        return np.array([unit[kind] for kind in self.kinds])

    @cached_property
    def noise(self) -> tuple[Floats, Floats]:
        """Variance and skewness of one row's part in each reading, float64 [S + 1] each.

        The variance is not 0 where all rows of the reference are alike: half a row might have differed.
        """
        rows = self.weights
        if self.shift is not None:
            rows = np.column_stack(
                [rows[:, :1] / self.shift.unit, rows[:, 1:] - rows[:, :1] * self.shift.slopes]
            )
        apart = rows - self.masses @ rows
        variance, third = self.masses @ apart**2, self.masses @ apart**3
        rare = self.missing * (1.0 - self.missing)
        variance = np.append(np.maximum(variance, self.half), rare)
        return variance, np.append(third, rare * (1.0 - 2.0 * self.missing)) / variance**1.5


def reader(source: Source) -> FeatureReader:
    """Return how to read one feature, by what the reference's rows look like.

    Examples
    --------
    >>> one = reader(Source("age", np.full(202, 10), 0, ordered=True))
    >>> [str(kind) for kind in one.kinds[:4]], len(one.kinds)
    (['location', 'spread', 'group', 'group'], 13)
    >>> rows = np.array([2020])
    >>> abs(one.read(np.full((1, 202), 10), rows * 0, rows)[0, [0, -1]]).round(3).tolist()
    [0.0, 0.0]

    """
    counts = np.asarray(source.counts, np.float64)
    total = float(counts.sum())
    masses = counts / total if total else np.full(len(counts), 1.0 / len(counts))
    half = 0.5 / (total + source.missing + 1.0)
    missing = min(max(source.missing, 0.5) * 2.0 * half, 0.5)
    kinds, parts, weights, shift = _ordered(masses) if source.ordered else _categories(masses)
    return FeatureReader(
        source.name, (*kinds, Kind.MISSING), (*parts, "missing"), weights, masses, missing, half, shift
    )


_Plan = tuple[tuple[Kind, ...], tuple[str, ...], Floats, Shift | None]


def _categories(masses: Floats) -> _Plan:
    """Return the shares of the most common categories, and of the rest together."""
    order = np.argsort(-masses, kind="stable")
    place = np.empty(len(masses), np.int64)
    place[order] = np.minimum(np.arange(len(masses)), COMMON)
    shares = np.eye(int(place.max()) + 1)[place]
    return (Kind.SHARE,) * shares.shape[1], _numbered("category", shares.shape[1]), shares, None


def _ordered(masses: Floats) -> _Plan:
    """Return location, spread and the shares of about ten groups."""
    starts = numeric_starts(masses)
    groups = np.eye(len(starts))[np.searchsorted(starts, np.arange(len(masses)), side="right") - 1]
    ranks = np.cumsum(masses) - masses / 2.0
    weights = np.column_stack([ranks, (2.0 * ranks - 1.0) ** 2, groups])
    kinds = (Kind.LOCATION, Kind.SPREAD, *(Kind.GROUP,) * len(starts))
    parts = ("location", "spread", *_numbered("group", len(starts)))
    return kinds, parts, weights, shift_of(masses, weights)


def _numbered(name: str, count: int) -> tuple[str, ...]:
    return tuple(f"{name} {i + 1} of {count}" for i in range(count))


class Reading(Struct, frozen=True, eq=False):
    """What was read off windows: values float64 [R, J], sizes int64 [R, J], the rows behind each value."""

    values: Floats
    sizes: NDArray[np.int64]


class Readers(Struct, frozen=True, eq=False, dict=True):
    """Reads every feature; the J columns are the features' readings one after another."""

    features: tuple[FeatureReader, ...]

    @cached_property
    def feature(self) -> NDArray[np.int64]:
        """Each column's feature, int64 [J]."""
        return np.repeat(np.arange(len(self.features)), [len(f.kinds) for f in self.features])

    @cached_property
    def kinds(self) -> tuple[Kind, ...]:
        """Each column's kind."""
        return tuple(kind for f in self.features for kind in f.kinds)

    @cached_property
    def parts(self) -> tuple[str, ...]:
        """Each column's name, for people."""
        return tuple(part for f in self.features for part in f.parts)

    @cached_property
    def noise(self) -> tuple[Floats, Floats]:
        """Variance and skewness of one row's part in each column, float64 [J] each."""
        found = [f.noise for f in self.features]
        return np.concatenate([v for v, _ in found]), np.concatenate([s for _, s in found])

    @cached_property
    def share(self) -> Floats:
        """Each column's part of its monitor's level, float64 [J].

        A feature has two monitors: `missing` has a level of its own, its other parts are the shift and sum
        to 1.
        """
        return np.concatenate([_shared(f.kinds) for f in self.features])

    @cached_property
    def units(self) -> Floats:
        """What an effect of 1 is in each column, float64 [J]."""
        return np.concatenate([f.units for f in self.features])

    def floors(self, min_effect: float) -> Floats:
        """Return how far each column must move to mean anything, float64 [J]: of missing rows a hundredth."""
        absent = np.array([kind is Kind.MISSING for kind in self.kinds])
        return np.where(absent, LEAST_MISSING, min_effect * self.units)

    def read(self, counts: Sequence[Counts], missing: NDArray[np.int64], rows: NDArray[np.int64]) -> Reading:
        """Read R windows: counts of each feature [R, K], missing [R, F], rows [R]."""
        values, sizes = [], []
        for place, (one, cells) in enumerate(zip(self.features, counts, strict=True)):
            values.append(one.read(cells, missing[:, place], rows))
            n = np.asarray(cells.sum(axis=-1), np.int64)
            sizes.append(np.column_stack([*[n] * (len(one.kinds) - 1), rows]))
        return Reading(np.concatenate(values, axis=1), np.concatenate(sizes, axis=1))


def _shared(kinds: Sequence[Kind]) -> Floats:
    fixed = {k: w for k, w in WEIGHT.items() if k in kinds}
    rest = (1.0 - sum(fixed.values())) / (kinds.count(Kind.GROUP) + kinds.count(Kind.SHARE))
    return np.array([1.0 if kind is Kind.MISSING else fixed.get(kind, rest) for kind in kinds])
