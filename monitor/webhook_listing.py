"""What `driftd webhooks list`, `show` and `audit` print, from the last committed state."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from monitor.auditing import Line, lines
from monitor.clock import Clock, micros
from monitor.config import Config
from monitor.core.outbox import NoteState
from monitor.endpoints import addresses
from monitor.errors import DriftdError
from monitor.inspecting import read_entries
from monitor.outgoing import Outbox, Queued, load_outbox
from monitor.performance_status import time_text
from monitor.requests import pending_lines
from monitor.store.base import REQUESTS
from monitor.webhook_status import explained

SECOND = 10**6
UNITS = (("d", 86_400), ("h", 3600), ("m", 60), ("s", 1))


def find(outbox: Outbox, id_: str) -> Queued:
    """Return what is known of a note; raises DriftdError when there is none."""
    if id_ not in outbox.queued:
        raise DriftdError(f'there is no webhook with the id "{id_}"; driftd webhooks list shows them')
    return outbox.queued[id_]


def listed(config: Config, clock: Clock, state: str | None = None) -> list[dict[str, Any]]:
    """Return every note as plain data, the newest last. state: only those that stand so."""
    entries = read_entries(config)
    queued = sorted(load_outbox(entries).queued.values(), key=lambda q: (q.since, q.note.id))
    last = {line.id: line for line in lines(entries)}
    now = micros(clock.now())
    wanted = [q for q in queued if state in (None, str(q.note.state))]
    return [_row(config, q, last.get(q.note.id), now) for q in wanted]


def _row(config: Config, queued: Queued, last: Line | None, now: int) -> dict[str, Any]:
    note = queued.note
    waits = note.state is NoteState.PENDING and note.endpoint in addresses(config)
    answered = last is not None and note.last_reason in {"", last.outcome}
    outcome = last.outcome if last is not None and answered else note.last_reason
    return {
        "id": note.id,
        "webhook": note.endpoint,
        "configured": note.endpoint in addresses(config),
        "model": note.model,
        "state": str(note.state),
        "attempts": note.attempts,
        "queued": time_text(queued.since),
        "age_seconds": max(now - queued.since, 0) // SECOND,
        "next_attempt": time_text(max(note.next_due, queued.since)) if waits else None,
        "last_outcome": outcome or None,
        "last_status": last.status if last is not None and answered else None,
    }


def listing_text(rows: Sequence[Mapping[str, Any]]) -> str:
    """Return the notes as a table."""
    table = [("ID", "WEBHOOK", "MODEL", "STATE", "ATTEMPTS", "AGE", "NEXT ATTEMPT", "LAST OUTCOME")]
    for row in rows:
        status = "" if row["last_status"] is None else f" {row['last_status']}"
        outcome = f"{row['last_outcome']}{status}" if row["last_outcome"] else "-"
        names = (row["id"], row["webhook"], row["model"], row["state"])
        table.append((*names, str(row["attempts"]), _age(row["age_seconds"]), _next(row), outcome))
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    cells = [[cell.ljust(width) for cell, width in zip(line, widths, strict=True)] for line in table]
    return "\n".join("  ".join(line).rstrip() for line in cells)


def _next(row: Mapping[str, Any]) -> str:
    if row["state"] == NoteState.PENDING and not row["configured"]:
        return "never: not configured"
    return row["next_attempt"] or "-"


def _age(seconds: int) -> str:
    """Write seconds in the two largest units that are not zero.

    >>> _age(93_784), _age(59), _age(0)
    ('1d 2h', '59s', '0s')
    """
    parts = []
    for unit, size in UNITS:
        if seconds >= size:
            parts.append(f"{seconds // size}{unit}")
            seconds %= size
    return " ".join(parts[:2]) or "0s"


def shown(config: Config, clock: Clock, id_: str) -> dict[str, Any]:
    """Return one note with its body and what its attempts came to. Raises DriftdError for an unknown id."""
    entries = read_entries(config)
    queued, history = find(load_outbox(entries), id_), [e for e in lines(entries) if e.id == id_]
    row = _row(config, queued, history[-1] if history else None, micros(clock.now()))
    return {**row, "body": _read(queued.note.body), "history": [_plain(line) for line in history]}


def _read(body: str) -> object:
    """Return a body as data where it is JSON; a template of the user's may write anything."""
    try:
        return json.loads(body)
    except ValueError:
        return body


def shown_text(found: Mapping[str, Any]) -> str:
    """Return one note as lines for a person."""
    tried = [
        f"  {e['time']}  {e['attempt']:>2}  {explained(e['outcome'], e['status'])}  {e['milliseconds']} ms"
        for e in found["history"]
    ]
    body = found["body"]
    return "\n".join(
        [
            f"webhook      {found['id']} to {found['webhook']}, of model {found['model']}",
            f"state        {found['state']}, {found['attempts']} attempts",
            f"queued       {found['queued']}, {_age(found['age_seconds'])} ago",
            f"next attempt {_next(found)}",
            f"last outcome {explained(found['last_outcome'] or 'none yet', found['last_status'])}",
            "attempts",
            *(tried or ["  none yet"]),
            "body",
            body if isinstance(body, str) else json.dumps(body, indent=2, ensure_ascii=False),
        ]
    )


def audit(config: Config) -> list[dict[str, Any]]:
    """Return the audit log as plain data, oldest first, requests beside the daemon included."""
    entries = read_entries(config)
    asked = {key: value for key, value in entries.items() if key[0] == REQUESTS}
    return [_plain(line) for line in (*lines(entries), *pending_lines(asked))]


def _plain(line: Line) -> dict[str, Any]:
    return {
        "time": time_text(line.at),
        "id": line.id,
        "webhook": line.webhook,
        "model": line.model,
        "attempt": line.attempt,
        "outcome": line.outcome,
        "status": line.status,
        "milliseconds": line.milliseconds,
    }
