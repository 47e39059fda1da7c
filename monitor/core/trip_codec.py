"""A trip as the store keeps it: JSON, with the verdicts it was made of."""

import json
from dataclasses import fields
from typing import Any

from detectors.base import ClassShare, Level, Verdict
from monitor.core.policy import Phase, Trip

TRIP_FIELDS = tuple(f.name for f in fields(Trip))
VERDICT_FIELDS = tuple(f.name for f in fields(Verdict))
WRITER = json.JSONEncoder(separators=(",", ":"))
"""One for all: `json.dumps` would make one for each of thousands of trips."""


def dump_trip(trip: Trip) -> bytes:
    """Write a trip."""
    item = {name: getattr(trip, name) for name in TRIP_FIELDS}
    item["verdict"] = _verdict_item(trip.verdict)
    item["judged"] = None if trip.judged is trip.verdict else _verdict_item(trip.judged)
    return WRITER.encode(item).encode()


def _verdict_item(verdict: Verdict | None) -> dict[str, Any] | None:
    if verdict is None:
        return None
    item = {name: getattr(verdict, name) for name in VERDICT_FIELDS}
    if not verdict.classes:  # as of nearly all of thousands
        del item["classes"]
    return item


def load_trip(data: bytes) -> Trip:
    """Read a trip."""
    item = json.loads(data)
    verdict, judged = _load_verdict(item["verdict"]), _load_verdict(item["judged"])
    if judged is None and verdict is not None and verdict.score is not None:
        judged = verdict
    return Trip(**{**item, "phase": Phase(item["phase"]), "verdict": verdict, "judged": judged})


def _load_verdict(item: dict[str, Any] | None) -> Verdict | None:
    if item is None:
        return None
    classes = tuple(ClassShare(*each) for each in item.get("classes", ()))
    return Verdict(**{**item, "level": Level(item["level"]), "classes": classes})
