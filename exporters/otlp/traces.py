"""Spans by the SDK: sampled by the trace, kept in a bounded queue until they are sent."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.metrics import NoOpMeterProvider
from opentelemetry.sdk.trace import ReadableSpan, SpanLimits, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased
from opentelemetry.trace import Span, StatusCode, Tracer, get_current_span, use_span
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from exporters.otlp.bounded_queue import BoundedQueue
from exporters.otlp.identity import SCOPE, Identity
from exporters.tracing import Value

MOST = 64
LONGEST = 1024
"""Attributes of a span and characters of one: given, so that the environment is not asked."""


class SpanTracer:
    """An exporters.tracing.Tracer whose spans end in a queue. now: nanoseconds since 1970 UTC."""

    def __init__(self, tracer: Tracer, now: Callable[[], int]) -> None:
        self._tracer = tracer
        self._propagator = TraceContextTextMapPropagator()
        self.now = now

    @contextmanager
    def span(self, name: str, *, start: int = 0, parent: str = "", **attributes: Value) -> Iterator[None]:
        """Return a span around what is done inside; of an error it keeps the type, no message."""
        span = self._tracer.start_span(
            name, self._context(parent), attributes=attributes, start_time=start or self.now()
        )
        try:
            with use_span(span, record_exception=False, set_status_on_exception=False):
                yield
        except BaseException as error:
            _failed(span, error)
            raise
        finally:
            span.end(self.now())

    def record(self, name: str, start: int, end: int) -> None:
        """Add a span that is over already to the one that is open."""
        self._tracer.start_span(name, start_time=start).end(end)

    def note(self, **attributes: Value) -> None:
        """Add to what the open span says."""
        get_current_span().set_attributes(attributes)

    def current(self) -> str:
        """Return the open span as a traceparent, "" when there is none."""
        carrier: dict[str, str] = {}
        self._propagator.inject(carrier)
        return carrier.get("traceparent", "")

    def _context(self, parent: str) -> Context | None:
        return self._propagator.extract({"traceparent": parent}) if parent else None


def _failed(span: Span, error: BaseException) -> None:
    span.set_status(StatusCode.ERROR)
    span.set_attribute("error.type", type(error).__name__)


class _Keep(SpanProcessor):
    """Puts sampled spans into the queue when they end."""

    def __init__(self, queue: BoundedQueue[ReadableSpan]) -> None:
        self._queue = queue

    def on_end(self, span: ReadableSpan) -> None:
        context = span.get_span_context()
        if context is not None and context.trace_flags.sampled:
            self._queue.put(span)


def tracer(
    identity: Identity, ratio: float, queue: BoundedQueue[ReadableSpan], now: Callable[[], int]
) -> SpanTracer:
    """Return a tracer that keeps the given share of the traces, each whole or not at all."""
    provider = TracerProvider(
        sampler=ParentBased(TraceIdRatioBased(ratio)),
        resource=identity.resource,
        shutdown_on_exit=False,
        span_limits=SpanLimits(MOST, MOST, MOST, MOST, MOST, MOST, LONGEST, LONGEST),
        meter_provider=NoOpMeterProvider(),
    )
    provider.add_span_processor(_Keep(queue))
    return SpanTracer(provider.get_tracer(SCOPE, identity.version), now)


def encode(spans: list[ReadableSpan]) -> bytes:
    """Return the spans as one request."""
    request: bytes = encode_spans(spans).SerializeToString()
    return request
