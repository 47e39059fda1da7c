"""One model's state, and how it is laid out as entries: (space, model, key) -> bytes.

A commit is a set of entries to put (bytes) or to delete (None), written in one transaction.
"""

import json
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import TypeVar

import polars as pl
from msgspec import Struct, field
from msgspec.structs import replace

from detectors.profile import Profile
from monitor.core.arrivals import Arrivals, load_arrivals
from monitor.core.codec import dump_profile, load_profile
from monitor.core.dedup import OpenIds, RunChange, load_ids
from monitor.core.episode_log import EPISODES, Alarm, Episodes, load_episodes
from monitor.core.heavy_null import HeavyNulls, load_heavy_nulls
from monitor.core.jobs import Jobs, load_jobs
from monitor.core.labels import Labels, load_labels
from monitor.core.members import Members, load_members
from monitor.core.nulls import GroupNull, Nulls
from monitor.core.pile import Reopen
from monitor.core.policy import Trip, TripKey
from monitor.core.profiles import GroupKey, Rows
from monitor.core.reference import Baseline
from monitor.core.segments import load_rows
from monitor.core.standard import Standard
from monitor.core.stream_state import SPACE as STREAMS
from monitor.core.stream_state import Streams, load_streams
from monitor.core.tracks import Track, load_tracks
from monitor.core.trip_codec import dump_trip, load_trip
from monitor.core.wealth import FAULTS, Purses, load_wealth
from monitor.core.wealth import SPACE as WEALTH
from monitor.core.windows import Progress
from monitor.fields import TimeUnit
from monitor.types import Changes, EntryKey, Position

PILES = ("pending", "outcome")
"""Spaces of rows that wait: large, and files of their own in part."""
HISTORY = 168
"""Closed windows whose row counts are remembered per version and segment."""
TRIP_KEYS_KEPT = 65_536
KEYS = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False)
"""One for all: `json.dumps` would make one for each key."""


Key = TypeVar("Key")
Value = TypeVar("Value")


class Book(Struct, frozen=True):
    """The small numbers of one model.

    counts: (source, what, reason) -> rows; units: source -> the timestamp unit found; unknown: open window
    start -> column names nobody configured; last_closed: start of the newest closed window; learn_until:
    end of the log's part that becomes the reference, None when a file is the reference; columns: names nobody
    configured that were seen in that part; versions: version -> start of its newest closed window. window:
    the length of the windows (us), 0 before any. alarms: those that began within the budget's time. sources:
    name -> where its rows come from, also of former ones.
    """

    progress: Progress = field(default_factory=Progress)
    counts: Mapping[tuple[str, str, str], int] = field(default_factory=dict)
    units: Mapping[str, TimeUnit] = field(default_factory=dict)
    unknown: Mapping[int, frozenset[str]] = field(default_factory=dict)
    last_closed: int | None = None
    windows_closed: int = 0
    learn_until: int | None = None
    columns: frozenset[str] = frozenset()
    versions: Mapping[str, int] = field(default_factory=dict)
    window: int = 0
    alarms: tuple[Alarm, ...] = ()
    sources: Mapping[str, str] = field(default_factory=dict)

    def counted(self, changes: Mapping[tuple[str, str, str], int]) -> "Book":
        """Add to the counts."""
        counts = dict(self.counts)
        for key, n in changes.items():
            counts[key] = counts.get(key, 0) + n
        return replace(self, counts=counts)

    def total(self, what: str, source: str | None = None) -> int:
        """Sum one count over reasons, and over sources unless one is named."""
        return sum(n for (s, w, _), n in self.counts.items() if w == what and source in (None, s))


class ModelState(Struct, frozen=True):
    """Everything that must survive a crash, for one model. Replaced whole after a commit, never changed."""

    model: str
    positions: Mapping[str, Position] = field(default_factory=dict)
    book: Book = field(default_factory=Book)
    windows: Mapping[GroupKey, Profile] = field(default_factory=dict)
    ids: OpenIds = field(default_factory=OpenIds)
    trips: Mapping[TripKey, Trip] = field(default_factory=dict)
    volumes: Mapping[tuple[str, str], tuple[int, ...]] = field(default_factory=dict)
    baselines: tuple[Baseline, ...] = ()
    retrain: Mapping[str, str] = field(default_factory=dict)
    learning: Mapping[int, Rows] = field(default_factory=dict)
    labels: Labels = field(default_factory=Labels)
    nulls: Mapping[int, Nulls] = field(default_factory=dict)
    tracks: Mapping[tuple[str, str], Track] = field(default_factory=dict)
    streams: Streams = field(default_factory=dict)
    wealth: Purses = field(default_factory=dict)
    episodes: Episodes = field(default_factory=dict)
    members: Members = field(default_factory=Members)
    traces: Mapping[str, str] = field(default_factory=dict)  # by episode; these alone are not stored
    arrivals: Arrivals = field(default_factory=Arrivals)
    jobs: Jobs = field(default_factory=dict)
    heavy_nulls: HeavyNulls = field(default_factory=dict)
    faults: Purses = field(default_factory=dict)

    def baseline_at(self, start: int) -> Baseline | None:
        """Return the reference that windows starting at `start` are judged by."""
        found = [b for b in self.baselines if b.since <= start]
        return found[-1] if found else None

    def null_of(self, baseline: Baseline, segment: str) -> GroupNull | None:
        """Return what the reference's own windows show of a group; None where it is judged by resampling."""
        known = self.nulls.get(baseline.number)
        return known.of(baseline, segment) if known is not None and known.window == self.book.window else None

    def standard_at(self, start: int) -> Standard:
        """Return what the performance of windows that start at `start` is measured by."""
        baseline = self.baseline_at(start)
        return self.labels.standard_at(baseline.number if baseline else 0)

    @property
    def newest_baseline(self) -> Baseline | None:
        """Return the reference in force for new windows."""
        return self.baselines[-1] if self.baselines else None


def key_of(*parts: object) -> str:
    """Write an entry's key."""
    return KEYS.encode(parts)


def dump_book(book: Book) -> bytes:
    """Write the small numbers as JSON."""
    document = {
        "frontier": book.progress.frontier,
        "newest": book.progress.newest,
        "counts": [[*key, n] for key, n in sorted(book.counts.items())],
        "units": dict(sorted(book.units.items())),
        "unknown": [[start, sorted(names)] for start, names in sorted(book.unknown.items())],
        "last_closed": book.last_closed,
        "windows_closed": book.windows_closed,
        "learn_until": book.learn_until,
        "columns": sorted(book.columns),
        "versions": dict(sorted(book.versions.items())),
        "window": book.window,
        "alarms": book.alarms,
        "sources": dict(sorted(book.sources.items())),
    }
    return json.dumps(document, separators=(",", ":")).encode()


def load_book(data: bytes) -> Book:
    """Read the small numbers."""
    document = json.loads(data)
    return Book(
        Progress(document["frontier"], document["newest"]),
        {(s, w, r): n for s, w, r, n in document["counts"]},
        document["units"],
        {start: frozenset(names) for start, names in document["unknown"]},
        document["last_closed"],
        document["windows_closed"],
        document["learn_until"],
        frozenset(document["columns"]),
        document["versions"],
        document["window"],
        tuple((begun, feature, detector) for begun, feature, detector in document.get("alarms", [])),
        document.get("sources", {}),
    )


def moved(before: Mapping[Key, Value], after: Mapping[Key, Value]) -> dict[Key, Value | None]:
    """Return what is new or another object in `after`, and None for what is gone."""
    changed: dict[Key, Value | None] = {k: v for k, v in after.items() if v is not before.get(k)}
    return changed | dict.fromkeys(before.keys() - after.keys())


def run_changes(model: str, changes: Iterable[RunChange], closed: Mapping[int, Iterable[int]]) -> Changes:
    """Turn changes of id runs into entries; `closed` maps a closed window to the run numbers it had."""
    found: Changes = {}
    for change in changes:
        found |= {("ids", model, key_of(change.start, n)): None for n in change.gone}
        number, ids = change.added
        found[("ids", model, key_of(change.start, number))] = ids.astype("<u8").tobytes()
    for start, numbers in closed.items():
        found |= {("ids", model, key_of(start, n)): None for n in numbers}
    return found


def window_changes(model: str, windows: Mapping[GroupKey, Profile | None]) -> Changes:
    """Turn changed or closed windows into entries."""
    return {
        ("window", model, key_of(k.start, k.version, k.segment)): dump_profile(p) if p is not None else None
        for k, p in windows.items()
    }


def trip_changes(model: str, trips: Mapping[TripKey, Trip | None]) -> Changes:
    """Turn changed or forgotten trips into entries."""
    return {("trip", model, _trip_key(k)): dump_trip(t) if t else None for k, t in trips.items()}


@lru_cache(TRIP_KEYS_KEPT)
def _trip_key(key: TripKey) -> str:
    """Write a trip's key, which is the same window after window."""
    return key_of(*key)


def volume_changes(model: str, volumes: Mapping[tuple[str, str], tuple[int, ...] | None]) -> Changes:
    """Turn changed or forgotten row counts into entries."""
    return {("volume", model, key_of(*k)): key_of(*v).encode() if v else None for k, v in volumes.items()}


def nulls_changes(model: str, nulls: Nulls) -> Changes:
    """Turn a reference's null models into an entry."""
    return {("nulls", model, key_of(nulls.number)): nulls.dump()}


def position_changes(model: str, source: str, before: Position, after: Position) -> Changes:
    """Turn what moved between two positions into entries."""
    space = f"position/{source}"
    changed: Changes = {
        (space, model, k): v.encode() for k, v in after.entries.items() if before.entries.get(k) != v
    }
    return changed | {(space, model, k): None for k in before.entries if k not in after.entries}


def load_model(model: str, entries: Mapping[EntryKey, bytes], reopen: Reopen | None = None) -> ModelState:
    """Build a model's state from the store's entries; without `reopen`, no rows that wait for outcomes."""
    spaces: dict[str, dict[str, bytes]] = {}
    for (space, owner, key), value in entries.items():
        if owner == model:
            spaces.setdefault(space, {})[key] = value
    positions = {
        space.partition("/")[2]: Position({k: v.decode() for k, v in found.items()})
        for space, found in spaces.items()
        if space.startswith("position/")
    }
    book = spaces.get("book", {}).get("", b"")
    if reopen is None:
        spaces = {space: found for space, found in spaces.items() if space not in PILES}
    return ModelState(
        model,
        positions,
        load_book(book) if book else Book(),
        {GroupKey(*json.loads(k)): load_profile(v) for k, v in spaces.get("window", {}).items()},
        load_ids(spaces.get("ids", {})),
        {TripKey(*json.loads(k)): load_trip(v) for k, v in spaces.get("trip", {}).items()},
        {tuple(json.loads(k)): tuple(json.loads(v)) for k, v in spaces.get("volume", {}).items()},
        tuple(sorted(map(Baseline.load, spaces.get("baseline", {}).values()), key=lambda b: b.number)),
        {k: v.decode() for k, v in spaces.get("retrain", {}).items()},
        {json.loads(k)[0]: load_rows(v) for k, v in spaces.get("learning", {}).items()},
        load_labels(spaces, reopen or _closed),
        {json.loads(k)[0]: Nulls.load(v) for k, v in spaces.get("nulls", {}).items()},
        load_tracks(spaces.get("track", {}).items()),
        load_streams(spaces.get(STREAMS, {})),
        load_wealth(spaces.get(WEALTH, {})),
        load_episodes(spaces.get(EPISODES, {})),
        load_members(spaces),
        arrivals=load_arrivals(spaces),
        jobs=load_jobs(spaces),
        heavy_nulls=load_heavy_nulls(spaces),
        faults=load_wealth(spaces.get(FAULTS, {})),
    )


def _closed(_value: bytes) -> pl.DataFrame:
    raise LookupError("rows that wait are opened by the daemon alone")
