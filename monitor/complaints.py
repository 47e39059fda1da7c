"""What is wrong with a configuration: one line each, saying where, what, and what to do; never a secret."""

import difflib
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date, time
from typing import Literal, get_args

from msgspec import Struct

from monitor.config import Config, Fault, Monitor, Source, keys, table_of
from monitor.fields import Strict

Place = tuple[str | int, ...]

ABSENT = object()
LONGEST_SHOWN = 160
LONGEST_LIST = 20
LISTING = "`driftd detectors`"
LATER: Mapping[tuple[type[Strict], str], tuple[str, ...]] = {
    (Source, "type"): ("objectstore", "http", "kafka", "redis", "postgres"),
    (Source, "format"): ("sagemaker", "kserve", "seldon"),
    (Monitor, "on"): ("label",),
}
"""Words that the full design knows and this version does not build yet."""
REMOVE = {"role": "remove this source", "type": "remove this source", "when": "remove it"}
WANTED = {
    "string_type": "text in quotes",
    "path_type": "a path in quotes",
    "int_type": "a whole number",
    "float_type": "a number",
    "bool_type": "true or false",
    "tuple_type": "a list",
    "dict_type": "a table",
    "model_type": "a table",
}
PLAIN = {
    "string_pattern_mismatch": "is not a name; write up to 64 letters, digits, dots, dashes or underscores",
    "string_too_short": "is empty; name a column",
    "finite_number": "must be a finite number",
}
BOUNDS = {
    "greater_than_equal": ("at least", "ge"),
    "greater_than": ("above", "gt"),
    "less_than_equal": ("at most", "le"),
    "less_than": ("below", "lt"),
}
HEADERS = {
    "daemon": "[daemon]",
    "daemon.web": "[daemon.web]",
    "models": "[[models]]",
    "models.columns": "[models.columns]",
    "models.features": "[models.features]",
    "models.reference": "[models.reference]",
    "models.sources": "[[models.sources]]",
    "models.alarms": "[models.alarms]",
    "models.performance": "[models.performance]",
    "models.compare": "[models.compare]",
    "models.monitors": "[[models.monitors]]",
    "models.retrain": "[[models.retrain]]",
    "webhooks": "[webhooks.NAME]",
    "webhooks.parameters": "[webhooks.NAME.parameters]",
    "exporters": "[exporters]",
    "exporters.grafana": "[exporters.grafana]",
    "exporters.otlp": "[exporters.otlp]",
    "exporters.otlp.headers": "[exporters.otlp.headers.NAME]",
}
MISSING = {
    "models": "add a [[models]] table",
    "name": 'add name = "..."',
    "reference": 'add [models.reference] with path = "..." or first = "30d"',
    "sources": "add a [[models.sources]] table",
    "role": 'add role = "predictions"',
    "type": 'add type = "files"',
    "path": 'add path = "logs/*.jsonl"',
    "detector": 'add detector = "psi"',
    "champion": "add champion = a version",
    "challenger": "add challenger = another version",
    "webhook": "add webhook = the name of a [webhooks.NAME] table",
    "when": 'add when = ["drift"]',
    "url": 'add url = "https://..."',
    "endpoint": 'add endpoint = "http://127.0.0.1:4318"',
}


class Complaint(Struct, frozen=True):
    """One thing wrong. `needs`: places that the finding rests on; it is void when one of them is broken."""

    at: Place
    says: str
    needs: tuple[Place, ...] = ()


def write(file: str, complaint: Complaint) -> str:
    """Return the line for the user: `file:key.path: what is wrong, what to do`."""
    return f"{file}:{dotted(complaint.at)}: {complaint.says}"


def dotted(at: Place) -> str:
    """Write a place as `models[0].columns."odd key"`.

    >>> dotted(("models", 0, "columns", "odd key"))
    'models[0].columns."odd key"'
    """
    parts = (f"[{p}]" if isinstance(p, int) else f".{p if _bare(p) else json.dumps(p)}" for p in at)
    return "".join(parts).removeprefix(".")


def quoted(value: object, at: Place = ()) -> str:
    """Show a value, unless it could be a secret: webhooks, exporters, URLs and long texts say "the value"."""
    private = at[:1] in {("webhooks",), ("exporters",)}
    if isinstance(value, str):
        suspect = len(value) > LONGEST_SHOWN or "whsec_" in value or "://" in value or "@" in value
        return "the value" if private or suspect else _text(value)
    return str(value).lower() if isinstance(value, bool | int | float) and not private else "the value"


def repeated(values: Sequence[object], at: Place) -> Iterator[Complaint]:
    """Yield a complaint for each value of a list that stands before it already."""
    for i, value in enumerate(values):
        if value in values[:i]:
            yield Complaint((*at, i), f"{quoted(value)} is there twice; remove one")


def nearest(word: str, known: Iterable[str], listed_by: str = "") -> str:
    """Return `; did you mean "x"?`, or the whole list, or nothing.

    listed_by: the command that lists them, named instead of a list too long to read.
    """
    names = sorted(known)
    close = difflib.get_close_matches(word, names, n=1, cutoff=0.6)
    if close:
        return f'; did you mean "{close[0]}"?'
    if listed_by and len(names) > LONGEST_LIST:
        return f"; {listed_by} lists them"
    return f"; write {_one_of(names)}" if names else ""


def translate(faults: Sequence[Fault], raw: Mapping[str, object]) -> list[Complaint]:
    """Turn what the models refuse into complaints, one for each place."""
    placed: dict[Place, list[Fault]] = {}
    for fault in faults:
        placed.setdefault(_existing(raw, fault), []).append(fault)
    return [
        Complaint(at, says)
        for at, found in placed.items()
        if (kept := [f for f in found if not _explained(f, at, placed)])
        for says in _says(kept, at, _value(raw, at))
    ]


def _explained(fault: Fault, at: Place, placed: Mapping[Place, object]) -> bool:
    """Whether a deeper fault says the same better: a list whose element failed counts as too short."""
    deeper = any(len(other) > len(at) and other[: len(at)] == at for other in placed)
    return deeper and (fault.kind == "too_short" or fault.kind in WANTED)


def _says(found: Sequence[Fault], at: Place, value: object) -> Iterable[str]:
    kinds = [f.kind for f in found]
    wanted = list(dict.fromkeys(WANTED[k] for k in kinds if k in WANTED))
    if wanted and all(k in WANTED for k in kinds):
        return [f"must be {' or '.join(wanted)}, not {_kind(value)}"]
    return list(dict.fromkeys(_say(f, at, value) for f in found if f.kind not in WANTED))


def _say(fault: Fault, at: Place, value: object) -> str:
    key = str(next((p for p in reversed(at) if isinstance(p, str)), ""))
    match fault.kind:
        case "missing" | "too_short":
            found = "missing" if fault.kind == "missing" else "empty"
            return f"is {found}; {MISSING.get(key, 'name at least one column')}"
        case "extra_forbidden":
            return _unknown(at)
        case "literal_error":
            return _choice(key, at, value)
        case "value_error":
            return f"{quoted(value, at)} {fault.says.removeprefix('Value error, ')}"
        case kind if kind in BOUNDS:
            word, limit = BOUNDS[kind]
            return f"must be {word} {fault.limits[limit]:g}, not {quoted(value, at)}"
        case _:
            return PLAIN.get(fault.kind, f"is not right: {fault.says}")


def _unknown(at: Place) -> str:
    key = str(at[-1])
    known = [name for name, f in table_at(at[:-1]).model_fields.items() if not f.exclude]
    homes = [k.removesuffix(f".{key}") for k in keys() if k.endswith(f".{key}")]
    if homes and not difflib.get_close_matches(key, known, n=1, cutoff=0.6):
        return f"is an unknown key here; it belongs in {' or '.join(HEADERS[home] for home in homes)}"
    return f"is an unknown key{nearest(key, known)}"


def _choice(key: str, at: Place, value: object) -> str:
    choices = _choices(at)
    if isinstance(value, str) and value in LATER.get((table_at(at), key), ()):
        return later(key, value, REMOVE.get(key, f"write {_one_of(choices)}"))
    return f"{quoted(value, at)} is not a choice{nearest(str(value), choices)}"


def later(key: str, value: str, remedy: str = "remove this monitor") -> str:
    """Say that something the full design knows is not built yet."""
    return f'{key} "{value}" is not supported by this version; {remedy}'


def _one_of(names: Sequence[str]) -> str:
    return f"one of {_listed(names)}" if len(names) > 1 else _listed(names)


def _choices(at: Place) -> list[str]:
    names = [p for p in at if isinstance(p, str)]
    field = table_at(tuple(names[:-1])).model_fields[names[-1]].annotation
    return [str(c) for c in _literals(field)]


def _literals(annotation: object) -> list[object]:
    from_parts = [c for part in get_args(annotation) for c in _literals(part)]
    return list(get_args(annotation)) if getattr(annotation, "__origin__", None) is Literal else from_parts


def table_at(at: Place) -> type[Strict]:
    """Return the table that a place lies in."""
    table: type[Strict] = Config
    for part in at:
        field = table.model_fields.get(part) if isinstance(part, str) else None
        table = (table_of(field.annotation) if field else None) or table
    return table


def _existing(raw: object, fault: Fault) -> Place:
    """Drop the parts of a place that name a branch of a union, not a key of the file."""
    at: list[str | int] = []
    node = raw
    for part in fault.at:
        inside = _enter(node, part)
        if inside is not ABSENT or (fault.kind == "missing" and part == fault.at[-1]):
            at.append(part)
            node = inside
    return tuple(at)


def _value(raw: object, at: Place) -> object:
    for part in at:
        raw = _enter(raw, part)
    return raw


def _enter(node: object, part: str | int) -> object:
    if isinstance(node, dict):
        return node.get(part, ABSENT)
    return node[part] if isinstance(node, list) and isinstance(part, int) else ABSENT


def _kind(value: object) -> str:
    if isinstance(value, bool):
        return "true or false"
    kinds = (
        (str, "text"),
        (int, "a whole number"),
        (float, "a decimal number"),
        (list, "a list"),
        (dict, "a table"),
        (date | time, "a date"),
    )
    return next((name for kind, name in kinds if isinstance(value, kind)), "this")


def _bare(key: str) -> bool:
    return re.fullmatch(r"[A-Za-z0-9_-]+", key) is not None


def _listed(names: Sequence[str]) -> str:
    return ", ".join(_text(n) for n in names)


def _text(value: str) -> str:
    return json.dumps(value, ensure_ascii=not value.isprintable())
