"""Known incidents: what a backtest's episodes are held against. Read from truth.csv, all mistakes at once."""

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import get_args

from msgspec import Struct

from monitor.complaints import nearest
from monitor.errors import ConfigError
from monitor.fields import Kind
from monitor.types import Micros

COLUMNS = ("model", "start", "end", "kind", "feature")
KINDS: tuple[str, ...] = get_args(Kind)
EPOCH = datetime.fromtimestamp(0, UTC)
HEADER = f"the first line must be {','.join(COLUMNS)}"


class Incident(Struct, frozen=True):
    """Something that was wrong: [start, end) in event time, microseconds; end is None while it lasts.

    kind and feature: of the episodes that should find it, "" for any. origin: where it was written.
    exact: nothing else was wrong at that time, so only episodes of its kind and feature are explained by it.
    """

    model: str
    start: Micros
    end: Micros | None = None
    kind: str = ""
    feature: str = ""
    origin: str = ""
    exact: bool = False


def known_incidents(path: Path | None, models: Sequence[str]) -> tuple[Incident, ...]:
    """Return the incidents in a file, none without one. Raises ConfigError; models: those it may name."""
    if path is None:
        return ()
    found = read_truth(path)
    strange = [i for i in found if i.model not in models]
    if strange:
        raise ConfigError(
            [
                f'{path.parent / i.origin}: there is no model "{i.model}"{nearest(i.model, models)}'
                for i in strange
            ]
        )
    return found


def read_truth(path: Path) -> tuple[Incident, ...]:
    """Return the incidents in a CSV file. Raises ConfigError with a line for each mistake."""
    complaints: list[str] = []
    found: list[Incident] = []
    for line, row in _rows(path):
        says = [row] if isinstance(row, str) else _complaints(row)
        wrong = [f"{path}:{line}: {text}" for text in says]
        complaints += wrong
        if not wrong and not isinstance(row, str):
            end = read_time(row["end"]) if row["end"] else None
            origin = f"{path.name}:{line}"
            found.append(
                Incident(row["model"], read_time(row["start"]), end, row["kind"], row["feature"], origin)
            )
    if complaints:
        raise ConfigError(complaints)
    return tuple(found)


def read_time(text: str) -> Micros:
    """Return an ISO 8601 time as microseconds, UTC without a zone; raises ValueError, fit to print."""
    try:
        moment = datetime.fromisoformat(text)
        return ((moment if moment.tzinfo else moment.replace(tzinfo=UTC)) - EPOCH) // timedelta(
            microseconds=1
        )
    except (ValueError, OverflowError) as error:
        says = f'"{text}" is not a time; write it like 2026-01-31 or 2026-01-31T12:00:00Z'
        raise ValueError(says) from error


def unknown_features(incidents: Sequence[Incident], model: str, watched: Sequence[str]) -> list[str]:
    """Say which incidents of a model are of features that it does not watch, and could never be found."""
    return [
        f'{i.origin}: {model} watches no feature "{i.feature}"{nearest(i.feature, watched)}'
        for i in incidents
        if i.model == model and i.feature and i.feature not in watched
    ]


def _rows(path: Path) -> Iterator[tuple[int, Mapping[str, str] | str]]:
    """Yield each line's number and its five values, or what is wrong with their number."""
    reader = csv.reader(io.StringIO(_text(path), newline=""), strict=True)
    line = 1
    try:
        header = [name.strip() for name in next(reader, [])]
        if sorted(header) != sorted(COLUMNS):
            raise ConfigError([f"{path}:1: has other columns; {HEADER}"])
        line = reader.line_num + 1
        for row in reader:
            values = [value.strip() for value in row]
            if any(values) and len(values) != len(header):
                yield line, f"has {len(values)} values instead of {len(header)}; {_shape(header)}"
            elif any(values):
                yield line, dict(zip(header, values, strict=True))
            line = reader.line_num + 1
    except csv.Error as error:
        raise ConfigError([f"{path}:{line}: is not CSV ({error}); correct the line's quotes"]) from error


def _shape(header: Sequence[str]) -> str:
    return f"write {','.join(header)}, and nothing between two commas for what is not known"


def _text(path: Path) -> str:
    try:
        return path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        reason = error.strerror or "cannot be opened"
        raise ConfigError([f"{path}: cannot be read ({reason}); give the path with --truth"]) from error
    except UnicodeDecodeError as error:
        raise ConfigError([f"{path}: is not UTF-8 at byte {error.start}; save it as UTF-8"]) from error


def _complaints(row: Mapping[str, str]) -> Iterator[str]:
    if not row["model"]:
        yield "model is empty; name the model that the incident was in"
    times: dict[str, Micros] = {}
    for name in ("start", "end"):
        try:
            times |= {name: read_time(row[name])} if row[name] or name == "start" else {}
        except ValueError as error:
            yield f"{name}: {error}"
    if len(times) == len(("start", "end")) and times["end"] <= times["start"]:
        yield f"end {row['end']} is not after start {row['start']}; leave end empty while it lasts"
    if row["kind"] and row["kind"] not in KINDS:
        yield f'kind: "{row["kind"]}" is no kind of alarm{nearest(row["kind"], KINDS)}'
