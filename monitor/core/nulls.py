"""What a reference's own windows show: learnt once per reference, length of windows and set of monitors."""

import json
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np
import polars as pl
from msgspec import Struct
from msgspec.structs import replace
from numpy.typing import NDArray

from detectors.comparison import compare
from detectors.dependence import Dependence, dependence_of
from detectors.drift import STATISTICS
from detectors.monitors import MonitorSpec
from detectors.profile import Grid, NumericGrid, Profile, Summary, empty, summaries
from detectors.readings import Readers, Reading, Source, reader
from detectors.score_null import ScoreNull, learn_scores
from detectors.seasons import Clock
from detectors.series import Scores, Series
from detectors.window_null import WindowNull, account, learn, shortage
from monitor.core.codec import Arrays, pack, unpack
from monitor.core.profiles import ALL, GroupKey, Rows, Run, profile_rows
from monitor.core.reference import Baseline
from monitor.core.windows import NEVER

Ints = NDArray[np.int64]
MOST_WINDOWS = 2016
"""The newest so many windows of a reference are learnt from: twelve weeks of hours."""
MOST_READINGS = 4000
"""Segments get a null model of their own while all of them read no more numbers than this per window."""
MOST_CELLS = 2**22
"""Of as many windows as this holds profiles are kept at once."""
FORMAT = 2
TESTED = "dependence"
UNTIMED = "the reference's rows have no times"


class Nulls(Struct, frozen=True, dict=True):
    """The null models of one reference, by segment label.

    number: the reference's. window: microseconds. recipe: what they were learnt for; see `recipe_of`. said:
    one sentence for people. arrays: label -> what its models dumped; labels without are judged by resampling.
    file: which state of the reference's file they were learnt from, as whoever reads it tells states apart.
    """

    number: int
    window: int
    recipe: str
    said: str
    arrays: Mapping[str, Arrays]
    file: str = ""

    def dump(self) -> bytes:
        """Write it for the store."""
        head = {"number": self.number, "window": self.window, "recipe": self.recipe, "said": self.said}
        head["file"] = self.file
        flat = {f"{label}\n{name}": a for label, found in self.arrays.items() for name, a in found.items()}
        return pack(head, flat)

    @classmethod
    def load(cls, data: bytes) -> "Nulls":
        """Read what `dump` wrote."""
        head, flat = unpack(data)
        arrays: dict[str, dict[str, NDArray[Any]]] = {}
        for key, array in flat.items():
            label, _, name = key.rpartition("\n")
            arrays.setdefault(label, {})[name] = array
        return cls(head["number"], head["window"], head["recipe"], head["said"], arrays, head["file"])

    @cached_property
    def _made(self) -> dict[str, "GroupNull"]:
        return {}

    def of(self, baseline: Baseline, label: str) -> "GroupNull | None":
        """Return the null model of a segment label, made when it is first asked for."""
        if label not in self.arrays:
            return None
        if label not in self._made:
            self._made[label] = GroupNull.of(baseline, label, self.arrays[label], self.recipe)
        return self._made[label]


class GroupNull(Struct, frozen=True, eq=False):
    """The models of one group of rows: of its windows, and of the distances that are configured.

    dependence: of the reference's windows on each other, None if a release without that test learnt it.
    """

    windows: WindowNull
    scores: Scores | None
    dependence: Dependence | None = None

    @classmethod
    def of(cls, baseline: Baseline, label: str, arrays: Arrays, recipe: str) -> "GroupNull":
        """Make it of what was stored."""
        windows = WindowNull.load(_part(arrays, "windows"), readers_of(baseline, label))
        stored = _part(arrays, "scores")
        monitors = tuple((feature, detector) for feature, detector in json.loads(recipe)["distances"])
        scores = Scores(monitors, ScoreNull.load(stored)) if stored else None
        tested = arrays.get(TESTED)
        return cls(windows, scores, Dependence.of(tested) if tested is not None else None)

    def read(self, grid: Grid, profile: Profile) -> Reading:
        """Read one window, as a Reading of length 1."""
        return read_windows(self.windows.readers, grid, [profile])

    def series(self, reading: Reading, starts: Ints) -> Series:
        """Return windows ready to be judged."""
        clock = Clock(starts, self.windows.length)
        return Series(self.windows, reading, clock, self.scores, self.dependence)


def _part(arrays: Arrays, name: str) -> dict[str, NDArray[Any]]:
    return {k.removeprefix(f"{name}:"): v for k, v in arrays.items() if k.startswith(f"{name}:")}


def recipe_of(window: int, monitors: Sequence[MonitorSpec]) -> str:
    """Name what null models depend on beside the reference's rows. monitors: see `learn_nulls`."""
    distances = [[s.feature, s.detector] for s in monitors]
    return json.dumps({"format": FORMAT, "window": window, "distances": distances}, separators=(",", ":"))


def readers_of(baseline: Baseline, label: str) -> Readers:
    """Return what reads the windows of a segment label."""
    return Readers(
        tuple(
            reader(Source(s.grid.name, s.counts, _missing(s), isinstance(s.grid, NumericGrid)))
            for s in summaries(baseline.grid, baseline.profiles[label])
        )
    )


def _missing(summary: Summary) -> int:
    return summary.rows - summary.n - summary.invalid


def learn_nulls(
    baseline: Baseline, rows: Rows, window: int, monitors: Sequence[MonitorSpec], run: Run = map
) -> Nulls:
    """Learn from a reference's rows, whose starts are their windows' or NEVER where a row has no time.

    Rows must be those that the baseline was made of. monitors: by distances whose thresholds the budget sets.
    """
    recipe = recipe_of(window, monitors)
    starts = np.unique(rows.start[rows.start != NEVER])[-MOST_WINDOWS:]
    clock = Clock(starts, window)
    lacking = _shortage(clock)
    if lacking is not None:
        return Nulls(baseline.number, window, recipe, lacking, {})
    learner = _Learner(baseline, clock, recipe)
    learner.look_at(rows, run)
    arrays = learner.learn()
    return Nulls(baseline.number, window, recipe, learner.said, arrays)


def _shortage(clock: Clock) -> str | None:
    if not len(clock.starts):
        return UNTIMED
    lacking = shortage(clock)
    if lacking is not None and len(clock.starts) == MOST_WINDOWS:
        return f"windows are too short: only the newest {MOST_WINDOWS:,} are learnt from, and {lacking}"
    return lacking


class _Learner:
    """Reads a reference's windows, some at a time, and learns from them."""

    def __init__(self, baseline: Baseline, clock: Clock, recipe: str) -> None:
        self.said = ""
        self._baseline = baseline
        self._clock = clock
        self._distances = [(feature, detector) for feature, detector in json.loads(recipe)["distances"]]
        whole = readers_of(baseline, ALL)
        few = len(whole.kinds) * len(baseline.profiles) <= MOST_READINGS
        self._segments = baseline.segments if few else {}
        labels = baseline.profiles if few else (ALL,)
        self._readers = {label: whole if label == ALL else readers_of(baseline, label) for label in labels}
        self._parts: dict[str, list[_Part]] = {label: [] for label in labels}

    def look_at(self, rows: Rows, run: Run) -> None:
        """Read every window of the rows."""
        starts = self._clock.starts
        flat = replace(rows, frame=rows.frame.with_columns(version=pl.lit("")))
        size = max(MOST_CELLS // (self._baseline.grid.width * len(self._readers)), 1)
        for first in range(0, len(starts), size):
            some = starts[first : first + size]
            inside = np.flatnonzero((rows.start >= some[0]) & (rows.start <= some[-1]))
            found = profile_rows(self._baseline.grid, flat.take(inside), self._segments, run)
            for label in self._readers:
                keys = [GroupKey(start, "", label) for start in some.tolist()]
                nothing = empty(self._baseline.grid, sample=False)
                self._parts[label].append(self._part(label, [found.get(key, nothing) for key in keys]))

    def _part(self, label: str, profiles: Sequence[Profile]) -> "_Part":
        grid, cells = self._baseline.grid, np.stack([p.cells for p in profiles])
        references = {s.grid.name: s for s in summaries(grid, self._baseline.profiles[label])}
        scores = np.zeros((len(profiles), len(self._distances)))
        sizes = np.zeros(scores.shape, np.int64)
        for place, (feature, detector) in enumerate(self._distances):
            reference, row = references[feature], STATISTICS[detector]
            counts = cells[:, grid.slices[feature]][:, : len(reference.counts)]
            sizes[:, place] = counts.sum(axis=1)
            some = np.flatnonzero(sizes[:, place])
            if reference.n and len(some):
                scores[some, place] = row.of(compare(reference, replace(reference, counts=counts[some])))
        return _Part(read_windows(self._readers[label], grid, profiles), scores, sizes)

    def learn(self) -> dict[str, Arrays]:
        """Return the arrays of each label's models."""
        found: dict[str, Arrays] = {}
        for label, parts in self._parts.items():
            reading = Reading(
                np.concatenate([p.reading.values for p in parts]),
                np.concatenate([p.reading.sizes for p in parts]),
            )
            windows = learn(self._readers[label], reading, self._clock)
            arrays = {f"windows:{name}": a for name, a in windows.dump().items()}
            tested = dependence_of(self._readers[label], reading, self._clock)
            arrays[TESTED] = tested.array()
            if self._distances:
                rows = [STATISTICS[detector] for _, detector in self._distances]
                scores = np.concatenate([p.scores for p in parts])
                sizes = np.concatenate([p.sizes for p in parts])
                null = learn_scores(rows, scores, sizes, self._clock)
                arrays |= {f"scores:{name}": a for name, a in null.dump().items()}
            found[label] = arrays
            if label == ALL:
                self.said = f"{account(windows, self._clock)}; {tested.account(windows.readers)}"
        return found


class _Part(Struct, frozen=True, eq=False):
    """Some windows of a group. scores, sizes: [windows, distances]."""

    reading: Reading
    scores: NDArray[np.float64]
    sizes: Ints


def read_windows(readers: Readers, grid: Grid, profiles: Sequence[Profile]) -> Reading:
    """Read windows of one group."""
    cells, rows = np.stack([p.cells for p in profiles]), np.array([p.rows for p in profiles])
    counts, missing = [], np.empty((len(profiles), len(grid.features)), np.int64)
    for place, feature in enumerate(grid.features):
        own = cells[:, grid.slices[feature.name]]
        numeric = isinstance(feature, NumericGrid)
        width = feature.bins + 2 if isinstance(feature, NumericGrid) else len(feature.categories) + 2
        invalid = own[:, width + (4 if numeric else 1)]
        counts.append(own[:, :width])
        missing[:, place] = rows - own[:, :width].sum(axis=1) - invalid
    return readers.read(counts, missing, rows)
