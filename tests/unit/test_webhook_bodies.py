"""Bodies for other kinds of receivers: whatever the event holds, they are JSON, the same ones each time."""

import json
import logging
from collections.abc import Callable
from pathlib import Path

import pytest
from cloudevents.core.bindings.http import HTTPMessage, from_structured
from cloudevents.core.formats.json import JSONFormat
from hypothesis import given
from hypothesis import strategies as st

from exporters import auth
from exporters.base import Delivered, Notification, Reason, Retry
from exporters.bodies import events, pipelines
from exporters.bodies.arguments import FIELDS, Value, fields, filled, unknown
from exporters.bodies.cloud_event import cloud_event
from exporters.bodies.message import EXAMPLE, BodyError, Event, Form
from exporters.bodies.template import RENDERED_BYTES, template
from exporters.contract import Answer, ScriptedReceiver
from exporters.webhook import Webhook
from monitor.clock import SystemClock
from monitor.core.retrain import ClosedWindow, Firing, Rule, body, message_id
from tests.json_schema import faults
from tests.pipeline_services import (
    BatchJob,
    DagRun1,
    DagRun2,
    Dispatch,
    KubeflowRun,
    PipelineJob,
    Shape,
    StartPipelineExecution,
)

SCHEMA = json.loads((Path(__file__).parents[2] / "docs" / "webhook.schema.json").read_text())
EVERY = {name: f"${name}" for name in FIELDS}
SHORT = {name: value for name, value in EVERY.items() if name != "event"}
ARGUMENTS: dict[str, Value] = {**SHORT, "epochs": 10, "rate": 0.5, "dry": True, "cost": "$$5"}
RUN = pipelines.Run("retraining", ARGUMENTS, "v1", "e1", "trainer")
AZURE, GOOGLE = pipelines.azureml(ARGUMENTS, "blue"), pipelines.Run("https://kfp/x", ARGUMENTS)
SHAPES: tuple[tuple[type[Shape], Form], ...] = (
    (DagRun2, events.airflow(EVERY | {"id2": "$id"}, first_api=False)),
    (DagRun1, events.airflow({"note": "$model"}, first_api=True)),
    (Dispatch, events.github("retrain", {"a": "$kinds", "b": 1})),
    (KubeflowRun, pipelines.kubeflow(RUN)),
    (StartPipelineExecution, pipelines.sagemaker(RUN)),
    (PipelineJob, pipelines.vertex(GOOGLE, "gs://bucket/x")),
    (BatchJob, AZURE),
)
words = st.text(max_size=200)
firings = st.builds(
    Firing,
    kind=st.sampled_from(["drift", "performance", "quality"]),
    detector=words,
    feature=words,
    segment=words,
    version=words,
    score=st.none() | st.floats(),
    threshold=st.none() | st.floats(),
    episode=words,
)


def made(model: str, fires: list[Firing]) -> Event:
    """Return the event as the core makes it."""
    rule = Rule(model, "training", frozenset({"drift"}), 0, 1)
    window = ClosedWindow(1_772_236_800_000_000, 1_772_323_200_000_000, "sha256:5f2c")
    episodes = frozenset(f.episode for f in fires)
    return Event(message_id(rule, episodes, window.end), body(rule, fires, window).encode())


real = st.builds(made, words, st.lists(firings, min_size=1, max_size=60))


@given(real)
def test_the_schema_holds_for_every_event(event: Event) -> None:
    known = json.loads(event.text)
    if not known["data"]["monitors"]:
        known["data"]["monitors"] = json.loads(EXAMPLE.text)["data"]["monitors"]  # none of them fits: counted
    assert faults(SCHEMA, known) == []


@given(real)
def test_every_form_is_the_published_one_whatever_the_event_holds(event: Event) -> None:
    for shape, form in SHAPES:
        message = form.write(event)
        assert isinstance(shape.model_validate_json(message.body), shape)
        assert form.write(event) == message
        assert message.query in {b"", b"pipelineJobId=" + event.id.replace("_", "-").encode()}


@given(real)
def test_every_event_is_a_cloud_event_that_its_library_reads(event: Event) -> None:
    message = cloud_event("/driftd").write(event)
    told = from_structured(
        HTTPMessage({"content-type": message.content_type.decode()}, message.body), JSONFormat()
    )

    assert message.content_type == b"application/cloudevents+json"
    assert (told.get_id(), told.get_source()) == (event.id, "/driftd")
    assert told.get_data() == event.parts()["data"]
    assert len(message.body) < 2**16


def test_each_name_stands_for_its_part() -> None:
    assert filled({**EVERY, "fixed": 1, "dollar": "$$x"}, EXAMPLE) == {
        "id": EXAMPLE.id,
        "type": "driftd.retrain.requested",
        "timestamp": "2026-03-01T00:00:00Z",
        "model": "car-loan",
        "versions": "v2",
        "kinds": "drift",
        "features": "income",
        "window_start": "2026-02-28T00:00:00Z",
        "window_end": "2026-03-01T00:00:00Z",
        "reference": "sha256:5f2c",
        "event": json.dumps({"id": EXAMPLE.id, **json.loads(EXAMPLE.text)}, sort_keys=True)
        .replace(": ", ":")
        .replace(", ", ","),
        "fixed": 1,
        "dollar": "$x",
    }
    assert set(fields(EXAMPLE)) == set(FIELDS)
    assert unknown({"a": "$modle", "b": "$", "c": "$$x", "d": "x", "e": 1, "f": "$id"}) == ["a", "b"]


def test_an_event_of_another_type_is_written_too() -> None:
    event = Event("msg_test", b'{"type":"driftd.test","timestamp":"2026-03-01T00:00:00Z","data":{}}')

    for shape, form in SHAPES:
        assert isinstance(shape.model_validate_json(form.write(event).body), shape)
    assert json.loads(cloud_event("/x").write(event).body)["subject"] == "driftd"


def test_sagemakers_values_are_texts_that_fit() -> None:
    wide = made(
        "m" * 120, [Firing("drift", "ks", f"f{i}" * 40, "all", "v", 1.0, 0.1, f"e{i}") for i in range(40)]
    )
    sent = json.loads(pipelines.sagemaker(RUN).write(wide).body)
    values = {pair["Name"]: pair["Value"] for pair in sent["PipelineParameters"]}

    assert {values[name] for name in ("epochs", "rate", "dry", "cost")} == {"10", "0.5", "true", "$5"}
    assert len(values["features"]) == 1024


def test_a_template_gives_what_it_says() -> None:
    source = '{"m": {{ data.model | tojson }}, "n": {{ data.monitors | length }}, "key": {{ id | tojson }}}'

    assert template(source).write(EXAMPLE).body == (
        b'{"m": "car-loan", "n": 1, "key": "msg_0123456789abcdef01234567"}'
    )


@pytest.mark.parametrize(
    ("source", "says"),
    [
        ("{{ ", "line 1 of the template: unexpected"),
        ("[\n{% for %}]", "line 2 of the template: "),
        ("{{ nobody }}", "UndefinedError: 'nobody' is undefined"),
        ("{{ data.nobody | tojson }}", "UndefinedError: 'dict object' has no attribute 'nobody'"),
        ("{{ data.monitors | map('upper') | tojson }}", "a generator is not JSON; add | list"),
        ("{{ 1 / 0 }}", "ZeroDivisionError"),
        ("{{ 'a' + 1 }}", "TypeError"),
        ("{{ data.model }}", "is not JSON at line 1"),
        ('{"a": NaN}', "is not JSON; write"),
        ("", "is not JSON at line 1"),
        ("[" * 9_000, "is not JSON"),
        ("{% for i in range(99999) %}{{ data.monitors }}{% endfor %}", "more than 65,536 bytes"),
        ("{% include '/etc/passwd' %}", "no loader for this environment"),
        ("{{ ''.__class__.__mro__ }}", "SecurityError: access to attribute '__class__'"),
        ("{{ data.update({'model': 'x'}) }}", "SecurityError"),
        ("{{ range(10**9) | list }}", "OverflowError: Range too big"),
    ],
)
def test_a_template_that_cannot_be_used_says_why(source: str, says: str) -> None:
    with pytest.raises(BodyError) as caught:
        template(source).write(EXAMPLE)

    assert says in str(caught.value)
    assert "\n" not in str(caught.value)
    assert "root:" not in str(caught.value)


def test_a_template_as_long_as_it_may_be_is_sent() -> None:
    text = json.dumps("x" * (RENDERED_BYTES - 2))

    assert template(text).write(EXAMPLE).body == text.encode()
    with pytest.raises(BodyError, match="more than 65,536 bytes"):
        template(text + " ").write(EXAMPLE)


def test_a_template_that_fails_on_an_event_sends_nothing_and_is_tried_again(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    form = template('{"worst": {{ data.monitors[0].feature | tojson }}}')
    empty = b'{"type":"driftd.test","timestamp":"2026-03-01T00:00:00Z","data":{"monitors":[]}}'
    with ScriptedReceiver(Answer(204)) as receiver:
        sender = Webhook(receiver.url, auth.nobody(), 5, allow_private=True, form=form)
        now = SystemClock().now()
        got = [
            sender.send(Notification("msg_1", receiver.url, text, 0), now) for text in (empty, EXAMPLE.text)
        ]

    assert got == [Retry(Reason.BODY), Delivered(204)]
    assert [seen.body for seen in receiver.seen] == [b'{"worst": "income"}']


@pytest.mark.parametrize(
    ("form", "status", "delivered"),
    [
        (lambda: events.airflow({}, first_api=False), 409, True),
        (lambda: pipelines.vertex(GOOGLE, "gs://b/x"), 409, True),
        (lambda: pipelines.kubeflow(RUN), 409, False),
        (lambda: events.airflow({}, first_api=False), 404, False),
        (lambda: events.airflow({}, first_api=False), 422, False),
    ],
)
def test_only_where_the_key_is_the_runs_id_a_conflict_is_a_delivery(
    form: Callable[[], Form], status: int, *, delivered: bool
) -> None:
    with ScriptedReceiver(Answer(status)) as receiver:
        sender = Webhook(receiver.url, auth.nobody(), 5, allow_private=True, form=form())
        got = sender.send(Notification(EXAMPLE.id, receiver.url, EXAMPLE.text, 0), SystemClock().now())

    assert got == (Delivered(status) if delivered else Retry(Reason.CLIENT_ERROR))
