"""What a person reads of the webhooks: a table, one in full, and what was asked for."""

import base64
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from exporters.base import Delivered, Reason, Refused, Retry
from monitor.auditing import Sent
from monitor.clock import ManualClock, micros
from monitor.config import Config
from monitor.core.outbox import SECOND, Note
from monitor.errors import DriftdError
from monitor.outgoing import enqueue, load_outbox, outcome, register, with_changes
from monitor.store.sqlite import SqliteStore
from monitor.webhook_asking import TEST, ask_again, body, try_out
from monitor.webhook_listing import audit, listed, listing_text, shown, shown_text
from monitor.webhook_status import SAYS, webhook_lines, webhook_status

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
QUEUED = micros(NOW - timedelta(hours=26))
NOTES = {"new": "a", "ok": "a", "wait": "a", "gone": "b", "z": "z"}
SENT = micros(NOW - timedelta(hours=1))


def config(folder: Path) -> Config:
    source = {"role": "predictions", "type": "files", "path": str(folder / "*.jsonl")}
    model = {"name": "m", "columns": {"prediction": "y"}, "reference": {"first": "30d"}, "sources": [source]}
    hook = {"url": "http://127.0.0.1:1/", "allow_private": True, "timeout": "1s"}
    made = Config.model_validate(
        {"daemon": {"state": str(folder / "state")}, "models": [model], "webhooks": {"a": hook, "b": hook}},
        context={"folder": folder},
    )
    hooks = {name: h.keyed(base64.b64decode("a" * 32)) for name, h in made.webhooks.items()}
    return made.model_copy(update={"webhooks": hooks})


def note(name: str, endpoint: str) -> Note:
    return Note(f"msg_{name}", endpoint, "m", '{"type": "driftd.retrain.requested"}', created=1)


@pytest.fixture
def made(tmp_path: Path) -> Config:
    """Return a configuration whose state has one note of each kind."""
    found = config(tmp_path)
    store = SqliteStore(found.daemon.state)
    outbox = load_outbox({})
    steps = [
        register(outbox, {"a": "x", "b": "x"}),
        enqueue([note(name, endpoint) for name, endpoint in NOTES.items()], QUEUED),
    ]
    for changes in steps:
        store.commit(changes)
        outbox = with_changes(outbox, changes)
    for name, delivery in (
        ("ok", Delivered(202)),
        ("wait", Retry(Reason.PRIVATE)),
        ("gone", Refused(Reason.GONE, disable=True, status=410)),
    ):
        changes = outcome(outbox, Sent(outbox.queued[f"msg_{name}"].note, delivery, SENT, 34), SENT)
        store.commit(changes)
        outbox = with_changes(outbox, changes)
    store.close()
    return found


def rows(made: Config) -> dict[str, dict[str, Any]]:
    return {row["id"]: row for row in listed(made, ManualClock(NOW))}


def test_every_note_is_listed_with_how_it_stands(made: Config) -> None:
    found = rows(made)
    told = ("state", "attempts", "last_outcome", "last_status")
    assert {id_: tuple(row[key] for key in told) for id_, row in found.items()} == {
        "msg_new": ("pending", 0, None, None),
        "msg_ok": ("delivered", 1, "delivered", 202),
        "msg_wait": ("pending", 1, "private", None),
        "msg_gone": ("dead", 1, "gone", 410),
        "msg_z": ("pending", 0, None, None),
    }
    assert {row["age_seconds"] for row in found.values()} == {26 * 3600}
    wait = datetime.fromisoformat(found["msg_wait"]["next_attempt"])
    assert SENT + 5 * SECOND <= micros(wait) < SENT + 6 * SECOND
    assert [found[i]["next_attempt"] for i in ("msg_ok", "msg_gone", "msg_z")] == [None] * 3
    assert json.loads(json.dumps(found)) == found


def test_a_person_reads_a_table(made: Config) -> None:
    lines = listing_text(listed(made, ManualClock(NOW))).splitlines()
    assert lines[0].split()[:4] == ["ID", "WEBHOOK", "MODEL", "STATE"]
    assert len({line.find("m  ") for line in lines if "msg_" in line}) == 1
    text = "\n".join(lines)
    assert "1d 2h" in text
    assert "gone 410" in text
    assert "never: not configured" in text
    assert len(listed(made, ManualClock(NOW), "dead")) == 1


def test_one_is_shown_with_its_body_and_its_attempts(made: Config) -> None:
    found = shown(made, ManualClock(NOW), "msg_gone")
    assert found["body"] == {"type": "driftd.retrain.requested"}
    (tried,) = found["history"]
    told = ("attempt", "outcome", "status", "milliseconds")
    assert tuple(tried[key] for key in told) == (1, "gone", 410, 34)
    text = shown_text(found)
    assert "gone 410: it answered that it is gone for good  34 ms" in text
    assert "2026-03-01T11:00:00Z" in text
    assert '"type": "driftd.retrain.requested"' in text
    assert "none yet" in shown_text(shown(made, ManualClock(NOW), "msg_new"))
    with pytest.raises(DriftdError, match='no webhook with the id "msg_x"; driftd webhooks list'):
        shown(made, ManualClock(NOW), "msg_x")


def test_status_says_what_is_wrong_and_nothing_else(made: Config) -> None:
    store = SqliteStore(made.daemon.state, read_only=True)
    found = webhook_status(load_outbox(store.load()))
    store.close()
    assert [(h["webhook"], h["disabled"], h["pending"], h["dead"]) for h in found] == [
        ("a", False, 2, 0),
        ("b", True, 0, 1),
        ("z", False, 1, 0),
    ]
    first, second = webhook_lines(found)
    assert first.startswith("  a: attempts failed so far: 1, private: the host's address is not public")
    assert "; next 2026-03-01T11:00:0" in first
    assert second.startswith("  b: DISABLED, it answered 410")
    assert "1 dead, see `driftd webhooks list`" in second


def test_every_reason_is_explained() -> None:
    assert [reason for reason in Reason if reason not in SAYS] == []


@pytest.mark.parametrize(
    ("id_", "says"),
    [
        ("msg_ok", "was delivered; it is not sent a second time"),
        ("msg_z", "the webhook z, which is not configured"),
        ("msg_x", "no webhook with the id"),
    ],
)
def test_what_cannot_be_sent_again_says_why(made: Config, id_: str, says: str) -> None:
    with pytest.raises(DriftdError, match=says):
        ask_again(made, ManualClock(NOW), id_)


def test_without_a_daemon_the_request_waits_for_one(made: Config) -> None:
    said = ask_again(made, ManualClock(NOW), "msg_gone")
    assert f"no daemon has answered; it is sent when one runs on {made.daemon.state}" in said
    store = SqliteStore(made.daemon.state)
    assert list(store.asked()) == [("request", "retry", "msg_gone")]
    store.close()


def test_a_test_before_the_first_start_is_noted_too(tmp_path: Path) -> None:
    made = config(tmp_path)
    with pytest.raises(DriftdError, match="webhook a: not delivered: connect: nobody listens"):
        try_out(made, ManualClock(NOW), "a")
    (noted,) = audit(made)
    assert noted["id"].startswith("test_")
    assert (noted["webhook"], noted["outcome"], noted["model"]) == ("a", "connect", "")
    assert rows(made) == {}


def test_a_test_is_a_request_of_another_type_and_marked() -> None:
    schema = json.loads((Path(__file__).parents[2] / "docs" / "webhook.schema.json").read_text())
    document = json.loads(body("training", QUEUED))
    assert document.pop("type") == TEST
    assert document["data"].pop("test") is True
    assert document["data"].pop("webhook") == "training"
    assert set(document) | {"type"} == set(schema["required"])
    assert set(document["data"]) == set(schema["properties"]["data"]["required"])
