"""Episodes as Grafana's annotations: a region from the first firing window to the end of the last one."""

import json
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from exporters.base import Delivered, Delivery, Notification, Reason, Refused, Retry
from exporters.grafana import Connection, Grafana, GrafanaError

OK = 200
NEVER = frozenset({400})
"""Answers to what is wrong in itself: another attempt would say the same."""
REST = timedelta(seconds=3)
"""How long Grafana is left alone after it failed: less than until any note is tried again."""
Tell = Callable[[str], None]


class Annotator:
    """Notes of episodes, each of which becomes one annotation, however often it is sent.

    A note's body is JSON: `episode`, an id; `time` and `timeEnd` (null while it goes on), milliseconds;
    `tags`, one of which names the episode; `text`. tell: hears why Grafana took none, once while that stays.
    """

    def __init__(self, grafana: Grafana, tell: Tell) -> None:
        self._grafana = grafana
        self._tell = tell
        self._told = ""
        self._rest: tuple[datetime, Retry] | None = None

    def send(self, note: Notification, now: datetime) -> Delivery:
        """Create the episode's annotation, or give it its end; whatever Grafana does is a Delivery.

        After a failure that is not this note's own, those that follow at once fail as it did, unasked: a
        thousand episodes do not wait a thousand times for a Grafana that hangs.
        """
        if self._rest is not None and now < self._rest[0]:
            return self._rest[1]
        try:
            with self._grafana.connected() as connection:
                annotate(connection, json.loads(note.body))
        except GrafanaError as error:
            self._say(str(error))
            status = error.status or None
            if error.status in NEVER:
                return Refused(error.reason, status=status)
            waited = self._grafana.timeout_seconds if error.reason is Reason.TIMEOUT else 0.0
            failed = Retry(error.reason, status=status)
            self._rest = now + timedelta(seconds=waited) + REST, failed
            return failed
        self._rest = None
        self._say("")
        return Delivered(OK)

    def _say(self, says: str) -> None:
        if says and says != self._told:
            self._tell(says)
        self._told = says


def annotate(connection: Connection, wanted: dict[str, Any]) -> None:
    """Make Grafana hold this episode's annotation, once. Raises GrafanaError.

    One that has its end keeps it when a note without one, or with an earlier one, comes late.
    """
    mark = next(tag for tag in wanted["tags"] if tag == f"episode:{wanted['episode']}")
    doing = f"Grafana, the annotation of {wanted['episode']}"
    found = connection.ask(doing, lambda api: api.annotations.find_annotations(tags=[mark], limit=10), list)
    if not found:
        times = {"time_from": wanted["time"], "time_to": wanted["timeEnd"]}
        connection.ask(
            doing,
            lambda api: api.annotations.add_annotation(**times, tags=wanted["tags"], text=wanted["text"]),
        )
        return
    for known in found:
        _finish(connection, doing, known, wanted)


def _finish(connection: Connection, doing: str, known: Any, wanted: dict[str, Any]) -> None:  # noqa: ANN401 - JSON
    if not isinstance(known, dict) or not isinstance(known.get("id"), int):
        raise GrafanaError(f"{doing}: what Grafana found has no number; correct url", Reason.PROTOCOL)
    if wanted["timeEnd"] is None or (known.get("timeEnd") or 0) >= wanted["timeEnd"]:
        return
    connection.ask(
        doing,
        lambda api: api.annotations.partial_update_annotation(
            known["id"],
            time_from=wanted["time"],
            time_to=wanted["timeEnd"],
            tags=wanted["tags"],  # without them the client sends none, and Grafana would forget them
            text=wanted["text"],
        ),
    )
