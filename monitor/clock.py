"""The only place that reads a clock. Everything else is handed the time."""

import time
from datetime import UTC, datetime, timedelta
from typing import Protocol

EPOCH = datetime.fromtimestamp(0, UTC)
SLICE = 0.2
"""Seconds after which a wait looks whether it was woken."""


def micros(moment: datetime) -> int:
    """Return an aware time as microseconds since 1970 UTC.

    >>> micros(datetime(1970, 1, 1, 0, 0, 1, 5, tzinfo=UTC))
    1000005
    """
    return (moment - EPOCH) // timedelta(microseconds=1)


class Clock(Protocol):
    """Wall time for waiting, retries and staleness; never for windows, which follow event time."""

    def now(self) -> datetime:
        """Return the current UTC time."""

    def monotonic(self) -> float:
        """Return seconds that never run backwards; only differences mean anything."""

    def wait(self, seconds: float) -> bool:
        """Wait, and return True when woken early by `wake`."""

    def wake(self) -> None:
        """End every present and future wait; safe from a signal handler."""


class SystemClock:
    """The machine's clock.

    It waits in slices and is woken by a flag. A signal may be noted just before the thread goes to sleep, and
    is then handled only when the sleep is over; and an Event set by a handler deadlocks when the handler has
    interrupted that Event's own `wait`. Both were seen as daemons that did not hear SIGTERM.
    """

    def __init__(self) -> None:
        self._woken = False

    def now(self) -> datetime:
        """Return the current UTC time."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """Return seconds that never run backwards."""
        return time.monotonic()

    def wait(self, seconds: float) -> bool:
        """Wait, and return True when woken early."""
        end = time.monotonic() + seconds
        while not self._woken and (left := end - time.monotonic()) > 0:
            time.sleep(min(left, SLICE))
        return self._woken

    def wake(self) -> None:
        """End every present and future wait, within SLICE; safe from a signal handler."""
        self._woken = True


class ManualClock:
    """A clock that tests move by hand; waiting moves it."""

    def __init__(self, now: datetime) -> None:
        self._now = now
        self._seconds = 0.0
        self._woken = False

    def now(self) -> datetime:
        """Return the time it was set to."""
        return self._now

    def monotonic(self) -> float:
        """Return the seconds it was moved by."""
        return self._seconds

    def wait(self, seconds: float) -> bool:
        """Move by `seconds` at once."""
        self.advance(seconds)
        return self._woken

    def wake(self) -> None:
        """Make waits return True."""
        self._woken = True

    def advance(self, seconds: float) -> None:
        """Move forward by `seconds`."""
        self._seconds += seconds
        self._now = datetime.fromtimestamp(self._now.timestamp() + seconds, UTC)
