"""The mergeable summary of a window: exact integer cells on the reference's fixed grid.

A profile is a commutative monoid: counts are added, extremes compared, and the moments are integer sums
of values rounded to a fixed unit, so any batching, order or split of the rows gives the same bytes.

Layout of the one int64 vector of cells, feature by feature (`Grid.slices`):

numeric      below, bins[0..B-1], above, null, nan, neg_inf, pos_inf, invalid, s1_lo, s1_hi, s2_lo, s2_hi
categorical  categories[0..C-1], _other, _new, null, invalid

A numeric bin is right-closed: (edges[i-1], edges[i]]; the first starts at `lo`, the last ends at `hi`.
s1 and s2 are the sums of q and r*r with q = rint((x - centre) / unit) and r = rint(q / 2**18), each kept
as two limbs of 32 bits, low limb in [0, 2**32).
"""

from collections.abc import Iterator, Mapping
from functools import cached_property

import numpy as np
from msgspec import Struct, field
from numpy.typing import NDArray

from detectors.beside import Classes, Fault
from detectors.sample import Sample, merge_samples

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

LIMB_BITS = 32
SQUARE_SHIFT = 18
NUMERIC_EXTRA = ("null", "nan", "neg_inf", "pos_inf", "invalid", "s1_lo", "s1_hi", "s2_lo", "s2_hi")
CATEGORY_EXTRA = ("_other", "_new", "null", "invalid")


class NumericGrid(Struct, frozen=True):
    """The fixed grid of one numeric feature, made from the reference once.

    edges: strictly increasing interior edges, lo <= edges < hi. centre and unit (a power of two) fix the
    moments' rounding. sd: the reference's standard deviation (0 for a constant). places: the reference's
    mean value in each of the B bins, where Wasserstein puts the bin's mass.
    """

    name: str
    lo: float
    hi: float
    edges: tuple[float, ...]
    centre: float
    unit: float
    sd: float
    places: tuple[float, ...]

    @property
    def bins(self) -> int:
        """How many bins lie between lo and hi."""
        return len(self.edges) + 1

    @property
    def width(self) -> int:
        """How many cells the feature takes in the vector."""
        return self.bins + 2 + len(NUMERIC_EXTRA)


class CategoryGrid(Struct, frozen=True):
    """The categories of one feature: the reference's most common ones have a cell each.

    others: reference categories beyond the limit (counted `_other`). closed is False when the reference
    had too many to remember: then an unknown value is `_other`, never `_new`.
    """

    name: str
    categories: tuple[str, ...]
    others: tuple[str, ...] = ()
    closed: bool = True

    @property
    def width(self) -> int:
        """How many cells the feature takes in the vector."""
        return len(self.categories) + len(CATEGORY_EXTRA)


FeatureGrid = NumericGrid | CategoryGrid


class EmbeddingGrid(Struct, frozen=True):
    """One embedding: it has no cells, but its norm and its cosine to the reference's mean are features.

    mean: of the reference's vectors, of length `size`; all 0 where it has none.
    """

    name: str
    mean: tuple[float, ...]

    @property
    def size(self) -> int:
        """How many numbers a vector has."""
        return len(self.mean)

    @property
    def norm(self) -> str:
        """The feature that is the vector's length in space."""
        return f"{self.name}.norm"

    @property
    def cosine(self) -> str:
        """The feature that is the cosine between the vector and the mean."""
        return f"{self.name}.cosine"


class Grid(Struct, frozen=True, dict=True):
    """All features' grids, in a fixed order, and where each sits in the vector of cells."""

    features: tuple[FeatureGrid, ...]
    embeddings: tuple[EmbeddingGrid, ...] = ()

    def __hash__(self) -> int:
        return self._hash

    @cached_property
    def _hash(self) -> int:
        return hash((self.features, self.embeddings))  # of thousands of edges, asked for window by window

    @cached_property
    def slices(self) -> dict[str, slice]:
        """Each feature's place in the vector of cells."""
        found, at = {}, 0
        for feature in self.features:
            found[feature.name] = slice(at, at + feature.width)
            at += feature.width
        return found

    @cached_property
    def width(self) -> int:
        """The length of the vector of cells."""
        return sum(feature.width for feature in self.features)

    @cached_property
    def numeric(self) -> tuple[NumericGrid, ...]:
        """The numeric features, in order."""
        return tuple(f for f in self.features if isinstance(f, NumericGrid))

    @cached_property
    def categorical(self) -> tuple[CategoryGrid, ...]:
        """The categorical features, in order."""
        return tuple(f for f in self.features if isinstance(f, CategoryGrid))

    @cached_property
    def nulls(self) -> Ints:
        """The place of each feature's `null` in the vector of cells, in order."""
        behind = {NumericGrid: len(NUMERIC_EXTRA), CategoryGrid: CATEGORY_EXTRA[::-1].index("null") + 1}
        return np.array([self.slices[f.name].stop - behind[type(f)] for f in self.features], dtype=np.int64)

    @cached_property
    def limbs(self) -> Ints:
        """The places of every low limb in the vector of cells."""
        starts = [self.slices[f.name].stop for f in self.numeric]
        return np.array([s - 4 for s in starts] + [s - 2 for s in starts], dtype=np.int64)


class Profile(Struct, frozen=True, eq=False):
    """What is known of the rows of one window: see the module's text for the cells.

    low, high: float64 [numeric features], the finite extremes (+inf, -inf when there is none).
    sample is None for segments, whose rows are in the sample of `all` already.
    """

    rows: int
    cells: Ints
    low: Floats
    high: Floats
    sample: Sample | None = None


class NumericSummary(Struct, frozen=True, eq=False, dict=True):
    """One numeric feature of one profile. counts: int64 [B + 2], below, bins, above."""

    grid: NumericGrid
    rows: int
    counts: Ints
    null: int
    nan: int
    neg_inf: int
    pos_inf: int
    invalid: int
    total: float
    variance: float
    low: float
    high: float

    @cached_property
    def n(self) -> int:
        """How many finite values there are."""
        return int(self.counts.sum())

    @property
    def mean(self) -> float:
        """The mean of the finite values (NaN when there is none)."""
        return self.total / self.n if self.n else float("nan")


class CategorySummary(Struct, frozen=True, eq=False, dict=True):
    """One categorical feature of one profile. counts: int64 [C + 2], categories, `_other`, `_new`."""

    grid: CategoryGrid
    rows: int
    counts: Ints
    null: int
    invalid: int

    @cached_property
    def n(self) -> int:
        """How many values are present."""
        return int(self.counts.sum())


Summary = NumericSummary | CategorySummary


class WindowProfile(Struct, frozen=True, dict=True):
    """A closed window as a detector sees it: the window's profile beside the reference's.

    columns_missing and columns_unknown: how many configured columns never appeared, and how many
    appeared that nobody configured. history: rows of the closed windows before it, oldest first.
    complete: False when the log was cut short in the window, so that its number of rows means nothing.
    classes: None unless they are asked for and known. faults: (feature, detector) -> what was gathered.
    """

    grid: Grid
    window: Profile
    reference: Profile
    columns_missing: frozenset[str] = field(default_factory=frozenset)
    columns_unknown: frozenset[str] = field(default_factory=frozenset)
    history: tuple[int, ...] = ()
    complete: bool = True
    classes: Classes | None = None
    faults: Mapping[tuple[str, str], Fault] = field(default_factory=dict)

    @cached_property
    def summaries(self) -> tuple[Summary, ...]:
        """Each feature's summary in the window, in the grid's order."""
        return tuple(summaries(self.grid, self.window))


def empty(grid: Grid, *, sample: bool = True) -> Profile:
    """Return the identity of `merge`."""
    k = len(grid.numeric)
    codes = np.empty((0, len(grid.categorical)), np.int32)
    vectors = tuple(np.empty((0, e.size), np.float16) for e in grid.embeddings)
    nothing = Sample(np.empty(0, np.uint64), np.empty((0, k)), codes, vectors)
    low, high = np.full(k, np.inf), np.full(k, -np.inf)
    return Profile(0, np.zeros(grid.width, np.int64), low, high, nothing if sample else None)


def merge(grid: Grid, a: Profile, b: Profile) -> Profile:
    """Return the profile of both profiles' rows together."""
    cells = a.cells + b.cells
    carry_limbs(grid, cells)
    sample = merge_samples(a.sample, b.sample) if a.sample is not None and b.sample is not None else None
    return Profile(a.rows + b.rows, cells, np.minimum(a.low, b.low), np.maximum(a.high, b.high), sample)


def carry_limbs(grid: Grid, cells: Ints) -> None:
    """Bring every low limb back into [0, 2**32), in place, so that equal sums have equal bytes."""
    low = cells[grid.limbs]
    cells[grid.limbs + 1] += low >> LIMB_BITS
    cells[grid.limbs] = low & ((1 << LIMB_BITS) - 1)


def summaries(grid: Grid, profile: Profile) -> Iterator[Summary]:
    """Yield each feature's summary, in the grid's order."""
    place = {f.name: i for i, f in enumerate(grid.numeric)}
    for feature in grid.features:
        cells = profile.cells[grid.slices[feature.name]]
        if isinstance(feature, NumericGrid):
            yield _numeric(feature, profile, cells, place[feature.name])
        else:
            c = len(feature.categories) + 2
            yield CategorySummary(feature, profile.rows, cells[:c], int(cells[c]), int(cells[c + 1]))


def _numeric(grid: NumericGrid, profile: Profile, cells: Ints, place: int) -> NumericSummary:
    counts = cells[: grid.bins + 2]
    null, nan, neg_inf, pos_inf, invalid, *limbs = cells[grid.bins + 2 :].tolist()
    n = int(counts.sum())
    s1 = (limbs[1] << LIMB_BITS) + limbs[0]
    s2 = ((limbs[3] << LIMB_BITS) + limbs[2]) << (2 * SQUARE_SHIFT)
    spread = max(s2 * n - s1 * s1, 0) / (n * n) if n else float("nan")
    total, variance = n * grid.centre + s1 * grid.unit, spread * grid.unit * grid.unit
    low, high = float(profile.low[place]), float(profile.high[place])
    return NumericSummary(
        grid, profile.rows, counts, null, nan, neg_inf, pos_inf, invalid, total, variance, low, high
    )
