"""The null model `windows`: what the reference's own windows say a window may differ by.

Rows of a window share its hour, its day and its season, so that windows differ by more than the chance of
their rows. The reference's windows show by how much. Of each feature a few readings (readings.py) are
compared with what is usual at the time (adjustment.py), alone and together with the windows before
(blocks.py); the feature's level is shared by readings and scales.
"""

from collections.abc import Mapping, Sequence
from functools import cached_property, reduce
from operator import or_
from typing import Any

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from detectors.adjustment import TINY, Usual, adjust
from detectors.blocks import DAYS_NEEDED, WINDOWS_NEEDED, learn_tail, merge_blocks, merge_last
from detectors.evidence import Merged, Tail
from detectors.finding import Finding, Findings
from detectors.readings import Kind, Readers, Reading
from detectors.seasons import DAY, SAID, Clock, Season
from detectors.table import Floats

SCALES = (1, 4, 24, 72, 168)
"""How many windows are taken together."""
LARGEST_PART = 4
"""A scale is at most this part of the reference."""
DOF_NEEDED = 10.0

Arrays = Mapping[str, NDArray[Any]]


class Measured(Struct, frozen=True, eq=False):
    """Every reading at every scale of R windows, float64 [scales, R, J].

    apart: deviation in the reading's unit. limit: how far it may be, infinite where it is not judged.
    """

    apart: Floats
    limit: Floats

    @property
    def ratio(self) -> Floats:
        """Deviation over limit: above 1 is a breach."""
        return np.asarray(np.abs(self.apart) / np.maximum(self.limit, TINY))


class WindowNull(Struct, frozen=True, eq=False, dict=True):
    """What is usual in each window of a reference, and how far a window may be from it without a change.

    Made by `learn`, or by `load` from what `dump` gave and the same readers.

    Examples
    --------
    Hourly windows of 500 rows whose mean differs from day to day: an hour as far off as many days were is no
    finding, one that lies far outside of them is.

    >>> from detectors.readings import Source, reader
    >>> rng = np.random.default_rng(2)
    >>> clock = Clock(np.arange(20 * 24) * DAY // 24, DAY // 24)
    >>> def windows(mean: Floats) -> Floats:
    ...     rows = rng.normal(mean[:, None], 1.0, (len(mean), 500))
    ...     bins = np.linspace(-3.0, 3.0, 61)
    ...     return np.stack([np.bincount(np.searchsorted(bins, x), minlength=62) for x in rows])
    >>> counts = windows(np.repeat(rng.normal(0.0, 0.15, 20), 24))
    >>> age = Readers((reader(Source("age", counts.sum(axis=0), 0, ordered=True)),))
    >>> nobody, rows = np.zeros((480, 1), np.int64), np.full(480, 500)
    >>> null = learn(age, age.read([counts], nobody, rows), clock)
    >>> for mean in (0.3, 2.0):
    ...     one = age.read([windows(np.array([mean]))], nobody[:1], rows[:1])
    ...     found = null.judge(one, Clock(np.array([20 * DAY]), clock.length), level=1e-4).shift[0]
    ...     print(found.score > 1.0, found.part, round(found.effect, 1))
    False group 8 of 10 0.1
    True location 2.1

    """

    readers: Readers
    usual: Usual
    tails: tuple[Tail, ...]
    length: int
    typical: Floats

    @cached_property
    def share(self) -> Floats:
        """Each column's part of its monitor's level at each scale it is judged at, float64 [J]."""
        scales = np.sum([tail.used for tail in self.tails], axis=0)
        return np.asarray(self.readers.share / np.maximum(scales, 1.0))

    def measure(self, reading: Reading, clock: Clock, level: float, min_effect: float = 0.1) -> Measured:
        """Measure windows against the reference, each together with the ones before it in `reading`.

        reading: R windows in order of time. level: the probability of a false breach per monitor and window.
        min_effect: no limit is smaller than this many standard deviations.
        """
        z, precision = self.usual.standardise(reading, clock)
        blocks = [merge_blocks(z, precision, reading.sizes, clock, tail.scale) for tail in self.tails]
        return self._measured(blocks, level, min_effect)

    def _measured(self, blocks: Sequence[Merged], level: float, min_effect: float) -> Measured:
        floors = self.readers.floors(min_effect)
        levels = np.minimum(level * self.share, 0.5)
        apart, limits = [], []
        for tail, merged in zip(self.tails, blocks, strict=True):
            thin = self._thinned(tail, merged)
            limit = np.minimum(*(self._limit(tail, each, levels) for each in (merged, thin)))
            judged = (tail.used > 0) & (merged.precision > 0)
            apart.append(merged.z * _step(merged))
            limits.append(np.where(judged, np.maximum(limit, floors), np.inf))
        return Measured(np.stack(apart), np.stack(limits))

    def _limit(self, tail: Tail, merged: Merged, levels: Floats) -> Floats:
        """Return how far blocks may be, in the readings' units."""
        return tail.limit(merged, levels, self.skew(tail, merged)) * _step(merged)

    def _thinned(self, tail: Tail, merged: Merged) -> Merged:
        """Return the blocks as if their windows had no more rows than the reference's.

        Windows of more rows differ by less, not by more: what was learnt of smaller ones bounds them too,
        though it says ever less of how much less that is.
        """
        precision = np.minimum(merged.precision, merged.windows / np.maximum(tail.variance, TINY))
        z = merged.z * np.sqrt(precision / np.maximum(merged.precision, TINY))
        return Merged(z, precision, np.minimum(merged.rows, merged.windows * self.typical), merged.windows)

    def _pvalues(self, blocks: Sequence[Merged]) -> Floats:
        """Return each monitor's p-value by each reading alone, the smallest over the scales, [R, J]."""
        found = []
        for tail, merged in zip(self.tails, blocks, strict=True):
            judged = (tail.used > 0) & (merged.precision > 0)
            both = (merged, self._thinned(tail, merged))
            pvalue = np.minimum(*(tail.pvalue(each, self.skew(tail, each)) for each in both)) / self.share
            found.append(np.where(judged, np.minimum(pvalue, 1.0), 1.0))
        return np.asarray(np.min(found, axis=0))

    def judge(self, reading: Reading, clock: Clock, level: float, min_effect: float = 0.1) -> Findings:
        """Judge the last of the windows; see `measure`.

        The windows before it serve the longer scales; those more than 168 windows earlier do not count.
        """
        z, precision = self.usual.standardise(reading, clock)
        blocks = [merge_last(z, precision, reading.sizes, clock, tail.scale) for tail in self.tails]
        measured = self._measured(blocks, level, min_effect)
        usual = self.usual.at(Clock(clock.starts[-1:], clock.length))[0][0]
        least = self._pvalues(blocks)[0]
        largest = measured.ratio[:, 0].max(axis=0)

        def finding(first: int, last: int) -> Finding:
            """Return the largest of the columns of one monitor."""
            j = first + int(largest[first:last].argmax())
            pvalue = float(least[first:last].min())
            return self._finding(measured, j, (float(usual[j]), pvalue, int(reading.sizes[-1, j])))

        ends = np.cumsum([len(f.kinds) for f in self.readers.features]).tolist()
        starts = [0, *ends[:-1]]
        return Findings(
            tuple(finding(first, last - 1) for first, last in zip(starts, ends, strict=True)),
            tuple(finding(last - 1, last) for last in ends),
        )

    def _finding(self, measured: Measured, column: int, seen: tuple[float, float, int]) -> Finding:
        scale, (usual, pvalue, n) = int(measured.ratio[:, 0, column].argmax()), seen
        apart = float(measured.apart[scale, 0, column])
        return Finding(
            self.readers.features[self.readers.feature[column]].name,
            float(measured.ratio[scale, 0, column]),
            pvalue,
            abs(apart) / float(self.readers.units[column]),
            self.readers.parts[column],
            self.tails[scale].scale,
            apart,
            usual,
            float(measured.limit[scale, 0, column]),
            n,
            SAID[Season(int(self.usual.season[column]))],
        )

    def skew(self, tail: Tail, merged: Merged) -> Floats:
        """Return the skewness on the evidence's side: the reference's or that of the chance of the rows."""
        variance, skewness = self.readers.noise
        rows = np.maximum(merged.rows, 1.0)
        by_rows = self.usual.design * variance * np.maximum(merged.windows, 1.0) / rows
        part = (by_rows / (self.usual.between + by_rows)) ** 1.5
        towards = np.sign(merged.z)
        found = np.maximum(towards * tail.lean, towards * skewness / np.sqrt(rows) * part)
        return np.asarray(np.maximum(found, 0.0))

    def dump(self) -> dict[str, NDArray[Any]]:
        """Return everything but the readers, which the reference's counts give, as named arrays."""
        head = np.array([self.length, *(tail.scale for tail in self.tails)], np.int64)
        tails = [{f"{tail.scale}/{k}": v for k, v in tail.arrays().items()} for tail in self.tails]
        return reduce(or_, tails, {"scales": head, "typical": self.typical, **self.usual.arrays()})

    @classmethod
    def load(cls, arrays: Arrays, readers: Readers) -> "WindowNull":
        """Read what `dump` gave."""
        length, *scales = (int(v) for v in arrays["scales"])
        tails = tuple(
            Tail.of(scale, {k.partition("/")[2]: v for k, v in arrays.items() if k.startswith(f"{scale}/")})
            for scale in scales
        )
        return cls(readers, Usual.of(arrays), tails, length, arrays["typical"])


def _step(merged: Merged) -> Floats:
    """Return what one standard deviation of the evidence is in the readings' units."""
    return np.asarray(1.0 / np.sqrt(np.maximum(merged.precision, TINY)))


def learn(readers: Readers, reading: Reading, clock: Clock, scales: Sequence[int] = SCALES) -> WindowNull:
    """Learn from the reference's own windows; see `shortage` for when there are enough.

    reading: of R windows of one length in order of time, by the readers made from all of them together.
    """
    usual, z = adjust(reading, readers.noise[0], clock)
    precision = np.where(reading.sizes > 0, 1.0 / np.maximum(usual.variance(reading.sizes), TINY), 0.0)
    kinds = np.array([list(Kind).index(kind) for kind in readers.kinds])
    tails = []
    for scale in scales:
        if scale == 1 or scale * LARGEST_PART <= len(clock.starts):
            merged = merge_blocks(z, precision, reading.sizes, clock, scale)
            tails.append(learn_tail(merged, usual, clock, kinds, scale, DOF_NEEDED))
    present = np.where(reading.sizes > 0, reading.sizes, np.nan)
    present[:, ~(reading.sizes > 0).any(axis=0)] = 0.0
    return WindowNull(readers, usual, tuple(tails), clock.length, np.nanmedian(present, axis=0))


def account(null: WindowNull, clock: Clock) -> str:
    """Say in one sentence what a model learnt from these windows compares, and at which scales."""
    seasons = [Season(int(season)) for season in null.usual.season]
    against = ", ".join(
        f"{SAID[season]} ({round(100 * seasons.count(season) / len(seasons))} % of the readings)"
        for season in Season
        if season in seasons
    )
    used = [str(tail.scale) for tail in null.tails if tail.used.any()]
    left = [str(scale) for scale in SCALES if str(scale) not in used]
    without = f"; {', '.join(left)} left out, the reference has too few independent blocks" if left else ""
    return (
        f"{len(clock.starts)} windows of the reference, compared with {against}, "
        f"over {', '.join(used)} windows{without}"
    )


def shortage(clock: Clock) -> str | None:
    """Say in one sentence why the reference's windows are too few to learn from, None if they are enough.

    Examples
    --------
    >>> shortage(Clock(np.arange(10) * DAY, DAY))
    'the reference spans 10 windows on 10 days, and 30 windows on 7 days are needed'

    """
    windows, days = len(clock.starts), len(np.unique(clock.starts // max(DAY, clock.length)))
    if windows >= WINDOWS_NEEDED and days >= DAYS_NEEDED:
        return None
    return (
        f"the reference spans {windows} windows on {days} days, and {WINDOWS_NEEDED} windows on "
        f"{DAYS_NEEDED} days are needed"
    )
