"""One stream judged by the windows' null model: false episodes, and how soon each change is found."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmarks.detection.families import NAMED, Family
from benchmarks.detection.sampling import Stream, stream
from detectors.readings import Readers, Reading, Source, reader
from detectors.seasons import Clock
from detectors.window_null import SCALES, WindowNull, learn

KEEP_FIRING = 3
"""Calm windows that end an episode: the daemon's default."""


@dataclass(frozen=True)
class Outcome:
    """What one seed showed. episodes: false ones of the calm features; breaches: their windows.

    delays: windows until each change was found, 1 for its first one, None if never.
    """

    episodes: int
    breaches: int
    delays: tuple[int | None, ...]


def trial(name: str, seed: int, budgets: tuple[float, ...] = (1.0,)) -> tuple[Outcome, ...]:
    """Return what each budget (false episodes in the time watched) makes of one seed of the named family."""
    family = NAMED[name]
    drawn = stream(family, seed)
    null, reading, clock = learnt(drawn)
    judged = 2 * family.features  # of each feature its shift and its missing values
    monitors = judged * (len(drawn.rows) - drawn.reference)
    return tuple(
        _outcome(family, drawn, breaches(null, drawn, reading, clock, b / monitors)) for b in budgets
    )


def learnt(drawn: Stream) -> tuple[WindowNull, Reading, Clock]:
    """Return the null model of the stream's reference, and all of its windows as they are read."""
    r = drawn.reference
    readers = Readers(
        tuple(
            reader(Source(str(place), counts[:r].sum(axis=0), int(drawn.missing[:r, place].sum()), ordered))
            for place, (counts, ordered) in enumerate(zip(drawn.counts, drawn.ordered, strict=True))
        )
    )
    reading = readers.read(drawn.counts, drawn.missing, drawn.rows)
    known = Reading(reading.values[:r], reading.sizes[:r])
    null = learn(readers, known, Clock(drawn.starts[:r], drawn.length))
    return null, reading, Clock(drawn.starts, drawn.length)


def breaches(
    null: WindowNull, drawn: Stream, reading: Reading, clock: Clock, level: float
) -> NDArray[np.bool_]:
    """Return which windows after the reference breach, [T - reference, features]."""
    start = max(drawn.reference - SCALES[-1], 0)
    late = Reading(reading.values[start:], reading.sizes[start:])
    measured = null.measure(late, Clock(clock.starts[start:], clock.length), level)
    found: NDArray[np.bool_] = np.asarray((measured.ratio > 1.0).any(axis=0))[drawn.reference - start :]
    ends = np.searchsorted(null.readers.feature, np.arange(len(null.readers.features)))
    return np.asarray(np.logical_or.reduceat(found, ends, axis=1))


def _outcome(family: Family, drawn: Stream, found: NDArray[np.bool_]) -> Outcome:
    calm = found[:, : family.features]
    late = found[drawn.onset - drawn.reference :, family.features :]
    delays = [int(c.argmax()) + 1 if c.any() else None for c in late.T]
    return Outcome(sum(episodes(column) for column in calm.T), int(calm.sum()), tuple(delays))


def episodes(column: NDArray[np.bool_]) -> int:
    """Count runs of breaches; those with fewer than three calm windows between them are one.

    Examples
    --------
    >>> episodes(np.array([1, 1, 0, 0, 1, 0, 0, 0, 1], bool))
    2

    """
    at = np.flatnonzero(column)
    return int(len(at) > 0) + int((np.diff(at) > KEEP_FIRING).sum())
