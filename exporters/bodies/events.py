"""Receivers that take the whole event: Airflow's DAG runs, GitHub's repository_dispatch, Argo's events.

Each gets the event's id, type, timestamp and data, and the configured arguments beside them.
"""

from collections.abc import Mapping

from exporters.bodies.arguments import Value, filled
from exporters.bodies.message import Event, Form, Message, compact

PARTS = ("id", "type", "timestamp", "data")
"""What every event has; no argument can have these names."""

CONFLICT = 409
GITHUB_HEADERS = ((b"accept", b"application/vnd.github+json"), (b"x-github-api-version", b"2022-11-28"))
GITHUB_MOST = 10
"""Top-level properties of a client_payload."""


def airflow(arguments: Mapping[str, Value], *, first_api: bool) -> Form:
    """Return the form of POST dags/{dag_id}/dagRuns: the event is the run's conf.

    first_api: /api/v1 of Airflow 2, which knows no logical_date of null; /api/v2 wants one. The run's id is
    the event's, so Airflow answers a repetition with 409.
    """

    def write(event: Event) -> Message:
        run = {"dag_run_id": event.id, "conf": _event(event, arguments)}
        return Message(compact(run if first_api else {**run, "logical_date": None}))

    return Form(write, frozenset({CONFLICT}))


def github(event_type: str, arguments: Mapping[str, Value]) -> Form:
    """Return the form of POST repos/{owner}/{repo}/dispatches: the event is the client_payload."""

    def write(event: Event) -> Message:
        dispatch = {"event_type": event_type, "client_payload": _event(event, arguments)}
        return Message(compact(dispatch), headers=GITHUB_HEADERS)

    return Form(write)


def argo(arguments: Mapping[str, Value]) -> Form:
    """Return the form of an Argo events endpoint, which takes any JSON as its payload."""
    return Form(lambda event: Message(compact(_event(event, arguments))))


def _event(event: Event, arguments: Mapping[str, Value]) -> dict[str, object]:
    return {**filled(arguments, event), **event.parts()}
