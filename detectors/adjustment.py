"""What is usual at a time of day or week, and how much readings vary about it.

The variance of a reading of n rows is between + design * noise / n: what windows differ by, and what n rows
differ by. The first does not shrink with the rows, so both are estimated; a changing traffic then keeps
its level.
"""

from collections.abc import Mapping, Sequence
from functools import reduce
from typing import Any

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from detectors.readings import Reading
from detectors.seasons import Clock, Ints, Season
from detectors.table import Floats

TOGETHER = 256
"""Columns that are fitted at once: what fits into a processor's cache."""
ROUNDS = 3
REFITS = 4
TINY = 1e-18
GAIN = 0.97
"""A season is used when it lowers the error of prediction to this share."""
TELLING = 1e-3
"""Below this, the sizes of windows vary too little to tell both parts of the variance."""


class Usual(Struct, frozen=True, eq=False):
    """What is usual. All arrays have one column per reading, [J] or [C, J] over the cells of its season.

    season: which one. means: the mean of each cell; precision: 1 over the variance of that mean, 0 for a
    cell without windows. between, design, noise: the parts of a reading's variance. periods: how many
    days or weeks the means rest on.
    """

    season: Ints
    means: Floats
    precision: Floats
    between: Floats
    design: Floats
    noise: Floats
    periods: Floats

    def arrays(self) -> dict[str, Floats | Ints]:
        """Return everything by its name, to be stored."""
        return {name: getattr(self, name) for name in _NAMES}

    @classmethod
    def of(cls, arrays: Mapping[str, NDArray[Any]]) -> "Usual":
        """Read what `arrays` gave."""
        return cls(*(arrays[name] for name in _NAMES))

    def variance(self, sizes: Ints) -> Floats:
        """Return the variance of readings of that many rows [R, J], before the mean's own."""
        return np.asarray(self.between + self.design * self.noise / np.maximum(sizes, 1))

    def clustering(self, rows: int) -> Floats:
        """Return how many of a window's rows tell as much as one independent row, float64 [J], 1 to `rows`.

        What windows differ by, their season included, is what the rows of one have in common (Kish's design
        effect).

        References
        ----------
        Kish, L. (1965). Survey Sampling. Wiley.

        """
        known = self.precision > 0
        n = np.maximum(known.sum(axis=0), 1)
        mean = (self.means * known).sum(axis=0) / n
        season = (np.square(self.means - mean) * known).sum(axis=0) / n
        common = (self.between + season) / np.maximum(self.noise, TINY)
        return np.asarray(np.clip(self.design + rows * common, 1.0, max(rows, 1)))

    def at(self, clock: Clock) -> tuple[Floats, Floats]:
        """Return what is usual at the windows' times, and its precision, float64 [R, J]."""
        cells = np.stack([clock.cells(season) for season in Season])[self.season].T
        cells = np.minimum(cells, len(self.means) - 1)
        columns = np.arange(len(self.season))
        return self.means[cells, columns], self.precision[cells, columns]

    def standardise(self, reading: Reading, clock: Clock) -> tuple[Floats, Floats]:
        """Return deviations in standard deviations, and the precision of each, float64 [R, J].

        Both are 0 where a window has no rows. What is unusual is 0 in the mean and 1 in the variance.
        """
        variance = self.variance(reading.sizes)
        means, precision = self.at(clock)
        known = (reading.sizes > 0) & (precision > 0)
        spread = np.sqrt(variance + 1.0 / np.maximum(precision, TINY))
        apart = (reading.values - means) / np.maximum(spread, TINY)
        return np.where(known, apart, 0.0), np.where(known, 1.0 / np.maximum(variance, TINY), 0.0)


_NAMES = Usual.__struct_fields__


def adjust(
    reading: Reading, noise: Floats, clock: Clock, seasons: Sequence[Season] | None = None
) -> tuple[Usual, Floats]:
    """Return what is usual, and the deviations [R, J] of the windows it was learnt from.

    Each is taken from the mean of the other days (or weeks), so that they are spread like those of windows to
    come. Per column the season is used that predicts the left out day best.

    Examples
    --------
    >>> rng = np.random.default_rng(5)
    >>> clock = Clock(np.arange(240) * 3_600_000_000, 3_600_000_000)
    >>> day = np.sin(np.arange(240) * 2 * np.pi / 24)
    >>> values = np.stack([day, np.zeros(240)], axis=1) + rng.normal(0.0, 0.1, (240, 2))
    >>> usual, z = adjust(Reading(values, np.full((240, 2), 100)), np.array([1.0, 1.0]), clock)
    >>> usual.season.tolist(), round(float(z.std()), 1)
    ([1, 0], 1.0)

    """
    chosen = clock.possible() if seasons is None else tuple(seasons)
    if not chosen:
        raise ValueError("no season to choose from")
    found = []
    for first in range(0, len(noise), TOGETHER):
        some = slice(first, first + TOGETHER)
        part = Reading(reading.values[:, some], reading.sizes[:, some])
        found.append(reduce(_better, (_fit(part, noise[some], clock, season) for season in chosen)))
    height = max(len(each.means) for each in found)
    joined = _Fitted(
        *(np.concatenate(parts, axis=-1) for parts in zip(*(f.parts(height) for f in found), strict=True))
    )
    usual = Usual(
        joined.season,
        joined.means,
        joined.precision,
        joined.between,
        joined.design,
        noise,
        joined.periods,
    )
    return usual, joined.z


class _Fitted(Struct, frozen=True, eq=False):
    season: Ints
    error: Floats
    means: Floats
    precision: Floats
    between: Floats
    design: Floats
    periods: Floats
    z: Floats

    def parts(self, height: int) -> tuple[Floats | Ints, ...]:
        """Return all arrays in order, the cells padded to a common height."""
        means, precision = _padded(self.means, height), _padded(self.precision, height)
        return (self.season, self.error, means, precision, self.between, self.design, self.periods, self.z)


def _better(old: _Fitted, new: _Fitted) -> _Fitted:
    """Take the columns of `new` that predict better by more than chance would."""
    wins = new.error < old.error * GAIN
    height = max(len(old.means), len(new.means))
    pairs = zip(new.parts(height), old.parts(height), strict=True)
    return _Fitted(*(np.where(wins, after, before) for after, before in pairs))


def _padded(cells: Floats, height: int) -> Floats:
    return np.pad(cells, ((0, height - len(cells)), (0, 0)))


def _fit(reading: Reading, noise: Floats, clock: Clock, season: Season) -> _Fitted:
    present = reading.sizes > 0
    cells, periods = clock.cells(season), clock.periods(season)
    blocks = np.unique(np.stack([cells, periods]), axis=1, return_inverse=True)[1].ravel()
    inverse = noise / np.maximum(reading.sizes, 1)
    weights = present / np.maximum(inverse, TINY)
    for _ in range(ROUNDS):
        total, summed = _sums(cells, weights), _sums(cells, weights * reading.values)
        own, own_summed = _sums(blocks, weights), _sums(blocks, weights * reading.values)
        others = total[cells] - own[blocks]
        known = present & (others > 0)
        mean = (summed[cells] - own_summed[blocks]) / np.where(known, others, 1.0)
        apart = np.where(known, reading.values - mean, 0.0)
        doubt = np.where(known, 1.0 / np.maximum(others, TINY), 0.0)
        between, design = parts(apart**2 - doubt, inverse, known)
        variance = between + design * inverse
        weights = present / np.maximum(variance, TINY)
    total, summed = _sums(cells, weights), _sums(cells, weights * reading.values)
    spread = np.sqrt(variance + doubt)
    count = np.maximum(known.sum(axis=0), 1)
    j = reading.values.shape[1]
    return _Fitted(
        np.full(j, int(season)),
        (apart**2).sum(axis=0) / count,
        summed / np.where(total > 0, total, 1.0),
        total,
        between,
        design,
        np.full(j, float(len(np.unique(periods)))),
        apart / np.maximum(spread, TINY),
    )


def _sums(labels: Ints, values: Floats) -> Floats:
    """Return the sums of the rows [R, J] with each label, [labels, J]."""
    order = np.argsort(labels, kind="stable")
    ranked = labels[order]
    firsts = np.flatnonzero(np.diff(ranked, prepend=-1))
    found = np.zeros((int(ranked[-1]) + 1, values.shape[1]))
    found[ranked[firsts]] = np.add.reduceat(values[order], firsts, axis=0)
    return found


def parts(squares: Floats, inverse: Floats, known: NDArray[np.bool_]) -> tuple[Floats, Floats]:
    """Return (between, design) with squares ~ between + design * inverse, 0 and 1 or more; all [R, J].

    Weighted least squares, each square having twice its variance's square as its own variance. Where the
    sizes hardly vary, the design is 1 and all else is between.
    """
    count = np.maximum(known.sum(axis=0), 1)
    variance = np.broadcast_to(squares.sum(axis=0) / count, squares.shape)
    between, design = np.zeros(squares.shape[1]), np.ones(squares.shape[1])
    for _ in range(REFITS):
        between, design = _solved(squares, inverse, known / np.maximum(variance, TINY) ** 2)
        variance = between + design * inverse
    return between, design


def _solved(squares: Floats, inverse: Floats, weights: Floats) -> tuple[Floats, Floats]:
    scaled = weights * inverse
    s0, s1, s2 = (
        np.maximum(s, 1e-300)
        for s in (weights.sum(axis=0), scaled.sum(axis=0), (scaled * inverse).sum(axis=0))
    )
    t0, t1 = (weights * squares).sum(axis=0), (scaled * squares).sum(axis=0)
    tells = s0 * s2 - s1 * s1 > TELLING * s0 * s2
    determinant = np.where(tells, s0 * s2 - s1 * s1, 1.0)
    between = np.where(tells, (s2 * t0 - s1 * t1) / determinant, -1.0)
    design = np.where(tells, (s0 * t1 - s1 * t0) / determinant, 0.0)
    between = np.where(design < 1.0, (t0 - s1) / s0, between)
    design = np.maximum(design, 1.0)
    design = np.where(between < 0.0, np.maximum(t1 / s2, 1.0), design)
    return np.maximum(between, 0.0), design
