"""The way to the collector over HTTP and gRPC, with TLS and headers; away, slow, refusing, back again."""

import socket
import ssl
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import grpc  # type: ignore[import-untyped]
import pytest
import trustme

from exporters.catalog import Sample
from exporters.otlp.bounded_queue import BoundedQueue
from exporters.otlp.exporter import Exporter, Pace, World
from exporters.otlp.grpc_sending import GrpcSender
from exporters.otlp.identity import Identity
from exporters.otlp.metrics import Times
from exporters.otlp.sending import Failed, HttpSender, Sender, Taken
from exporters.otlp.streams import Queued, Snapshots, Stream
from exporters.otlp.traces import encode, tracer
from tests.collectors import Collector, over_grpc, over_http
from tests.ports import free_port
from tests.programs import eventually

ME = Identity("driftd", "1", "x")
TIMES = Times(3, 1, 2)
SAMPLES = [Sample("driftd_features_firing", ("m",), 3), Sample("driftd_ingest_ok", (), 1)]
Way = tuple[Callable[..., AbstractContextManager[Collector]], Callable[..., Sender]]
WAYS: dict[str, Way] = {"http": (over_http, HttpSender), "grpc": (over_grpc, GrpcSender)}


@pytest.fixture(params=sorted(WAYS))
def way(request: pytest.FixtureRequest) -> Way:
    return WAYS[request.param]


def metrics() -> Snapshots:
    return Snapshots(lambda: SAMPLES, lambda: TIMES, ME)


def spans(count: int, limit: int = 2_000) -> Queued:
    queue = BoundedQueue[Any](limit)
    made = tracer(ME, 1.0, queue, time.time_ns)
    for i in range(count):
        with made.span(f"span {i}"):
            pass
    return Queued("traces", queue, encode)


@contextmanager
def exporting(
    streams: list[Stream], sender: Sender, told: list[str] | None = None, **pace: float
) -> Iterator[Exporter]:
    said: list[str] = [] if told is None else told
    world = World(time.time_ns, lambda: {"X-Key": "one"}, said.append, (Exception,))
    exporter = Exporter(streams, sender, Pace(pace.get("interval", 0.05), pace.get("timeout", 5.0)), world)
    exporter.start()
    try:
        yield exporter
    finally:
        exporter.close(5.0)


def numbers(exporter: Exporter) -> dict[tuple[str, ...], float]:
    found = exporter.samples()
    return {(s.name, *s.labels): s.value for s in found if isinstance(s.value, int | float)}


def test_metrics_and_spans_arrive_with_the_configured_headers(way: Way) -> None:
    run, make = way
    with (
        run(Collector()) as collector,
        exporting([metrics(), spans(3)], make(collector.endpoint)) as exporter,
    ):
        eventually(lambda: collector.metrics and len(collector.spans()) == 3)

        assert [span.name for span in collector.spans()] == ["span 0", "span 1", "span 2"]
        assert {headers["x-key"] for headers in collector.headers} == {"one"}
        assert all(headers["user-agent"].startswith("driftd/") for headers in collector.headers)
        eventually(lambda: ("driftd_otlp_exports_total", "traces", "sent") in numbers(exporter))
        assert numbers(exporter)["driftd_otlp_pending", "traces"] == 0
        assert numbers(exporter)["driftd_otlp_dropped_total", "traces"] == 0
        assert numbers(exporter)["driftd_otlp_last_success_timestamp_seconds", "traces"] > 1e9


def test_all_is_sent_after_the_collector_was_away(way: Way) -> None:
    run, make = way
    port, told = free_port(), list[str]()
    sender = make(f"http://127.0.0.1:{port}")
    with exporting([metrics(), spans(700)], sender, told) as exporter:
        eventually(lambda: told == ["connect"])
        assert numbers(exporter)["driftd_otlp_pending", "traces"] == 700
        with run(Collector(), port) as collector:
            eventually(lambda: len(collector.spans()) == 700 and collector.metrics)
            eventually(lambda: told == ["connect", ""])

            names = [span.name for span in collector.spans()]
            assert names == [f"span {i}" for i in range(700)]
            assert numbers(exporter)["driftd_otlp_dropped_total", "traces"] == 0


@pytest.mark.parametrize(
    ("name", "answers", "word", "again"),
    [
        ("http", [503], "server_error", True),
        ("http", [429], "throttled", True),
        ("http", [500], "server_error", False),
        ("http", [404], "client_error", False),
        ("http", [307], "redirect", False),
        ("grpc", [grpc.StatusCode.UNAVAILABLE], "connect", True),
        ("grpc", [grpc.StatusCode.RESOURCE_EXHAUSTED], "throttled", True),
        ("grpc", [grpc.StatusCode.UNAUTHENTICATED], "client_error", False),
        ("grpc", [grpc.StatusCode.INTERNAL], "server_error", False),
    ],
)
def test_what_may_be_sent_again_is_and_the_rest_is_given_up_and_counted(
    name: str, answers: list[Any], word: str, *, again: bool
) -> None:
    run, make = WAYS[name]
    with (
        run(Collector(answers=answers)) as collector,
        exporting([spans(3)], make(collector.endpoint)) as exporter,
    ):
        eventually(lambda: ("driftd_otlp_exports_total", "traces", word) in numbers(exporter))
        eventually(lambda: numbers(exporter)["driftd_otlp_pending", "traces"] == 0)

        assert numbers(exporter)["driftd_otlp_exports_total", "traces", word] == 1
        assert numbers(exporter)["driftd_otlp_dropped_total", "traces"] == (0 if again else 3)
        assert len(collector.spans()) == (3 if again else 0)


def test_a_refused_signal_does_not_keep_the_others_from_being_sent() -> None:
    with (
        over_http(Collector(answers=[404])) as collector,
        exporting([metrics(), spans(3)], HttpSender(collector.endpoint)) as exporter,
    ):
        eventually(lambda: len(collector.spans()) == 3)
        assert numbers(exporter)["driftd_otlp_dropped_total", "metrics"] == len(SAMPLES)


def test_the_collectors_wish_to_wait_is_heard() -> None:
    collector = Collector(answers=[429], retry_after="120")
    with over_http(collector):
        found = HttpSender(collector.endpoint).send("logs", b"", {}, 5.0)

    assert found == Failed("throttled", again=True, after=120.0)


@pytest.mark.parametrize("retry_after", ["", "Thu, 01 Jan 2037 00:00:00 GMT", "-5", "soon", "9" * 40])
def test_a_wish_that_is_no_number_of_seconds_is_not(retry_after: str) -> None:
    collector = Collector(answers=[503], retry_after=retry_after)
    with over_http(collector):
        found = HttpSender(collector.endpoint).send("logs", b"", {}, 5.0)

    assert found == Failed("server_error", again=True, after=None)


def test_what_the_collector_refuses_of_a_request_is_counted(way: Way) -> None:
    run, make = way
    with (
        run(Collector(partial=2)) as collector,
        exporting([metrics(), spans(3)], make(collector.endpoint)) as exporter,
    ):
        eventually(lambda: numbers(exporter)["driftd_otlp_dropped_total", "metrics"] >= 2)
        eventually(lambda: numbers(exporter)["driftd_otlp_dropped_total", "traces"] == 2)

    assert numbers(exporter)["driftd_otlp_dropped_total", "traces"] == 2


def test_an_answer_that_is_no_protobuf_is_still_a_yes() -> None:
    sender = HttpSender("http://127.0.0.1:1")
    assert sender.send("metrics", b"", {}, 1.0) == Failed("connect", again=True)
    from exporters.otlp.sending import rejected  # noqa: PLC0415 - beside what it is for

    assert rejected("metrics", b"<html>fine</html>") == 0


def test_a_collector_that_never_answers_takes_no_longer_than_the_timeout(way: Way) -> None:
    _, make = way
    with socket.create_server(("127.0.0.1", 0)) as silent:
        sender = make(f"http://127.0.0.1:{silent.getsockname()[1]}")
        found = sender.send("metrics", b"", {}, 0.2)
        sender.close()

    assert isinstance(found, Failed)
    assert found.again


def test_closing_does_not_wait_for_a_collector_that_never_answers(way: Way) -> None:
    _, make = way
    with socket.create_server(("127.0.0.1", 0)) as silent:
        sender = make(f"http://127.0.0.1:{silent.getsockname()[1]}")
        told: list[str] = []
        world = World(time.time_ns, dict, told.append, (Exception,))
        exporter = Exporter([metrics(), spans(5)], sender, Pace(0.01, 3600.0), world)
        exporter.start()
        time.sleep(0.1)
        exporter.close(0.3)
    eventually(lambda: not exporter.is_running)
    assert not exporter.is_running


def test_what_is_there_is_sent_when_it_is_closed(way: Way) -> None:
    run, make = way
    with run(Collector()) as collector:
        with exporting([metrics(), spans(5)], make(collector.endpoint), interval=3600.0):
            assert not collector.metrics
        assert len(collector.metrics) == 1
        assert len(collector.spans()) == 5


def test_an_hour_without_a_collector_takes_no_more_room_than_the_queue_has() -> None:
    stream = spans(10_000, limit=100)
    with exporting([stream], HttpSender(f"http://127.0.0.1:{free_port()}")) as exporter:
        eventually(lambda: ("driftd_otlp_exports_total", "traces", "connect") in numbers(exporter))

        assert numbers(exporter)["driftd_otlp_pending", "traces"] == 100
        assert numbers(exporter)["driftd_otlp_dropped_total", "traces"] == 9_900


def test_a_fault_of_our_own_is_counted_and_told_and_the_thread_goes_on() -> None:
    told: list[str] = []
    turns: list[int] = []

    def snapshot() -> list[Sample]:
        turns.append(1)
        if len(turns) == 1:
            raise ZeroDivisionError("a value that nobody may see")
        return SAMPLES

    broken = Snapshots(snapshot, lambda: TIMES, ME)
    with (
        over_http(Collector()) as collector,
        exporting([broken], HttpSender(collector.endpoint), told) as exporter,
    ):
        eventually(lambda: collector.metrics)

        assert numbers(exporter)["driftd_otlp_exports_total", "metrics", "internal"] == 1
        eventually(lambda: len(told) > 1)
        assert told[:2] == ["ZeroDivisionError", ""]


def test_spans_that_cannot_be_written_are_counted() -> None:
    queue = BoundedQueue[Any](10)
    queue.put("no span")
    stream = Queued("traces", queue, encode)
    with exporting([stream], HttpSender("http://127.0.0.1:1")) as exporter:
        eventually(lambda: stream.dropped == 1)
        assert numbers(exporter)["driftd_otlp_pending", "traces"] == 0


def certified(way_name: str, authority: trustme.CA) -> Any:  # noqa: ANN401 - what the server takes
    made = authority.issue_cert("127.0.0.1")
    if way_name == "grpc":
        pair = (made.private_key_pem.bytes(), made.cert_chain_pems[0].bytes())
        return grpc.ssl_server_credentials([pair])
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.configure_cert(context)
    return context


@pytest.mark.parametrize("name", sorted(WAYS))
def test_a_private_authority_is_trusted_where_it_is_named_and_only_there(name: str, tmp_path: Path) -> None:
    authority = trustme.CA()
    ca_file = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(str(ca_file))
    run, make = WAYS[name]
    with run(Collector(), tls=certified(name, authority)) as collector:
        trusting, other = make(collector.endpoint, ca_file), make(collector.endpoint)
        assert trusting.send("metrics", b"", {}, 10.0) == Taken()
        assert isinstance(other.send("metrics", b"", {}, 2.0), Failed)
        trusting.close()
        other.close()
    assert len(collector.metrics) == 1


def test_a_path_of_the_endpoint_comes_before_the_signals() -> None:
    with over_http(Collector()) as collector:
        assert HttpSender(collector.endpoint + "/").send("metrics", b"", {}, 5.0) == Taken()
        assert isinstance(HttpSender(collector.endpoint + "/otlp").send("metrics", b"", {}, 5.0), Failed)
    assert len(collector.metrics) == 1
