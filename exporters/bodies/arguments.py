"""What a pipeline is started with: fixed values, and texts like "$model" that name a part of the event."""

from collections.abc import Iterable, Mapping
from typing import Any

from exporters.bodies.message import Event, compact

Value = bool | int | float | str
FIELDS = (
    "id",
    "type",
    "timestamp",
    "model",
    "versions",
    "kinds",
    "features",
    "window_start",
    "window_end",
    "reference",
    "event",
)
"""The parts of an event that "$name" may name."""


def unknown(arguments: Mapping[str, Value]) -> list[str]:
    """Return the names of the arguments whose "$name" names no part of an event."""
    return [n for n, v in arguments.items() if (part := named(v)) is not None and part not in FIELDS]


def named(value: Value) -> str | None:
    """Return the part of the event that a value names, None for a fixed value.

    >>> named("$model"), named("$$model"), named("model")
    ('model', None, None)
    """
    if not isinstance(value, str) or not value.startswith("$") or value.startswith("$$"):
        return None
    return value[1:]


def filled(arguments: Mapping[str, Value], event: Event) -> dict[str, Value]:
    """Return the arguments with the event's parts in place; "$$" at the beginning stands for "$"."""
    known = fields(event) if any(named(v) is not None for v in arguments.values()) else {}
    return {name: _filled(value, known) for name, value in arguments.items()}


def _filled(value: Value, known: Mapping[str, str]) -> Value:
    part = named(value)
    if part is not None:
        return known[part]
    return value[1:] if isinstance(value, str) and value.startswith("$$") else value


def fields(event: Event) -> dict[str, str]:
    """Return the parts of the event, each as text; lists are joined by commas, the worst monitor first."""
    parts = event.parts()
    data: Mapping[str, Any] = parts["data"]
    monitors = data.get("monitors", [])
    span = data.get("window", {})
    return {
        "id": event.id,
        "type": parts["type"],
        "timestamp": parts["timestamp"],
        "model": data.get("model", ""),
        "versions": _joined(data.get("versions", [])),
        "kinds": _joined(m["kind"] for m in monitors),
        "features": _joined(m["feature"] for m in monitors),
        "window_start": span.get("start", ""),
        "window_end": span.get("end", ""),
        "reference": data.get("reference", ""),
        "event": compact(parts).decode(),
    }


def _joined(words: Iterable[str]) -> str:
    return ",".join(dict.fromkeys(words))


def written(value: Value) -> str:
    """Return a value as the text that JSON has for it, for receivers that take texts only.

    >>> written(True), written(3), written("a")
    ('true', '3', 'a')
    """
    return value if isinstance(value, str) else compact({"": value}).decode()[4:-1]
