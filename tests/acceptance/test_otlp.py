"""A daemon and a collector as processes: all signals, the collector away and back, nothing unasked."""

import json
from pathlib import Path

import pytest

from tests.collectors import Collector, attributes, over_grpc, over_http
from tests.ports import free_port
from tests.programs import Project, eventually
from tests.seconds import config, lines, made

pytestmark = pytest.mark.acceptance

OTLP = """
[exporters.otlp]
endpoint = "ENDPOINT"
protocol = "PROTOCOL"
interval = "1s"
traces = true
logs = true
headers.x-scope = { env = "SCOPE" }
"""
JOINED = """
[daemon]
listen = "127.0.0.1:0"
commit_every = "100ms"

[[models]]
name = "loans"
task = "binary"
window = "1h"
lateness = "1s"
label_horizon = "2h"
columns = { prediction_id = "id", timestamp = "at", prediction = "y", label = "y_true" }
features = { numeric = ["x"] }
reference = { path = "reference.csv" }
monitors = [{ detector = "psi", threshold = 0.0 }]
alarms = { min_rows = 10 }
retrain = [{ webhook = "training", when = ["drift"] }]

[[models.sources]]
role = "predictions"
type = "files"
path = "logs/p-*.jsonl"

[[models.sources]]
role = "outcomes"
type = "files"
path = "logs/o-*.jsonl"

[webhooks.training]
url = "http://127.0.0.1:PORT/"
secret_file = "secret"
allow_private = true
"""
INGESTED = {"ingest", "poll", "decode", "take in", "close window", "commit"}
SCOPE = "tenant-s3cret"


def project(folder: Path, collector: str, protocol: str = "http", text: str = "") -> Project:
    otlp = OTLP.replace("ENDPOINT", collector).replace("PROTOCOL", protocol)
    return made(folder, (text or config("1m", "1s")) + otlp)


def stored(found: Collector) -> float:
    """Return the newest number of stored rows that came."""
    points = [
        point.as_double
        for request in found.metrics
        for metric in request.resource_metrics[0].scope_metrics[0].metrics
        if metric.name == "driftd_events_stored_total"
        for point in metric.sum.data_points
    ]
    return max(points, default=0.0)


@pytest.mark.parametrize("protocol", ["http", "grpc"])
def test_metrics_traces_and_logs_arrive(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, protocol: str
) -> None:
    monkeypatch.setenv("SCOPE", SCOPE)
    with (over_http if protocol == "http" else over_grpc)(Collector()) as collector:
        watched = project(tmp_path, collector.endpoint, protocol)
        with watched.start() as daemon:
            daemon.ready()
            watched.append("a.jsonl", b"".join(lines(0, 600)))
            eventually(lambda: stored(collector) == 600)
            eventually(lambda: {span.name for span in collector.spans()} >= INGESTED)
            sent = daemon.samples().get("driftd_otlp_exports_total", signal="metrics", outcome="sent")
            assert sent is not None
            assert daemon.stop() == 0
            output = daemon.text
        with watched.start() as again:
            again.ready()
            eventually(lambda: any(r.body.string_value == "listening" for r in collector.records()[4:]))

    assert {headers["x-scope"] for headers in collector.headers} == {SCOPE}
    assert SCOPE not in output
    [resource] = {json.dumps(r, sort_keys=True) for r in collector.resources()}
    assert set(json.loads(resource)) == {"service.name", "service.version", "service.instance.id"}
    assert "stopped reading" in {record.body.string_value for record in collector.records()}
    started = {
        point.start_time_unix_nano
        for request in collector.metrics
        for metric in request.resource_metrics[0].scope_metrics[0].metrics
        if metric.name == "driftd_events_stored_total"
        for point in metric.sum.data_points
    }
    assert len(started) == 1  # a restart is no reset: the counters are those of the state


def test_a_trace_goes_from_the_poll_to_the_join_and_the_webhook(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SCOPE", SCOPE)
    (tmp_path / "secret").write_text("c2VjcmV0IHNlY3JldCBzZWNyZXQgc2VjcmV0")
    with over_http(Collector()) as collector:
        text = JOINED.replace("PORT", str(free_port()))
        watched = project(tmp_path, collector.endpoint, text=text)
        with watched.start() as daemon:
            daemon.ready()
            rows = lines(0, 12_000)
            outcomes = [
                json.dumps({"id": json.loads(row)["id"], "at": json.loads(row)["at"], "y_true": 1}).encode()
                + b"\n"
                for row in rows[:9_000]
            ]
            watched.append("o-1.jsonl", b"".join(outcomes))
            watched.append("p-1.jsonl", b"".join(row.replace(b'"x": ', b'"x": 9') for row in rows))
            eventually(lambda: {s.name for s in collector.spans()} >= {*INGESTED, "join", "deliver"})
    spans = {span.span_id: span for span in collector.spans()}
    deliver = next(span for span in spans.values() if span.name == "deliver")
    join = next(span for span in spans.values() if span.name == "join")

    assert spans[deliver.parent_span_id].name == "commit"
    assert attributes(deliver) == {"webhook": "training", "outcome": "connect"}
    assert spans[join.parent_span_id].name == "close window"
    told = [r for r in collector.records() if r.body.string_value == "episode started"]
    assert told
    assert {r.trace_id for r in told} <= {span.trace_id for span in spans.values()}


def test_the_daemon_goes_on_while_the_collector_is_away_and_tells_it_all_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SCOPE", SCOPE)
    port = free_port()
    watched = project(tmp_path, f"http://127.0.0.1:{port}")
    with watched.start() as daemon:
        daemon.ready()
        watched.append("a.jsonl", b"".join(lines(0, 600)))
        eventually(lambda: daemon.samples().total("driftd_events_stored_total") == 600)
        eventually(lambda: daemon.samples().total("driftd_otlp_exports_total", outcome="connect") > 1)
        assert daemon.get("/readyz")[0] == 200
        assert daemon.samples().total("driftd_otlp_pending") > 0
        with over_http(Collector(), port) as collector:
            eventually(lambda: stored(collector) == 600)
            eventually(lambda: {span.name for span in collector.spans()} >= INGESTED)
            eventually(lambda: "the collector takes what is sent again" in daemon.text)
        assert daemon.samples().total("driftd_otlp_dropped_total") == 0
        assert daemon.stop() == 0
    assert daemon.text.count("does not take what is sent") <= 2


def test_nothing_goes_where_only_the_environment_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with over_http(Collector()) as stranger, over_http(Collector()) as collector:
        for name, value in strange(stranger.endpoint).items():
            monkeypatch.setenv(name, value)
        (tmp_path / "silent").mkdir()
        silent = made(tmp_path / "silent", config("1m", "1s"))
        silent.append("a.jsonl", b"".join(lines(0, 600)))
        assert "600" in silent.once()
        watched = project(tmp_path, collector.endpoint)
        with watched.start() as daemon:
            daemon.ready()
            watched.append("a.jsonl", b"".join(lines(0, 600)))
            eventually(lambda: stored(collector) == 600 and collector.traces and collector.logs)

    assert not stranger.headers
    assert not any("stranger" in json.dumps(headers) for headers in collector.headers)
    assert not any("stranger" in json.dumps(resource) for resource in collector.resources())


def strange(endpoint: str) -> dict[str, str]:
    """Return an environment that wants everything elsewhere, and otherwise."""
    signals = ("", "METRICS_", "TRACES_", "LOGS_")
    found = {f"OTEL_EXPORTER_OTLP_{signal}ENDPOINT": endpoint for signal in signals}
    found |= {f"OTEL_EXPORTER_OTLP_{signal}HEADERS": "x-stranger=stranger" for signal in signals}
    found |= {f"OTEL_EXPORTER_OTLP_{signal}CERTIFICATE": "/nowhere" for signal in signals}
    found |= dict.fromkeys(("http_proxy", "HTTP_PROXY", "https_proxy", "ALL_PROXY", "grpc_proxy"), endpoint)
    return found | {
        "SCOPE": SCOPE,
        "OTEL_RESOURCE_ATTRIBUTES": "who=stranger",
        "OTEL_SERVICE_NAME": "stranger",
        "OTEL_TRACES_SAMPLER": "always_off",
        "OTEL_METRIC_EXPORT_INTERVAL": "1",
        "OTEL_ATTRIBUTE_COUNT_LIMIT": "none of these",
        "OTEL_BSP_MAX_QUEUE_SIZE": "0",
        "OTEL_PYTHON_METER_PROVIDER": "stranger",
    }


def test_one_pass_tells_the_collector_before_it_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SCOPE", SCOPE)
    with over_http(Collector()) as collector:
        watched = project(tmp_path, collector.endpoint)
        watched.append("a.jsonl", b"".join(lines(0, 600)))
        watched.once("--flush")

    assert stored(collector) == 600
    assert {span.name for span in collector.spans()} >= INGESTED
