"""The outbox at work: notes wait in the store, are attempted when due, and the outcome is committed."""

import json
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import asdict, dataclass, field, replace

from exporters.base import Delivered, Delivery, Notification, Notifier, Refused
from monitor.clock import Clock
from monitor.core.outbox import Endpoint, Note, NoteState, after, configured, due, heard, settle
from monitor.logs import logger
from monitor.types import Changes, EntryKey

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


def with_changes(outbox: Outbox, changes: Mapping[EntryKey, bytes | None]) -> Outbox:
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
    """Makes the attempts that are due: one lane per endpoint, so that a slow or dead one delays no other.

    An attempt whose outcome could not be recorded (the disk being full) is not made again while the
    program runs: the outcome is remembered, and recorded by the note's next turn.
    """

    def __init__(self, notifiers: Mapping[str, Notifier], urls: Mapping[str, str], clock: Clock) -> None:
        self._notifiers = notifiers
        self._urls = urls
        self._clock = clock
        self._lanes: dict[str, Future[int]] = {}
        self._made: dict[str, tuple[int, Delivery]] = {}
        self._pool = ThreadPoolExecutor(max(len(notifiers), 1), thread_name_prefix="deliver")
        self._log = logger("outbox")

    def start_due(self, outbox: Outbox, now_us: int, record: Callable[[Note, Delivery], None]) -> None:
        """Start a lane for each endpoint that has due notes and no lane under way.

        record: commits how one attempt went, called by the lane after each attempt.
        """
        for id_, (attempts, _) in list(self._made.items()):
            queued = outbox.queued.get(id_)
            if queued is None or queued.note.attempts != attempts:
                del self._made[id_]  # recorded
        lanes: dict[str, list[Note]] = {}
        for note in due((q.note for q in outbox.queued.values()), now_us):
            if note.endpoint in self._notifiers:
                lanes.setdefault(note.endpoint, []).append(note)
        for endpoint, notes in lanes.items():
            running = self._lanes.get(endpoint)
            if running is None or running.done():
                self._lanes[endpoint] = self._pool.submit(self._lane, notes, record)

    def _lane(self, notes: list[Note], record: Callable[[Note, Delivery], None]) -> int:
        made = 0
        for note in notes:
            attempts, delivery = self._made.get(note.id, (-1, None))
            if delivery is None or attempts != note.attempts:
                delivery = self._attempt(note)
                self._made[note.id] = (note.attempts, delivery)
                made += 1
            record(note, delivery)
            if isinstance(delivery, Refused) and delivery.disable:
                break  # the endpoint is gone: nothing more is sent there
        return made

    def _attempt(self, note: Note) -> Delivery:
        message = Notification(note.id, self._urls[note.endpoint], note.body.encode(), note.created)
        delivery = self._notifiers[note.endpoint].send(message, self._clock.now())
        if isinstance(delivery, Delivered):
            self._log.info("webhook delivered", id=note.id, webhook=note.endpoint, attempts=note.attempts + 1)
        elif str(delivery.reason) != note.last_reason:
            reason = str(delivery.reason)
            self._log.warning("webhook not delivered", id=note.id, webhook=note.endpoint, reason=reason)
        return delivery

    def finish(self) -> int:
        """Wait for the lanes under way; returns how many attempts they made. Raises what `record` raised."""
        running, self._lanes = self._lanes, {}
        return sum(lane.result() for lane in running.values())

    def close(self, seconds: float) -> bool:
        """Take no more lanes and give those under way some seconds; False when one is still at it then.

        An attempt that is cut off was not recorded, so it is made again, with the same id.
        """
        self._pool.shutdown(wait=False, cancel_futures=True)
        return not wait(self._lanes.values(), timeout=seconds).not_done


def outcome(outbox: Outbox, note: Note, delivery: Delivery, now_us: int) -> Changes:
    """Return the entries that record how one attempt went."""
    found: Changes = dict([_entry(replace(outbox.queued[note.id], note=after(note, delivery, now_us)))])
    known = outbox.endpoints.get(note.endpoint)
    if known is not None and heard(known, delivery) != known:
        gone = heard(known, delivery)
        found[("endpoint", "", note.endpoint)] = gone.dump().encode()
        others = (q.note for q in outbox.queued.values() if q.note.id != note.id)
        found |= dict(_entry(replace(outbox.queued[n.id], note=n)) for n in settle(others, gone))
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
