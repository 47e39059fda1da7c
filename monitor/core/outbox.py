"""What waits to be sent: when it is due, what an attempt makes of it, and when it is given up.

Created and window times are event time; `next_due` and `now_us` are wall-clock time, handed in.
"""

import json
from collections.abc import Container, Iterable
from enum import StrEnum
from hashlib import blake2b, sha256
from typing import Self

from msgspec import Struct
from msgspec.structs import asdict, replace

from exporters.base import Delivered, Delivery, Refused
from monitor.types import Micros

SECOND = 10**6
HOUR = 3600 * SECOND
SCHEDULE: tuple[Micros, ...] = (
    0,
    5 * SECOND,
    300 * SECOND,
    1800 * SECOND,
    2 * HOUR,
    5 * HOUR,
    10 * HOUR,
    14 * HOUR,
    20 * HOUR,
    24 * HOUR,
)
"""How long after the failure of the attempt before it each attempt follows (Standard Webhooks, 1.0.0)."""

JITTER = 0.1
LONGEST = round(24 * HOUR * (1 + JITTER))
"""No note waits longer than this, whatever Retry-After says."""

ENDPOINT_GONE = "endpoint_gone"
NOT_CONFIGURED = "not_configured"


class NoteState(StrEnum):
    """Where a note stands; only a pending one is ever sent."""

    PENDING = "pending"
    DELIVERED = "delivered"
    DEAD = "dead"


class Note(Struct, frozen=True):
    """One message on its way to one endpoint.

    id: the idempotency key. body: JSON text, the same in every attempt. created: event time.
    next_due: wall-clock microseconds, 0 = at once. last_reason: why the last attempt failed. renewed: how
    many attempts were made before someone asked for it again: there the schedule begins anew.
    """

    id: str
    endpoint: str
    model: str
    body: str
    created: Micros
    attempts: int = 0
    next_due: Micros = 0
    state: NoteState = NoteState.PENDING
    last_reason: str = ""
    renewed: int = 0


def due(notes: Iterable[Note], now_us: Micros) -> list[Note]:
    """Return the pending notes whose time has come, the longest waiting first.

    A note due later than any schedule could have set was stamped by a clock that has since been put
    back: it is due now.
    """
    ready = [n for n in notes if n.state is NoteState.PENDING and not 0 < n.next_due - now_us <= LONGEST]
    return sorted(ready, key=lambda n: (n.next_due, n.created, n.id))


def after(note: Note, delivery: Delivery, now_us: Micros) -> Note:
    """Return the note after an attempt that ended at `now_us`; a settled note stays as it is."""
    if note.state is not NoteState.PENDING:
        return note
    tried = replace(note, attempts=note.attempts + 1)
    if isinstance(delivery, Delivered):
        return replace(tried, state=NoteState.DELIVERED, last_reason="")
    tried = replace(tried, last_reason=str(delivery.reason))
    step = tried.attempts - tried.renewed
    if isinstance(delivery, Refused) or step >= len(SCHEDULE):
        return replace(tried, state=NoteState.DEAD)
    wait = delay(note.id, step, delivery.after_seconds)
    earliest = note.next_due if note.next_due - now_us <= LONGEST else 0
    return replace(tried, next_due=max(earliest, now_us + wait))


def again(note: Note) -> Note:
    """Return the note due at once; one that was given up goes through the schedule anew.

    A delivered one stays as it is: its receiver has it.
    """
    if note.state is NoteState.DELIVERED:
        return note
    renewed = note.attempts if note.state is NoteState.DEAD else note.renewed
    return replace(note, state=NoteState.PENDING, next_due=0, renewed=renewed)


def delay(note_id: str, attempts: int, after_seconds: float | None = None) -> Micros:
    """Return the wait before the next attempt: the schedule's step or Retry-After, the longer, jittered.

    The jitter is drawn from the id and the attempt, so that a replay waits the same; it only adds, never
    takes, so a receiver's Retry-After is kept.

    >>> 300 * SECOND <= delay("msg_1", 2) < 330 * SECOND
    True
    """
    drawn = blake2b(f"{note_id}/{attempts}".encode(), digest_size=8).digest()
    factor = 1 + JITTER * int.from_bytes(drawn, "big") / 2**64
    asked = min(max(after_seconds or 0, 0), 24 * 3600) * SECOND
    return round(max(SCHEDULE[attempts], asked) * factor)


class Endpoint(Struct, frozen=True):
    """What is known of a configured webhook. url_hash: its URL's SHA-256, as the URL may be a secret."""

    name: str
    url_hash: str
    gone: bool = False

    def dump(self) -> str:
        """Return it as JSON."""
        return json.dumps(asdict(self), sort_keys=True)

    @classmethod
    def load(cls, text: str) -> Self:
        """Read what `dump` wrote."""
        return cls(**json.loads(text))


def configured(known: Endpoint | None, name: str, url: str) -> Endpoint:
    """Return what is known of the endpoint; a new URL is a new endpoint, no longer gone."""
    fresh = Endpoint(name, sha256(url.encode()).hexdigest())
    return known if known is not None and known.url_hash == fresh.url_hash else fresh


def heard(endpoint: Endpoint, delivery: Delivery) -> Endpoint:
    """Return the endpoint after an attempt: gone for good when it said so."""
    gone = isinstance(delivery, Refused) and delivery.disable
    return replace(endpoint, gone=True) if gone else endpoint


def reopened(endpoint: Endpoint) -> Endpoint:
    """Return the endpoint as one that may be asked again."""
    return replace(endpoint, gone=False)


def settle(notes: Iterable[Note], endpoint: Endpoint) -> list[Note]:
    """Return the notes that die because their endpoint is gone, already dead."""
    if not endpoint.gone:
        return []
    lost = (n for n in notes if n.endpoint == endpoint.name and n.state is NoteState.PENDING)
    return [replace(n, state=NoteState.DEAD, last_reason=ENDPOINT_GONE) for n in lost]


def orphaned(notes: Iterable[Note], reached: Container[str]) -> list[Note]:
    """Return the notes that die because nobody is configured to take them, already dead; reached: who is."""
    lost = (n for n in notes if n.state is NoteState.PENDING and n.endpoint not in reached)
    return [replace(n, state=NoteState.DEAD, last_reason=NOT_CONFIGURED) for n in lost]
