"""The configuration as frozen models, with all defaults in one place. `monitor.loading` reads it from TOML.

Constructed by hand (as tests do) the models check types and ranges; `monitor.loading.load` adds what needs
the file system or several keys, and makes every path absolute.
"""

from collections.abc import Iterator, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

from msgspec import Struct
from pydantic import AfterValidator, Field, SecretBytes, ValidationError
from pydantic.json_schema import SkipJsonSchema

from monitor.alibi_table import Alibi
from monitor.fields import (
    Column,
    Duration,
    Kind,
    Local,
    Name,
    Names,
    Size,
    Strict,
    Task,
    TimeUnit,
    absolute_glob,
    line_limit,
    proved,
    within,
)
from monitor.grafana_table import Grafana
from monitor.otlp_table import Otlp
from monitor.quantities import parse_address, parse_budget
from monitor.registry_table import Registry
from monitor.web import Web


class Daemon(Strict):
    """The daemon itself."""

    state: Local = Field(default=Path("state"), validate_default=True)
    listen: Annotated[str, proved(parse_address)] = "127.0.0.1:9478"
    commit_every: Annotated[Duration, within("10ms", "1h")] = timedelta(seconds=1)
    max_line: Annotated[Size, AfterValidator(line_limit)] = 2**20
    rejects_max: Size = 64 * 2**20
    watch_config: bool = False
    web: Web = Web()

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
    query: str = ""
    segments: Names = ()
    groups: Names = ()


class Features(Strict):
    """Which columns are watched, and how."""

    numeric: Names = ()
    categorical: Names = ()
    embeddings: dict[Column, Annotated[int, Field(ge=2, le=16_384)]] = Field(default={})


class Reference(Strict):
    """Where the reference comes from: a file, or the first part of the log."""

    path: Local | None = None
    first: Duration | None = None


class Source(Strict):
    """One place where rows come from."""

    role: Literal["predictions", "outcomes", "both"]
    type: Literal["files"]
    path: Annotated[str, AfterValidator(absolute_glob)]
    format: Literal["jsonl", "csv", "parquet", "ipc"] = "jsonl"


class Alarms(Strict):
    """How often a model may cry wolf, and when it does."""

    budget: Annotated[str, proved(parse_budget)] = "1 per 30d"
    min_effect: float = Field(default=0.1, ge=0)
    enter: int = Field(default=1, ge=1)
    keep_firing: int = Field(default=3, ge=1)
    cooldown: Duration = timedelta(0)
    min_rows: int = Field(default=100, ge=2)

    @property
    def rate(self) -> tuple[float, timedelta]:
        """The budget as (false episodes, per time)."""
        return parse_budget(self.budget)


class Performance(Strict):
    """How outcomes are joined and how good the model must be.

    classes: binary: the negative one, then the positive one. tolerance: how far a metric of 0 to 1 may fall
    short of the reference; relative_tolerance: the same for other metrics, as a share of the reference.
    """

    classes: Names = ()
    threshold: float | None = Field(default=None, ge=0, le=1)
    matured: float = Field(default=0.9, gt=0, le=1)
    conflict: Literal["last", "first"] = "last"
    tolerance: float = Field(default=0.01, gt=0)
    relative_tolerance: float = Field(default=0.1, gt=0)
    costs: Annotated[tuple[Annotated[tuple[float, ...], Field(strict=False)], ...], Field(strict=False)] = ()
    quantiles: Annotated[tuple[float, ...], Field(strict=False)] = (0.5,)
    k: Annotated[tuple[int, ...], Field(strict=False)] = (10,)
    min_group: int = Field(default=50, ge=2)


class Compare(Strict):
    """Two versions side by side; level: how often an equal challenger may ever be called different."""

    champion: str
    challenger: str
    level: float = Field(default=0.05, gt=0, lt=1)


class Monitor(Strict):
    """One detector on some columns. scale: for those that go over rows; schedule, name: for heavy ones."""

    detector: str
    on: str | Annotated[Names, Field(min_length=1)] = "features"
    threshold: float | None = Field(default=None, ge=0)
    parameters: dict[Column, bool | int | float | str] = Field(default={})
    scale: Literal["pit", "raw"] | None = None
    schedule: str | None = None
    name: Name | None = None


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
    window: Annotated[Duration, within("1s", "365d")] = timedelta(days=1)
    lateness: Annotated[Duration, within("0s", "365d")] = timedelta(hours=1)
    label_horizon: Annotated[Duration, within("1us", "3650d")] = timedelta(days=30)
    deduplicate: bool = True
    series_limit: int = Field(default=5000, ge=100)
    columns: Columns = Columns()
    features: Features | None = None
    upstream: dict[Name, Names] = Field(default={})
    reference: Reference
    sources: Annotated[tuple[Source, ...], Field(strict=False, min_length=1)]
    alarms: Alarms = Alarms()
    performance: Performance = Performance()
    compare: Compare | None = None
    monitors: Annotated[tuple[Monitor, ...], Field(strict=False)] = ()
    retrain: Annotated[tuple[Retrain, ...], Field(strict=False)] = ()
    registry: Registry | None = None


class Parameters(Strict):
    """What a webhook's format needs; `monitor.webhook_checks` says which one needs what."""

    source: str = "/driftd"
    event_type: str = "driftd-retrain"
    pipeline: str = ""
    version: str = ""
    experiment: str = ""
    service_account: str = ""
    output: str = ""
    deployment: str = ""
    template: Local | None = None
    arguments: dict[Column, bool | int | float | str] = Field(default={})


class Webhook(Strict):
    """A receiver of retraining requests. `secret` is read from the file or the variable, never printed.

    secret: the newest one; of auth "hmac" decoded. previous: the one before it, while they are exchanged.
    """

    url: str
    auth: Literal["hmac", "bearer", "basic", "header", "none"] = "hmac"
    username: str = ""
    header: str = ""
    secret_file: Local | None = None
    secret_env: str | None = None
    format: Literal[
        "standard", "cloudevents", "airflow", "github", "argo", "kubeflow", "sagemaker", "vertex", "azureml",
        "template",
    ] = "standard"  # fmt: skip
    parameters: Parameters = Parameters()
    timeout: Annotated[Duration, within("100ms", "10m")] = timedelta(seconds=15)
    allow_private: bool = False
    secret: SkipJsonSchema[SecretBytes] = Field(default=SecretBytes(b""), exclude=True)
    previous: SkipJsonSchema[SecretBytes] = Field(default=SecretBytes(b""), exclude=True)

    def keyed(self, secret: bytes, previous: bytes = b"") -> "Webhook":
        """Return the webhook with its secret, and the one before it."""
        return self.model_copy(update={"secret": SecretBytes(secret), "previous": SecretBytes(previous)})

    @property
    def keys(self) -> tuple[bytes, ...]:
        """The secrets that were read, the newest first."""
        found = (self.secret.get_secret_value(), self.previous.get_secret_value())
        return tuple(key for key in found if key)


class Exporters(Strict):
    """Where facts go, beside the metrics that are scraped and the webhooks."""

    grafana: Grafana | None = None
    otlp: Otlp | None = None


class Config(Strict):
    """Everything the user configured; every path is absolute."""

    daemon: Daemon = Daemon()
    models: Annotated[tuple[Model, ...], Field(strict=False, min_length=1)]
    webhooks: dict[Name, Webhook] = Field(default_factory=dict)
    exporters: Exporters = Exporters()
    alibi: Alibi = Alibi()


class Fault(Struct, frozen=True):
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
