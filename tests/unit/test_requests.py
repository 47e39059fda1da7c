"""Asked from another process: obeyed once by the owner of the state; and the audit log beside it."""

import json
import threading
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from exporters.base import Delivered, Delivery, Reason, Refused, Retry
from monitor.auditing import KEPT, Line, Sent, entry, line, lines
from monitor.core.outbox import SCHEDULE, Note, NoteState, after, again
from monitor.errors import StateError
from monitor.outgoing import Outbox, abandoned, enqueue, load_outbox, outcome, register, with_changes
from monitor.requests import note_down, obeyed, pending_lines, retry
from monitor.store.base import REQUESTS
from monitor.store.memory import MemoryStore
from monitor.store.sqlite import SqliteStore

GONE = Refused(Reason.GONE, disable=True, status=410)
LINE = Line(5, "test_1", "a", "", 1, "delivered", 204, 12)
DELIVERIES: list[Delivery] = [Delivered(200), Retry(Reason.SERVER_ERROR, None, 500), GONE]


def note(name: str = "1", state: NoteState = NoteState.PENDING, attempts: int = 0) -> Note:
    return Note(f"msg_{name}", "a", "m", "{}", created=1, attempts=attempts, state=state)


class Owner:
    """The process that writes: its store, and the outbox in its memory."""

    def __init__(self, store: MemoryStore) -> None:
        self.store = store
        self.outbox = load_outbox(store.load())
        self.write(register(self.outbox, {"a": "https://a.example/"}))

    def write(self, changes: dict[tuple[str, str, str], bytes | None]) -> None:
        self.store.commit(changes)
        self.outbox = with_changes(self.outbox, changes)

    def obey(self) -> None:
        self.write(obeyed(self.outbox, self.store.asked()))
        self.write(abandoned(self.outbox, {"a"})[0])

    def sent(self, name: str, delivery: Delivery) -> None:
        self.write(outcome(self.outbox, Sent(self.outbox.queued[name].note, delivery, 7, 3), 10))

    def state(self, name: str) -> tuple[NoteState, int, int]:
        found = self.outbox.queued[name].note
        return found.state, found.attempts, found.next_due


def owner(*notes: Note) -> Owner:
    made = Owner(MemoryStore())
    made.write(enqueue(notes, 0))
    return made


def test_a_note_that_was_given_up_goes_through_the_whole_schedule_anew() -> None:
    dead = note(state=NoteState.DEAD, attempts=10)
    found = again(dead)
    assert (found.state, found.next_due, found.attempts) == (NoteState.PENDING, 0, 10)
    for _ in range(len(SCHEDULE) - 1):
        found = after(found, Retry(Reason.CONNECT), found.next_due)
        assert found.state is NoteState.PENDING
    found = after(found, Retry(Reason.CONNECT), found.next_due)
    assert (found.state, found.attempts) == (NoteState.DEAD, 20)


def test_a_note_that_waits_keeps_its_place_in_the_schedule() -> None:
    waiting = replace(note(attempts=9), next_due=10**15)
    assert again(waiting) == replace(waiting, next_due=0)
    assert after(again(waiting), Retry(Reason.CONNECT), 5).state is NoteState.DEAD


def test_a_delivered_note_stays_delivered() -> None:
    made = owner(note(state=NoteState.DELIVERED, attempts=1))
    made.store.commit(retry("msg_1"))
    made.obey()
    assert made.state("msg_1") == (NoteState.DELIVERED, 1, 0)
    assert made.store.asked() == {}


def test_a_request_for_a_note_that_is_forgotten_is_dropped() -> None:
    made = owner()
    made.store.commit(retry("msg_unknown"))
    made.obey()
    assert made.store.asked() == {}
    assert made.outbox.queued == {}


def test_what_is_asked_and_its_end_are_one_commit() -> None:
    made = owner(note(state=NoteState.DEAD, attempts=10))
    made.store.commit(retry("msg_1"))
    before = made.store.commits
    changes = obeyed(made.outbox, made.store.asked())
    assert changes.keys() == {(REQUESTS, "retry", "msg_1"), ("note", "m", "msg_1")}
    made.write(changes)
    assert made.store.commits == before + 1


def test_an_endpoint_that_was_gone_is_asked_once_more_and_only_once() -> None:
    made = owner(note("1"), note("2"))
    made.sent("msg_1", GONE)
    assert made.outbox.settled == {("m", "a", "dead"): 2}
    made.store.commit(retry("msg_1"))
    made.obey()
    assert made.state("msg_1") == (NoteState.PENDING, 1, 0)
    assert made.state("msg_2")[0] is NoteState.DEAD
    made.sent("msg_1", GONE)
    assert made.state("msg_1")[0] is NoteState.DEAD
    assert made.outbox.endpoints["a"].gone
    made.obey()
    assert made.state("msg_1")[:2] == (NoteState.DEAD, 2)


def test_a_line_of_another_process_is_written_into_the_log() -> None:
    made = owner(note())
    made.store.commit(note_down(LINE))
    assert pending_lines(made.store.asked()) == [LINE]
    made.sent("msg_1", Retry(Reason.CLIENT_ERROR, None, 401))
    made.obey()
    assert lines(made.store.load()) == [Line(7, "msg_1", "a", "m", 1, "client_error", 401, 3), LINE]
    assert load_outbox(made.store.load()).audited == made.outbox.audited == 2


def test_the_log_keeps_the_newest_lines() -> None:
    store = MemoryStore()
    for number in range(KEPT + 5):
        store.commit(dict([entry(number, replace(LINE, at=number))]))
    found = lines(store.load())
    assert [found[0].at, found[-1].at, len(found)] == [5, KEPT + 4, KEPT]
    assert load_outbox(store.load()).audited == KEPT + 5


def test_a_line_of_the_log_holds_no_body_and_no_url() -> None:
    secret = Note("msg_1", "a", "m", '{"secret": "in the body"}', 1)
    _, text = entry(0, line(Sent(secret, Delivered(200), 1, 2)))
    assert set(json.loads(text)) == {"number", *Line.__struct_fields__}
    assert b"secret" not in text


Step = tuple[str, int]


@given(
    st.lists(st.tuples(st.sampled_from(["sent", "retry", "obey", "restart"]), st.integers(0, 5)), max_size=40)
)
def test_whatever_is_asked_and_whenever_it_restarts_each_end_is_counted_and_logged_once(
    steps: Sequence[Step],
) -> None:
    made, sends = owner(note("0"), note("1")), list[str]()
    for what, n in steps:
        name = f"msg_{n % 2}"
        if what == "sent" and made.outbox.queued[name].note.state is NoteState.PENDING:
            made.sent(name, DELIVERIES[n // 2])
            sends.append(name)
        elif what == "retry":
            made.store.commit(retry(name))
        elif what == "obey":
            before = made.state(name)
            made.obey()
            assert before[0] is not NoteState.DELIVERED or made.state(name) == before
        elif what == "restart":
            made = Owner(made.store)
    log = lines(made.store.load())
    assert [e.id for e in log] == sends
    delivered = [e.id for e in log if e.outcome == "delivered"]
    assert len(delivered) == len(set(delivered))
    assert made.outbox.settled.get(("m", "a", "delivered"), 0) == len(delivered)
    assert made.outbox == load_outbox(made.store.load())


def test_a_guest_leaves_a_request_beside_the_owner(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path)
    store.commit({("book", "m", ""): b"1"})
    guest = SqliteStore(tmp_path, guest=True)
    guest.commit(retry("msg_1"))
    guest.close()
    assert store.asked() == {(REQUESTS, "retry", "msg_1"): b""}
    store.commit({("book", "m", ""): b"2", (REQUESTS, "retry", "msg_1"): None})
    assert store.asked() == {}
    assert store.load() == {("book", "m", ""): b"2"}
    store.close()


def test_many_guests_beside_a_busy_owner_are_each_heard_once(tmp_path: Path) -> None:
    store, done = SqliteStore(tmp_path), threading.Event()
    heard: list[str] = []

    def ask(who: int) -> None:
        for n in range(10):
            guest = SqliteStore(tmp_path, guest=True)
            guest.commit(retry(f"msg_{who}_{n}"))
            guest.close()

    def own() -> None:
        last = False
        while not last:
            last = done.is_set()
            requests = store.asked()
            heard.extend(key[2] for key in requests)
            store.commit({("window", "m", "1"): bytes(10_000), **dict.fromkeys(requests)})
            done.wait(0.01)  # as a daemon, which does other things between two commits

    owner_thread = threading.Thread(target=own)
    guests = [threading.Thread(target=ask, args=(who,)) for who in range(4)]
    for thread in (owner_thread, *guests):
        thread.start()
    for thread in guests:
        thread.join()
    done.set()
    owner_thread.join()
    store.close()
    assert sorted(heard) == [f"msg_{who}_{n}" for who in range(4) for n in range(10)]


def test_a_guest_needs_a_state(tmp_path: Path) -> None:
    with pytest.raises(StateError, match="no state yet"):
        SqliteStore(tmp_path, guest=True)
    assert list(tmp_path.iterdir()) == []


def test_an_endpoint_nobody_knows_is_not_opened() -> None:
    outbox = Outbox(load_outbox(owner(note(state=NoteState.DEAD)).store.load()).queued)
    changes = obeyed(outbox, {(REQUESTS, "retry", "msg_1"): b""})
    assert changes.keys() == {(REQUESTS, "retry", "msg_1"), ("note", "m", "msg_1")}


def test_a_line_of_another_version_is_dropped_and_stops_nothing() -> None:
    made = owner(note(state=NoteState.DEAD))
    odd: dict[tuple[str, str, str], bytes | None] = {
        (REQUESTS, "audit", "x"): b'{"colour": 1}',
        (REQUESTS, "audit", "y"): b"?",
    }
    made.store.commit(odd | retry("msg_1"))
    assert pending_lines(made.store.asked()) == []
    made.obey()

    assert made.state("msg_1")[0] is NoteState.PENDING
    assert made.store.asked() == {}
