"""One request to the collector over gRPC. Needs the extra `otlp-grpc`."""

from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from urllib.parse import urlsplit

import grpc  # type: ignore[import-untyped]  # ships no types

from exporters.base import Reason
from exporters.otlp.sending import Failed, Headers, Sent, Signal, Taken, rejected

METHODS: Mapping[Signal, str] = {
    "metrics": "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export",
    "traces": "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
    "logs": "/opentelemetry.proto.collector.logs.v1.LogsService/Export",
}
OPTIONS = (
    ("grpc.enable_http_proxy", 0),  # no proxy that only the environment names
    ("grpc.max_reconnect_backoff_ms", 10_000),
    ("grpc.primary_user_agent", f"driftd/{version('driftd')}"),
)
AGAIN = frozenset(
    {
        "CANCELLED",
        "DEADLINE_EXCEEDED",
        "RESOURCE_EXHAUSTED",
        "ABORTED",
        "OUT_OF_RANGE",
        "UNAVAILABLE",
        "DATA_LOSS",
    }
)
"""The codes after which OTLP allows the same request again."""
REASONS: Mapping[str, Reason] = {
    "UNAVAILABLE": Reason.CONNECT,
    "DEADLINE_EXCEEDED": Reason.TIMEOUT,
    "CANCELLED": Reason.RESET,
    "RESOURCE_EXHAUSTED": Reason.THROTTLED,
    "UNAUTHENTICATED": Reason.CLIENT_ERROR,
    "PERMISSION_DENIED": Reason.CLIENT_ERROR,
    "INVALID_ARGUMENT": Reason.CLIENT_ERROR,
    "NOT_FOUND": Reason.CLIENT_ERROR,
    "UNIMPLEMENTED": Reason.CLIENT_ERROR,
}


class GrpcSender:
    """OTLP/gRPC on one channel; http:// in the endpoint is plain text, https:// is TLS.

    ca_file: certificates that are trusted instead of the system's.
    """

    def __init__(self, endpoint: str, ca_file: Path | None = None) -> None:
        parts = urlsplit(endpoint)
        if parts.scheme == "https":
            roots = None if ca_file is None else ca_file.read_bytes()
            credentials = grpc.ssl_channel_credentials(root_certificates=roots)
            self._channel = grpc.secure_channel(parts.netloc, credentials, options=OPTIONS)
        else:
            self._channel = grpc.insecure_channel(parts.netloc, options=OPTIONS)
        self._calls = {signal: self._channel.unary_unary(method) for signal, method in METHODS.items()}

    def send(self, signal: Signal, body: bytes, headers: Headers, seconds: float) -> Sent:
        """Make one attempt."""
        metadata = [(name.lower(), value) for name, value in headers.items()]
        try:
            answer: bytes = self._calls[signal](
                body, timeout=seconds, metadata=metadata, compression=grpc.Compression.Gzip
            )
        except grpc.RpcError as error:
            code = str(error.code().name)
            return Failed(REASONS.get(code, Reason.SERVER_ERROR), again=code in AGAIN)
        return Taken(rejected(signal, answer))

    def close(self) -> None:
        """Close the channel, which ends an attempt under way."""
        self._channel.close()
