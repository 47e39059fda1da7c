"""One stream judged by the windows' null model: false episodes, and how soon each change is found."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from statistics import median

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
    onset = drawn.onset - drawn.reference
    return tuple(outcome(family, onset, found) for found in watched(family, drawn, budgets))


def watched(family: Family, drawn: Stream, budgets: tuple[float, ...]) -> Iterator[NDArray[np.bool_]]:
    """Yield what each budget breaches after the reference, [T - reference, features]."""
    null, reading, clock = learnt(drawn)
    judged = 2 * family.features  # of each feature its shift and its missing values
    monitors = judged * (len(drawn.rows) - drawn.reference)
    for budget in budgets:
        yield breaches(null, drawn, reading, clock, budget / monitors)


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


def outcome(family: Family, onset: int, found: NDArray[np.bool_]) -> Outcome:
    """Return what the breaches [T - reference, features] amount to; onset: the first changed of them."""
    calm = found[:, : family.features]
    delays = tuple(first(column) for column in found[onset:, family.features :].T)
    return Outcome(sum(episodes(column) for column in calm.T), int(calm.sum()), delays)


def first(column: NDArray[np.bool_]) -> int | None:
    """Return which window is the first breach, 1 for the first one, None without any."""
    return int(column.argmax()) + 1 if column.any() else None


def episodes(column: NDArray[np.bool_]) -> int:
    """Count runs of breaches; those with fewer than three calm windows between them are one.

    Examples
    --------
    >>> episodes(np.array([1, 1, 0, 0, 1, 0, 0, 0, 1], bool))
    2

    """
    at = np.flatnonzero(column)
    return int(len(at) > 0) + int((np.diff(at) > KEEP_FIRING).sum())


def delay(found: Iterable[int | None]) -> str:
    """Return the median delay and, where not all were found, the share that was.

    Examples
    --------
    >>> delay([1, 2, 2]), delay([4, None, 8, 10]), delay([None, None])
    ('2', '9 (75 %)', '- (0 %)')

    """
    every = [float("inf") if d is None else float(d) for d in found]
    known = sum(d < float("inf") for d in every)
    middle = median(every)
    said = "-" if middle == float("inf") else f"{middle:.0f}"
    return said if known == len(every) else f"{said} ({100 * known / len(every):.0f} %)"
