"""The outbox at work: lanes that do not delay each other, outcomes recorded, schedules kept."""

import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from datetime import UTC, datetime

import pytest
import structlog
from msgspec.structs import replace

from exporters.base import Delivered, Delivery, Notification, Notifier, Reason, Refused, Retry
from monitor.auditing import Sent
from monitor.clock import ManualClock
from monitor.core.outbox import NOT_CONFIGURED, SECOND, Endpoint, Note, NoteState
from monitor.errors import StoreUnavailableError
from monitor.outgoing import (
    KEPT_SETTLED,
    Deliverer,
    Outbox,
    attempt,
    enqueue,
    load_outbox,
    outcome,
    register,
    retired,
    with_changes,
)
from monitor.requests import obeyed
from monitor.store.memory import MemoryStore

NOW = datetime(2030, 1, 1, tzinfo=UTC)
PATIENCE = 30
URLS = {"a": "https://a.example/", "b": "https://b.example/"}


class Scripted:
    """A notifier that answers what it is told, and remembers what it was sent."""

    def __init__(self, answers: Iterable[Delivery] = (), gate: threading.Event | None = None) -> None:
        self.sent: list[Notification] = []
        self.called = threading.Event()
        self._answers = list(answers)
        self._gate = gate

    def send(self, note: Notification, _now: datetime) -> Delivery:
        self.sent.append(note)
        self.called.set()
        if self._gate is not None:
            assert self._gate.wait(PATIENCE)
        return self._answers.pop(0) if self._answers else Delivered(200)


def notes(*names: str) -> list[Note]:
    """Return a note per name; the first letter is its endpoint."""
    return [Note(f"msg_{name}", name[0], "m", f'{{"n":"{name}"}}', created=i) for i, name in enumerate(names)]


class Bench:
    """An outbox on a store, as the daemon has it."""

    def __init__(self, store: MemoryStore, notifiers: Mapping[str, Notifier]) -> None:
        self.store = store
        self.full = False
        self.now = 0
        self._guard = threading.Lock()
        self.outbox = load_outbox(store.load())
        self.write(register(self.outbox, URLS))
        self.deliverer = Deliverer(notifiers, URLS, ManualClock(NOW))

    def write(self, changes: Mapping[tuple[str, str, str], bytes | None]) -> None:
        if self.full:
            raise StoreUnavailableError("full")
        with self._guard:
            self.store.commit(changes)
            self.outbox = with_changes(self.outbox, changes)

    def record(self, sent: Sent) -> None:
        with suppress(StoreUnavailableError):
            self.write(outcome(self.outbox, sent, self.now))

    def deliver(self) -> int:
        """Make the attempts that are due."""
        self.deliverer.give_up(self.outbox, self.write)
        self.deliverer.start_due(self.outbox, self.now, self.record)
        return self.deliverer.finish()

    def states(self) -> dict[str, NoteState]:
        return {id_: queued.note.state for id_, queued in self.outbox.queued.items()}


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


@pytest.fixture
def gate() -> Iterator[threading.Event]:
    event = threading.Event()
    yield event
    event.set()


def bench(store: MemoryStore, names: Iterable[str], **notifiers: Scripted) -> Bench:
    made = Bench(store, notifiers)
    made.write(enqueue(notes(*names), 0))
    return made


def test_what_is_due_is_sent_once_and_recorded(store: MemoryStore) -> None:
    a = Scripted()
    made = bench(store, ["a1", "a2"], a=a)
    assert made.deliver() == 2
    assert [(n.id, n.url, n.body, n.created_us) for n in a.sent] == [
        ("msg_a1", URLS["a"], b'{"n":"a1"}', 0), ("msg_a2", URLS["a"], b'{"n":"a2"}', 1)
    ]  # fmt: skip
    assert made.deliver() == 0
    assert set(load_outbox(store.load()).queued) == {"msg_a1", "msg_a2"}
    assert set(made.states().values()) == {NoteState.DELIVERED}


def test_an_endpoint_that_hangs_delays_no_other(store: MemoryStore, gate: threading.Event) -> None:
    a, b = Scripted(gate=gate), Scripted()
    made = bench(store, ["a1", "a2", "b1"], a=a, b=b)
    delivered = threading.Event()

    def record(sent: Sent) -> None:
        made.record(sent)
        if sent.note.endpoint == "b":
            delivered.set()

    made.deliverer.start_due(made.outbox, 0, record)
    assert a.called.wait(PATIENCE)
    assert delivered.wait(PATIENCE)
    assert made.states() == {"msg_a1": "pending", "msg_a2": "pending", "msg_b1": "delivered"}
    made.write(enqueue(notes("b2"), 0))
    delivered.clear()
    made.deliverer.start_due(made.outbox, 0, record)  # a's lane is under way: no second attempt beside it
    assert delivered.wait(PATIENCE)
    assert [n.id for n in a.sent] == ["msg_a1"]
    assert not made.deliverer.close(0.01)
    gate.set()


def test_closing_waits_for_an_attempt_under_way(store: MemoryStore, gate: threading.Event) -> None:
    a = Scripted(gate=gate)
    made = bench(store, ["a1"], a=a)
    made.deliverer.start_due(made.outbox, 0, made.record)
    assert a.called.wait(PATIENCE)
    gate.set()
    assert made.deliverer.close(PATIENCE)
    assert made.states() == {"msg_a1": "delivered"}


def test_a_failed_attempt_is_made_again_on_schedule_also_after_a_restart(store: MemoryStore) -> None:
    down = Retry(Reason.SERVER_ERROR)
    made = bench(store, ["a1"], a=Scripted([down, down]))
    made.deliver()
    due = made.outbox.queued["msg_a1"].note.next_due
    assert 5 * SECOND <= due < 6 * SECOND
    made.now = due - 1
    assert made.deliver() == 0

    again = Scripted([down])
    later = Bench(store, {"a": again})
    later.now = due - 1
    assert later.deliver() == 0
    later.now = due
    assert later.deliver() == 1
    (queued,) = later.outbox.queued.values()
    assert (queued.note.attempts, queued.note.last_reason, queued.since) == (2, "server_error", 0)
    assert queued.note.next_due >= due + 300 * SECOND
    assert [n.id for n in again.sent] == ["msg_a1"]


def test_a_gone_endpoint_gets_nothing_more_until_its_url_changes(store: MemoryStore) -> None:
    a, b = Scripted([Refused(Reason.GONE, disable=True)]), Scripted()
    made = bench(store, ["a1", "a2", "b1"], a=a, b=b)
    made.deliver()
    assert made.states() == {"msg_a1": "dead", "msg_a2": "dead", "msg_b1": "delivered"}
    made.write(enqueue(notes("a3"), 0))
    made.deliver()
    assert made.states()["msg_a3"] == "dead"
    assert made.outbox.queued["msg_a3"].note.last_reason == "endpoint_gone"
    assert [n.id for n in a.sent] == ["msg_a1"]

    moved = register(load_outbox(store.load()), {**URLS, "a": "https://new.example/"})
    assert list(moved) == [("endpoint", "", "a")]
    store.commit(moved)
    assert not load_outbox(store.load()).endpoints["a"].gone


def test_an_outcome_that_could_not_be_recorded_is_recorded_later_and_not_sent_again(
    store: MemoryStore,
) -> None:
    a = Scripted([Delivered(200), Retry(Reason.TIMEOUT), Delivered(204)])
    made = bench(store, ["a1", "a2"], a=a)
    made.full = True
    made.deliverer.start_due(made.outbox, 0, made.record)
    made.deliverer.finish()
    assert set(made.states().values()) == {NoteState.PENDING}
    made.full = False
    made.deliver()
    assert len(a.sent) == 2
    assert made.states()["msg_a1"] == "delivered"
    assert made.outbox.queued["msg_a2"].note.attempts == 1
    made.now = made.outbox.queued["msg_a2"].note.next_due
    made.deliver()
    assert [n.id for n in a.sent] == ["msg_a1", "msg_a2", "msg_a2"]
    assert set(made.states().values()) == {NoteState.DELIVERED}


def test_a_full_disk_for_hours_sends_each_note_once(store: MemoryStore) -> None:
    a = Scripted()
    made = bench(store, ["a1"], a=a)
    made.full = True
    for _ in range(10):
        made.deliverer.start_due(made.outbox, made.now, made.record)
        made.deliverer.finish()
        made.now += SECOND
    assert len(a.sent) == 1
    made.full = False
    made.deliver()
    assert len(a.sent) == 1
    assert made.states() == {"msg_a1": "delivered"}


def test_a_crash_before_recording_sends_the_same_id_again(store: MemoryStore) -> None:
    first, second = Scripted(), Scripted()
    made = bench(store, ["a1"], a=first)
    made.full = True
    made.deliverer.start_due(made.outbox, 0, made.record)
    made.deliverer.finish()
    assert Bench(store, {"a": second}).deliver() == 1
    assert [n.id for n in first.sent] == [n.id for n in second.sent] == ["msg_a1"]


def test_a_note_for_a_webhook_that_is_not_configured_is_given_up_and_that_is_said(
    store: MemoryStore,
) -> None:
    made = bench(store, ["z1", "z2", "a1"], a=Scripted())
    with structlog.testing.capture_logs() as logs:
        assert made.deliver() == 1
        assert made.deliver() == 0
    assert made.states() == {"msg_z1": "dead", "msg_z2": "dead", "msg_a1": "delivered"}
    assert made.outbox.queued["msg_z1"].note.last_reason == NOT_CONFIGURED
    assert made.outbox.settled["m", "z", "dead"] == 2
    said = [(e["webhook"], e["notes"]) for e in logs if e["log_level"] == "warning"]
    assert said == [("z", 2)]


def test_what_record_raises_is_not_swallowed(store: MemoryStore) -> None:
    def record(_sent: Sent) -> None:
        raise LookupError("nobody is there")

    made = bench(store, ["a1"], a=Scripted())
    made.deliverer.start_due(made.outbox, 0, record)
    with pytest.raises(LookupError, match="nobody"):
        made.deliverer.finish()
    assert made.deliverer.finish() == 0


def test_old_settled_notes_are_forgotten_and_pending_ones_never() -> None:
    store = MemoryStore()
    settled = [
        replace(n, state=NoteState.DELIVERED) for n in notes(*[f"a{i}" for i in range(KEPT_SETTLED + 5)])
    ]
    for since, note in enumerate([*settled, *notes("b1")]):
        store.commit(enqueue([note], since))
    outbox = load_outbox(store.load())
    changes = retired(outbox)
    assert set(changes) == {("note", "m", f"msg_a{i}") for i in range(5)}
    store.commit(changes)
    assert with_changes(outbox, changes) == load_outbox(store.load())
    assert len(store.load()) == KEPT_SETTLED + 1
    assert retired(load_outbox(store.load())) == {}


def test_registering_twice_changes_nothing() -> None:
    store = MemoryStore()
    store.commit(register(Outbox(), URLS))
    outbox = load_outbox(store.load())
    assert register(outbox, URLS) == {}
    assert set(outbox.endpoints) == {"a", "b"}
    assert isinstance(outbox.endpoints["a"], Endpoint)
    assert URLS["a"] not in str(store.load())
    assert with_changes(outbox, {("book", "m", ""): b"{}"}) is outbox


def test_a_note_goes_where_its_endpoint_is_now(store: MemoryStore) -> None:
    old, new = Scripted([Retry(Reason.CONNECT)]), Scripted()
    made = bench(store, ["a1"], a=old)
    made.deliver()
    made.now = 6 * SECOND

    made.deliverer.configure({"a": new}, {"a": "https://elsewhere.example/"})
    made.deliver()

    (first,), (second,) = old.sent, new.sent
    assert (first.id, first.body) == (second.id, second.body)
    assert second.url == "https://elsewhere.example/"
    assert made.states() == {"msg_a1": NoteState.DELIVERED}


def test_what_was_given_up_is_sent_when_someone_asks_for_it_once_its_endpoint_is_back(
    store: MemoryStore,
) -> None:
    a = Scripted()
    made = bench(store, ["a1"], a=a)

    made.deliverer.configure({}, {})
    assert made.deliver() == 0
    assert made.states() == {"msg_a1": NoteState.DEAD}

    made.deliverer.configure({"a": a}, URLS)
    assert made.deliver() == 0
    made.write(obeyed(made.outbox, {("request", "retry", "msg_a1"): b""}))
    assert made.deliver() == 1
    assert made.states() == {"msg_a1": NoteState.DELIVERED}


def test_the_thread_of_an_endpoint_that_is_configured_no_more_ends(store: MemoryStore) -> None:
    class Noting(Scripted):
        thread = threading.current_thread()

        def send(self, note: Notification, now: datetime) -> Delivery:
            self.thread = threading.current_thread()
            return super().send(note, now)

    a, b = Noting(), Noting()
    made = bench(store, ["a1", "b1"], a=a, b=b)
    assert made.deliver() == 2

    made.deliverer.configure({"b": b}, URLS)
    assert made.deliver() == 0
    a.thread.join(PATIENCE)
    assert (a.thread.is_alive(), b.thread.is_alive()) == (False, True)

    made.deliverer.configure({"a": a, "b": b}, URLS)
    made.write(enqueue(notes("a2"), 0))
    assert made.deliver() == 1


def test_an_endpoint_that_goes_in_the_middle_of_its_lane_is_sent_nothing_more(
    store: MemoryStore, gate: threading.Event
) -> None:
    a = Scripted(gate=gate)
    made = bench(store, ["a1", "a2"], a=a)
    made.deliverer.start_due(made.outbox, made.now, made.record)
    assert a.called.wait(PATIENCE)

    made.deliverer.configure({}, {})
    made.deliverer.give_up(made.outbox, made.write)
    assert set(made.states().values()) == {NoteState.PENDING}  # its attempt is under way
    gate.set()

    assert made.deliverer.finish() == 1
    assert made.deliver() == 0
    assert made.states() == {"msg_a1": NoteState.DELIVERED, "msg_a2": NoteState.DEAD}
    assert {key[1:]: n for key, n in made.outbox.settled.items()} == {("a", "delivered"): 1, ("a", "dead"): 1}


def test_the_word_of_an_old_address_that_it_is_gone_is_not_the_new_ones(
    store: MemoryStore, gate: threading.Event
) -> None:
    a = Scripted([Refused(Reason.GONE, disable=True)], gate=gate)
    made = bench(store, ["a1"], a=a)
    made.deliverer.start_due(made.outbox, made.now, made.record)
    assert a.called.wait(PATIENCE)

    urls = {"a": "https://elsewhere.example/"}
    made.write(register(made.outbox, urls))
    made.deliverer.configure({"a": Scripted()}, urls)
    gate.set()
    made.deliverer.finish()

    assert not made.outbox.endpoints["a"].gone
    assert made.states() == {"msg_a1": NoteState.PENDING}


def test_an_endpoint_that_comes_later_has_a_lane_of_its_own(
    store: MemoryStore, gate: threading.Event
) -> None:
    slow, late = Scripted(gate=gate), Scripted()
    made = bench(store, ["a1", "b1"], a=slow)
    made.deliverer.start_due(made.outbox, made.now, made.record)
    assert slow.called.wait(PATIENCE)

    made.deliverer.configure({"a": slow, "b": late}, URLS)
    made.deliverer.start_due(made.outbox, made.now, made.record)
    assert late.called.wait(PATIENCE)

    gate.set()
    made.deliverer.finish()
    assert set(made.states().values()) == {NoteState.DELIVERED}


def test_a_fault_of_ours_is_a_failed_attempt_with_a_schedule_and_one_line_in_the_log(
    capsys: pytest.CaptureFixture[str],
) -> None:
    class Faulty:
        def send(self, _note: Notification, _now: datetime) -> Delivery:
            raise MemoryError("a secret")

    (note,) = notes("a1")
    sent = attempt(Faulty(), Notification(note.id, URLS["a"], b"{}", 0), note, ManualClock(NOW))
    said = capsys.readouterr().out

    assert sent.delivery == Retry(Reason.INTERNAL)
    assert "MemoryError" in said
    assert "a secret" not in said


def test_one_endpoint_s_delivered_notes_do_not_push_out_another_s_dead_ones() -> None:
    dead = replace(notes("a1")[0], state=NoteState.DEAD)
    told = [
        Note(f"msg_{i}", "b", "m", "{}", created=i, state=NoteState.DELIVERED)
        for i in range(KEPT_SETTLED + 3)
    ]
    outbox = with_changes(Outbox(), enqueue([dead], 0) | enqueue(told, 1))

    gone = {key[2] for key in retired(outbox)}
    assert len(gone) == 3
    assert dead.id not in gone
