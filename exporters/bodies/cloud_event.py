"""CloudEvents 1.0, structured mode: one JSON document that holds attributes and data."""

from datetime import datetime

from cloudevents.core.bindings.http import to_structured
from cloudevents.core.formats.json import JSONFormat
from cloudevents.core.v1.event import CloudEvent

from exporters.bodies.message import Event, Form, Message

DATA_SCHEMA = "urn:driftd:webhook:retrain-requested:1#/properties/data"


def cloud_event(source: str) -> Form:
    """Return the form of a CloudEvent from that source; source and id together name it for ever."""

    def write(event: Event) -> Message:
        parts = event.parts()
        attributes = {
            "id": event.id,
            "source": source,
            "type": parts["type"],
            "time": datetime.fromisoformat(parts["timestamp"]),
            "datacontenttype": "application/json",
            "dataschema": DATA_SCHEMA,
            "subject": parts["data"].get("model") or "driftd",
        }
        told = to_structured(CloudEvent(attributes, parts["data"]), JSONFormat())
        return Message(told.body, told.headers["content-type"].encode())

    return Form(write)
