"""The audit records of a state, verified: for tests of what leaves them."""

from collections.abc import Mapping

from monitor.core.episode_log import EPISODES
from monitor.core.recomputing import verify
from monitor.core.records import SPACE, AuditRecord
from monitor.types import EntryKey


def records(entries: Mapping[EntryKey, bytes]) -> dict[str, AuditRecord]:
    """Return the audit records, by episode."""
    return {key[2]: AuditRecord.load(value) for key, value in entries.items() if key[0] == SPACE}


def unequal(entries: Mapping[EntryKey, bytes]) -> dict[str, object]:
    """Return what is said of the episodes without a record, or whose verdict does not come out again."""
    known = records(entries)
    missing: dict[str, object] = {
        key[2]: "no record" for key in entries if key[0] == EPISODES and key[2] not in known
    }
    found = {id_: verify(record) for id_, record in known.items()}
    return missing | {id_: one for id_, one in found.items() if not one.equal}
