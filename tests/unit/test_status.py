"""The status as data and as lines."""

import json

from msgspec.structs import replace

from detectors.base import Level, Verdict
from monitor.core.outbox import Note, NoteState
from monitor.core.policy import Phase, Trip, TripKey
from monitor.core.state import Book, ModelState
from monitor.core.windows import Progress
from monitor.outgoing import Outbox, Queued
from monitor.status import as_text, status
from tests.logs import EPOCH, MINUTE, model, plan_of, reference

MADE = model()
KEY = TripKey("v1", "all", "x", "ks")


def firing(last: int = EPOCH) -> ModelState:
    judged = Verdict("ks", "x", "drift", Level.BREACH, 9, 0.81234, 0.5)
    trip = Trip("drift", Phase.FIRING, 1, 0, "ep_1", EPOCH, None, 1, EPOCH, judged, judged)
    calm = Trip("drift", window=last, verdict=Verdict("ks", "y", "drift", Level.OK, 9, 0.1, 0.5))
    counts = {
        ("predictions-0", "received", ""): 12,
        ("predictions-0", "stored", ""): 8,
        ("predictions-0", "late", ""): 1,
        ("predictions-0", "rejected", "bad_json"): 3,
        ("hook", "retrain", "requested"): 7,
    }
    book = Book(Progress(EPOCH + MINUTE, EPOCH + MINUTE), counts, last_closed=last, windows_closed=4)
    trips = {KEY: trip, TripKey("v1", "all", "y", "ks"): calm}
    volumes = {("v1", "all"): (5, 8)}
    return ModelState("m", book=book, trips=trips, volumes=volumes, baselines=(reference(MADE),))


def test_a_new_model_has_nothing_to_say_yet() -> None:
    document = status([plan_of(MADE)], {"m": ModelState("m")}, Outbox())
    (found,) = document["models"]
    assert found["reference"] is None
    assert found["windows"] == {"open": 0, "closed": 0, "last_closed": None}
    assert (found["watermark"], found["last_row"], found["states"], found["firing"]) == (None, None, {}, [])
    assert found["performance"] == {"versions": [], "compare": None, "labels": None}
    assert set(found["events"].values()) == {0}
    text = as_text(document)
    assert "None" not in text
    assert "reference   none yet" in text


def test_what_happened_is_told_as_data() -> None:
    note = Note("n", "hook", "m", "{}", 0, state=NoteState.DEAD)
    document = status([plan_of(MADE)], {"m": firing()}, Outbox({"n": Queued(note, 0)}))
    assert json.loads(json.dumps(document)) == document
    (found,) = document["models"]
    assert found["events"] == {
        "received": 12,
        "stored": 8,
        "rejected": 3,
        "duplicate": 0,
        "late": 1,
        "dropped": 0,
    }
    assert found["rejected"] == {"bad_json": 3}
    assert found["sources"] == {"predictions-0": found["events"]}
    assert found["states"] == {"firing": 1, "ok": 1}
    assert found["windows"] == {"open": 0, "closed": 4, "last_closed": "2023-11-14T22:13:00Z"}
    assert (found["watermark"], found["last_row"]) == ("2023-11-14T22:13:30Z", "2023-11-14T22:14:00Z")
    assert found["groups"] == [{"version": "v1", "segment": "all", "rows": 8}]
    assert found["firing"][0]["episode"] == "ep_1"
    assert document["outbox"] == {"pending": 0, "delivered": 0, "dead": 1}


def test_a_person_reads_what_fires_and_why() -> None:
    text = as_text(status([plan_of(MADE)], {"m": firing()}, Outbox()))
    assert "FIRING x ks [all v1] 0.8123 > 0.5 since 2023-11-14T22:13:00Z (ep_1)" in text
    assert "rejected 3 bad_json" in text
    assert "1 firing, 1 ok" in text
    assert "4 closed, 0 open" in text


def test_a_monitor_whose_version_is_gone_is_stale_and_no_alarm() -> None:
    document = status([plan_of(MADE)], {"m": firing(EPOCH + 5 * MINUTE)}, Outbox())
    assert document["models"][0]["states"] == {"ok": 1, "stale": 1}
    assert document["models"][0]["firing"] == []


def test_performance_that_fires_is_told_first() -> None:
    key = TripKey("v1", "all", "_all", "accuracy")
    judged = Verdict("accuracy", "_all", "performance", Level.BREACH, 9, 0.02, 0.01)
    state = firing()
    trip = replace(state.trips[KEY], kind="performance", verdict=judged, judged=judged)
    text = as_text(status([plan_of(MADE)], {"m": replace(state, trips={**state.trips, key: trip})}, Outbox()))
    told = [line.split(" since")[0].strip() for line in text.splitlines() if "FIRING" in line]
    assert told == ["FIRING performance accuracy [all v1] 0.02 > 0.01", "FIRING x ks [all v1] 0.8123 > 0.5"]


def test_what_keeps_firing_through_calm_windows_says_so() -> None:
    state = firing()
    calm = replace(state.trips[KEY], judged=Verdict("ks", "x", "drift", Level.OK, 9, 0.2, 0.5))
    text = as_text(status([plan_of(MADE)], {"m": replace(state, trips={KEY: calm})}, Outbox()))
    assert "FIRING x ks [all v1] 0.2 <= 0.5 since" in text
