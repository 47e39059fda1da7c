"""The outbox at work: notes wait in the store, are attempted when due, and the outcome is committed."""

import json
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime

import structlog

from exporters.base import Delivered, Delivery, Notification, Notifier
from monitor.core.outbox import Endpoint, Note, NoteState, after, configured, due, heard, settle
from monitor.core.state import Changes, EntryKey

WORKERS = 4
KEPT_SETTLED = 1000
"""Settled notes kept for people to look at."""


@dataclass(frozen=True, slots=True)
class Queued:
    """A note and the wall-clock time it was put into the outbox (microseconds)."""

    note: Note
    since: int


@dataclass(frozen=True, slots=True)
class Outbox:
    """Every note and what is known of every endpoint."""

    queued: Mapping[str, Queued] = field(default_factory=dict)
    endpoints: Mapping[str, Endpoint] = field(default_factory=dict)


def load_outbox(entries: Mapping[EntryKey, bytes]) -> Outbox:
    """Read the outbox from the store's entries."""
    queued, endpoints = {}, {}
    for (space, _, key), value in entries.items():
        if space == "note":
            item = json.loads(value)
            note = Note(**{**item["note"], "state": NoteState(item["note"]["state"])})
            queued[key] = Queued(note, item["since"])
        elif space == "endpoint":
            endpoints[key] = Endpoint.load(value.decode())
    return Outbox(queued, endpoints)


def enqueue(notes: Iterable[Note], now_us: int) -> Changes:
    """Return the entries that put new notes into the outbox."""
    return dict(_entry(Queued(note, now_us)) for note in notes)


def _entry(queued: Queued) -> tuple[EntryKey, bytes]:
    document = {"note": asdict(queued.note), "since": queued.since}
    return ("note", queued.note.model, queued.note.id), json.dumps(document, separators=(",", ":")).encode()


def with_changes(outbox: Outbox, changes: Changes) -> Outbox:
    """Return the outbox after a commit's entries."""
    mine = {k: v for k, v in changes.items() if k[0] in {"note", "endpoint"}}
    if not mine:
        return outbox
    added = load_outbox({k: v for k, v in mine.items() if v is not None})
    gone = {k[2] for k, v in mine.items() if v is None}
    kept = {k: q for k, q in outbox.queued.items() if k not in gone}
    return Outbox({**kept, **added.queued}, {**outbox.endpoints, **added.endpoints})


def register(outbox: Outbox, urls: Mapping[str, str]) -> Changes:
    """Return the entries that bring the known endpoints up to the configuration."""
    found: Changes = {}
    for name, url in urls.items():
        endpoint = configured(outbox.endpoints.get(name), name, url)
        if endpoint != outbox.endpoints.get(name):
            found[("endpoint", "", name)] = endpoint.dump().encode()
    return found


class Deliverer:
    """Makes the attempts that are due, endpoints beside each other, so that a dead one delays no other."""

    def __init__(self, notifiers: Mapping[str, Notifier], urls: Mapping[str, str]) -> None:
        self._notifiers = notifiers
        self._urls = urls
        self._pool = ThreadPoolExecutor(WORKERS, thread_name_prefix="deliver")
        self._log = structlog.get_logger("driftd.outbox")

    def attempt_due(self, outbox: Outbox, now: datetime) -> list[tuple[Note, Delivery]]:
        """Try every note that is due, one attempt each; returns them with how it went."""
        ready = due((q.note for q in outbox.queued.values()), _micros(now))
        lanes: dict[str, list[Note]] = {}
        for note in ready:
            if note.endpoint in self._notifiers:
                lanes.setdefault(note.endpoint, []).append(note)
        done = self._pool.map(lambda lane: [self._attempt(note, now) for note in lane], lanes.values())
        return [pair for lane in done for pair in lane]

    def _attempt(self, note: Note, now: datetime) -> tuple[Note, Delivery]:
        message = Notification(note.id, self._urls[note.endpoint], note.body.encode(), note.created)
        delivery = self._notifiers[note.endpoint].send(message, now)
        if isinstance(delivery, Delivered):
            self._log.info("webhook delivered", id=note.id, webhook=note.endpoint, attempts=note.attempts + 1)
        elif str(delivery.reason) != note.last_reason:
            self._log.warning(
                "webhook not delivered", id=note.id, webhook=note.endpoint, reason=str(delivery.reason)
            )
        return note, delivery

    def close(self) -> None:
        """Stop taking attempts; one that is under way ends by its own timeout."""
        self._pool.shutdown(wait=True, cancel_futures=True)


def outcomes(outbox: Outbox, attempts: Iterable[tuple[Note, Delivery]], now_us: Callable[[], int]) -> Changes:
    """Return the entries that record how attempts went."""
    found: Changes = {}
    for note, delivery in attempts:
        queued = outbox.queued[note.id]
        found |= [_entry(replace(queued, note=after(note, delivery, now_us())))]
        known = outbox.endpoints.get(note.endpoint)
        if known is not None and heard(known, delivery) != known:
            gone = heard(known, delivery)
            found[("endpoint", "", note.endpoint)] = gone.dump().encode()
            lost = settle((q.note for q in outbox.queued.values() if q.note.id != note.id), gone)
            found |= [_entry(replace(outbox.queued[n.id], note=n)) for n in lost]
    return found


def abandoned(outbox: Outbox) -> Changes:
    """Return the entries for notes whose endpoint is gone: they die unsent."""
    lost = (n for e in outbox.endpoints.values() for n in settle((q.note for q in outbox.queued.values()), e))
    return dict(_entry(replace(outbox.queued[n.id], note=n)) for n in lost)


def retired(outbox: Outbox) -> Changes:
    """Return the entries that forget the oldest settled notes beyond the number kept."""
    settled = [q for q in outbox.queued.values() if q.note.state is not NoteState.PENDING]
    old = sorted(settled, key=lambda q: q.since)[: max(len(settled) - KEPT_SETTLED, 0)]
    return {("note", q.note.model, q.note.id): None for q in old}


def _micros(moment: datetime) -> int:
    return round((moment - datetime.fromtimestamp(0, UTC)).total_seconds() * 10**6)
