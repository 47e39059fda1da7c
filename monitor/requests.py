"""What another process asks of the daemon that owns the state: entries that it finds, obeys and deletes.

The answer and the end of the request are one commit, so each is obeyed once, whenever either process dies.
"""

import json
from collections.abc import Mapping

from msgspec.structs import asdict

from monitor.auditing import Line, entry
from monitor.core.outbox import NoteState, again, reopened
from monitor.logs import logger
from monitor.outgoing import Outbox, put, put_endpoint
from monitor.store.base import REQUESTS
from monitor.types import Changes, EntryKey

RETRY, AUDIT = "retry", "audit"


def retry(id_: str) -> Changes:
    """Return the request to send a note that waits or was given up at once."""
    return {(REQUESTS, RETRY, id_): b""}


def note_down(line: Line) -> Changes:
    """Return the request to put a line into the audit log: of a request that was made beside the daemon."""
    return {(REQUESTS, AUDIT, line.id): json.dumps(asdict(line)).encode()}


def obeyed(outbox: Outbox, requests: Mapping[EntryKey, bytes]) -> Changes:
    """Return the entries that do what is asked, and end the requests; a note that is delivered stays so."""
    found: Changes = dict.fromkeys(requests)
    number = outbox.audited
    for (_, what, id_), value in sorted(requests.items()):
        if what == AUDIT and (line := _line(value)) is not None:
            key, text = entry(number, line)
            found[key], number = text, number + 1
        queued = outbox.queued.get(id_) if what == RETRY else None
        if queued is None or queued.note.state is NoteState.DELIVERED:
            continue
        found |= put(queued, again(queued.note))
        endpoint = outbox.endpoints.get(queued.note.endpoint)
        if endpoint is not None and endpoint.gone:
            found |= put_endpoint(reopened(endpoint))
    return found


def pending_lines(requests: Mapping[EntryKey, bytes]) -> list[Line]:
    """Return the lines that wait to be put into the audit log."""
    lines = (_line(value) for (_, what, _), value in requests.items() if what == AUDIT)
    return [line for line in lines if line is not None]


def _line(value: bytes) -> Line | None:
    """Read a line; None where a driftd of another version wrote what this one does not know."""
    try:
        return Line(**json.loads(value))
    except (TypeError, ValueError):
        logger("outbox").warning("a line for the audit log cannot be read; it is dropped")
        return None
