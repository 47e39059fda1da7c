"""The configuration as frozen models, with all defaults in one place. `monitor.loading` reads it from TOML.

Constructed by hand (as tests do) the models check types and ranges; `monitor.loading.load` adds what needs
the file system or several keys, and makes every path absolute.
"""

import glob
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    SecretBytes,
    ValidationError,
    ValidationInfo,
    WithJsonSchema,
)
from pydantic.json_schema import SkipJsonSchema

from monitor.quantities import (
    format_duration,
    format_size,
    parse_address,
    parse_budget,
    parse_duration,
    parse_size,
)

NAME = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$"


def _proved(parse: Callable[[str], object]) -> AfterValidator:
    def check(text: str) -> str:
        parse(text)
        return text

    return AfterValidator(check)


def _within(low: str, high: str) -> AfterValidator:
    bounds = parse_duration(low), parse_duration(high)

    def check(length: timedelta) -> timedelta:
        if not bounds[0] <= length < bounds[1]:
            raise ValueError(f'is out of range; write at least "{low}" and less than "{high}"')
        return length

    return AfterValidator(check)


def _line_limit(count: int) -> int:
    if not 64 <= count <= 64 * 2**20:  # noqa: PLR2004  # the text below is their name
        raise ValueError('is out of range; write "64B" to "64MiB"')
    return count


def _absolute(path: Path, info: ValidationInfo) -> Path:
    return folder / path if (folder := _folder(info)) and _portable(str(path)) else path


def _absolute_glob(pattern: str, info: ValidationInfo) -> str:
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
Local = Annotated[Path, Field(strict=False), AfterValidator(_absolute)]
Name = Annotated[str, Field(pattern=NAME)]
Task = Literal["binary", "multiclass", "regression", "ranking", "none"]
Kind = Literal["quality", "drift", "prediction_drift"]
TimeUnit = Literal["auto", "iso", "s", "ms", "us", "ns"]


class Strict(BaseModel):
    """Frozen; an unknown key is an error."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, strict=True, hide_input_in_errors=True, allow_inf_nan=False
    )


class Daemon(Strict):
    """The daemon itself."""

    state: Local = Field(default=Path("state"), validate_default=True)
    listen: Annotated[str, _proved(parse_address)] = "127.0.0.1:9478"
    commit_every: Annotated[Duration, _within("10ms", "1h")] = timedelta(seconds=1)
    max_line: Annotated[Size, AfterValidator(_line_limit)] = 2**20
    rejects_max: Size = 64 * 2**20

    @property
    def address(self) -> tuple[str, int]:
        """Where to listen, as (host, port)."""
        return parse_address(self.listen)


class Columns(Strict):
    """Canonical name = name in the user's logs; "" where the logs have none."""

    prediction_id: str = ""
    timestamp: Column = "timestamp"
    timestamp_unit: TimeUnit = "auto"
    version: str = ""
    prediction: str = ""
    score: str | dict[Column, Column] = ""
    label: str = ""
    segments: Names = ()
    groups: Names = ()


class Features(Strict):
    """Which columns are watched, and how."""

    numeric: Names = ()
    categorical: Names = ()


class Reference(Strict):
    """Where the reference comes from: a file, or the first part of the log."""

    path: Local | None = None
    first: Duration | None = None


class Source(Strict):
    """One place where rows come from."""

    role: Literal["predictions"]
    type: Literal["files"]
    path: Annotated[str, AfterValidator(_absolute_glob)]
    format: Literal["jsonl", "csv", "parquet", "ipc"] = "jsonl"


class Alarms(Strict):
    """How often a model may cry wolf, and when it does."""

    budget: Annotated[str, _proved(parse_budget)] = "1 per 30d"
    min_effect: float = Field(default=0.1, ge=0)
    enter: int = Field(default=1, ge=1)
    keep_firing: int = Field(default=3, ge=1)
    cooldown: Duration = timedelta(0)
    min_rows: int = Field(default=100, ge=2)

    @property
    def rate(self) -> tuple[float, timedelta]:
        """The budget as (false episodes, per time)."""
        return parse_budget(self.budget)


class Monitor(Strict):
    """One detector on some columns."""

    detector: str
    on: str | Annotated[Names, Field(min_length=1)] = "features"
    threshold: float | None = Field(default=None, ge=0)


class Retrain(Strict):
    """When to ask which pipeline to retrain."""

    webhook: str
    when: Annotated[tuple[Kind, ...], Field(strict=False, min_length=1)]
    cooldown: Duration = timedelta(hours=24)
    max_per_week: int = Field(default=2, ge=1)


class Model(Strict):
    """One model in production."""

    name: Name
    task: Task = "none"
    window: Annotated[Duration, _within("1s", "365d")] = timedelta(days=1)
    lateness: Annotated[Duration, _within("0s", "365d")] = timedelta(hours=1)
    label_horizon: Annotated[Duration, _within("1us", "3650d")] = timedelta(days=30)
    deduplicate: bool = True
    series_limit: int = Field(default=5000, ge=100)
    columns: Columns = Columns()
    features: Features | None = None
    reference: Reference
    sources: Annotated[tuple[Source, ...], Field(strict=False, min_length=1)]
    alarms: Alarms = Alarms()
    monitors: Annotated[tuple[Monitor, ...], Field(strict=False)] = ()
    retrain: Annotated[tuple[Retrain, ...], Field(strict=False)] = ()


class Webhook(Strict):
    """A receiver of retraining requests. `secret` is filled from the file or the variable, never printed."""

    url: str
    secret_file: Local | None = None
    secret_env: str | None = None
    format: Literal["standard"] = "standard"
    timeout: Annotated[Duration, _within("100ms", "10m")] = timedelta(seconds=15)
    secret: SkipJsonSchema[SecretBytes] = Field(default=SecretBytes(b""), exclude=True)

    def keyed(self, secret: bytes) -> "Webhook":
        """Return the webhook with its decoded signing key."""
        return self.model_copy(update={"secret": SecretBytes(secret)})


class Config(Strict):
    """Everything the user configured; every path is absolute."""

    daemon: Daemon = Daemon()
    models: Annotated[tuple[Model, ...], Field(strict=False, min_length=1)]
    webhooks: dict[Name, Webhook] = {}


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing the models refuse: its kind in pydantic's terms, its place, and the numbers of the rule."""

    kind: str
    at: tuple[str | int, ...]
    says: str
    limits: Mapping[str, Any]


def examine(raw: Mapping[str, object], folder: Path) -> Config | tuple[Fault, ...]:
    """Return the configuration with paths relative to `folder` made absolute, or everything wrong with it."""
    try:
        return Config.model_validate(raw, context={"folder": folder})
    except ValidationError as error:
        found = error.errors(include_url=False, include_input=False)
        return tuple(Fault(e["type"], e["loc"], e["msg"], e.get("ctx", {})) for e in found)


def table_of(annotation: object) -> type[Strict] | None:
    """Return the table that an annotation holds, directly or in a list or a table of tables."""
    if isinstance(annotation, type) and issubclass(annotation, Strict):
        return annotation
    return next((found for part in get_args(annotation) if (found := table_of(part))), None)


def keys(table: type[Strict] = Config, at: str = "") -> Iterator[str]:
    """Yield every key that a user can write, as "models.columns.timestamp"."""
    for name, field in table.model_fields.items():
        if field.exclude:
            continue
        inner = table_of(field.annotation)
        if inner is None:
            yield f"{at}{name}"
        else:
            yield from keys(inner, f"{at}{name}.")


def json_schema() -> dict[str, Any]:
    """Return the JSON schema of the configuration file."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **Config.model_json_schema(mode="serialization"),
    }
