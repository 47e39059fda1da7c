"""The kinds of values that the configuration has: durations, sizes, paths, names, and the strict table."""

import glob
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    ValidationInfo,
    WithJsonSchema,
)

from monitor.quantities import format_duration, format_size, parse_duration, parse_size

NAME = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$"


def proved(parse: Callable[[str], object]) -> AfterValidator:
    """Check text by parsing it; the text itself is kept."""

    def check(text: str) -> str:
        parse(text)
        return text

    return AfterValidator(check)


def within(low: str, high: str) -> AfterValidator:
    """Bound a duration: at least `low`, less than `high`."""
    bounds = parse_duration(low), parse_duration(high)

    def check(length: timedelta) -> timedelta:
        if not bounds[0] <= length < bounds[1]:
            raise ValueError(f'is out of range; write at least "{low}" and less than "{high}"')
        return length

    return AfterValidator(check)


def line_limit(count: int) -> int:
    """Bound the longest line."""
    if not 64 <= count <= 64 * 2**20:  # noqa: PLR2004  # the text below is their name
        raise ValueError('is out of range; write "64B" to "64MiB"')
    return count


def absolute(path: Path, info: ValidationInfo) -> Path:
    """Make a path absolute, relative to the configuration's folder."""
    return folder / path if (folder := _folder(info)) and _portable(str(path)) else path


def absolute_glob(pattern: str, info: ValidationInfo) -> str:
    """Make a glob absolute; the folder's own name is no pattern."""
    folder = _folder(info)
    relative = folder is not None and _portable(pattern) and not pattern.startswith("/")
    return f"{glob.escape(str(folder))}/{pattern}" if relative else pattern


def _folder(info: ValidationInfo) -> Path | None:
    found = info.context.get("folder") if info.context else None
    return found if isinstance(found, Path) else None


def _portable(path: str) -> bool:
    if not path or "\0" in path:
        raise ValueError("is not a path; write one, relative to this file or absolute")
    if path.startswith("~"):
        raise ValueError('begins with "~", which is not expanded; write the whole path')
    if "://" in path:
        raise ValueError("is a URL; this version reads local files only")
    return True


Duration = Annotated[
    timedelta,
    BeforeValidator(parse_duration),
    PlainSerializer(format_duration, return_type=str),
    WithJsonSchema({"type": "string", "pattern": r"^[0-9]+(\.[0-9]+)?(us|ms|s|m|h|d)$"}),
]
Size = Annotated[
    int,
    BeforeValidator(parse_size),
    PlainSerializer(format_size, return_type=str),
    WithJsonSchema({"type": "string", "pattern": r"^[0-9]+(B|KiB|MiB|GiB)$"}),
]
Column = Annotated[str, Field(min_length=1)]
Names = Annotated[tuple[Column, ...], Field(strict=False)]
Local = Annotated[Path, Field(strict=False), AfterValidator(absolute)]
Name = Annotated[str, Field(pattern=NAME)]
Task = Literal["binary", "multiclass", "regression", "ranking", "none"]
Kind = Literal["quality", "drift", "prediction_drift", "performance", "estimated_performance"]
TimeUnit = Literal["auto", "iso", "s", "ms", "us", "ns"]
JOINT = "_joint"
"""What a monitor of whole rows has in the place of a feature; a name may follow after a colon."""


class Strict(BaseModel):
    """Frozen; an unknown key is an error."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, strict=True, hide_input_in_errors=True, allow_inf_nan=False
    )
