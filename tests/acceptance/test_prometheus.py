"""The live /metrics as others see it: promtool, the OpenMetrics parser, a real Prometheus, slow clients."""

import socket
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import polars as pl
import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics

from exporters.catalog import BY_NAME
from tests.programs import CAR_LOAN, Daemon, Project, Samples, eventually
from tests.prometheus import Prometheus, scraping

pytestmark = pytest.mark.acceptance

MODEL = "car-loan"
CONFIG = f"""
[daemon]
listen = "127.0.0.1:0"
commit_every = "100ms"
{CAR_LOAN}
window = "7d"
columns.score = "y_pred_proba"
columns.segments = ["salary_range"]
features.numeric = ["car_value", "loan_length"]
features.categorical = ["salary_range"]

[[models.sources]]
role = "predictions"
type = "files"
path = "logs/*.jsonl"
"""


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory, car_loans: pl.DataFrame) -> Iterator[Daemon]:
    """Run a daemon that has read a log with some drift, some bad lines, and text that needs escaping."""
    folder = tmp_path_factory.mktemp("prometheus")
    odd = pl.when(pl.col("salary_range") == "60K+ €").then(pl.lit('a "quoted"\\ \n line'))
    frame = car_loans.drop("period", "repaid").with_columns(salary_range=odd.otherwise("salary_range"))
    made = Project(folder).configure(CONFIG, frame.head(50_000))
    log = frame.slice(50_000, 20_000).write_ndjson().encode()
    made.append("predictions.jsonl", log + b"garbage\n" + log[: log.index(b"\n") + 1])
    with made.start() as running:
        running.ready()
        eventually(lambda: running.samples().total("driftd_events_received_total") == 20_002)
        yield running
        assert running.stop() == 0


def test_promtool_has_nothing_to_say(daemon: Daemon, program: Callable[[str], str]) -> None:
    text = daemon.get("/metrics")[2]

    said = subprocess.run(
        [program("promtool"), "check", "metrics"], input=text.encode(), capture_output=True, check=False
    )

    assert (said.returncode, said.stdout, said.stderr) == (0, b"", b"")


def test_every_series_is_in_the_catalogue_with_its_labels(daemon: Daemon) -> None:
    exposed = daemon.samples().values

    assert any(name == "driftd_drift_score" for name, _ in exposed)
    for name, labels in exposed:
        metric = (
            BY_NAME.get(name)
            or BY_NAME[name.removesuffix("_bucket").removesuffix("_count").removesuffix("_sum")]
        )
        assert {key for key, _ in labels} - {"le"} == set(metric.labels)


def test_the_loss_account_holds(daemon: Daemon) -> None:
    samples = daemon.samples()
    received, *rest = (
        samples.total(f"driftd_events_{what}_total")
        for what in ("received", "stored", "rejected", "duplicate", "late", "dropped")
    )
    assert received == sum(rest) == 20_002
    assert samples.total("driftd_events_rejected_total", reason="bad_json") == 1


def test_openmetrics_for_those_who_ask_for_it(daemon: Daemon) -> None:
    _, plain, _ = daemon.get("/metrics")
    status, kind, text = daemon.get("/metrics", accept="application/openmetrics-text; version=1.0.0")

    assert plain.startswith("text/plain")
    assert (status, kind.partition(";")[0]) == (200, "application/openmetrics-text")
    families = {family.name: family for family in parse_openmetrics(text)}  # type: ignore[no-untyped-call]  # the library has no types here
    assert families["driftd_events_stored"].type == "counter"
    stored = [s.value for s in families["driftd_events_stored"].samples if s.name.endswith("_total")]
    assert stored == [daemon.samples().total("driftd_events_stored_total")]


def test_health_readiness_and_nothing_else(daemon: Daemon) -> None:
    assert daemon.get("/healthz")[0] == 200
    assert daemon.get("/readyz")[0] == 200
    for path in ("/metrics/", "/nothing", "/metricsx"):
        assert daemon.get(path)[0] == 404


def test_slow_clients_and_clients_that_leave_block_nobody(daemon: Daemon) -> None:
    host, port = daemon.address.split(":")
    silent = [socket.create_connection((host, int(port))) for _ in range(40)]
    try:
        for number, one in enumerate(silent):
            one.sendall(b"GET /metrics HTTP/1.1\r\nHost: x\r\n" + (b"\r\n" if number % 2 else b"X-Slow: "))
        assert daemon.get("/metrics")[0] == 200
        assert daemon.get("/healthz")[0] == 200
    finally:
        for one in silent:
            one.close()
    assert daemon.get("/metrics")[0] == 200


@pytest.fixture
def prometheus(tmp_path: Path, daemon: Daemon, program: Callable[[str], str]) -> Iterator[Prometheus]:
    """Run a Prometheus that scrapes the daemon."""
    with scraping(program("prometheus"), daemon.address, tmp_path) as running:
        yield running


def test_a_real_prometheus_scrapes_it(prometheus: Prometheus, daemon: Daemon) -> None:
    eventually(lambda: prometheus.query("driftd_events_stored_total"))
    samples = daemon.samples()

    (stored,) = prometheus.query("driftd_events_stored_total")
    assert stored["metric"] == {
        "__name__": "driftd_events_stored_total",
        "model": MODEL,
        "source": "predictions-0",
        "instance": daemon.address,
        "job": "driftd",
    }
    assert float(stored["value"][1]) == samples.total("driftd_events_stored_total") == 20_000
    states = prometheus.query('driftd_drift_state{feature="car_value"}')
    assert states
    for state in states:
        labels = {k: v for k, v in state["metric"].items() if k not in ("__name__", "instance", "job")}
        labels.setdefault("version", "")  # to Prometheus an empty label is none
        assert float(state["value"][1]) == samples.get("driftd_drift_state", **labels)
    shown = {state["metric"]["state"] for state in states}
    assert {"ok", "firing", "pending", "insufficient_data", "no_reference", "stale", "error"} <= shown
    (up,) = prometheus.query("up")
    assert up["value"][1] == "1"
    one_hot = prometheus.query("sum without (state) (driftd_drift_state) != 1")
    assert one_hot == []


def test_labels_with_quotes_and_newlines_arrive_whole(prometheus: Prometheus, daemon: Daemon) -> None:
    segment = 'salary_range=a "quoted"\\ \n line'
    eventually(lambda: prometheus.query("driftd_reference_rows"))

    found = {each["metric"]["segment"] for each in prometheus.query("driftd_reference_rows")}

    assert segment in found
    assert daemon.samples().get("driftd_reference_rows", model=MODEL, segment=segment)


def test_the_command_says_what_the_daemon_says(daemon: Daemon, request: pytest.FixtureRequest) -> None:
    del request
    live = daemon.samples()
    said = Samples.of(Project(daemon.folder).driftd("metrics").stdout)

    own = (
        "driftd_commit_duration",
        "driftd_evaluation_duration",
        "driftd_ingest_ok",
        "driftd_resident",
        "process_",
    )
    now = ("driftd_ingest_lag", "driftd_source_problem", "driftd_config_last_reload")
    assert said.values == {key: v for key, v in live.values.items() if not key[0].startswith((*own, *now))}
