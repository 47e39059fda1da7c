"""What was read off a group's last windows: kept, so that several windows can be judged together."""

import json
from collections.abc import Iterable, Mapping

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from detectors.readings import Reading
from detectors.window_null import SCALES
from monitor.core.codec import pack, unpack
from monitor.types import Changes

KEPT = SCALES[-1]
"""Windows of a track, the newest among them."""
SPACE = "track"
Place = tuple[str, str]
"""Version and segment label."""


class Track(Struct, frozen=True, eq=False):
    """Some windows of one group as one reference reads them. starts: int64 [R], microseconds, ascending."""

    baseline: int
    starts: NDArray[np.int64]
    reading: Reading


def followed(track: Track | None, baseline: int, start: int, reading: Reading) -> Track:
    """Return the track with one more window, the oldest ones gone when there are too many.

    Without one, or after windows that another reference read, it begins with this window.
    """
    if track is None or track.baseline != baseline:
        return Track(baseline, np.array([start]), reading)
    values = np.concatenate([track.reading.values, reading.values])[-KEPT:]
    sizes = np.concatenate([track.reading.sizes, reading.sizes])[-KEPT:]
    return Track(baseline, np.append(track.starts, start)[-KEPT:], Reading(values, sizes))


def track_changes(model: str, before: Mapping[Place, Track], after: Mapping[Place, Track]) -> Changes:
    """Return the entries that turn some tracks into others: one per window."""
    found: Changes = {}
    for place in before.keys() | after.keys():
        old, new = before.get(place), after.get(place)
        if old is new:
            continue
        gone = set(old.starts.tolist()) if old is not None else set()
        if new is None:
            found |= {_key(model, place, start): None for start in gone}
            continue
        same = gone if old is not None and old.baseline == new.baseline else set()
        for at, start in enumerate(new.starts.tolist()):
            if start not in same:
                arrays = {"values": new.reading.values[at], "sizes": new.reading.sizes[at]}
                found[_key(model, place, start)] = pack({"baseline": new.baseline}, arrays)
        found |= {_key(model, place, start): None for start in gone - set(new.starts.tolist())}
    return found


def load_tracks(entries: Iterable[tuple[str, bytes]]) -> dict[Place, Track]:
    """Read the tracks from their entries."""
    windows: dict[Place, list[tuple[int, bytes]]] = {}
    for key, data in entries:
        version, segment, start = json.loads(key)
        windows.setdefault((version, segment), []).append((start, data))
    return {place: _track(sorted(found)) for place, found in windows.items()}


def _track(windows: list[tuple[int, bytes]]) -> Track:
    heads, arrays = zip(*(unpack(data) for _, data in windows), strict=True)
    reading = Reading(np.stack([a["values"] for a in arrays]), np.stack([a["sizes"] for a in arrays]))
    return Track(heads[0]["baseline"], np.array([start for start, _ in windows]), reading)


def _key(model: str, place: Place, start: int) -> tuple[str, str, str]:
    key = json.dumps([*place, start], separators=(",", ":"), ensure_ascii=False)
    return (SPACE, model, key)
