"""Rows as lines of JSON that the daemon reads back as they were meant."""

import json
import math
from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from enum import Enum
from typing import Any
from uuid import UUID

ABSENT = {"NAType", "NaTType"}
"""What pandas has for a missing value."""
FAILURES: tuple[type[BaseException], ...] = (Exception,)
"""What a row that is encoded may raise: anything, as it holds the service's own objects."""


def encode(row: Mapping[str, object]) -> bytes:
    r"""Return the row as one line; NaN and infinities in quotes, as every JSON parser reads them.

    Raises TypeError, ValueError or RecursionError for what is no JSON.

    >>> encode({"id": "a", "x": float("nan"), "tags": ["é", None]})
    b'{"id":"a","x":"NaN","tags":["\\u00e9",null]}\n'
    """
    try:
        text = _ENCODER.encode(row)
    except ValueError:  # as good as always a number that is not finite, which the quick way does not take
        text = _ENCODER.encode(_quoted(row))
    return text.encode("ascii") + b"\n"


def fault(row: Mapping[Any, object]) -> str:
    """Name the first column that `encode` does not take, and the type of what it raises.

    Its text is left out: it may quote a value.

    >>> fault({"age": 31, "name": {"Ann"}})
    'column name: TypeError'
    """
    for name, value in row.items():
        try:
            encode({name: value})
        except FAILURES as error:
            where = f"column {name}" if isinstance(name, str) else "a column whose name is no text"
            return f"{where}: {type(error).__name__}"
    return "the columns together"


def plain(value: object) -> object:
    """Return what JSON has for a value that is none of its own: times, NumPy's and pandas' values, enums.

    Raises TypeError where there is nothing.
    """
    kind = type(value).__name__
    if kind in ABSENT:
        return None
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, Decimal):
        return float(value)
    if isinstance(value, UUID) or kind == "datetime64":
        return str(value)
    return _listed(value)


def _listed(value: object) -> object:
    """Return a NumPy scalar as Python's, an array or a tensor as lists."""
    listed = getattr(value, "tolist", None)
    if not callable(listed):
        raise TypeError(f"{type(value).__name__} has no form in JSON")
    return listed()


_ENCODER = json.JSONEncoder(allow_nan=False, separators=(",", ":"), default=plain)


def _quoted(value: object) -> object:
    if isinstance(value, float):
        if math.isfinite(value):
            return value
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    if value is None or isinstance(value, str | int):
        return value
    if isinstance(value, Mapping):
        return {key: _quoted(inner) for key, inner in value.items()}
    return [_quoted(inner) for inner in value] if isinstance(value, list | tuple) else _quoted(plain(value))
