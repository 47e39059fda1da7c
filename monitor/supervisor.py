"""What systemd is told: ready, alive, reloading, stopping (sd_notify); nothing where none listens."""

import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from monitor.logs import logger

ADDRESS = "NOTIFY_SOCKET"
PATIENCE = "WATCHDOG_USEC"
PINGS = 4
"""Signs of life within the time after which the supervisor takes the daemon for dead."""


class Supervisor:
    """The service manager behind the environment's NOTIFY_SOCKET, if there is one.

    Alive is said by the thread that reads, after every commit and every look at the sources: one that hangs
    goes silent, whatever else still answers. WATCHDOG_USEC: how long it may be silent, in microseconds.
    patience: the most seconds between two signs of life.

    References
    ----------
    sd_notify(3), sd_watchdog_enabled(3).

    """

    def __init__(self, environ: Mapping[str, str]) -> None:
        address = environ.get(ADDRESS, "")
        self._address = "\0" + address[1:] if address.startswith("@") else address
        text = environ.get(PATIENCE, "")
        self._every = int(text) / 1e6 / PINGS if text.isdecimal() and text.isascii() else 0.0
        self.patience = self._every or float("inf")
        self._next = float("-inf")
        self._silent = False
        self._ending = False

    def ready(self) -> None:
        """Say that the start is over."""
        self._tell("READY=1")

    def stopping(self) -> None:
        """Say that the end has begun."""
        self._ending = True
        self._tell("STOPPING=1")

    @contextmanager
    def reloading(self, now: float) -> Iterator[None]:
        """Say that the configuration is read again, and after the block that this is over.

        now: monotonic seconds, by which systemd orders what it is told.
        """
        self._tell(f"RELOADING=1\nMONOTONIC_USEC={int(now * 1e6)}")
        try:
            yield
        finally:
            if not self._ending:
                self._tell("READY=1")

    def alive(self, now: float) -> None:
        """Say so, where that is asked for and not more often than needed; now: monotonic seconds."""
        if self._every and now >= self._next:
            self._next = now + self._every
            self._tell("WATCHDOG=1")

    def _tell(self, what: str) -> None:
        if not self._address:
            return
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as line:
                line.settimeout(0)
                line.sendto(what.encode(), self._address)
        except OSError as error:  # a supervisor that does not listen must not stop the daemon
            if not self._silent:
                logger("supervisor").warning("the supervisor cannot be told", what=what, error=error.strerror)
            self._silent = True
        else:
            self._silent = False
