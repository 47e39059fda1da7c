"""A collector: opentelemetry-proto's own services over HTTP and gRPC, which keep what they are sent."""

import gzip
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import grpc  # type: ignore[import-untyped]
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import (
    ExportLogsServiceRequest,
    ExportLogsServiceResponse,
)
from opentelemetry.proto.collector.logs.v1.logs_service_pb2_grpc import (
    LogsServiceServicer,
    add_LogsServiceServicer_to_server,
)
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
    ExportMetricsServiceResponse,
)
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2_grpc import (
    MetricsServiceServicer,
    add_MetricsServiceServicer_to_server,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2_grpc import (
    TraceServiceServicer,
    add_TraceServiceServicer_to_server,
)

SERVICES: Mapping[str, tuple[Any, Any]] = {
    "/v1/metrics": (ExportMetricsServiceRequest, ExportMetricsServiceResponse),
    "/v1/traces": (ExportTraceServiceRequest, ExportTraceServiceResponse),
    "/v1/logs": (ExportLogsServiceRequest, ExportLogsServiceResponse),
}


@dataclass(slots=True)
class Collector:
    """What has come so far. answers: the next HTTP statuses or gRPC codes to give; then all is taken.

    partial: how many items of each request are refused. largest: bytes of the largest request, unpacked.
    """

    endpoint: str = ""
    metrics: list[Any] = field(default_factory=list)
    traces: list[Any] = field(default_factory=list)
    logs: list[Any] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    answers: list[Any] = field(default_factory=list)
    retry_after: str = ""
    partial: int = 0
    largest: int = 0

    def take(self, request: Any, headers: Mapping[str, str]) -> Any:  # noqa: ANN401 - protobuf
        """Keep a request; returns the service's response."""
        self.headers.append(dict(headers))
        self.largest = max(self.largest, request.ByteSize())
        if isinstance(request, ExportMetricsServiceRequest):
            self.metrics.append(request)
            response: Any = ExportMetricsServiceResponse()
            response.partial_success.rejected_data_points = self.partial
        elif isinstance(request, ExportTraceServiceRequest):
            self.traces.append(request)
            response = ExportTraceServiceResponse()
            response.partial_success.rejected_spans = self.partial
        else:
            self.logs.append(request)
            response = ExportLogsServiceResponse()
            response.partial_success.rejected_log_records = self.partial
        return response

    def spans(self) -> list[Any]:
        """Return every span that came."""
        return [
            s for t in self.traces for r in t.resource_spans for scope in r.scope_spans for s in scope.spans
        ]

    def records(self) -> list[Any]:
        """Return every log record that came."""
        return [
            record
            for request in self.logs
            for resource in request.resource_logs
            for scope in resource.scope_logs
            for record in scope.log_records
        ]

    def resources(self) -> list[dict[str, str]]:
        """Return the attributes of every resource that came."""
        parts = [r for request in self.metrics for r in request.resource_metrics]
        parts += [r for request in self.traces for r in request.resource_spans]
        parts += [r for request in self.logs for r in request.resource_logs]
        return [attributes(part.resource) for part in parts]


def attributes(message: Any) -> dict[str, Any]:  # noqa: ANN401 - protobuf
    """Return a message's attributes."""
    return {
        one.key: getattr(one.value, str(one.value.WhichOneof("value")), None) for one in message.attributes
    }


@contextmanager
def over_http(found: Collector, port: int = 0, tls: Any = None) -> Iterator[Collector]:  # noqa: ANN401 - an SSLContext
    """Run a collector over HTTP, on that port."""

    class Handler(BaseHTTPRequestHandler):
        timeout = 10

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            headers = {name.lower(): value for name, value in self.headers.items()}
            if found.answers:
                self._answer(int(found.answers.pop(0)), b"")
                return
            if self.path not in SERVICES or headers["content-type"] != "application/x-protobuf":
                self._answer(404, b"")
                return
            request = SERVICES[self.path][0].FromString(gzip.decompress(body))
            self._answer(200, found.take(request, headers).SerializeToString())

        def _answer(self, status: int, body: bytes) -> None:
            self.send_response(status)
            if status != 200 and found.retry_after:
                self.send_header("retry-after", found.retry_after)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - http.server's name
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    if tls is not None:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    found.endpoint = f"{'http' if tls is None else 'https'}://127.0.0.1:{server.server_address[1]}"
    thread = Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield found
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@contextmanager
def over_grpc(found: Collector, port: int = 0, tls: Any = None) -> Iterator[Collector]:  # noqa: ANN401 - credentials
    """Run a collector over gRPC, on that port."""

    class Services(MetricsServiceServicer, TraceServiceServicer, LogsServiceServicer):
        def Export(self, request: Any, context: Any) -> Any:  # noqa: ANN401, N802 - the service's own name
            if found.answers:
                context.abort(found.answers.pop(0), "as the test wants it")
            return found.take(request, dict(context.invocation_metadata()))

    server = grpc.server(ThreadPoolExecutor(2))
    services = Services()
    add_MetricsServiceServicer_to_server(services, server)  # type: ignore[no-untyped-call]
    add_TraceServiceServicer_to_server(services, server)  # type: ignore[no-untyped-call]
    add_LogsServiceServicer_to_server(services, server)  # type: ignore[no-untyped-call]
    address = f"127.0.0.1:{port}"
    bound = server.add_insecure_port(address) if tls is None else server.add_secure_port(address, tls)
    found.endpoint = f"{'http' if tls is None else 'https'}://127.0.0.1:{bound}"
    server.start()
    try:
        yield found
    finally:
        server.stop(None).wait()
