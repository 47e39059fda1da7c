"""Monitors that begin to fire for one cause: one episode of theirs instead of one for each.

A cause is either columns that are missing (or cannot be read) on the same rows, or a group of features with
one source upstream, as the configuration names it, of which most fire. Trips stay what they are; only the
episode is shared. What fires later for the same cause joins it.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from detectors.cooccurrence import missing_rows, together
from detectors.profile import Grid
from detectors.sample import Sample
from monitor.core.episode_log import EpisodeRecord, fires
from monitor.core.plan import Plan
from monitor.core.policy import Phase, Transition, Trip, TripKey, episode_id
from monitor.core.profiles import ALL, GroupKey
from monitor.core.retrain import finite
from monitor.core.scenes import Tick

FEWEST = 3
"""Features that fail on the same rows for a cause to be spoken of."""
FEWEST_NAMED = 2
MOST = 0.5
"""A configured group is the cause when at least so much of it fires."""
LATELY = 3
"""Windows for which an episode of one monitor may turn out to be the first of many."""
NAMED = 5
"""Features that a cause names."""
TEXT = 40
FAILS = {
    "null_share": "missing",
    "type_failures": "unreadable",
    "e_null_share": "missing",
    "e_type_failures": "unreadable",
}
GROUPED = frozenset({"quality", "drift"})
COLUMNS = ("_all", "missing_columns")
WHOLE = "_all"


class Cause(Struct, frozen=True):
    """Features with one cause. name: of the configured group, "" without; how: "missing", "changed", ..."""

    features: frozenset[str]
    name: str
    how: str

    def text(self) -> str:
        """Say it in one sentence."""
        names = [_clipped(name) for name in sorted(self.features)]
        listed = ", ".join(names[:NAMED]) + (", ..." if len(names) > NAMED else "")
        rows = " on the same rows" if self.how != "changed" and not self.name else ""
        of = f" of upstream group {_clipped(self.name)}" if self.name else ""
        return f"{len(names)} features{of} {self.how} at once{rows}: {listed}"


class Grouped(Struct, frozen=True):
    """Episodes of several monitors. joined: whose trip belongs to which of them."""

    episodes: tuple[EpisodeRecord, ...]
    joined: Mapping[TripKey, str]


def grouped(plan: Plan, tick: Tick, entered: Sequence[Transition]) -> Grouped:
    """Return the episodes of several monitors that begin at a tick, or that some of them join."""
    upstream = {name: frozenset(features) for name, features in plan.model.upstream.items()}
    episodes: dict[str, EpisodeRecord] = {}
    joined: dict[TripKey, str] = {}
    for version in sorted({change.key.version for change in entered}):
        mine = [c for c in entered if c.key.version == version and c.kind in GROUPED]
        for cause in _causes(tick, version, mine, upstream):
            theirs = [c for c in mine if c.key not in joined and _of(tick, cause, c)]
            open_ = _open(plan, tick, cause, mine)
            if len({c.key.feature for c in theirs}) < FEWEST_NAMED and open_ is None:
                continue
            record = open_ or _begun(theirs, cause)
            for change in sorted(theirs, key=_order):
                record = record.joined(change.key)
                joined[change.key] = record.id
            if theirs:
                episodes[record.id] = record.because(cause.text(), cause.features)
    return Grouped(tuple(episodes.values()), joined)


def _causes(
    tick: Tick, version: str, entered: Iterable[Transition], upstream: Mapping[str, frozenset[str]]
) -> Iterator[Cause]:
    """Yield the causes of what fires now, failures first; none that nothing new belongs to."""
    new = {change.key.feature for change in entered}
    firing = _firing(tick.state.trips, version)
    for detector, how in FAILS.items():
        failing = firing.get(detector, frozenset())
        for name, features in upstream.items():
            if _mostly(failing, features) and new & features:
                yield Cause(failing & features, name, how)
                failing -= features
        for features in _alike(tick, version, failing):
            if len(features) >= FEWEST and new & features:
                yield Cause(features, "", how)
    moved = frozenset().union(*(f for detector, f in firing.items() if detector not in FAILS))
    for name, features in upstream.items():
        if _mostly(moved, features) and new & features:
            yield Cause(moved & features, name, "changed")


def _mostly(some: frozenset[str], features: frozenset[str]) -> bool:
    return len(some & features) >= max(FEWEST_NAMED, MOST * len(features))


def _firing(trips: Mapping[TripKey, Trip], version: str) -> dict[str, frozenset[str]]:
    """Return the features that fire, by detector."""
    found: dict[str, set[str]] = {}
    for key, trip in trips.items():
        if key.version == version and trip.phase is Phase.FIRING and trip.kind in GROUPED:
            found.setdefault(key.detector, set()).add(key.feature)
    return {detector: frozenset(features) for detector, features in found.items()}


def _alike(tick: Tick, version: str, failing: frozenset[str]) -> list[frozenset[str]]:
    """Return sets of features that fail on the same rows of the window."""
    scenes = [s for key, s in tick.scenes.items() if (key.version, key.segment) == (version, ALL)]
    if not scenes or scenes[0].seen.window.sample is None:
        return []
    names, sample = _columns(scenes[0].seen.grid, failing), scenes[0].seen.window.sample
    return [
        frozenset(names[i] for i in columns)
        for columns in together(_absent(scenes[0].seen.grid, sample, names))
    ]


def _columns(grid: Grid, failing: frozenset[str]) -> list[str]:
    """Return the failing features in the order of a sample's columns: numeric ones first."""
    names = [*(f.name for f in grid.numeric), *(f.name for f in grid.categorical)]
    return [name for name in names if name in failing]


def _absent(grid: Grid, sample: Sample, names: Sequence[str]) -> NDArray[np.bool_]:
    numeric = [i for i, f in enumerate(grid.numeric) if f.name in names]
    codes = [i for i, f in enumerate(grid.categorical) if f.name in names]
    return missing_rows(sample, numeric, codes)


def _of(tick: Tick, cause: Cause, change: Transition) -> bool:
    """Tell whether a monitor fires for a cause: it watches one of its features, or misses their columns."""
    key = change.key
    if (key.feature, key.detector) == COLUMNS:
        scene = tick.scenes.get(GroupKey(change.start, key.version, key.segment))
        return scene is not None and bool(scene.seen.columns_missing & cause.features)
    return key.feature in cause.features


def _open(plan: Plan, tick: Tick, cause: Cause, entered: Sequence[Transition]) -> EpisodeRecord | None:
    """Return the first open episode of a cause, which began lately or is about most of its features.

    Not any other one: what somebody has long looked after must not swallow what is new.
    """
    version, since = entered[0].key.version, max(c.start for c in entered) - LATELY * plan.window
    found = [
        record
        for record in tick.state.episodes.values()
        if record.version == version
        and record.kind in GROUPED
        and (record.detector in FAILS) is (cause.how != "changed")
        and fires(record, tick.state.trips)
        and _about(record, cause, lately=record.started >= since)
    ]
    return min(found, key=lambda record: (record.started, record.id), default=None)


def _about(record: EpisodeRecord, cause: Cause, *, lately: bool) -> bool:
    common = {key.feature for key in record.keys} & cause.features
    return bool(common) and (lately or len(common) >= MOST * len(cause.features))


def _begun(entered: Sequence[Transition], cause: Cause) -> EpisodeRecord:
    """Make the record of an episode of several monitors, with the numbers of the worst."""
    first = min(entered, key=_order)
    detectors = {change.key.detector for change in entered}
    named = next((d for d, how in FAILS.items() if how == cause.how and d in detectors), first.key.detector)
    worst = max(entered, key=lambda c: (c.key.detector == named, _share(c), _order(c)))
    whole = TripKey(first.key.version, first.key.segment, WHOLE, named)
    about = cause.name or "\x1e".join(sorted(cause.features))  # in one window several may fail apart
    id_ = episode_id(first.model, TripKey(whole.version, whole.segment, f"\x1e{about}", named), first.start)
    kind = "quality" if named in FAILS else first.kind
    score, threshold = finite(worst.verdict.score), finite(worst.verdict.threshold)
    place = (whole.version, whole.segment, whole.feature, whole.detector)
    member = (first.key.segment, first.key.feature, first.key.detector)
    return EpisodeRecord(id_, *place, kind, first.start, None, score, threshold, members=(member,))


def _order(change: Transition) -> tuple[bool, bool, TripKey]:
    """All rows before segments, failures before what follows from them."""
    return change.key.segment != ALL, change.key.detector not in FAILS, change.key


def _share(change: Transition) -> float:
    score, threshold = finite(change.verdict.score), finite(change.verdict.threshold)
    return 0.0 if score is None or not threshold else score / threshold


def _clipped(name: str) -> str:
    return name if len(name) <= TEXT else name[: TEXT - 1] + "…"
