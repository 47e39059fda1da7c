"""The outbox at work: notes wait in the store, are attempted when due, and the outcome is committed."""

import json
from collections import Counter
from collections.abc import Callable, Container, Iterable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait

from msgspec import Struct, field
from msgspec.structs import asdict, replace

from exporters.base import Delivered, Notification, Notifier, Reason, Refused, Retry
from monitor import auditing
from monitor.auditing import Sent
from monitor.clock import Clock, micros
from monitor.core.annotations import ENDPOINT as ANNOTATIONS
from monitor.core.outbox import Endpoint, Note, NoteState, after, configured, due, heard, orphaned, settle
from monitor.core.registry import ENDPOINT as EVIDENCE
from monitor.failures import UNEXPECTED
from monitor.logs import logger
from monitor.types import Changes, EntryKey

KEPT_SETTLED = 1000
"""Settled notes of each endpoint that are kept for people to look at."""
SPACES = frozenset({"note", "endpoint", "settled", auditing.SPACE})
Settled = tuple[str, str, str]
"""Whose notes, and how they ended: model, webhook, "delivered" or "dead"."""


class Queued(Struct, frozen=True):
    """A note and the wall-clock time it was put into the outbox (microseconds)."""

    note: Note
    since: int


class Outbox(Struct, frozen=True):
    """Every note and what is known of every endpoint.

    settled: how many notes ever ended so, forgotten ones too. audited: lines written to the audit log so far.
    """

    queued: Mapping[str, Queued] = field(default_factory=dict)
    endpoints: Mapping[str, Endpoint] = field(default_factory=dict)
    settled: Mapping[Settled, int] = field(default_factory=dict)
    audited: int = 0


def load_outbox(entries: Mapping[EntryKey, bytes]) -> Outbox:
    """Read the outbox from the store's entries."""
    queued, endpoints, settled, audited = {}, {}, {}, 0
    for (space, model, key), value in entries.items():
        if space == "note":
            item = json.loads(value)
            note = Note(**{**item["note"], "state": NoteState(item["note"]["state"])})
            queued[key] = Queued(note, item["since"])
        elif space == "endpoint":
            endpoints[key] = Endpoint.load(value.decode())
        elif space == "settled":
            webhook, state = key.split("/")
            settled[model, webhook, state] = int(value)
        elif space == auditing.SPACE:
            audited = max(audited, auditing.written_before(value))
    return Outbox(queued, endpoints, settled, audited)


def enqueue(notes: Iterable[Note], now_us: int) -> Changes:
    """Return the entries that put new notes into the outbox."""
    return dict(_entry(Queued(note, now_us)) for note in notes)


def _entry(queued: Queued) -> tuple[EntryKey, bytes]:
    document = {"note": asdict(queued.note), "since": queued.since}
    return ("note", queued.note.model, queued.note.id), json.dumps(document, separators=(",", ":")).encode()


def put(queued: Queued, note: Note) -> Changes:
    """Return the entry that puts a note in the place of what is queued."""
    return dict([_entry(replace(queued, note=note))])


def put_endpoint(endpoint: Endpoint) -> Changes:
    """Return the entry that keeps what is known of an endpoint."""
    return {("endpoint", "", endpoint.name): endpoint.dump().encode()}


def with_changes(outbox: Outbox, changes: Mapping[EntryKey, bytes | None]) -> Outbox:
    """Return the outbox after a commit's entries."""
    mine = {k: v for k, v in changes.items() if k[0] in SPACES}
    if not mine:
        return outbox
    added = load_outbox({k: v for k, v in mine.items() if v is not None})
    gone = {k[2] for k, v in mine.items() if v is None}
    kept = {k: q for k, q in outbox.queued.items() if k not in gone}
    return Outbox(
        {**kept, **added.queued},
        {**outbox.endpoints, **added.endpoints},
        {**outbox.settled, **added.settled},
        max(outbox.audited, added.audited),
    )


def asks(note: Note) -> bool:
    """Tell a request to retrain from what is for Grafana or for a registry."""
    return note.endpoint != ANNOTATIONS and not note.endpoint.startswith(EVIDENCE)


def register(outbox: Outbox, urls: Mapping[str, str]) -> Changes:
    """Return the entries that bring the known endpoints up to the configuration."""
    found: Changes = {}
    for name, url in urls.items():
        endpoint = configured(outbox.endpoints.get(name), name, url)
        if endpoint != outbox.endpoints.get(name):
            found |= put_endpoint(endpoint)
    return found


class Deliverer:
    """Makes the attempts that are due: one lane per endpoint, so that a slow or dead one delays no other.

    An attempt whose outcome could not be recorded (the disk being full) is not made again while the
    program runs: the outcome is remembered, and recorded by the note's next turn.
    """

    def __init__(self, notifiers: Mapping[str, Notifier], urls: Mapping[str, str], clock: Clock) -> None:
        self.configure(notifiers, urls)
        self._clock = clock
        self._lanes: dict[str, Future[int]] = {}
        self._made: dict[str, Sent] = {}
        self._pools: dict[str, ThreadPoolExecutor] = {}
        self._log = logger("outbox")

    def configure(self, notifiers: Mapping[str, Notifier], urls: Mapping[str, str]) -> None:
        """Deliver by these from the next attempt on; `give_up` ends what is for none of them."""
        self._targets = {name: (notifier, urls[name]) for name, notifier in notifiers.items()}

    def give_up(self, outbox: Outbox, write: Callable[[Changes], None]) -> None:
        """Commit the end of notes that nobody takes any more, and say so; call it before `start_due`.

        An endpoint whose last lane is under way keeps its notes until that ends. Raises what `write` raises.
        """
        reached = {*self._targets, *(name for name, lane in self._lanes.items() if not lane.done())}
        for name in self._pools.keys() - reached:
            self._pools.pop(name).shutdown(wait=False)
            self._lanes.pop(name, None)
        changes, nobodys = abandoned(outbox, reached)
        write(changes)
        for name, count in nobodys.items():
            says = "not configured any more, what waited for it is given up"
            self._log.warning(says, webhook=name, notes=count)

    def start_due(self, outbox: Outbox, now_us: int, record: Callable[[Sent], None]) -> None:
        """Start a lane for each endpoint that has due notes and no lane under way.

        record: commits how one attempt went, called by the lane after each attempt.
        """
        for id_, sent in list(self._made.items()):
            queued = outbox.queued.get(id_)
            if queued is None or queued.note.attempts != sent.note.attempts:
                del self._made[id_]  # recorded
        lanes: dict[str, list[Note]] = {}
        for note in due((q.note for q in outbox.queued.values()), now_us):
            if note.endpoint in self._targets:
                lanes.setdefault(note.endpoint, []).append(note)
        for endpoint, notes in lanes.items():
            running = self._lanes.get(endpoint)
            if running is None or running.done():
                if endpoint not in self._pools:
                    self._pools[endpoint] = ThreadPoolExecutor(1, thread_name_prefix="deliver")
                self._lanes[endpoint] = self._pools[endpoint].submit(self._lane, notes, record)

    def _lane(self, notes: list[Note], record: Callable[[Sent], None]) -> int:
        made = 0
        for note in notes:
            sent = self._made.get(note.id)
            if sent is None or sent.note.attempts != note.attempts:
                sent = self._attempt(note)
                if sent is None:
                    break
                self._made[note.id] = sent
                made += 1
            record(sent)
            if isinstance(sent.delivery, Refused) and sent.delivery.disable:
                break  # the endpoint is gone: nothing more is sent there
        return made

    def _attempt(self, note: Note) -> Sent | None:
        """Send once; None when the endpoint is configured no more. Only the address in force can be gone."""
        target = self._targets.get(note.endpoint)
        if target is None:
            return None
        notifier, url = target
        message = Notification(note.id, url, note.body.encode(), note.created)
        sent = attempt(notifier, message, note, self._clock)
        if isinstance(sent.delivery, Refused) and self._targets.get(note.endpoint, target)[1] != url:
            sent = replace(sent, delivery=Retry(sent.delivery.reason))
        delivery = sent.delivery
        if isinstance(delivery, Delivered):
            self._log.info("webhook delivered", id=note.id, webhook=note.endpoint, attempts=note.attempts + 1)
        elif str(delivery.reason) != note.last_reason:
            reason = str(delivery.reason)
            self._log.warning("webhook not delivered", id=note.id, webhook=note.endpoint, reason=reason)
        return sent

    def finish(self) -> int:
        """Wait for the lanes under way; returns how many attempts they made. Raises what `record` raised."""
        running, self._lanes = self._lanes, {}
        return sum(lane.result() for lane in running.values())

    def close(self, seconds: float) -> bool:
        """Take no more lanes and give those under way some seconds; False when one is still at it then.

        An attempt that is cut off was not recorded, so it is made again, with the same id.
        """
        for pool in list(self._pools.values()):  # a lane may be opened meanwhile
            pool.shutdown(wait=False, cancel_futures=True)
        return not wait(self._lanes.values(), timeout=seconds).not_done


def attempt(notifier: Notifier, message: Notification, note: Note, clock: Clock) -> Sent:
    """Make one attempt and say how it went, when, and how long it took."""
    now, began = clock.now(), clock.monotonic()
    try:
        delivery = notifier.send(message, now)
    except UNEXPECTED as error:  # a fault of ours: told by its type alone, and no reason to try every second
        logger("outbox").error("an attempt failed by a fault", id=note.id, error=type(error).__name__)
        delivery = Retry(Reason.INTERNAL)
    return Sent(note, delivery, micros(now), round((clock.monotonic() - began) * 1000))


def outcome(outbox: Outbox, sent: Sent, now_us: int) -> Changes:
    """Return the entries that record how one attempt went: what it did to the notes, and the audit log."""
    note, delivery = sent.note, sent.delivery
    ended = [after(note, delivery, now_us)]
    found: Changes = (
        dict([auditing.entry(outbox.audited, auditing.line(sent))]) if note.endpoint != ANNOTATIONS else {}
    )
    known = outbox.endpoints.get(note.endpoint)
    if known is not None and heard(known, delivery) != known:
        gone = heard(known, delivery)
        found |= put_endpoint(gone)
        ended += settle((q.note for q in outbox.queued.values() if q.note.id != note.id), gone)
    return found | _settled(outbox, ended)


def abandoned(outbox: Outbox, reached: Container[str]) -> tuple[Changes, Counter[str]]:
    """Return the entries for notes that die unsent: their endpoint is gone, or none of those `reached`.

    Also how many of these there are for each endpoint that is configured no more.
    """
    notes = [q.note for q in outbox.queued.values()]
    nobodys = orphaned(notes, reached)
    lost = [note for e in outbox.endpoints.values() if e.name in reached for note in settle(notes, e)]
    return _settled(outbox, [*nobodys, *lost]), Counter(note.endpoint for note in nobodys)


def _settled(outbox: Outbox, notes: Iterable[Note]) -> Changes:
    """Return the entries of notes after an attempt, and those that count the ones that ended by it."""
    found: Changes = {}
    counts = dict(outbox.settled)
    for note in notes:
        queued = outbox.queued[note.id]
        found |= put(queued, note)
        if queued.note.state is NoteState.PENDING and note.state is not NoteState.PENDING:
            whose = (note.model, note.endpoint, str(note.state))
            counts[whose] = counts.get(whose, 0) + 1
            found["settled", note.model, f"{note.endpoint}/{note.state}"] = str(counts[whose]).encode()
    return found


def retired(outbox: Outbox) -> Changes:
    """Return the entries that forget the oldest settled notes beyond the number kept."""
    settled: dict[str, list[Queued]] = {}
    for queued in outbox.queued.values():
        if queued.note.state is not NoteState.PENDING:
            settled.setdefault(queued.note.endpoint, []).append(queued)
    old = [q for of_one in settled.values() for q in sorted(of_one, key=lambda q: q.since)[:-KEPT_SETTLED]]
    return {("note", q.note.model, q.note.id): None for q in old}
