"""An episode explained: what is known of it, and its verdict computed again from its audit record."""

import json
from pathlib import Path
from typing import Any

from detectors.joint import Asked, Comparison
from monitor.alibi_asking import AlibiDetect
from monitor.alibi_table import Alibi
from monitor.clock import SystemClock
from monitor.comparing import Failure
from monitor.config import Config
from monitor.core.heavy_records import Ask
from monitor.core.plan import Plan
from monitor.core.records import SPACE, AuditRecord, NotAgainError
from monitor.core.row_files import SPACE as FILES
from monitor.core.state import load_model
from monitor.core.verifying import EQUAL, UNEQUAL, Verified, verify
from monitor.errors import DriftdError
from monitor.explain_text import explain_lines
from monitor.inspecting import read_entries
from monitor.record_rows import rows_in, write_rows
from monitor.responses import episode_items, load_responses

Document = dict[str, Any]
NUMBERS = ("score", "threshold")
OLDER = "it began under a release of driftd that kept no audit records"
UNREADABLE = "cannot be read as an audit record"


def explained(config: Config, id_: str, *, check: bool, rows: Path | None = None) -> Document:
    """Return all that is known of an episode of the last commit; check: compute its verdict again.

    rows: a folder to write the rows to that the verdict was computed from.

    Raises DriftdError where no such episode is known, or a check is wished and there is no record.
    """
    entries = read_entries(config, rows=True)
    watching = [(Plan.of(m), load_model(m.name, entries)) for m in config.models]
    items = {item["id"]: item for item in episode_items(watching, load_responses(entries))}
    if id_ not in items:
        raise DriftdError(f'no episode "{id_[:100]}" is known; `driftd episodes --all` lists those that are')
    item = items[id_]
    value = entries.get((SPACE, item["model"], id_))
    if value is None:
        if check:
            raise DriftdError(f"{id_} has no audit record: {OLDER}")
        return {"episode": item, "record": None, "verified": None}
    record = _load(value, id_).with_files(lambda hash_: entries.get((FILES, item["model"], hash_)))
    if rows is not None:
        write_rows(record, rows)
    return {"episode": item, **_checked(record, item, ask_of(config.alibi) if check else None)}


def explained_file(path: Path, *, check: bool, rows: Path | None = None) -> Document:
    """Return what a file tells that `driftd explain --json` wrote, without any configuration or state.

    rows: the folder that was written with it.
    """
    try:
        document = json.loads(path.read_bytes())
    except OSError as error:
        raise DriftdError(f"{path}: cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise DriftdError(f"{path}: {UNREADABLE}: it is no JSON") from error
    whole: Document = document if isinstance(document, dict) else {}
    item = whole.get("episode")
    try:
        record = AuditRecord.read(whole.get("record") or whole).with_files(rows_in(rows))
    except (TypeError, ValueError, AttributeError) as error:
        raise DriftdError(f"{path}: {UNREADABLE}: {error}") from error
    item = item if isinstance(item, dict) else None
    try:
        found = {"episode": item, **_checked(record, item, ask_of(Alibi()) if check else None)}
        explain_lines(found)
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        raise DriftdError(f"{path}: {UNREADABLE}: parts of it are missing or other than written") from error
    return found


def _load(value: bytes, id_: str) -> AuditRecord:
    try:
        return AuditRecord.load(value)
    except ValueError as error:
        raise DriftdError(f"{id_}: its audit record {UNREADABLE}: {error}") from error


def _checked(record: AuditRecord, item: Document | None, ask: Ask | None) -> Document:
    """Return a record, and what came of computing it again where somebody may be asked."""
    verified = _verified(verify(record, ask), record, item) if ask is not None else None
    return {"record": record.document(), "verified": verified}


def ask_of(table: Alibi) -> Ask:
    """Return what asks the detectors of alibi-detect, in their environment."""

    def ask(asked: Asked) -> Comparison:
        asking = AlibiDetect(table, SystemClock())
        try:
            found = asking.compare(asked)
        finally:
            asking.close()
        if isinstance(found, Failure):
            raise NotAgainError(found.note)
        return found

    return ask


def _another(record: AuditRecord, item: Document | None) -> bool:
    """Tell whether an episode says other than the record that was written with it."""
    if item is None:
        return False
    said = (record.head["episode"], record.seal, *(record.head["verdict"][n] for n in NUMBERS))
    return said != tuple(item.get(name) for name in ("id", "seal", *NUMBERS))


def _verified(found: Verified, record: AuditRecord, item: Document | None) -> Document:
    problem, other, says = found.problem, _another(record, item), found.says
    if not found.sealed:
        problem = "the record has changed since it was written" + (f"; {problem}" if problem else "")
    elif other:
        problem = "the episode says other than the record that was written with it"
    return {
        "says": UNEQUAL if other else says,
        "equal": says == EQUAL and not other,
        "problem": problem,
        "lacking": found.lacking,
        "note": found.note,
        "numbers": [
            {"name": each.name, "recorded": each.recorded, "again": each.again, "equal": each.equal}
            for each in found.compared
        ],
    }
