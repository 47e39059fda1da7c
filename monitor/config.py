"""TOML to frozen models: strict, complete in its complaints, all defaults in one place."""

import re
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, SecretBytes

UNITS = {"us": 1, "ms": 1_000, "s": 10**6, "m": 60 * 10**6, "h": 3600 * 10**6, "d": 86_400 * 10**6}
SIZES = {"B": 1, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30}


def parse_duration(text: object) -> object:
    """Read "30s", "10m", "1h", "7d" as a timedelta."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)(us|ms|s|m|h|d)", text) if isinstance(text, str) else None
    if match is None:
        raise ValueError('is not a duration; write a number and a unit, like "30s", "10m", "1h" or "7d"')
    return timedelta(microseconds=round(float(match[1]) * UNITS[match[2]]))


def parse_size(text: object) -> object:
    """Read "64MiB" as a number of bytes."""
    match = re.fullmatch(r"(\d+)(B|KiB|MiB|GiB)", text) if isinstance(text, str) else None
    if match is None:
        raise ValueError('is not a size; write a number and a unit, like "512KiB" or "64MiB"')
    return int(match[1]) * SIZES[match[2]]


Duration = Annotated[timedelta, BeforeValidator(parse_duration, json_schema_input_type=str)]
Size = Annotated[int, BeforeValidator(parse_size, json_schema_input_type=str)]
Task = Literal["binary", "multiclass", "regression", "ranking", "none"]
Kind = Literal["quality", "drift", "prediction_drift"]
TimeUnit = Literal["auto", "iso", "s", "ms", "us", "ns"]


class Strict(BaseModel):
    """Frozen; an unknown key is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, hide_input_in_errors=True)


class Daemon(Strict):
    """The daemon itself."""

    state: Path = Path("state")
    listen: str = "127.0.0.1:9478"
    commit_every: Duration = timedelta(seconds=1)
    max_line: Size = 2**20
    rejects_max: Size = 64 * 2**20


class Columns(Strict):
    """Canonical name = name in the user's logs."""

    prediction_id: str = ""
    timestamp: str = "timestamp"
    timestamp_unit: TimeUnit = "auto"
    version: str = ""
    prediction: str = ""
    score: str | dict[str, str] = ""
    label: str = ""
    segments: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()


class Features(Strict):
    """Which columns are watched, and how."""

    numeric: tuple[str, ...] = ()
    categorical: tuple[str, ...] = ()


class Reference(Strict):
    """Where the reference comes from: a file, or the first part of the log."""

    path: Path | None = None
    first: Duration | None = None


class Source(Strict):
    """One place where rows come from."""

    role: Literal["predictions"]
    type: Literal["files"]
    path: str
    format: Literal["jsonl", "csv", "parquet", "ipc"] = "jsonl"


class Alarms(Strict):
    """How often a model may cry wolf, and when it does."""

    budget: str = "1 per 30d"
    min_effect: float = Field(default=0.1, ge=0)
    enter: int = Field(default=1, ge=1)
    keep_firing: int = Field(default=3, ge=1)
    cooldown: Duration = timedelta(0)
    min_rows: int = Field(default=100, ge=2)

    @property
    def rate(self) -> tuple[float, timedelta]:
        """The budget as (false episodes, per time)."""
        count, _, period = self.budget.partition(" per ")
        length = parse_duration(period)
        if not isinstance(length, timedelta):  # parse_duration raises on anything else
            raise TypeError(period)
        return float(count), length


class Monitor(Strict):
    """One detector on some columns."""

    detector: str
    on: str | tuple[str, ...] = "features"
    threshold: float | None = None


class Retrain(Strict):
    """When to ask which pipeline to retrain."""

    webhook: str
    when: tuple[Kind, ...]
    cooldown: Duration = timedelta(hours=24)
    max_per_week: int = Field(default=2, ge=1)


class Model(Strict):
    """One model in production."""

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")
    task: Task = "none"
    window: Duration = timedelta(days=1)
    lateness: Duration = timedelta(hours=1)
    label_horizon: Duration = timedelta(days=30)
    deduplicate: bool = True
    series_limit: int = Field(default=5000, ge=100)
    columns: Columns = Columns()
    features: Features | None = None
    reference: Reference
    sources: tuple[Source, ...] = Field(min_length=1)
    alarms: Alarms = Alarms()
    monitors: tuple[Monitor, ...] = ()
    retrain: tuple[Retrain, ...] = ()


class Webhook(Strict):
    """A receiver of retraining requests. `secret` is filled from the file or the variable, never printed."""

    url: str
    secret_file: Path | None = None
    secret_env: str | None = None
    format: Literal["standard"] = "standard"
    timeout: Duration = timedelta(seconds=15)
    secret: SecretBytes = Field(default=SecretBytes(b""), exclude=True)


class Config(Strict):
    """Everything the user configured; every path is absolute."""

    daemon: Daemon = Daemon()
    models: tuple[Model, ...] = Field(min_length=1)
    webhooks: dict[str, Webhook] = {}
