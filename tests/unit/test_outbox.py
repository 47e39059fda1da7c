"""When a note is sent, sent again, or given up."""

import pytest
from msgspec.structs import asdict, replace

from exporters.base import Delivered, Reason, Refused, Retry
from monitor.core.outbox import (
    JITTER,
    LONGEST,
    SCHEDULE,
    Endpoint,
    Note,
    NoteState,
    after,
    configured,
    delay,
    due,
    heard,
    settle,
)

SECOND = 10**6
START = 1_760_000_000 * SECOND
NOTE = Note("msg_1", "training", "car-loan", "{}", created=5)
FAILED = Retry(Reason.SERVER_ERROR)


def test_the_schedule_is_the_one_of_standard_webhooks() -> None:
    hours = 3600
    steps = [0, 5, 300, 1800, 2 * hours, 5 * hours, 10 * hours, 14 * hours, 20 * hours, 24 * hours]
    assert [step // SECOND for step in SCHEDULE] == steps


def test_a_failing_note_walks_the_schedule_across_restarts_and_dies_at_its_end() -> None:
    note, now, waits = NOTE, START, []
    while note.state is NoteState.PENDING:
        note = Note(**asdict(note))  # stored and read again
        assert due([note], now) == [note]
        note = after(note, FAILED, now)
        waits.append(note.next_due - now)
        assert note.state is NoteState.DEAD or due([note], note.next_due - 1) == []
        now = max(now, note.next_due)
    assert note.attempts == len(SCHEDULE)
    assert note.last_reason == "server_error"
    for wait, step in zip(waits[:-1], SCHEDULE[1:], strict=True):
        assert step <= wait <= step * (1 + JITTER)


def test_the_jitter_is_the_same_in_a_replay_and_differs_between_notes_and_attempts() -> None:
    assert delay("msg_1", 3) == delay("msg_1", 3)
    assert len({delay(f"msg_{i}", 3) for i in range(50)}) == 50
    assert delay("msg_1", 8) / SCHEDULE[8] != delay("msg_1", 9) / SCHEDULE[9]


def test_retry_after_is_waited_for_when_it_is_longer_than_the_schedule() -> None:
    longer = after(NOTE, Retry(Reason.THROTTLED, 3600), START)
    assert 3600 * SECOND <= longer.next_due - START <= 3600 * SECOND * (1 + JITTER)
    shorter = after(NOTE, Retry(Reason.THROTTLED, 1), START)
    assert shorter.next_due == after(NOTE, FAILED, START).next_due


@pytest.mark.parametrize("seconds", [1e9, float("inf"), 86_400.0])
def test_retry_after_is_capped_at_a_day(seconds: float) -> None:
    assert after(NOTE, Retry(Reason.THROTTLED, seconds), START).next_due - START <= LONGEST


def test_delivered_and_refused_end_it() -> None:
    done = after(replace(NOTE, attempts=2, last_reason="reset"), Delivered(204), START)
    assert (done.state, done.attempts, done.last_reason) == (NoteState.DELIVERED, 3, "")
    refused = after(NOTE, Refused(Reason.GONE), START)
    assert (refused.state, refused.attempts, refused.last_reason) == (NoteState.DEAD, 1, "gone")


@pytest.mark.parametrize("state", [NoteState.DELIVERED, NoteState.DEAD])
def test_a_settled_note_is_not_due_and_stays_as_it_is(state: NoteState) -> None:
    settled = replace(NOTE, state=state)
    assert due([settled], START) == []
    assert after(settled, FAILED, START) is settled


def test_what_waited_longest_goes_first() -> None:
    notes = [
        replace(NOTE, id="later", next_due=START + 1),
        replace(NOTE, id="second", next_due=START, created=2),
        replace(NOTE, id="first", next_due=START, created=1),
        replace(NOTE, id="new"),
    ]
    assert [note.id for note in due(notes, START)] == ["new", "first", "second"]


def test_a_clock_put_back_by_a_year_does_not_hold_a_note_for_a_year() -> None:
    stamped = replace(NOTE, attempts=1, next_due=START + 365 * 86_400 * SECOND)
    assert due([stamped], START) == [stamped]
    again = after(stamped, FAILED, START)
    assert due([again], START) == []
    assert due([again], START + delay(NOTE.id, 2)) == [again]


def test_410_ends_every_pending_and_future_note_of_the_endpoint() -> None:
    endpoint = configured(None, "training", "http://h/1")
    assert settle([NOTE], endpoint) == []
    assert heard(endpoint, FAILED) is endpoint
    assert heard(endpoint, Refused(Reason.CLIENT_ERROR, disable=False)) is endpoint
    gone = heard(endpoint, Refused(Reason.GONE, disable=True))
    other = replace(NOTE, endpoint="another")
    done = replace(NOTE, state=NoteState.DELIVERED)
    expected = replace(NOTE, state=NoteState.DEAD, last_reason="endpoint_gone")
    assert settle([NOTE, other, done], gone) == [expected]


def test_a_gone_endpoint_comes_back_when_its_url_changes() -> None:
    gone = replace(configured(None, "training", "http://user:password@h/1"), gone=True)
    kept = Endpoint.load(gone.dump())
    assert configured(kept, "training", "http://user:password@h/1") == gone
    assert not configured(kept, "training", "http://user:password@h/2").gone
    assert "password" not in gone.dump()
