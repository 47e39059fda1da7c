"""A backtest as data for a program and as lines for a person."""

import json

import pytest
from msgspec.structs import replace

from monitor.backtest_report import as_text, document, note_text, span_text
from monitor.core.outbox import Note
from monitor.core.retrain import ClosedWindow, Firing, Rule, body
from monitor.core.state import Book
from tests.histories import HOUR, Alarm, at, incident, replayed

FIRST = "2026-03-01T00:00:00Z"


def note(*features: str) -> Note:
    firing = [Firing("drift", "ks", f, "all", "v1", 0.5, 0.2, f"ep_{f}") for f in features]
    rule = Rule("m", "training", frozenset({"drift"}), 0, 2)
    return Note("msg", "training", "m", body(rule, firing, ClosedWindow(at(0), at(1), "")), at(1))


def test_the_document_has_the_promised_keys_and_no_others() -> None:
    replay = replace(replayed(Alarm(2, 3), Alarm(4), known=(incident(1),)), notes=(note("x"),))

    (found,) = document([replay])["models"]

    episodes = found.pop("episodes")
    assert found == {
        "model": "m",
        "windows": 720,
        "monitors": 7,
        "webhooks": 1,
        "false_alarms_per_30d": 0.0,
        "delays": [
            {
                "incident": "truth.csv:2",
                "start": "2026-03-01T01:00:00Z",
                "end": None,
                "kind": "",
                "feature": "",
                "episode": "ep_x_ks_all_2",
                "windows": 1,
                "seconds": 7200.0,
            }
        ],
    }
    assert episodes[0] == {
        "id": "ep_x_ks_all_2",
        "monitor": "ks",
        "kind": "drift",
        "feature": "x",
        "segment": "all",
        "version": "v1",
        "started": "2026-03-01T02:00:00Z",
        "ended": "2026-03-01T03:00:00Z",
        "score": 0.5,
        "threshold": 0.25,
        "rank_of_cause": ["x", "colour"],
    }
    assert episodes[1]["ended"] is None


def test_the_document_is_json_when_nothing_was_judged() -> None:
    replay = replace(replayed(known=(incident(1),)), first=None, last=None)

    (found,) = json.loads(json.dumps(document([replay]), allow_nan=False))["models"]

    assert found["false_alarms_per_30d"] is None
    assert found["delays"][0]["episode"] is None


def test_a_person_reads_when_what_fired_and_how_bad_it_was() -> None:
    text = as_text([replayed(Alarm(2, 3), Alarm(4, segment="a=1"))])

    assert f"  judged       {FIRST} to 2026-03-31T00:00:00Z, 30d" in text
    assert "  windows      720 of 1h\n  monitors     7\n  episodes     2\n" in text
    assert "2026-03-01T02:00:00Z  2026-03-01T03:00:00Z  drift  x ks [all v1]  0.5 / 0.25" in text
    assert "2026-03-01T04:00:00Z  firing                drift  x ks [a=1 v1]  0.5 / 0.25" in text
    assert "  tickets      x 2\n" in text
    assert "  would page   nothing\n" in text


def test_without_incidents_the_text_says_what_that_means() -> None:
    text = as_text([replayed(Alarm(2, 3))])

    assert "  false alarms 1 if nothing was wrong: 1.00 per 30d of event time (budget 1 per 30d)" in text
    assert not [line for line in text.splitlines() if line.endswith("false alarm")]


def test_with_incidents_false_alarms_are_marked_and_delays_told() -> None:
    text = as_text([replayed(Alarm(2, 3), Alarm(11), known=(incident(10, feature="x"),))])

    (false,) = [line for line in text.splitlines() if line.endswith("  false alarm")]
    assert "2026-03-01T02:00:00Z" in false
    assert "  false alarms 1 that touch no incident: 1.00 per 30d" in text
    found = "found after 1 window, 2h, by x ks [all] (ep_x_ks_all_11)"
    assert f"  incident     from 2026-03-01T10:00:00Z on, x (truth.csv:2): {found}" in text


def test_an_incident_that_was_not_found_is_told_with_what_may_be_why() -> None:
    known = (incident(10, 12, "drift", "x"), incident(-9, -8))
    text = as_text([replayed(Alarm(2), known=known)])

    of = "from 2026-03-01T10:00:00Z to 2026-03-01T12:00:00Z, drift x (truth.csv:2)"
    assert f"{of}: NOT FOUND (x ks ep_x_ks_all_2 was firing already)" in text
    assert "(truth.csv:2): NOT FOUND, none of its time was judged" in text


def test_a_long_list_of_episodes_is_cut() -> None:
    text = as_text([replayed(*(Alarm(i, i + 1) for i in range(45)))])

    assert text.count("0.5 / 0.25") == 40
    assert "    ... and 5 more; --json has all" in text


def test_webhooks_are_told_with_the_worst_of_what_they_name() -> None:
    text = as_text([replace(replayed(), notes=(note("x"), note("y", "x")))])

    assert "  webhooks     2\n" in text
    assert "    2026-03-01T01:00:00Z training: x ks [all v1]\n" in text
    assert "    2026-03-01T01:00:00Z training: y ks [all v1] and 1 more" in text


def test_what_a_webhook_had_no_room_for_is_counted() -> None:
    assert note_text(note(*(f"f{i}" for i in range(60)))).endswith("f0 ks [all v1] and 59 more")


def test_injected_rows_and_unread_files_are_told() -> None:
    replay = replace(replayed(), injected={"feature=x": 1200, "feature=y": 0}, problems=("a.gz: broken",))
    text = as_text([replay])

    assert "  injected     feature=x: 1,200 rows of that time\n" in text
    assert "  injected     feature=y: NO ROW of that time is in the log\n" in text
    assert "    NOT READ a.gz: broken\n" in text


def test_a_history_without_judged_windows_says_so() -> None:
    replay = replace(replayed(), first=None, last=None)
    text = as_text([replace(replay, state=replace(replay.state, book=Book()))])

    assert "  judged       nothing: no window with a reference was closed" in text
    assert "0 if nothing was wrong: of no time judged" in text
    assert "None" not in text


@pytest.mark.parametrize(
    ("hours", "says"),
    [(24, "1d"), (25.5, "1d 1h"), (24.5, "1d 30m"), (0.5, "30m"), (1 / 3600, "1s"), (0, "0s")],
)
def test_lengths_of_time_are_told_in_two_units(hours: float, says: str) -> None:
    assert span_text(round(hours * HOUR)) == says
