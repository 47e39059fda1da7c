"""The export by OTLP as the daemon holds it; where it is not configured, nothing of it is imported."""

import json
import secrets
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from functools import partial
from importlib.metadata import version
from typing import TYPE_CHECKING, Protocol

from msgspec import Struct

from exporters.base import Notifier
from exporters.catalog import Sample
from exporters.tracing import NO_TRACER, Links, TracedNotifier, Tracer
from monitor.clock import micros
from monitor.core.outbox import Note
from monitor.failures import UNEXPECTED
from monitor.last_good import LastGood
from monitor.logs import logger, tell_nobody, tell_too
from monitor.otlp_table import Otlp, header_value
from monitor.types import Changes, EntryKey

if TYPE_CHECKING:
    from exporters.otlp.exporter import Exporter

SPACE = "otlp"
KEY: EntryKey = (SPACE, "", "instance")
WAITING = 2048
"""Spans, and records, that wait for the collector at most."""
CLOSE_SECONDS = 2.0


class Instance(Struct, frozen=True):
    """What a state folder is to the collector: its id, and since when its counters are known, in us."""

    id: str
    since: int

    @classmethod
    def of(cls, entries: Mapping[EntryKey, bytes], now_us: int) -> tuple["Instance", Changes]:
        """Return the state's instance; a new one with the entry that keeps it."""
        kept = entries.get(KEY)
        if kept is not None:
            return cls(**json.loads(kept)), {}
        made = cls(secrets.token_hex(16), now_us)
        return made, {KEY: json.dumps({"id": made.id, "since": made.since}).encode()}


class Facts(Struct, frozen=True):
    """What the export asks of the daemon. now: the time, in UTC. samples: the snapshot."""

    now: Callable[[], datetime]
    samples: Callable[[], Sequence[Sample]]


class Telemetry(Protocol):
    """What a daemon says of itself to a collector, and about how that goes."""

    @property
    def tracer(self) -> Tracer:
        """Where spans begin."""

    def wrote(self, notes: Iterable[Note]) -> None:
        """Remember the open trace as that of these notes."""

    def traced(self, notifiers: dict[str, Notifier]) -> dict[str, Notifier]:
        """Return the notifiers, their attempts told to the trace of their note."""

    def start(self) -> None:
        """Begin to send."""

    def samples(self) -> list[Sample]:
        """Return the export's own metrics."""

    def close(self) -> bool:
        """Send what there is, within CLOSE_SECONDS; False when an attempt is still under way."""


class Silent:
    """Says nothing to anybody."""

    tracer: Tracer = NO_TRACER

    def wrote(self, notes: Iterable[Note]) -> None:
        """Do nothing."""

    def traced(self, notifiers: dict[str, Notifier]) -> dict[str, Notifier]:
        """Return them as they are."""
        return notifiers

    def start(self) -> None:
        """Do nothing."""

    def samples(self) -> list[Sample]:
        """Return none."""
        return []

    def close(self) -> bool:
        """Return True."""
        return True


class Speaking:
    """Sends by an exporter; with `logs`, what is logged goes there too until it is closed."""

    def __init__(
        self, exporter: "Exporter", tracer: Tracer, logs: Callable[[Mapping[str, object]], None] | None
    ) -> None:
        self.tracer = tracer
        self._exporter = exporter
        self._logs = logs
        self._links = Links()
        if logs is not None:
            tell_too(logs)

    def wrote(self, notes: Iterable[Note]) -> None:
        """Remember the open trace as that of these notes."""
        self._links.remember((note.id for note in notes), self.tracer.current())

    def traced(self, notifiers: dict[str, Notifier]) -> dict[str, Notifier]:
        """Return the notifiers, their attempts told to the trace of their note."""
        return {
            name: TracedNotifier(each, name, self.tracer, self._links) for name, each in notifiers.items()
        }

    def start(self) -> None:
        """Begin to send."""
        self._exporter.start()

    def samples(self) -> list[Sample]:
        """Return the export's own metrics."""
        return self._exporter.samples()

    def close(self) -> bool:
        """Send what there is, within CLOSE_SECONDS."""
        tell_nobody(self._logs)
        return self._exporter.close(CLOSE_SECONDS)


def telemetry(
    otlp: Otlp | None, facts: Facts, entries: Mapping[EntryKey, bytes], write: Callable[[Changes], None]
) -> Telemetry:
    """Return what the configuration asks for. write: keeps a new state's instance, if anything is sent."""
    if otlp is None:
        return Silent()
    instance, changes = Instance.of(entries, micros(facts.now()))
    write(changes)
    return _speaking(otlp, instance, facts)


def _speaking(otlp: Otlp, instance: Instance, facts: Facts) -> Telemetry:
    from exporters.otlp import assembly  # noqa: PLC0415 - the SDK, only where it is wanted
    from exporters.otlp.exporter import Pace, World  # noqa: PLC0415 - as above
    from exporters.otlp.identity import Identity  # noqa: PLC0415 - as above

    identity = Identity(otlp.service_name, version("driftd"), instance.id)
    pace = Pace(otlp.interval.total_seconds(), otlp.timeout.total_seconds())
    world = World(
        lambda: assembly.nanoseconds(facts.now()), headers(otlp), _teller(otlp.protocol), UNEXPECTED
    )
    wish = assembly.Wish(
        otlp.endpoint,
        otlp.protocol,
        otlp.ca_file,
        otlp.sample_ratio if otlp.traces else None,
        logs=otlp.logs,
        waiting=WAITING,
    )
    source = assembly.Source(facts.samples, facts.now, instance.since, facts.now()) if otlp.metrics else None
    made = assembly.assemble(wish, identity, source, pace, world)
    return Speaking(made.exporter, made.tracer or NO_TRACER, made.logs)


def headers(otlp: Otlp) -> Callable[[], dict[str, str]]:
    """Return what returns the headers as they are now: a file is read again each time."""
    fixed = {name: header.value.get_secret_value() for name, header in otlp.headers.items()}
    files = {
        name: LastGood(partial(header_value, header.file), fixed[name], logger("otlp", header=name), "file")
        for name, header in otlp.headers.items()
        if header.file is not None
    }
    return lambda: fixed | {name: now() for name, now in files.items()}


def _teller(protocol: str) -> Callable[[str], None]:
    log = logger("otlp", protocol=protocol)

    def tell(problem: str) -> None:
        if problem:
            log.warning("the collector does not take what is sent", reason=problem)
        else:
            log.info("the collector takes what is sent again")

    return tell
