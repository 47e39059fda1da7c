"""One request to the collector over HTTP: one attempt, within its time, and one word on how it went."""

import gzip
import ssl
from collections.abc import Callable, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Literal, Protocol
from urllib.parse import urlsplit

from google.protobuf.message import DecodeError  # type: ignore[import-untyped]  # ships no types
from msgspec import Struct
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceResponse
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceResponse
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

from exporters.base import Reason
from exporters.bounded import Allowance, Target, post

Signal = Literal["metrics", "traces", "logs"]
Headers = Mapping[str, str]

RESPONSE_BYTES = 64 * 1024
LONGEST_WAIT = 3600.0
"""The longest Retry-After, in seconds, that is believed."""
AGAIN = frozenset({429, 502, 503, 504})
"""The answers after which OTLP allows the same request again; after every other one it is given up."""
TRANSIENT = frozenset({Reason.DNS, Reason.CONNECT, Reason.TLS, Reason.TIMEOUT, Reason.RESET, Reason.PROTOCOL})


class Taken(Struct, frozen=True):
    """The collector took it, less so many points, spans or records that it refused."""

    rejected: int = 0


class Failed(Struct, frozen=True):
    """It did not. again: the same request may be sent again, after so many seconds if it said so.

    reason: one of exporters.base.Reason, or the type of a fault of our own.
    """

    reason: str
    again: bool
    after: float | None = None


Sent = Taken | Failed


class Sender(Protocol):
    """A way to the collector."""

    def send(self, signal: Signal, body: bytes, headers: Headers, seconds: float) -> Sent:
        """Make one attempt to send a serialised request; nothing that the network does raises."""

    def close(self) -> None:
        """Release what is open, ending an attempt under way where that is possible."""


class HttpSender:
    """OTLP/HTTP with binary protobuf: POST to `endpoint`/v1/metrics, /v1/traces and /v1/logs.

    A connection for each request, without proxies, redirects or anything else from the environment.
    ca_file: certificates that are trusted instead of the system's.
    """

    def __init__(self, endpoint: str, ca_file: Path | None = None) -> None:
        parts = urlsplit(endpoint)
        self._parts = parts
        self._tls = None
        if parts.scheme == "https":
            self._tls = ssl.create_default_context(cafile=None if ca_file is None else str(ca_file))

    def send(self, signal: Signal, body: bytes, headers: Headers, seconds: float) -> Sent:
        """Make one attempt."""
        packed = gzip.compress(body, compresslevel=1, mtime=0)
        all_headers = {**self._headers(len(packed)), **{k.lower(): v for k, v in headers.items()}}
        written = [(k.encode("ascii"), v.encode("latin-1")) for k, v in all_headers.items()]
        reply = post(self._target(signal), written, packed, Allowance(seconds, RESPONSE_BYTES))
        if isinstance(reply, Reason):
            return Failed(reply, again=reply in TRANSIENT)
        if reply.status // 100 == 2:  # noqa: PLR2004 - success
            return Taken(rejected(signal, reply.body))
        again = reply.status in AGAIN
        return Failed(_reason(reply.status), again, _seconds(reply.header(b"retry-after")) if again else None)

    def close(self) -> None:
        """Do nothing: no connection outlives its request."""

    def _target(self, signal: Signal) -> Target:
        parts = self._parts
        path = f"{parts.path.rstrip('/')}/v1/{signal}"
        host = (parts.hostname or "").encode("idna")
        # a collector is most often a neighbour; a redirect to another one is not followed
        return Target(parts.scheme.encode(), host, parts.port, path.encode(), self._tls, allow_private=True)

    def _headers(self, length: int) -> dict[str, str]:
        return {
            "host": self._parts.netloc,
            "user-agent": f"driftd/{version('driftd')}",
            "content-type": "application/x-protobuf",
            "content-encoding": "gzip",
            "content-length": str(length),
            "connection": "close",
        }


def rejected(signal: Signal, answer: bytes) -> int:
    """Return how many items of a request that was taken the collector refused; 0 where it says nothing."""
    try:
        return REJECTED[signal](answer)
    except DecodeError:
        return 0  # it was taken: what else the answer says is of no use


def _points(answer: bytes) -> int:
    return int(ExportMetricsServiceResponse.FromString(answer).partial_success.rejected_data_points)


def _spans(answer: bytes) -> int:
    return int(ExportTraceServiceResponse.FromString(answer).partial_success.rejected_spans)


def _records(answer: bytes) -> int:
    return int(ExportLogsServiceResponse.FromString(answer).partial_success.rejected_log_records)


REJECTED: Mapping[Signal, Callable[[bytes], int]] = {"metrics": _points, "traces": _spans, "logs": _records}


def _reason(status: int) -> Reason:
    if status == 429:  # noqa: PLR2004 - Too Many Requests
        return Reason.THROTTLED
    classes = {3: Reason.REDIRECT, 4: Reason.CLIENT_ERROR, 5: Reason.SERVER_ERROR}
    return classes.get(status // 100, Reason.PROTOCOL)


def _seconds(retry_after: str | None) -> float | None:
    """Read Retry-After where it is a number of seconds; a date is left to the usual waits."""
    text = (retry_after or "").strip()
    return min(float(text), LONGEST_WAIT) if text.isdecimal() and len(text) < 16 else None  # noqa: PLR2004
