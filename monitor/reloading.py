"""The configuration read again while the daemon runs: somebody asks for it, or the file has changed."""

import hashlib
import threading
from collections.abc import Callable
from pathlib import Path

from msgspec import Struct

from exporters.catalog import Sample
from monitor.building import unlike
from monitor.clock import Clock
from monitor.config import Config
from monitor.errors import ConfigError, DriftdError
from monitor.failures import UNEXPECTED
from monitor.logs import logger
from monitor.supervisor import Supervisor

FIXED = ("state", "listen", "web")
"""Keys of [daemon] that a start alone can change."""
SOON, SELDOM = 2.0, 60.0
"""Seconds until a reload that failed for a passing reason is tried again: at first, and at most."""


class Change(Struct, frozen=True):
    """What a reload did, by the models' names. webhooks: whether any changed."""

    added: tuple[str, ...]
    removed: tuple[str, ...]
    changed: tuple[str, ...]
    webhooks: bool


class ConfigFile:
    """A configuration's file: read at the start, and again when somebody asks or when it has changed."""

    def __init__(self, path: Path, load: Callable[[Path], Config]) -> None:
        self._path = path
        self._load = load
        self._digest = b""
        self._stamp: tuple[int, ...] = ()
        self._settled = True
        self._asks = 0
        self._answered = 0

    def read(self) -> Config:
        """Return the configuration as it is now. Raises ConfigError."""
        self._stamp = _stamp(self._path)
        self._digest = _digest(self._path)  # before it is read: a change meanwhile is another one
        self._settled = True
        self._answered = self._asks
        return self._load(self._path)

    @property
    def lies_there(self) -> bool:
        """Whether it can be read twice: a pipe gives its bytes once."""
        return self._path.is_file()

    def ask(self) -> None:
        """Ask for a reload; safe from a signal handler."""
        self._asks += 1

    def wanted(self, *, watch: bool) -> bool:
        """Tell whether somebody asked since the last reading, or, with `watch`, the file's bytes are others.

        A change counts when the file was the same at two looks: editors do not write at once. While nothing
        changes a look is one stat.
        """
        if self._asks != self._answered:
            return True
        if not watch:
            return False
        stamp = _stamp(self._path)
        if stamp != self._stamp:
            self._stamp, self._settled = stamp, False
            return False
        if self._settled:
            return False
        self._settled = True
        return _digest(self._path) != self._digest


def _stamp(path: Path) -> tuple[int, ...]:
    try:
        found = path.stat()
    except OSError:
        return ()
    return found.st_ino, found.st_size, found.st_mtime_ns


def _digest(path: Path) -> bytes:
    """Return what a file's bytes are known by; b"" where there is none, or a pipe, which gives them once."""
    try:
        return hashlib.sha256(path.read_bytes()).digest() if path.is_file() else b""
    except OSError:
        return b""


class Failure(Struct, frozen=True):
    """Why a configuration was not taken on. lasting: it cannot be otherwise until the file is another one."""

    complaints: tuple[str, ...]
    lasting: bool = False


class Reloads:
    """Makes one reload at a time and remembers how the last one went; the start counts as one that went well.

    change: takes on a configuration, whole or not at all; raises DriftdError when it did not. running: the
    one that runs. A watched file whose reload failed is tried again, less and less often, unless its own text
    is wrong: a secret or a reference may be about to be written.
    """

    def __init__(
        self,
        source: ConfigFile | None,
        change: Callable[[Config], Change | None],
        running: Callable[[], Config],
        clock: Clock,
        supervisor: Supervisor,
    ) -> None:
        self._source = source
        self._change = change
        self._running = running
        self._clock = clock
        self._supervisor = supervisor
        self._lock = threading.Lock()
        self._good_at = clock.now().timestamp()
        self._failure: Failure | None = None
        self._pause = SOON
        self._due = float("inf")
        self._log = logger("daemon")

    @property
    def busy(self) -> bool:
        """Whether a reload is under way."""
        return self._lock.locked()

    def look(self, *, watch: bool) -> None:
        """Reload when somebody asked for it, or when the watched file has changed or is to be tried again."""
        if self._source is None:
            return
        if self._source.wanted(watch=watch):
            self._pause = SOON
            self.reload()
        elif watch and self._clock.monotonic() >= self._due and self._source.lies_there:
            self._try(self._failure)

    def reload(self) -> tuple[str, ...]:
        """Read the configuration and take it on; returns why not, a line for each complaint."""
        return self._try(None)

    def _try(self, told: Failure | None) -> tuple[str, ...]:
        """Make one attempt. told: what need not be said again."""
        with self._lock, self._supervisor.reloading(self._clock.monotonic()):
            failure = self._attempt()
            complaints = failure.complaints if failure else ()
            for line in complaints if failure != told else ():
                self._log.error("configuration refused, the running one stays", complaint=line)
            self._failure, self._due = failure, float("inf")
            if failure is None:
                self._good_at = self._clock.now().timestamp()
            elif not failure.lasting:
                self._due = self._clock.monotonic() + self._pause
                self._pause = min(2 * self._pause, SELDOM)
            return complaints

    def _attempt(self) -> Failure | None:
        if self._source is None:
            says = "this program was not started from a file that it could read again"
            return Failure((says,), lasting=True)
        try:
            running, config = self._running(), self._source.read()
            change = self._change(with_fixed(running, config))
            for key, kept in put_off(running, config).items():
                says = "this key takes effect at the next start; the rest of the file is taken on"
                self._log.warning(says, key=key, **kept)
            self._tell(change)
        except ConfigError as error:
            return Failure(error.complaints, error.lasting)
        except DriftdError as error:
            return Failure((str(error),))
        except UNEXPECTED as error:  # a fault of ours must not end what runs; a message may quote a row
            return Failure((f"the reload was stopped by {type(error).__name__}; please report it",))
        return None

    def _tell(self, change: Change | None) -> None:
        if change is None:
            self._log.info("configuration read again, nothing has changed")
            return
        self._log.info(
            "configuration reloaded",
            added=change.added,
            removed=change.removed,
            changed=change.changed,
            webhooks=change.webhooks,
        )
        for name in change.removed:
            self._log.info(
                "no longer watched; its state is kept, and it goes on if it comes back", model=name
            )

    def samples(self) -> list[Sample]:
        """Return how the last reload went."""
        return [
            Sample("driftd_config_last_reload_successful", (), float(self._failure is None)),
            Sample("driftd_config_last_reload_success_timestamp_seconds", (), self._good_at),
        ]


def changes_between(before: Config, after: Config) -> Change:
    """Return what a reload from one configuration to another did."""
    old, new = ({model.name for model in config.models} for config in (before, after))
    return Change(
        tuple(sorted(new - old)),
        tuple(sorted(old - new)),
        tuple(sorted(unlike(before, after) & old & new)),
        before.webhooks != after.webhooks,
    )


def with_fixed(running: Config, config: Config) -> Config:
    """Return the configuration with what only a start can change as it runs."""
    kept = {key: getattr(running.daemon, key) for key in FIXED}
    daemon = config.daemon.model_copy(update=kept)
    exporters = config.exporters.model_copy(update={"otlp": running.exporters.otlp})
    return config.model_copy(update={"daemon": daemon, "exporters": exporters})


def put_off(running: Config, config: Config) -> dict[str, dict[str, str]]:
    """Return the keys that wait for the next start, each with what runs and what is configured, if told."""
    found = {}
    for key in FIXED:
        now, wanted = getattr(running.daemon, key), getattr(config.daemon, key)
        if now != wanted:
            found[f"daemon.{key}"] = {"runs": str(now), "configured": str(wanted)}
    # a changed secret of a header does not count: it is read again anyway
    before, after = (
        each.exporters.otlp and each.exporters.otlp.model_dump_json() for each in (running, config)
    )
    return found if before == after else {**found, "exporters.otlp": {}}
