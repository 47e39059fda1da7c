"""Small histories on disk for backtests, and episodes made by hand."""

import tomllib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl

from monitor.backtest import Replay
from monitor.config import Config, examine
from monitor.core.plan import Plan
from monitor.core.policy import TripKey
from monitor.core.profiles import ALL
from monitor.core.state import Book, ModelState
from monitor.episodes import Episode
from monitor.truth import Incident
from tests.logs import model

START = datetime(2026, 3, 1, tzinfo=UTC)
HOUR = 3600 * 10**6
BEGIN = round(START.timestamp()) * 10**6
ROWS = 200
"""Rows of an hour."""
HOURLY = Plan.of(model(window=timedelta(hours=1), lateness=timedelta(0), label_horizon=timedelta(hours=3)))
CONFIG = """
[[models]]
name = "m"
window = "1h"
lateness = "10m"
columns = { prediction_id = "id", timestamp = "at", segments = [] }
features = { numeric = ["x"], categorical = ["colour"] }
reference = { path = "reference.parquet" }
sources = [{ role = "predictions", type = "files", path = "logs/*.jsonl" }]
monitors = [{ detector = "ks", on = "numeric" }, { detector = "js", on = "categorical" }]
alarms = { budget = "1 per 3650d", keep_firing = 1 }
"""
RETRAIN = """
[[models.retrain]]
webhook = "training"
when = ["drift"]
[webhooks.training]
url = "http://127.0.0.1:1/hook"
allow_private = true
secret_env = "NONE"
"""


def at(hours: float) -> int:
    """Return a time in microseconds, hours after START."""
    return BEGIN + round(hours * HOUR)


def rows(hours: int, *, shift: Callable[[int], float] = lambda _: 0.0, seed: int = 1) -> pl.DataFrame:
    """Return a log: x is normal, moved by shift(hour); of three rows two are red, one is blue."""
    rng, n = np.random.default_rng(seed), hours * ROWS
    hour = np.arange(n) // ROWS
    moved = np.array([shift(int(h)) for h in range(hours)] or [0.0])
    times = BEGIN + np.arange(n) * (HOUR // ROWS)
    return pl.DataFrame(
        {
            "id": [f"i{i}" for i in range(n)],
            "at": pl.Series(times).cast(pl.Datetime("us")).dt.strftime("%Y-%m-%dT%H:%M:%S%.6fZ"),
            "x": rng.normal(size=n) + moved[hour],
            "colour": rng.choice(["red", "red", "blue"], n),
        }
    )


def configured(folder: Path, text: str = CONFIG) -> Config:
    """Write a reference, and read a configuration in this folder."""
    (folder / "logs").mkdir(exist_ok=True)
    rows(20, seed=0).drop("at").write_parquet(folder / "reference.parquet")
    config = examine(tomllib.loads(text), folder)
    assert isinstance(config, Config), config
    return config


@dataclass(frozen=True)
class Alarm:
    """An episode in hours after START; told an hour after it started unless said otherwise."""

    started: float
    ended: float | None = None
    feature: str = "x"
    kind: str = "drift"
    segment: str = ALL
    known: float | None = None
    detector: str = "ks"

    @property
    def episode(self) -> Episode:
        """It as the recorder gives it."""
        known = self.started + 1 if self.known is None else self.known
        name = f"ep_{self.feature}_{self.detector}_{self.segment}_{self.started:g}"
        return Episode(
            name,
            TripKey("v1", self.segment, self.feature, self.detector),
            self.kind,
            at(self.started),
            at(known),
            None if self.ended is None else at(self.ended),
            0.5,
            0.25,
            ("x", "colour"),
        )


def incident(start: float, end: float | None = None, kind: str = "", feature: str = "") -> Incident:
    """Return a known incident, hours after START."""
    return Incident("m", at(start), None if end is None else at(end), kind, feature, "truth.csv:2")


def replayed(*alarms: Alarm, known: tuple[Incident, ...] = (), hours: float = 720) -> Replay:
    """Return a backtest with these alarms in so many hours, 30 days by default."""
    state = ModelState("m", book=Book(windows_closed=int(hours)))
    episodes = tuple(alarm.episode for alarm in alarms)
    return Replay(HOURLY, state, 7, episodes, known, at(0), at(hours))
