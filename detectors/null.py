"""The null model of one feature: what to draw when nothing has changed.

Without drift both samples come from one distribution, known by the reference's masses, so both are drawn
from it: reference' ~ Multinomial(N, masses) and window ~ Multinomial(M, masses). Both, because the
reference is an estimate too. The window also gets what a reference of N rows leaves out by chance: rows
beyond its extremes, categories that it never held. All of it holds for independent rows.
"""

from functools import cached_property
from hashlib import blake2b

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from detectors.comparison import GROUPS, Comparison, numeric_starts
from detectors.table import Floats

DRAWS = 2000
FEW_ROWS = 8
CONTINUOUS_CELLS = 200
HEAVIEST_CONTINUOUS = 0.02


class Null(Struct, frozen=True, eq=False, dict=True):
    """What the null distribution of one feature's statistics depends on.

    masses: float64 [K], the reference's, sum 1. fresh: float64 [K], how many of N more rows would fall
    into a cell where the reference, by its making, has none; known with variance fresh * doubt. starts:
    the first cell of each group, or None. gaps: float64 [K - 1], the distance from each cell to the next
    in units of the reference's spread, or None.
    """

    masses: Floats
    fresh: Floats
    doubt: float = 1.0
    starts: NDArray[np.int64] | None = None
    gaps: Floats | None = None

    @cached_property
    def key(self) -> bytes:
        """Names the draws that fit."""
        return _digest(np.concatenate([self.masses, self.fresh, [self.doubt]]))

    @cached_property
    def gaps_key(self) -> bytes:
        """Names the distances between cells."""
        return b"" if self.gaps is None else _digest(self.gaps)


def _digest(values: Floats) -> bytes:
    return blake2b(values.tobytes(), digest_size=16).digest()


def null_of(comparison: Comparison) -> Null:
    """Return the null model of the comparison's reference, which holds at least one row.

    Numeric features without a heavy value share one model, that of a continuous feature: it makes their
    common threshold a few per cent too high at most, never too low, and one set of draws serves them all.
    """
    counts = np.asarray(comparison.reference, dtype=np.float64)
    masses = counts / counts.sum()
    if comparison.places is None:
        listed = -np.sort(-masses[:-1])
        rows, variance = comparison.unseen
        fresh = np.append(np.zeros(len(listed)), rows)
        return Null(np.append(listed, 0.0), fresh, variance / rows if rows else 1.0)
    between = comparison.gaps
    if masses.max() <= HEAVIEST_CONTINUOUS:
        return _continuous(masses, between)
    return Null(masses, _beyond(masses), starts=comparison.starts, gaps=between)


def _beyond(masses: Floats) -> Floats:
    """Return one row of N beyond each extreme; none beyond a heavy value, which is taken as a limit."""
    fresh = np.zeros(len(masses))
    fresh[0] = masses[1] * GROUPS <= 1.0
    fresh[-1] = masses[-2] * GROUPS <= 1.0
    return fresh


def _continuous(masses: Floats, between: Floats) -> Null:
    """Return the shared model with this feature's gaps brought onto its cells.

    Wasserstein is the integral of |F - G| over the quantile function: each gap goes to the end of the
    shared cell whose cumulative mass is nearest to its own.
    """
    equal = np.pad(np.full(CONTINUOUS_CELLS, 1.0 / CONTINUOUS_CELLS), 1)
    ends = np.rint(np.cumsum(masses)[:-1] * CONTINUOUS_CELLS).astype(np.int64)
    shared = np.bincount(ends, weights=between, minlength=CONTINUOUS_CELLS + 1)
    return Null(equal, _beyond(equal), starts=numeric_starts(equal), gaps=shared.astype(np.float64))


def draw(rng: np.random.Generator, masses: Floats, sizes: NDArray[np.int64]) -> Floats:
    """Return samples of `sizes` [R] rows as counts [R, K].

    Cells that expect few rows are drawn exactly, as a multinomial with all others together in one cell;
    what is left is spread over the well-filled cells by a skewed Gaussian, which is several times faster.

    Examples
    --------
    >>> draw(np.random.default_rng(0), np.array([0.5, 0.5]), np.array([10, 20])).sum(axis=1).tolist()
    [10.0, 20.0]

    """
    full = masses * float(sizes.mean()) >= FEW_ROWS
    counts = np.empty((len(sizes), len(masses)))
    rest = min(float(masses[full].sum()), 1.0)
    exact = rng.multinomial(sizes, np.append(masses[~full], rest))
    counts[:, ~full] = exact[:, :-1]
    counts[:, full] = _spread(rng, masses[full] / max(rest, 1e-300), exact[:, -1:].astype(np.float64))
    return counts


def _spread(rng: np.random.Generator, masses: Floats, sizes: Floats) -> Floats:
    """Return sizes [R, 1] spread over the masses: each count is Poisson-like, less its share of the excess.

    With z a standard normal, sqrt(e) z + (z * z - 1) / 6 has the variance and the skewness of a Poisson
    count of mean e (the first Cornish-Fisher term).
    """
    expected = sizes * masses
    z = rng.standard_normal(expected.shape)
    noise = np.sqrt(expected) * z + (z * z - 1.0) / 6.0
    noise -= noise.sum(axis=1, keepdims=True) * masses
    noise += expected
    return np.maximum(noise, 0.0, out=noise)


class Simulation:
    """Simulated pairs of samples without drift, of n and m rows; seeded from what is drawn."""

    def __init__(self, null: Null, n: int, m: int) -> None:
        seed = blake2b(null.key + f":{n}:{m}".encode(), digest_size=8).digest()
        rng = np.random.default_rng(int.from_bytes(seed, "big"))
        reference = draw(rng, null.masses, np.full(DRAWS, n))
        new = _fresh_rows(rng, null, n, m)
        window = draw(rng, null.masses, m - new.sum(axis=1)) + new
        self.pairs = Comparison(reference, window, null.starts)

    @cached_property
    def apart(self) -> Floats:
        """|F - G| at each cell's end but the last, float64 [R, K - 1]."""
        return self.pairs.cells.apart


def _fresh_rows(rng: np.random.Generator, null: Null, n: int, m: int) -> NDArray[np.int64]:
    """Return how many of m rows fall where a reference of n rows has none, int64 [R, K].

    The mass there is unknown, and drawn by a gamma law: for the mass beyond an extreme it is the exact one.
    """
    rows = np.zeros((DRAWS, len(null.fresh)), np.int64)
    cells = np.flatnonzero(null.fresh)
    mass = null.doubt * rng.standard_gamma(null.fresh[cells] / null.doubt, (DRAWS, len(cells)))
    odds = np.column_stack([mass, np.full(DRAWS, float(n))])
    rows[:, cells] = rng.multinomial(m, odds / odds.sum(axis=1, keepdims=True))[:, :-1]
    return rows
