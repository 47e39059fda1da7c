"""The only place that reads a clock. Everything else is handed the time."""

import threading
import time
from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """Wall time for waiting, retries and staleness; never for windows, which follow event time."""

    def now(self) -> datetime:
        """Return the current UTC time."""

    def monotonic(self) -> float:
        """Return seconds that never run backwards; only differences mean anything."""

    def wait(self, seconds: float) -> bool:
        """Wait, and return True when woken early by `wake`."""

    def wake(self) -> None:
        """End every present and future wait."""


class SystemClock:
    """The machine's clock."""

    def __init__(self) -> None:
        self._woken = threading.Event()

    def now(self) -> datetime:
        """Return the current UTC time."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """Return seconds that never run backwards."""
        return time.monotonic()

    def wait(self, seconds: float) -> bool:
        """Wait, and return True when woken early."""
        return self._woken.wait(seconds)

    def wake(self) -> None:
        """End every present and future wait."""
        self._woken.set()


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
