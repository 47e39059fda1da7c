"""The audit log of webhooks: what every request came to, in the same commit as what followed from it.

The log is a ring of entries in the store and no file beside it: a line cannot be lost, torn or written twice
when the outcome it tells of is not, and its size needs no care. `driftd webhooks audit` prints it.
"""

import json
from collections.abc import Mapping

from msgspec import Struct
from msgspec.structs import asdict

from exporters.base import Delivered, Delivery
from monitor.core.outbox import Note
from monitor.types import EntryKey, Micros

SPACE = "audit"
KEPT = 10_000
"""Requests remembered; the next one takes the place of the oldest."""

DELIVERED = "delivered"


class Sent(Struct, frozen=True):
    """One attempt as it was made. note: as it was before. at: wall clock when it began, microseconds."""

    note: Note
    delivery: Delivery
    at: Micros
    milliseconds: int


class Line(Struct, frozen=True):
    """One line of the audit log. It holds no URL, no secret and nothing of a body.

    at: wall clock when the request began, microseconds. attempt: counted from 1. outcome: "delivered", or the
    reason why not. status: what the receiver answered, None when it did not.
    """

    at: Micros
    id: str
    webhook: str
    model: str
    attempt: int
    outcome: str
    status: int | None
    milliseconds: int


def line(sent: Sent) -> Line:
    """Return what the log says of an attempt."""
    note, how = sent.note, sent.delivery
    outcome = DELIVERED if isinstance(how, Delivered) else str(how.reason)
    whose = (note.id, note.endpoint, note.model)
    return Line(sent.at, *whose, note.attempts + 1, outcome, how.status, sent.milliseconds)


def entry(number: int, written: Line) -> tuple[EntryKey, bytes]:
    """Return the entry that appends a line. number: how many were written before it."""
    document = {"number": number, **asdict(written)}
    return (SPACE, "", f"{number % KEPT:04d}"), json.dumps(document, separators=(",", ":")).encode()


def written_before(value: bytes) -> int:
    """Return how many lines there were when an entry had been written, itself included."""
    return int(json.loads(value)["number"]) + 1


def lines(entries: Mapping[EntryKey, bytes]) -> list[Line]:
    """Return the whole log from the store's entries, oldest first."""
    found = sorted(
        (json.loads(value) for key, value in entries.items() if key[0] == SPACE), key=lambda d: d["number"]
    )
    return [Line(**{name: d[name] for name in Line.__struct_fields__}) for d in found]
