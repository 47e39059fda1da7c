"""An event, the message that tells of it, and what makes the one of the other."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any


class BodyError(ValueError):
    """An event could not be written in its receiver's form; the text says why, without any secret."""


@dataclass(frozen=True, slots=True)
class Event:
    """What happened. id: the idempotency key. text: the JSON of docs/webhook.schema.json."""

    id: str
    text: bytes = field(repr=False)

    def parts(self) -> dict[str, Any]:
        """Return id, type, timestamp and data; what the text lacks is empty."""
        known = json.loads(self.text)
        stated = {name: known.get(name, "") for name in ("type", "timestamp")}
        return {"id": self.id, **stated, "data": known.get("data", {})}


@dataclass(frozen=True, slots=True)
class Message:
    """One request. headers: besides those of every request. query: added to the URL, percent-encoded."""

    body: bytes
    content_type: bytes = b"application/json"
    headers: tuple[tuple[bytes, bytes], ...] = ()
    query: bytes = b""


@dataclass(frozen=True, slots=True)
class Form:
    """How one kind of receiver wants to be told.

    write: equal events give equal messages, so that a retry is a repetition; raises BodyError. repeated: the
    statuses that say "I have it already", which are as good as 2xx.
    """

    write: Callable[[Event], Message]
    repeated: frozenset[int] = frozenset()


def compact(document: Mapping[str, Any]) -> bytes:
    """Return a document as JSON; equal documents give equal bytes."""
    text = json.dumps(document, sort_keys=True, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return text.encode()


def standard() -> Form:
    """Return driftd's own form: the event as it is; the id is in the header webhook-id."""
    return Form(lambda event: Message(event.text))


EXAMPLE = Event(
    "msg_0123456789abcdef01234567",
    compact(
        {
            "type": "driftd.retrain.requested",
            "timestamp": "2026-03-01T00:00:00Z",
            "data": {
                "schema_version": 1,
                "model": "car-loan",
                "versions": ["v2"],
                "window": {"start": "2026-02-28T00:00:00Z", "end": "2026-03-01T00:00:00Z"},
                "reference": "sha256:5f2c",
                "monitors": [
                    {
                        "kind": "drift",
                        "detector": "ks",
                        "feature": "income",
                        "segment": "all",
                        "version": "v2",
                        "score": 0.6,
                        "threshold": 0.2,
                        "episode": "ep-income",
                    }
                ],
                "omitted": 0,
                "episodes": [
                    {
                        "id": "ep-income",
                        "cause": "",
                        "onset": "2026-02-27T00:00:00Z",
                        "agree": True,
                        "features": [
                            {"feature": "income", "share": 0.81, "effect": 0.52, "what": "location"}
                        ],
                        "segment": None,
                        "version": None,
                        "change": None,
                        "record": "9f86d081...",
                    }
                ],
            },
        }
    ),
)
"""The event of docs/webhooks.md; `driftd check` tries templates on it."""
