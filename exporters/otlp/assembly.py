"""From what is wished for to an exporter: queues, streams and the way to the collector, put together."""

from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from msgspec import Struct

from exporters.catalog import Sample
from exporters.otlp import logs, traces
from exporters.otlp.bounded_queue import BoundedQueue
from exporters.otlp.exporter import Exporter, Pace, World
from exporters.otlp.identity import Identity
from exporters.otlp.metrics import Times
from exporters.otlp.sending import HttpSender, Sender
from exporters.otlp.streams import Queued, Snapshots, Stream
from exporters.tracing import Tracer

SECOND = 10**9
MICROSECOND = 10**3


class Wish(Struct, frozen=True):
    """Where to send, and what besides metrics. ratio: share of the traces that are kept, None: no traces.

    waiting: how many spans, and how many records, wait for the collector at most.
    """

    endpoint: str
    protocol: Literal["http", "grpc"] = "http"
    ca_file: Path | None = None
    ratio: float | None = None
    logs: bool = False
    waiting: int = 2048


class Source(Struct, frozen=True):
    """Where metrics come from. since: when committed counters began, in us; started: when the process did."""

    samples: Callable[[], Sequence[Sample]]
    now: Callable[[], datetime]
    since: int
    started: datetime

    def times(self) -> Times:
        """Return the times that a snapshot of now carries."""
        return Times(nanoseconds(self.now()), self.since * MICROSECOND, nanoseconds(self.started))


class Assembled(Struct, frozen=True):
    """What the daemon holds: the exporter, and where spans and events go in, None where they do not."""

    exporter: Exporter
    tracer: Tracer | None
    logs: logs.Bridge | None


def nanoseconds(at: datetime) -> int:
    """Return nanoseconds since 1970 UTC, whole microseconds.

    >>> from datetime import UTC
    >>> nanoseconds(datetime(1970, 1, 1, 0, 0, 1, 5, tzinfo=UTC))
    1000005000
    """
    return int(at.timestamp()) * SECOND + at.microsecond * MICROSECOND


def assemble(wish: Wish, identity: Identity, metrics: Source | None, pace: Pace, world: World) -> Assembled:
    """Put an exporter together; it does not send before it is started."""
    streams: list[Stream] = []
    tracer: Tracer | None = None
    bridge: logs.Bridge | None = None
    if metrics is not None:
        streams.append(Snapshots(metrics.samples, metrics.times, identity))
    if wish.logs:
        records = BoundedQueue[Any](wish.waiting)
        streams.append(Queued("logs", records, logs.encode))
        bridge = logs.bridge(identity, records, world.now)
    if wish.ratio is not None:
        spans = BoundedQueue[Any](wish.waiting)
        streams.append(Queued("traces", spans, traces.encode))
        tracer = traces.tracer(identity, wish.ratio, spans, world.now)
    return Assembled(Exporter(streams, sender(wish), pace, world), tracer, bridge)


def sender(wish: Wish) -> Sender:
    """Return the way to the collector; gRPC is imported only here, and only where it is wanted."""
    if wish.protocol == "http":
        return HttpSender(wish.endpoint, wish.ca_file)
    from exporters.otlp.grpc_sending import GrpcSender  # noqa: PLC0415 - an extra

    return GrpcSender(wish.endpoint, wish.ca_file)
