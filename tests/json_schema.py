"""What a value has wrong by a JSON schema."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from jsonschema import Draft202012Validator, FormatChecker


def is_utc(text: object) -> bool:
    """Tell whether a text is a time in UTC."""
    return datetime.fromisoformat(str(text)).utcoffset() == timedelta(0)


FORMATS = FormatChecker(formats=())
FORMATS.checks("date-time", raises=ValueError)(is_utc)


def faults(schema: Mapping[str, Any], value: object) -> list[str]:
    """Return what is wrong, one line each."""
    return [
        error.message for error in Draft202012Validator(schema, format_checker=FORMATS).iter_errors(value)
    ]
