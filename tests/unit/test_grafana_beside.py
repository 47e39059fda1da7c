"""The Grafana client in one environment with everything else: imported late, and in nobody's way.

It brings urllib3-future, which takes urllib3's place; requests, and with it the OTLP exporter, run on that.
"""

import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import requests
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader

from exporters.grafana import Grafana
from exporters.grafana_push import Wish, push
from tests.grafana_api import TOKEN, GrafanaApi

LATE = """
import sys
import monitor.cli, monitor.daemon, monitor.grafana, exporters.annotations, exporters.grafana_push
print(sorted({name.split(".")[0] for name in sys.modules} & {"grafana_client", "niquests", "urllib3"}))
"""


@pytest.fixture
def collector() -> Iterator[tuple[str, list[bytes]]]:
    """Run an OTLP collector: its address, and what it got."""
    got: list[bytes] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            got.append(self.rfile.read(int(self.headers["content-length"])))
            self.send_response(200)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - as it is called there
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}/v1/metrics", got
    server.shutdown()
    server.server_close()


def exported(url: str) -> bool:
    """Export one counter by the OTLP exporter, on the session that it makes itself."""
    reader = PeriodicExportingMetricReader(OTLPMetricExporter(endpoint=url, timeout=10), 3_600_000)
    provider = MeterProvider([reader])
    provider.get_meter("test").create_counter("rows").add(7)
    flushed = provider.force_flush()
    provider.shutdown()
    return flushed


def test_the_otlp_exporter_works_before_during_and_after(collector: tuple[str, list[bytes]]) -> None:
    url, got = collector
    assert exported(url)
    with GrafanaApi() as api, Grafana(api.url, lambda: TOKEN, 30.0).connected() as connection:
        list(push(connection, Wish((), "driftd")))
        assert exported(url)
        headers = {"authorization": f"Bearer {TOKEN}"}
        assert requests.get(f"{api.url}/api/folders", headers=headers, timeout=30).ok
    assert exported(url)

    for body in got:
        (metric,) = ExportMetricsServiceRequest.FromString(body).resource_metrics[0].scope_metrics[0].metrics
        assert (metric.name, metric.sum.data_points[0].as_int) == ("rows", 7)
    assert len(got) == 6  # each when it is flushed, and again when it is shut down


def test_it_is_imported_by_nobody_who_does_not_ask_grafana() -> None:
    ended = subprocess.run([sys.executable, "-c", LATE], capture_output=True, text=True, check=True)

    assert ended.stdout.strip() == "[]"
