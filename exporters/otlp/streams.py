"""What is sent, signal by signal: spans and records from their queues, metrics from the newest snapshot."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol

from msgspec import Struct, field

from exporters.catalog import Sample
from exporters.otlp.bounded_queue import BoundedQueue
from exporters.otlp.identity import Identity
from exporters.otlp.metrics import Times, requests
from exporters.otlp.sending import Failed, Sent, Signal

BATCH = 512
"""Spans or records in a request."""
Send = Callable[[Signal, bytes], Sent]


class Stream(Protocol):
    """One signal on its way out."""

    @property
    def signal(self) -> Signal:
        """Which one."""

    @property
    def pending(self) -> int | None:
        """How many items wait; None where none ever do."""

    @property
    def dropped(self) -> int:
        """How many items will never come."""

    def flush(self, send: Send) -> Iterator[Sent]:
        """Send what there is, and yield how each request went; stops where one may be sent again."""


class Queued(Struct):
    """Spans or log records: each is sent once, again after a failure, and given up when it is refused."""

    signal: Signal
    queue: BoundedQueue[Any]
    encode: Callable[[list[Any]], bytes]

    @property
    def pending(self) -> int:
        """How many items wait."""
        return len(self.queue)

    @property
    def dropped(self) -> int:
        """How many were given up."""
        return self.queue.dropped

    def flush(self, send: Send) -> Iterator[Sent]:
        """Send what waits now, the oldest first."""
        for _ in range(-(-len(self.queue) // BATCH)):
            items = self.queue.take(BATCH)
            if not items:
                return
            try:
                sent = send(self.signal, self.encode(items))
            except BaseException:
                self.queue.settle(len(items), lost=len(items))
                raise
            if isinstance(sent, Failed) and sent.again:
                self.queue.put_back(items)
            else:
                lost = len(items) if isinstance(sent, Failed) else sent.rejected
                self.queue.settle(len(items), lost)
            yield sent


class Snapshots(Struct):
    """Metrics: nothing waits, since the next snapshot says all that the last one did."""

    samples: Callable[[], Sequence[Sample]]
    times: Callable[[], Times]
    identity: Identity
    signal: Signal = "metrics"
    dropped: int = field(default=0)

    @property
    def pending(self) -> None:
        """Nothing waits."""

    def flush(self, send: Send) -> Iterator[Sent]:
        """Send the snapshot of now."""
        for body, points in requests(self.samples(), self.times(), self.identity):
            sent = send(self.signal, body)
            if not isinstance(sent, Failed):
                self.dropped += sent.rejected
            elif not sent.again:
                self.dropped += points
            yield sent
            if isinstance(sent, Failed) and sent.again:
                return
