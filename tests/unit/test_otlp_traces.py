"""Spans and log records: sampled by the trace, without messages of errors, bound to their trace."""

import time
from concurrent.futures import Executor
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import pytest
from msgspec.structs import replace
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Status

from detectors.calibration import Calibrator
from exporters.base import Delivered, Delivery, Notification, Reason, Retry
from exporters.otlp import logs, traces
from exporters.otlp.bounded_queue import BoundedQueue
from exporters.otlp.identity import Identity
from exporters.tracing import LINKS, NO_TRACER, Links, TracedNotifier, Tracer, trace_id
from monitor.config import Monitor
from monitor.core.judging import BudgetJudge
from monitor.facts import model_samples
from monitor.store.memory import MemoryStore
from monitor.worker import Tools
from tests.collectors import Collector, attributes
from tests.lives import Cut, Process
from tests.logs import Row, model, plan_of

ME = Identity("driftd", "1", "x")


def made(ratio: float = 1.0) -> tuple[traces.SpanTracer, BoundedQueue[Any]]:
    queue = BoundedQueue[Any](10_000)
    return traces.tracer(ME, ratio, queue, time.time_ns), queue


def spans(queue: BoundedQueue[Any]) -> list[Any]:
    body = traces.encode(queue.take(10_000))
    return Collector(traces=[ExportTraceServiceRequest.FromString(body)]).spans()


def test_spans_form_a_tree_with_their_times_and_attributes() -> None:
    tracer, queue = made()
    with tracer.span("ingest", start=1_000, model="m", rows=3):
        tracer.record("poll", 1_000, 2_000)
        with tracer.span("commit"):
            tracer.note(entries=4)
    poll, commit, ingest = spans(queue)

    assert (poll.name, poll.start_time_unix_nano, poll.end_time_unix_nano) == ("poll", 1_000, 2_000)
    assert (ingest.name, ingest.start_time_unix_nano, ingest.parent_span_id) == ("ingest", 1_000, b"")
    assert {poll.parent_span_id, commit.parent_span_id} == {ingest.span_id}
    assert len({poll.trace_id, commit.trace_id, ingest.trace_id}) == 1
    assert attributes(ingest) == {"model": "m", "rows": 3}
    assert attributes(commit) == {"entries": 4}


def test_a_share_of_the_traces_is_kept_each_whole_or_not_at_all() -> None:
    tracer, queue = made(0.25)
    for _ in range(2_000):
        with tracer.span("ingest"), tracer.span("commit"):
            pass
    by_trace: dict[bytes, set[str]] = {}
    for span in spans(queue):
        by_trace.setdefault(span.trace_id, set()).add(span.name)

    assert 350 < len(by_trace) < 650
    assert all(names == {"ingest", "commit"} for names in by_trace.values())


def test_an_error_leaves_its_type_and_not_its_message() -> None:
    tracer, queue = made()
    with suppress(ValueError), tracer.span("take in"):
        raise ValueError("a row: 4711")
    [span] = spans(queue)

    assert span.status.code == Status.STATUS_CODE_ERROR
    assert attributes(span) == {"error.type": "ValueError"}
    assert b"4711" not in span.SerializeToString()


def test_the_open_span_can_be_named_and_gone_on_from() -> None:
    tracer, queue = made()
    with tracer.span("commit"):
        parent = tracer.current()
    with tracer.span("deliver", parent=parent):
        pass
    commit, deliver = spans(queue)

    assert deliver.parent_span_id == commit.span_id
    assert trace_id(parent) == commit.trace_id.hex() == deliver.trace_id.hex()
    assert tracer.current() == ""
    assert trace_id("") == ""


def test_what_goes_on_from_a_trace_that_is_not_kept_is_not_kept_either() -> None:
    tracer, queue = made(0.0)
    with tracer.span("commit"):
        parent = tracer.current()
    other, others = made(1.0)
    with other.span("deliver", parent=parent):
        pass

    assert parent
    assert trace_id(parent) == ""
    assert len(queue) == len(others) == 0


class Answering:
    """A notifier with one answer."""

    def __init__(self, answer: Delivery) -> None:
        self._answer = answer

    def send(self, _note: Notification, _now: datetime) -> Delivery:
        return self._answer


@pytest.mark.parametrize(("answer", "word"), [(Delivered(200), "sent"), (Retry(Reason.TIMEOUT), "timeout")])
def test_an_attempt_is_a_span_of_the_trace_in_which_its_note_was_written(answer: Delivery, word: str) -> None:
    tracer, queue = made()
    links = Links()
    with tracer.span("commit"):
        links.remember(["n1"], tracer.current())
    notifier = TracedNotifier(Answering(answer), "hook", tracer, links)
    found = notifier.send(Notification("n1", "http://u:p@h/", b"", 0), datetime.now(UTC))
    commit, deliver = spans(queue)

    assert found == answer
    assert deliver.trace_id == commit.trace_id
    assert attributes(deliver) == {"webhook": "hook", "outcome": word}


def test_only_the_newest_notes_are_remembered() -> None:
    links = Links()
    for i in range(LINKS + 10):
        links.remember([str(i)], f"t{i}")
    links.remember(["none"], "")

    assert [links.of(i) for i in ("9", "10", str(LINKS + 9), "none")] == ["", "t10", f"t{LINKS + 9}", ""]


def test_without_traces_nothing_happens() -> None:
    with NO_TRACER.span("ingest", model="m"):
        NO_TRACER.record("poll", 1, 2)
        NO_TRACER.note(rows=1)
        assert NO_TRACER.current() == ""
    assert NO_TRACER.now() == 0


def records(queue: BoundedQueue[Any]) -> list[Any]:
    body = logs.encode(queue.take(10_000))
    return Collector(logs=[ExportLogsServiceRequest.FromString(body)]).records()


def test_an_event_becomes_a_record_of_the_open_trace() -> None:
    queue = BoundedQueue[Any](10)
    tell = logs.bridge(ME, queue, lambda: 77)
    tracer, kept = made()
    with tracer.span("ingest"):
        event = {"event": "episode started", "level": "warning", "timestamp": "t", "model": "m", "score": 0.5}
        tell({**event, "none": None, "at": datetime(2026, 1, 1, tzinfo=UTC), "odd": {"a": 1}})
    tell({"event": "later"})
    [first, second], [span] = records(queue), spans(kept)

    assert (first.body.string_value, first.severity_text, first.severity_number) == (
        "episode started",
        "WARNING",
        13,
    )
    assert attributes(first) == {
        "model": "m",
        "score": 0.5,
        "at": "2026-01-01T00:00:00+00:00",
        "odd": "{'a': 1}",
    }
    assert (first.trace_id, first.span_id, first.time_unix_nano) == (span.trace_id, span.span_id, 77)
    assert (second.body.string_value, second.trace_id) == ("later", b"")


def test_an_episode_knows_the_trace_of_the_commit_in_which_it_began() -> None:
    tracer, queue = made()
    watched = model(monitors=(Monitor(detector="ks", threshold=0.0),))
    rows = [Row(f"{w}/{i}", w * 60 + i // 3, 900.0 + i) for w in range(3) for i in range(150)]
    process = Traced(watched, MemoryStore(), BudgetJudge(plan_of(watched), Calibrator()))
    process.tracer = tracer
    process.run(Cut(rows, [60]), flush=True)
    firing = {trip.episode for trip in process.worker.state.trips.values() if trip.episode}
    commits = {span.trace_id.hex() for span in spans(queue) if span.name == "commit"}

    assert firing
    assert set(process.worker.state.traces) == firing
    assert set(process.worker.state.traces.values()) <= commits
    shown = {
        dict(sample.exemplar.labels)["episode_id"]: dict(sample.exemplar.labels)["trace_id"]
        for sample in model_samples(plan_of(watched), process.worker.state)
        if sample.exemplar is not None
    }
    assert shown == process.worker.state.traces


class Traced(Process):
    """A life whose worker is traced."""

    tracer: Tracer = NO_TRACER

    def tools(self, ahead: Executor) -> Tools:
        return replace(super().tools(ahead), tracer=self.tracer)
