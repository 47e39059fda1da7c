"""What changed most when an episode began, where it sits and since when: said of inputs."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from detectors.attribution import Attribution, Moved, attribute
from detectors.distances import Floats
from detectors.joint import Joint
from detectors.moves import Distance, distances, moved
from detectors.profile import Grid, Summary, WindowProfile, summaries
from detectors.readings import Reading
from detectors.series import Series
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
MISSING = "null_share"


def of_inputs(plan: Plan, scene: Scene, level: float) -> Attribution:
    """Rank a window's features, but for what the model made of them."""
    spoken = {"prediction", *score_columns(plan.model)}
    alone = {name: one for name, one in _alone(plan, scene, level).items() if name not in spoken}
    first = sorted(alone, key=lambda name: (-alone[name].ratio, name))[:MOST_TOGETHER]
    grid, chosen = scene.seen.grid, frozenset(first)
    reference, window = _joint(grid, scene.seen, chosen)
    return attribute({name: alone[name] for name in first}, reference, window)


def _alone(plan: Plan, scene: Scene, level: float) -> dict[str, Moved]:
    series = scene.series
    if not isinstance(series, Series):
        pairs = _pairs(scene.seen)
        return {name: moved(*pair) for name, pair in pairs.items()}
    return _beside(plan, series, level)


def _beside(plan: Plan, series: Series, level: float) -> dict[str, Moved]:
    found = series.null.judge(series.reading, series.clock, level, plan.model.alarms.min_effect)
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
    alone = _beside(plan, null.series(reading, track.starts[upto]), level)
    return attribute({name: one for name, one in alone.items() if name not in spoken}, None, None)


def _pairs(seen: WindowProfile) -> dict[str, tuple[Summary, Summary]]:
    both = zip(summaries(seen.grid, seen.reference), summaries(seen.grid, seen.window), strict=True)
    return {reference.grid.name: (reference, window) for reference, window in both}


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
    parts = [_rounded(asdict(part)) for part in found.parts[:LISTED]]
    return {"features": parts, "agree": found.agree, "pair": list(found.pair)}


def _rounded(item: Mapping[str, Any]) -> Document:
    return {k: round(v, DIGITS) if isinstance(v, float) else v for k, v in item.items()}


def where(tick: Tick, group: GroupKey, feature: str, *, missing: bool) -> Document:
    """Say which segment of a version, and which version, is further from its reference than all others."""
    parts = {k.segment: s for k, s in tick.scenes.items() if k.version == group.version and k.segment != ALL}
    versions = {k.version: s for k, s in tick.scenes.items() if k.segment == ALL}
    return {
        "segment": _furthest({k: _distance(s, feature, missing=missing) for k, s in parts.items()}),
        "version": _furthest({k: _distance(s, feature, missing=missing) for k, s in versions.items()}),
    }


def _distance(scene: Scene, feature: str, *, missing: bool) -> Distance | None:
    pair = _pairs(scene.seen).get(feature)
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


def onset(plan: Plan, scene: Scene, feature: str, trip: Trip | None, start: int) -> str:
    """Return when the change began: the window from which the group's last ones differ, else the trip's."""
    series = scene.series
    if isinstance(series, Series):
        names = [f.name for f in series.readers.features]
        if feature in names:
            columns = np.flatnonzero(series.readers.feature == names.index(feature))
            z = series.null.usual.standardise(series.reading, series.clock)[0][:, columns]
            return rfc3339(int(series.clock.starts[since(z)]))
    breaches = max(trip.breaches, 1) if trip is not None else 1
    return rfc3339(start - (breaches - 1) * plan.window)


def since(z: Floats) -> int:
    """Return the row of [R, J] from which on, to the last, one column's mean is the least likely to be 0.

    >>> since(np.array([[0.3], [-1.0], [0.2], [4.0], [3.0], [5.0]]))
    3
    """
    sums = np.cumsum(z[::-1], axis=0)
    evidence = np.abs(sums) / np.sqrt(np.arange(1, len(z) + 1))[:, None]
    last = int(np.argmax(evidence.max(axis=1)))
    return len(z) - 1 - last


def of_episode(
    plan: Plan, tick: Tick, keys: Sequence[TripKey], start: int, ranked: Mapping[GroupKey, Attribution]
) -> Document | None:
    """Say of an episode that begins in the window at `start` what changed, where and since when."""
    first = keys[0]
    group = GroupKey(start, first.version, first.segment)
    scene = tick.scenes.get(group)
    if scene is None or group not in ranked:
        return None
    found = ranked[group]
    own = {f.name for f in scene.seen.grid.features}
    feature = first.feature if first.feature in own else found.parts[0].feature if found.parts else ""
    missing = first.detector == MISSING
    place = where(tick, group, feature, missing=missing) if feature else {"segment": None, "version": None}
    began = onset(plan, scene, feature, tick.state.trips.get(first), start)
    return {**document(found), **place, "onset": began, "performance": None}
