"""The audit records of a state, verified: for tests of what leaves them."""

import json
import math
from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np

from monitor.core.episode_log import EPISODES
from monitor.core.records import SPACE, AuditRecord
from monitor.core.row_files import SPACE as FILES
from monitor.core.verifying import EQUAL, verify
from monitor.types import EntryKey


def records(entries: Mapping[EntryKey, bytes]) -> dict[str, AuditRecord]:
    """Return the audit records, by episode."""
    found = ((key, AuditRecord.load(value)) for key, value in entries.items() if key[0] == SPACE)
    return {key[2]: record.with_files(partial(_file, entries, key[1])) for key, record in found}


def _file(entries: Mapping[EntryKey, bytes], model: str, hash_: str) -> bytes | None:
    return entries.get((FILES, model, hash_))


def unequal(entries: Mapping[EntryKey, bytes]) -> dict[str, object]:
    """Return what is said of the episodes without a record, or whose verdict does not come out again."""
    known = records(entries)
    missing: dict[str, object] = {
        key[2]: "no record" for key in entries if key[0] == EPISODES and key[2] not in known
    }
    found = {id_: verify(record) for id_, record in known.items()}
    return missing | {id_: one for id_, one in found.items() if one.says != EQUAL}


def altered(document: Mapping[str, Any], seed: int) -> dict[str, Any]:
    """Return a record's document with another value in one of its leaves, chosen part by part."""
    rng, found = np.random.default_rng(seed), json.loads(json.dumps(document))
    inside: Any = found
    while True:
        parts = inside if isinstance(inside, dict) else dict(enumerate(inside))
        places = sorted(place for place, part in parts.items() if part not in ({}, [], [[]]))
        place = places[rng.integers(len(places))]
        if not isinstance(inside[place], dict | list):
            others = _others(inside[place])
            inside[place] = others[rng.integers(len(others))]
            return dict(found)
        inside = inside[place]


def _others(value: Any) -> list[Any]:  # noqa: ANN401 - JSON
    if value is None or isinstance(value, bool):
        return [0.5, not value]
    if isinstance(value, int | float):
        others = [value + 1, -value - 1, math.nextafter(value, math.inf), value + 0.5]
        return [other for other in others if other != value]  # a large number is the same plus one
    return [f"{value}0", "0.0", value[1:] if value else "x"]
