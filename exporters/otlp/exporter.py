"""The thread that sends: at its interval, within its time, disturbing nobody while the collector is away."""

from collections import Counter
from collections.abc import Callable, Sequence
from threading import Event, Thread
from time import monotonic

from msgspec import Struct

from exporters.base import Reason
from exporters.catalog import Sample
from exporters.otlp.sending import Failed, Headers, Sender, Sent, Signal
from exporters.otlp.streams import Stream

SOONEST = 5.0
"""Seconds between two looks at the queues, where the interval of metrics is longer."""
FIRST_WAIT, LONGEST_WAIT = 1.0, 60.0
INTERNAL = "internal"
"""What is counted when a fault of our own kept a request from being made."""


class Pace(Struct, frozen=True):
    """interval: seconds from one snapshot to the next. timeout: seconds that one request may take."""

    interval: float
    timeout: float


class World(Struct, frozen=True):
    """What the exporter is given of the daemon.

    now: nanoseconds since 1970 UTC. headers: read anew for every turn. tell: is told a problem's name when it
    changes, "" when it is over. faults: what a fault of our own may raise; it ends a turn, never the thread.
    """

    now: Callable[[], int]
    headers: Callable[[], Headers]
    tell: Callable[[str], None]
    faults: tuple[type[BaseException], ...]


class Exporter:
    """Sends streams by a sender, on a thread of its own."""

    def __init__(self, streams: Sequence[Stream], sender: Sender, pace: Pace, world: World) -> None:
        self._streams = tuple(streams)
        self._sender = sender
        self._pace = pace
        self._world = world
        self._stop = Event()
        self._thread = Thread(target=self._run, name="otlp", daemon=True)
        self._results: Counter[tuple[Signal, str]] = Counter()
        self._taken: dict[Signal, float] = {}
        self._problem = ""
        self._wait = 0.0
        self._snapshot_due = 0.0
        self._end = float("inf")

    def start(self) -> None:
        """Begin to send."""
        self._thread.start()

    def close(self, seconds: float) -> bool:
        """Send what there is once more, within these seconds; False when an attempt was still under way."""
        self._end = monotonic() + seconds
        self._stop.set()
        if self.is_running:
            self._thread.join(seconds)
        self._sender.close()
        return not self.is_running

    @property
    def is_running(self) -> bool:
        """Whether the thread is still there."""
        return self._thread.is_alive()

    def samples(self) -> list[Sample]:
        """Return the exporter's own metrics."""
        found = [
            Sample("driftd_otlp_exports_total", key, n) for key, n in sorted(self._results.copy().items())
        ]
        for stream in self._streams:
            labels = (stream.signal,)
            found.append(Sample("driftd_otlp_dropped_total", labels, stream.dropped))
            if stream.pending is not None:
                found.append(Sample("driftd_otlp_pending", labels, stream.pending))
            if stream.signal in self._taken:
                at = self._taken[stream.signal]
                found.append(Sample("driftd_otlp_last_success_timestamp_seconds", labels, at))
        return found

    def _run(self) -> None:
        while not self._stop.wait(self._wait or min(self._pace.interval, SOONEST)):
            self._turn(last=False)
        self._turn(last=True)

    def _turn(self, *, last: bool) -> None:
        """Send what is due, until a request fails that may be sent again: the next ones would fail too."""
        headers = dict(self._world.headers())
        worst: Sent | None = None
        for stream in self._streams:
            if stream.signal == "metrics" and not (last or self._is_due()):
                continue
            result = self._flush(stream, headers)
            worst = result if isinstance(result, Failed) else worst or result
            if isinstance(result, Failed) and result.again:
                break
        self._settle(worst)

    def _is_due(self) -> bool:
        """Whether the next snapshot's time has come; a missed one is not made up for."""
        now = monotonic()
        if now < self._snapshot_due:
            return False
        late = now - self._snapshot_due >= self._pace.interval
        self._snapshot_due = (now if late else self._snapshot_due) + self._pace.interval
        return True

    def _flush(self, stream: Stream, headers: Headers) -> Sent | None:
        """Send a stream; returns the first failure, or how the last request went."""
        found: Sent | None = None

        def send(signal: Signal, body: bytes) -> Sent:
            left = self._end - monotonic()
            if left <= 0:
                return Failed(Reason.TIMEOUT, again=True)
            return self._sender.send(signal, body, headers, min(self._pace.timeout, left))

        try:
            for sent in stream.flush(send):
                self._count(stream.signal, sent)
                found = found if isinstance(found, Failed) else sent
        except self._world.faults as error:
            self._results[stream.signal, INTERNAL] += 1
            return Failed(type(error).__name__, again=False)
        return found

    def _count(self, signal: Signal, sent: Sent) -> None:
        if isinstance(sent, Failed):
            self._results[signal, sent.reason] += 1
        else:
            self._results[signal, "sent"] += 1
            self._taken[signal] = self._world.now() / 10**9

    def _settle(self, worst: Sent | None) -> None:
        if worst is None:
            return
        self._say(worst.reason if isinstance(worst, Failed) else "")
        if isinstance(worst, Failed) and worst.again:
            usual = min(max(2 * self._wait, FIRST_WAIT), LONGEST_WAIT)
            self._wait = usual if worst.after is None else max(worst.after, FIRST_WAIT)
            self._snapshot_due = 0.0
        else:
            self._wait = 0.0

    def _say(self, problem: str) -> None:
        if problem != self._problem:
            self._problem = problem
            self._world.tell(problem)
