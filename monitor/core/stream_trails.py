"""What a stream went over before an alarm: a state of its detector and the values since, for audit records.

A state is kept at every STRETCH-th row, so that what is kept of an alarm does not depend on where the log is
cut into batches.
"""

from collections.abc import Callable, Iterable, Mapping

import numpy as np
from msgspec import Struct

from detectors.measure import Floats
from detectors.streaming import Stream

STRETCH = 500
"""Rows between two states that are kept; no more values than that lead to an alarm."""


class Trail(Struct, frozen=True):
    """A stream's way since a state. row: how many rows came before it. data: the state, b"" of a new stream.

    values: float64, little-endian: what it was fed since.
    """

    row: int = 0
    data: bytes = b""
    values: bytes = b""

    @property
    def end(self) -> int:
        """How many rows came before the next one."""
        return self.row + len(self.values) // 8

    def mark(self, rows: int) -> int:
        """Return before which of the next rows a state is kept anew, -1 where before none."""
        last = (self.end + rows) // STRETCH * STRETCH
        return last - self.end if last > self.end else -1

    def then(self, values: Floats, state: bytes) -> "Trail":
        """Return it after more values; state: at `mark` of them, where there is one."""
        at = self.mark(len(values))
        if at < 0:
            return Trail(self.row, self.data, self.values + _bytes(values))
        return Trail(self.end + at, state, _bytes(values[at:]))


class Tape(Struct, frozen=True):
    """What led to the highest alarm of a window: the state before, and the values up to it; see `Trail`."""

    score: float
    data: bytes
    values: bytes


Peaks = Iterable[tuple[int, int, float]]
"""Window, place of its highest alarm among the rows that are fed, score."""


def taped(
    tapes: Mapping[int, Tape], trail: Trail, values: Floats, peaks: Peaks, again: Callable[[], Stream]
) -> dict[int, Tape]:
    """Return the tapes of windows, with those of higher alarms than before.

    trail: before the values. again: gives the stream as it was then.
    """
    found, replay = dict(tapes), _Replay(again, trail.end, values)
    for window, place, score in sorted(peaks, key=lambda peak: peak[1]):
        if window in found and found[window].score >= score:
            continue
        base = (trail.end + place) // STRETCH * STRETCH - trail.end
        if base <= 0:
            found[window] = Tape(score, trail.data, trail.values + _bytes(values[: place + 1]))
        else:
            found[window] = Tape(score, replay.at(base), _bytes(values[base : place + 1]))
    return found


class _Replay:
    """A stream fed once more, up to where states are wished for: ever later ones."""

    def __init__(self, again: Callable[[], Stream], row: int, values: Floats) -> None:
        self._again, self._row, self._values = again, row, values
        self._stream: Stream | None = None
        self._state = (0, b"")

    def at(self, place: int) -> bytes:
        """Return the state before a row."""
        if self._state[0] != place:
            if self._stream is None:
                self._stream = self._again()
            self._stream.feed(self._values[self._stream.rows - self._row : place])
            self._state = (place, self._stream.dump())
        return self._state[1]


def _bytes(values: Floats) -> bytes:
    return np.ascontiguousarray(values, dtype="<f8").tobytes()
