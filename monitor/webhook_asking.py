"""`driftd webhooks retry` and `test`: what a person makes driftd send."""

import json
import os
import secrets
from pathlib import Path

from exporters.base import Delivered, Notification
from monitor.auditing import Sent, line
from monitor.clients import notifier
from monitor.clock import Clock, micros
from monitor.complaints import nearest
from monitor.config import Config
from monitor.core.outbox import Note, NoteState
from monitor.endpoints import addresses
from monitor.errors import DriftdError
from monitor.inspecting import read_entries
from monitor.outgoing import attempt, load_outbox
from monitor.performance_status import time_text
from monitor.requests import note_down, retry
from monitor.store.sqlite import DATABASE, SqliteStore
from monitor.types import Changes
from monitor.webhook_listing import find
from monitor.webhook_status import explained

TEST = "driftd.webhook.test"
PATIENCE = 3.0
"""Seconds to wait for a running daemon, which looks for requests every second."""
PAUSE = 0.1


def ask_again(config: Config, clock: Clock, id_: str) -> str:
    """Have a note sent at once, by the daemon that owns the state; returns what to tell.

    Raises DriftdError for a note that is unknown or delivered.
    """
    note = find(load_outbox(read_entries(config)), id_).note
    if note.state is NoteState.DELIVERED:
        raise DriftdError(f"{id_} was delivered; it is not sent a second time")
    if note.endpoint not in addresses(config):
        raise DriftdError(f"{id_} is for the webhook {note.endpoint}, which is not configured; add it first")
    if _heard(config.daemon.state, retry(id_), clock):
        return f"{id_}: the running daemon sends it now; driftd webhooks show {id_} says how it went"
    return f"{id_}: no daemon has answered; it is sent when one runs on {config.daemon.state}"


def _heard(folder: Path, request: Changes, clock: Clock) -> bool:
    """Leave a request, and wait a little until a daemon has obeyed it; False when none has."""
    store = SqliteStore(folder, guest=True)
    try:
        store.commit(request)
        end = clock.monotonic() + PATIENCE
        while request.keys() & store.asked().keys():
            if clock.monotonic() >= end or clock.wait(PAUSE):
                return False
    finally:
        store.close()
    return True


def try_out(config: Config, clock: Clock, name: str) -> str:
    """Send one marked event to a webhook; returns what came of it, in one line.

    Raises DriftdError when it was not delivered. The audit log has it in either case.
    """
    if name not in config.webhooks:
        raise DriftdError(f'there is no webhook "{name}"{nearest(name, config.webhooks)}')
    hook = config.webhooks[name]
    now = micros(clock.now())
    note = Note(f"test_{secrets.token_hex(12)}", name, "", body(name, now), now)
    message = Notification(note.id, hook.url, note.body.encode(), now)
    sent = attempt(notifier(name, hook), message, note, clock)
    _note_down(config.daemon.state, note_down(line(sent)))
    said = _told(sent)
    if not isinstance(sent.delivery, Delivered):
        raise DriftdError(said)
    return said


def body(name: str, now: int) -> str:
    """Return a test's body: of a type of its own, so that no receiver need take it for a request.

    It has all the parts of a request, of nothing: what is read of a request can be read of it.
    """
    at = time_text(now)
    data = {
        "schema_version": 1,
        "test": True,
        "webhook": name,
        "model": "test",
        "versions": ["test"],
        "window": {"start": at, "end": at},
        "reference": "",
        "monitors": [],
        "omitted": 0,
    }
    return json.dumps({"type": TEST, "timestamp": at, "data": data}, separators=(",", ":"))


def _told(sent: Sent) -> str:
    how, name = sent.delivery, sent.note.endpoint
    if isinstance(how, Delivered):
        return f"webhook {name}: delivered, it answered {how.status} after {sent.milliseconds} ms"
    return f"webhook {name}: not delivered: {explained(how.reason, how.status)}"


def _note_down(folder: Path, request: Changes) -> None:
    store = SqliteStore(folder, guest=os.access(folder / DATABASE, os.F_OK))
    try:
        store.commit(request)
    finally:
        store.close()
