"""Real predictions as a service logs them, their outcomes in another log, and what driftd made of both."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from monitor.core.labels import Measured, SeriesKey
from monitor.core.policy import TripKey, episode_id
from monitor.core.state import ModelState, load_model
from tests.programs import Project

MICROSECOND = timedelta(microseconds=1)
DAY = timedelta(days=1)
MONTH, WEEK = 30 * DAY, 7 * DAY
ROLES = ("predictions", "outcomes")
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"  # noqa: S105 - the example of Standard Webhooks
MODEL = """
[daemon]
listen = "127.0.0.1:0"

[[models]]
name = "NAME"
SETTINGS

[models.columns]
COLUMNS

[models.reference]
path = "reference.parquet"
"""
SOURCE = """
[[models.sources]]
role = "ROLE"
type = "files"
path = "logs/ROLE*.jsonl"
"""
MONITOR = """
[[models.monitors]]
detector = "NAME"
"""
RETRAIN = """
[[models.retrain]]
webhook = "training"
when = ["performance"]

[webhooks.training]
url = "http://127.0.0.1:9/hook"
allow_private = true
secret_file = "secret"
"""


def config(
    name: str, settings: str, columns: str, roles: Sequence[str] = ROLES, judged: Sequence[str] = ()
) -> str:
    """Write the configuration of a model whose performance asks for retraining.

    roles: of its logs, which end in .jsonl. judged: the only monitors; without, the default ones.
    """
    sources = "".join(SOURCE.replace("ROLE", role) for role in roles)
    monitors = "".join(MONITOR.replace("NAME", detector) for detector in judged)
    text = MODEL.replace("NAME", name).replace("SETTINGS", settings).replace("COLUMNS", columns)
    return text + sources + monitors + RETRAIN


def spaced(rows: pl.DataFrame, window: timedelta, count: int) -> pl.DataFrame:
    """Give rows other timestamps, evenly, so that every window holds exactly `count` of them."""
    length = window // MICROSECOND
    first = -(-int(micros(rows)[0]) // length) * length
    times = first + np.arange(rows.height) * (length // count)
    return rows.with_columns(timestamp=pl.Series(times).cast(pl.Datetime("us")))


def micros(rows: pl.DataFrame) -> NDArray[np.int64]:
    """Return the rows' timestamps, microseconds."""
    return rows["timestamp"].to_physical().to_numpy()


def windows_of(rows: pl.DataFrame, window: timedelta) -> Iterator[tuple[int, pl.DataFrame]]:
    """Yield each window's start (microseconds) and rows, the oldest first."""
    length = window // MICROSECOND
    for (start,), part in rows.group_by(pl.Series(micros(rows) // length * length), maintain_order=True):
        yield int(str(start)), part


def delays(count: int, days: tuple[float, float] = (1, 20), seed: int = 3) -> pl.Series:
    """Draw how long each outcome takes."""
    drawn = np.random.default_rng(seed).uniform(*days, count) * (DAY // MICROSECOND)
    return pl.Series(drawn.astype(np.int64)).cast(pl.Duration("us"))


def outcomes(rows: pl.DataFrame, delay: pl.Series | timedelta) -> pl.DataFrame:
    """Return the outcomes of rows as a log: id, time at which it became known, and label; in that order."""
    return rows.select("id", pl.col("timestamp") + delay, "label").sort("timestamp")


@dataclass(frozen=True, slots=True)
class Started:
    """An episode's begin."""

    start: int
    segment: str
    detector: str


@dataclass(slots=True)
class Watched:
    """A project of one model, and what its runs said."""

    project: Project
    name: str
    messages: list[Mapping[str, object]] = field(default_factory=list)

    @classmethod
    def of(cls, folder: Path, name: str, text: str, reference: pl.DataFrame) -> "Watched":
        """Write configuration, reference and the webhook's secret."""
        project = Project(folder).configure(text, reference)
        (folder / "secret").write_text(SECRET)
        return cls(project, name)

    def log(self, **rows: pl.DataFrame) -> "Watched":
        """Append rows to the logs of these roles."""
        for role, frame in rows.items():
            self.project.append(f"{role}.jsonl", frame.write_ndjson().encode())
        return self

    def run(self, *options: str) -> "Watched":
        """Read what is in the logs, with the real command."""
        ended = self.project.driftd("run", "--once", *options)
        self.messages += [json.loads(line) for line in ended.stderr.splitlines()]
        return self

    @property
    def state(self) -> ModelState:
        """The committed state, without the rows that wait."""
        return load_model(self.name, self.project.entries())

    def started(self, *detectors: str) -> list[Started]:
        """Return the episodes that these detectors began; an episode's id names its window."""
        state = self.state
        starts = {start for windows in state.labels.history.values() for start in windows}
        of = {
            episode_id(self.name, key, start): Started(start, key.segment, key.detector)
            for key in state.trips
            for start in starts
        }
        told = [m for m in self.messages if m["event"] == "episode started" and m["detector"] in detectors]
        return [of[str(message["episode"])] for message in told]

    def phase(self, detector: str, segment: str = "all") -> str:
        """Return the phase of a monitor of performance."""
        return str(self.state.trips[TripKey("", segment, "_all", detector)].phase)


def history(state: ModelState, basis: str, label: str = "all") -> Mapping[int, Measured]:
    """Return a series of performance: window start -> what was measured."""
    return state.labels.history.get(SeriesKey("", label, basis), {})


def values(measured: Measured) -> dict[str, float | None]:
    """Return the metrics without their intervals."""
    return {name: found.value for name, found in measured.metrics.items()}
