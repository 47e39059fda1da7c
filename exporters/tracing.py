"""What the pipeline says of its own work while it does it: spans. exporters/otlp has what sends them."""

from collections.abc import Iterable
from contextlib import AbstractContextManager, nullcontext
from datetime import datetime
from typing import Protocol

from msgspec import Struct

from exporters.base import Delivered, Delivery, Notification, Notifier

LINKS = 1000
"""Notes whose trace is remembered."""
Value = str | int | float | bool
NOTHING: AbstractContextManager[None] = nullcontext()


class Tracer(Protocol):
    """Where spans begin. Times are nanoseconds since 1970 UTC; a parent is a W3C traceparent, "" is none."""

    def now(self) -> int:
        """Return the time, or 0 when nothing is traced."""

    def span(
        self, name: str, *, start: int = 0, parent: str = "", **attributes: Value
    ) -> AbstractContextManager[None]:
        """Return a span around what is done inside; it began at `start`, if that is not 0."""

    def record(self, name: str, start: int, end: int) -> None:
        """Add a span that is over already to the one that is open."""

    def note(self, **attributes: Value) -> None:
        """Add to what the open span says."""

    def current(self) -> str:
        """Return the open span as a traceparent, "" when there is none."""


class NoTracer(Struct, frozen=True):
    """Traces nothing, at the cost of the call."""

    def now(self) -> int:
        """Return 0."""
        return 0

    def span(
        self, name: str, *, start: int = 0, parent: str = "", **attributes: Value
    ) -> AbstractContextManager[None]:
        """Return what does nothing."""
        del name, start, parent, attributes
        return NOTHING

    def record(self, name: str, start: int, end: int) -> None:
        """Do nothing."""

    def note(self, **attributes: Value) -> None:
        """Do nothing."""

    def current(self) -> str:
        """Return ""."""
        return ""


class Links:
    """In which commit's trace each of the newest notes was written, while the process lasts."""

    def __init__(self) -> None:
        self._spans: dict[str, str] = {}

    def remember(self, ids: Iterable[str], traceparent: str) -> None:
        """Note where the notes were written; the oldest ones are forgotten."""
        if traceparent:
            self._spans |= dict.fromkeys(ids, traceparent)
            for old in list(self._spans)[:-LINKS]:
                del self._spans[old]

    def of(self, id_: str) -> str:
        """Return the traceparent of a note, "" where it is not known."""
        return self._spans.get(id_, "")


class TracedNotifier(Struct, frozen=True):
    """A notifier whose attempts are spans of the trace in which the note was written."""

    inner: Notifier
    webhook: str
    tracer: Tracer
    links: Links

    def send(self, note: Notification, now: datetime) -> Delivery:
        """Make one attempt."""
        with self.tracer.span("deliver", parent=self.links.of(note.id), webhook=self.webhook):
            delivery = self.inner.send(note, now)
            self.tracer.note(outcome="sent" if isinstance(delivery, Delivered) else str(delivery.reason))
            return delivery


NO_TRACER: Tracer = NoTracer()


def trace_id(traceparent: str) -> str:
    """Return the trace's id, "" for a trace that was not sampled: nobody will find it.

    >>> trace_id("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
    '0af7651916cd43dd8448eb211c80319c'
    >>> trace_id("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00")
    ''
    """
    _, found, _, flags = traceparent.split("-") if traceparent else ("", "", "", "0")
    return found if int(flags, 16) & 1 else ""
