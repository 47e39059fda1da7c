"""Log events by the SDK's logging bridge, kept in a bounded queue until they are sent."""

from collections.abc import Callable, Mapping
from datetime import datetime

from opentelemetry._logs import LogRecord, SeverityNumber
from opentelemetry.exporter.otlp.proto.common._log_encoder import encode_logs
from opentelemetry.metrics import NoOpMeterProvider
from opentelemetry.sdk._logs import (
    LoggerProvider,
    LogRecordLimits,
    LogRecordProcessor,
    ReadableLogRecord,
    ReadWriteLogRecord,
)

from exporters.otlp.bounded_queue import BoundedQueue
from exporters.otlp.identity import SCOPE, Identity

MOST = 64
LONGEST = 4096
SEVERITIES: Mapping[str, SeverityNumber] = {
    "debug": SeverityNumber.DEBUG,
    "info": SeverityNumber.INFO,
    "warning": SeverityNumber.WARN,
    "error": SeverityNumber.ERROR,
    "critical": SeverityNumber.FATAL,
}
OWN = frozenset({"event", "level", "timestamp"})
Bridge = Callable[[Mapping[str, object]], None]


class _Keep(LogRecordProcessor):
    """Puts records into the queue."""

    def __init__(self, queue: BoundedQueue[ReadableLogRecord], identity: Identity) -> None:
        self._queue = queue
        self._resource = identity.resource

    def on_emit(self, log_record: ReadWriteLogRecord) -> None:
        resource = log_record.resource or self._resource
        scope = log_record.instrumentation_scope
        self._queue.put(ReadableLogRecord(log_record.log_record, resource, scope, log_record.limits))

    def shutdown(self) -> None:
        """Do nothing: the queue is emptied by who sends."""

    def force_flush(self, timeout_millis: int = 30000) -> bool:
        """Say that nothing is held back here."""
        del timeout_millis
        return True


def bridge(identity: Identity, queue: BoundedQueue[ReadableLogRecord], now: Callable[[], int]) -> Bridge:
    """Return what takes an event, its level and its fields to the queue. now: nanoseconds since 1970 UTC."""
    provider = LoggerProvider(
        resource=identity.resource,
        shutdown_on_exit=False,
        meter_provider=NoOpMeterProvider(),
        log_record_limits=LogRecordLimits(MOST, LONGEST, MOST, LONGEST),
    )
    provider.add_log_record_processor(_Keep(queue, identity))
    logger = provider.get_logger(SCOPE, identity.version)

    def tell(event: Mapping[str, object]) -> None:
        logger.emit(_record(event, now()))

    return tell


def _record(event: Mapping[str, object], now: int) -> LogRecord:
    level = str(event.get("level", "info"))
    fields = {key: _value(value) for key, value in event.items() if key not in OWN and value is not None}
    return LogRecord(
        timestamp=now,
        observed_timestamp=now,
        severity_text=level.upper(),
        severity_number=SEVERITIES.get(level, SeverityNumber.UNSPECIFIED),
        body=str(event.get("event", "")),
        attributes=fields,
    )


def _value(value: object) -> str | int | float | bool:
    if isinstance(value, str | int | float | bool):
        return value
    return value.isoformat() if isinstance(value, datetime) else str(value)


def encode(records: list[ReadableLogRecord]) -> bytes:
    """Return the records as one request."""
    request: bytes = encode_logs(records).SerializeToString()
    return request
