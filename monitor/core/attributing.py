"""What changed most when an episode began, where it sits and since when: said of inputs."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from msgspec.structs import asdict, replace

from detectors.attribution import Attribution, Moved, Part, attribute
from detectors.joint import Joint
from detectors.moves import Distance, distances, moved
from detectors.profile import Grid, Profile, Summary, WindowProfile, summaries
from detectors.readings import Reading
from detectors.series import MISSING, SHIFT, Series
from detectors.table import Floats
from monitor.core.plan import Plan, score_columns
from monitor.core.policy import Trip, TripKey
from monitor.core.profiles import ALL, GroupKey
from monitor.core.reference import Baseline
from monitor.core.retrain import rfc3339
from monitor.core.scenes import Scene, Tick
from monitor.core.state import ModelState

Document = dict[str, Any]
MOST_TOGETHER = 60
"""Features that are ranked together: those that moved most alone."""
LISTED = 10
DIGITS = 4
SURE = 3.0
"""Standard errors by which a segment must be further off than all others."""
TWICE = 2.0


class Ranks:
    """Ranks the features of the windows of one tick, but for what the model made of them; each once.

    level: what a monitor may spend on a group's window. A feature is measured over as many windows as the
    episode's own monitor needed: what changed earlier does not hide what changes now.
    """

    def __init__(self, plan: Plan, level: Callable[[Grid, int], float]) -> None:
        self._plan = plan
        self._level = level
        self._known: dict[tuple[GroupKey, int], Attribution] = {}
        self._scales: dict[GroupKey, dict[tuple[str, str], int]] = {}
        self._apart: dict[GroupKey, Floats] = {}

    def of(self, group: GroupKey, scene: Scene, key: TripKey) -> Attribution:
        """Return what changed in a group's window, as an episode of this monitor sees it."""
        level = self._level(scene.seen.grid, scene.groups)
        scale = self._scale(group, scene, key, level)
        if (group, scale) not in self._known:
            self._known[group, scale] = self._ranked(scene, scale, level)
        return self._known[group, scale]

    def _ranked(self, scene: Scene, scale: int, level: float) -> Attribution:
        spoken = {"prediction", *score_columns(self._plan.model)}
        found = _alone(self._plan, scene, scale, level)
        alone = {name: one for name, one in found.items() if name not in spoken}
        first = sorted(alone, key=lambda name: (-alone[name].ratio, name))[:MOST_TOGETHER]
        reference, window = _joint(scene.seen.grid, scene.seen, frozenset(first))
        return attribute({name: alone[name] for name in first}, reference, window)

    def _scale(self, group: GroupKey, scene: Scene, key: TripKey, level: float) -> int:
        """Return over how many windows a monitor of shift or missing values saw the most."""
        series = scene.series
        if not isinstance(series, Series) or key.detector not in {SHIFT, MISSING}:
            return 1
        if group not in self._scales:
            least = self._plan.model.alarms.min_effect
            found = series.null.judge(series.reading, series.clock, level, least)
            scales = {(one.feature, SHIFT): one.scale for one in found.shift}
            self._scales[group] = scales | {(one.feature, MISSING): one.scale for one in found.missing}
        return self._scales[group].get((key.feature, key.detector), 1)

    def onset(self, group: GroupKey, scene: Scene, feature: str, trip: Trip | None) -> str:
        """Return when the change began: the window from which the last ones differ, else the trip's."""
        series = scene.series
        names = [f.name for f in series.readers.features] if isinstance(series, Series) else []
        if isinstance(series, Series) and feature in names:
            if group not in self._apart:
                self._apart[group] = series.null.usual.standardise(series.reading, series.clock)[0]
            columns = np.flatnonzero(series.readers.feature == names.index(feature))
            return rfc3339(int(series.clock.starts[since(self._apart[group][:, columns])]))
        breaches = max(trip.breaches, 1) if trip is not None else 1
        return rfc3339(group.start - (breaches - 1) * self._plan.window)


def _alone(plan: Plan, scene: Scene, scale: int, level: float) -> dict[str, Moved]:
    if not isinstance(scene.series, Series):
        return {name: moved(*pair) for name, pair in _pairs(scene.seen).items()}
    return _beside(plan, scene.series, scale, level)


def _beside(plan: Plan, series: Series, scale: int, level: float) -> dict[str, Moved]:
    null = replace(series.null, tails=tuple(tail for tail in series.null.tails if tail.scale == scale))
    found = null.judge(series.reading, series.clock, level, plan.model.alarms.min_effect)
    alone = {}
    for shift, missing in zip(found.shift, found.missing, strict=True):
        worst = missing if missing.score > shift.score else shift
        unit = worst.effect if worst.apart >= 0 else -worst.effect
        alone[worst.feature] = Moved(worst.score if np.isfinite(worst.limit) else 0.0, unit, worst.part)
    return alone


def of_track(plan: Plan, state: ModelState, baseline: Baseline, group: GroupKey, level: float) -> Attribution:
    """Rank the features of a window that closed earlier, by what was read off it; nothing if that is gone."""
    null, track = state.null_of(baseline, group.segment), state.tracks.get((group.version, group.segment))
    if null is None or track is None or track.baseline != baseline.number or group.start not in track.starts:
        return Attribution((), None)
    upto = slice(0, int(np.searchsorted(track.starts, group.start)) + 1)
    reading = Reading(track.reading.values[upto], track.reading.sizes[upto])
    spoken = {"prediction", *score_columns(plan.model)}
    alone = _beside(plan, null.series(reading, track.starts[upto]), 1, level)
    return attribute({name: one for name, one in alone.items() if name not in spoken}, None, None)


def _pairs(seen: WindowProfile) -> dict[str, tuple[Summary, Summary]]:
    both = zip(summaries(seen.grid, seen.reference), summaries(seen.grid, seen.window), strict=True)
    return {reference.grid.name: (reference, window) for reference, window in both}


def _pair(seen: WindowProfile, feature: str) -> tuple[Summary, Summary] | None:
    """Return one feature of the reference and of the window."""
    place = next((f for f in seen.grid.features if f.name == feature), None)
    if place is None:
        return None
    own, cells = Grid((place,)), seen.grid.slices[feature]
    nothing = np.zeros(1)  # the extremes tell nothing here
    parts = (Profile(p.rows, p.cells[cells], nothing, nothing) for p in (seen.reference, seen.window))
    before, after = (next(iter(summaries(own, part))) for part in parts)
    return before, after


def _joint(grid: Grid, seen: WindowProfile, chosen: frozenset[str]) -> tuple[Joint | None, Joint | None]:
    if seen.window.sample is None or seen.reference.sample is None:
        return None, None
    numeric = [i for i, f in enumerate(grid.numeric) if f.name in chosen]
    codes = [i for i, f in enumerate(grid.categorical) if f.name in chosen]
    names = (*(grid.numeric[i].name for i in numeric), *(grid.categorical[i].name for i in codes))
    samples = (seen.reference.sample, seen.window.sample)
    before, after = (Joint.of(names, sample, numeric, codes) for sample in samples)
    return before, after


def document(found: Attribution) -> Document:
    """Return an attribution as plain data, ready for JSON."""
    parts = [_rounded(part) for part in found.parts[:LISTED]]
    return {"features": parts, "agree": found.agree, "pair": list(found.pair)}


def _rounded(part: Part) -> Document:
    return {k: round(v, DIGITS) if isinstance(v, float) else v for k, v in asdict(part).items()}


def where(tick: Tick, group: GroupKey, feature: str, *, missing: bool) -> Document:
    """Say which segment of a version, and which version, is further from its reference than all others."""
    parts = {k.segment: s for k, s in tick.scenes.items() if k.version == group.version and k.segment != ALL}
    versions = {k.version: s for k, s in tick.scenes.items() if k.segment == ALL}
    return {
        "segment": _furthest({k: _distance(s, feature, missing=missing) for k, s in parts.items()}),
        "version": _furthest({k: _distance(s, feature, missing=missing) for k, s in versions.items()}),
    }


def _distance(scene: Scene, feature: str, *, missing: bool) -> Distance | None:
    pair = _pair(scene.seen, feature)
    if pair is None or not (pair[0].rows and pair[1].rows):
        return None
    return distances(*pair)[1 if missing else 0]


def _furthest(found: Mapping[str, Distance | None]) -> Document | None:
    known = {label: one for label, one in found.items() if one is not None}
    if len(known) < 2:  # noqa: PLR2004 - one part is no part
        return None
    first = max(known, key=lambda label: (known[label].value, label))
    others = [one for label, one in known.items() if label != first]
    rest, one = max(others, key=lambda o: o.value), known[first]
    sure = one.value - rest.value > SURE * float(np.hypot(one.noise, rest.noise)) / TWICE
    if not sure or one.value < TWICE * rest.value:
        return None
    return {"label": first, "distance": round(one.value, DIGITS), "next": round(rest.value, DIGITS)}


def since(z: Floats) -> int:
    """Return the row of [R, J] from which on, to the last, one column's mean is the least likely to be 0.

    >>> since(np.array([[0.3], [-1.0], [0.2], [4.0], [3.0], [5.0]]))
    3
    """
    sums = np.cumsum(z[::-1], axis=0)
    evidence = np.abs(sums) / np.sqrt(np.arange(1, len(z) + 1))[:, None]
    last = int(np.argmax(evidence.max(axis=1)))
    return len(z) - 1 - last


def of_episode(tick: Tick, keys: Sequence[TripKey], start: int, ranks: Ranks) -> Document | None:
    """Say of an episode that begins in the window at `start` what changed, where and since when."""
    first = keys[0]
    group = GroupKey(start, first.version, first.segment)
    scene = tick.scenes.get(group)
    if scene is None:
        return None
    found = ranks.of(group, scene, first)
    own = {f.name for f in scene.seen.grid.features}
    feature = first.feature if first.feature in own else found.parts[0].feature if found.parts else ""
    missing = first.detector in {MISSING, f"e_{MISSING}"}
    place = where(tick, group, feature, missing=missing) if feature else {"segment": None, "version": None}
    began = ranks.onset(group, scene, feature, tick.state.trips.get(first))
    return {**document(found), **place, "onset": began, "performance": None}
