"""A simulated live scoring service: seeded traffic with a daily season, in ordinary prediction logs."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import polars as pl
from msgspec import Struct
from numpy.typing import NDArray

from monitor.types import Micros

Floats = NDArray[np.float64]

HOUR: Micros = 3600 * 10**6
DAY: Micros = 24 * HOUR
BUSIEST_HOUR = 14
TRAFFIC_SWING = 0.7
THRESHOLD = 0.5
BASE_ODDS = -0.3
"""The log odds of a default for an average applicant."""
LOGS_KEPT_DAYS = 20
"""How many days of its own logs the service keeps, so that a long demo does not fill the disk."""

SEGMENTS = {"north": 0.4, "south": 0.3, "east": 0.2, "west": 0.1}
VERSIONS = {"v1": 0.6, "v2": 0.4}
SHIFTED_VERSION = "v2"
SHIFTED = ("debt_to_income", "utilization")
SHIFT = 0.8
"""By how many standard deviations the incident moves each feature of SHIFTED."""
FLIPPED = ("income", "utilization")
"""The features whose effect on the outcome changes its sign in the concept incident."""
LABEL = "defaulted"
"""The true outcome's name: 1 when the loan was not paid back, which is what prediction 1 says."""
TRUTHS = 1
"""Names the random stream of the outcomes, so that they change nothing about the rows."""


def _same(x: Floats) -> Floats:
    return x


def _logistic(x: Floats) -> Floats:
    return 1.0 / (1.0 + np.exp(-x))


def _years(x: Floats) -> Floats:
    return 12.0 * np.clip(np.rint(x), 1.0, 7.0)


def _exp(x: Floats) -> Floats:
    return np.exp(x)


class _Numeric(Struct, frozen=True):
    """A feature `shape(centre + spread * z)`; z is standard normal plus `season` times the day's wave.

    weight: what one standard deviation of it adds to the model's log odds.
    """

    shape: Callable[[Floats], Floats]
    centre: float
    spread: float
    weight: float
    season: float = 0.0


_NUMERIC = {
    "income": _Numeric(_exp, 10.6, 0.45, -0.5),
    "loan_amount": _Numeric(_exp, 9.2, 0.6, 0.4, season=0.3),
    "loan_months": _Numeric(_years, 3.5, 1.3, 0.1),
    "debt_to_income": _Numeric(_same, 0.34, 0.11, 0.8),
    "credit_age": _Numeric(_exp, 2.1, 0.5, -0.4),
    "utilization": _Numeric(_logistic, -0.4, 0.9, 0.6, season=0.2),
}
_CATEGORICAL = {
    "purpose": {"car": 0.35, "home": 0.25, "business": 0.2, "education": 0.12, "other": 0.08},
    "channel": {"web": 0.5, "app": 0.35, "branch": 0.15},
}
NUMERIC = tuple(_NUMERIC)
CATEGORICAL = tuple(_CATEGORICAL)


class LiveModel(Struct, frozen=True):
    """A model that scores loan applications, as two versions at once.

    Every simulated day is drawn from its own random stream, so a row depends on the seed and the day
    alone: slices of time add up, however they are cut, and the incident changes nothing but the shifted
    features and what the model makes of them. The outcome is drawn from the log odds that version 1 gives,
    so calm scores are calibrated; the concept incident changes nothing but the outcomes.

    >>> model = LiveModel(seed=1)
    >>> model.rows(0, DAY).equals(pl.concat([model.rows(0, 9 * HOUR), model.rows(9 * HOUR, DAY)]))
    True
    """

    seed: int = 7
    rows_per_day: int = 6000

    def rows(self, start: Micros, end: Micros, *, incident: bool = False) -> pl.DataFrame:
        """Return the predictions made in [start, end), in the order of their time.

        Columns: prediction_id String, timestamp Datetime(us, UTC), model_version and region String, the
        numeric features Float64, the categorical ones String, prediction Int64 (0 or 1), score Float64.
        `incident` moves the features SHIFTED of SHIFTED_VERSION by SHIFT standard deviations.
        """
        return self.labelled(start, end, incident=incident).drop(LABEL)

    def labelled(
        self, start: Micros, end: Micros, *, incident: bool = False, concept: bool = False
    ) -> pl.DataFrame:
        """Return the rows of [start, end) and beside them what came true, LABEL Int64 (0 or 1).

        `concept` turns the sign of what the features FLIPPED do to the outcome; the model knows nothing
        of it, so inputs, scores and predictions stay as they are.
        """
        days = range(start // DAY, max(start, end - 1) // DAY + 1)
        wanted = pl.col("timestamp").to_physical().is_between(start, end, closed="left")
        return pl.concat([self._day(day, incident=incident, concept=concept) for day in days]).filter(wanted)

    def _day(self, day: int, *, incident: bool, concept: bool) -> pl.DataFrame:
        rng = np.random.default_rng((self.seed, day))
        time = _arrivals(rng, self.rows_per_day)
        n = len(time)
        version = _draw(rng, VERSIONS, n)
        region = _draw(rng, SEGMENTS, n)
        shift = SHIFT * (version == SHIFTED_VERSION) if incident else np.zeros(n)
        latent = _latent(rng, time, shift)
        categories = {name: _draw(rng, shares, n) for name, shares in _CATEGORICAL.items()}
        unlogged = rng.normal(0.0, 0.3, n)
        score = _score(latent, version, unlogged)
        default = np.random.default_rng((self.seed, day, TRUTHS)).random(n) < _truth(
            latent, unlogged, FLIPPED if concept else ()
        )
        stamp = pl.Series(time + day * DAY).cast(pl.Datetime("us", "UTC"))
        label = datetime.fromtimestamp(day * DAY / 10**6, UTC).strftime("%Y%m%d")
        frame = pl.DataFrame(
            {
                "prediction_id": np.arange(n),
                "timestamp": stamp,
                "model_version": version,
                "region": region,
                **{k: np.round(f.shape(f.centre + f.spread * latent[k]), 4) for k, f in _NUMERIC.items()},
                **categories,
                "prediction": (score >= THRESHOLD).astype(np.int64),
                "score": np.round(score, 6),
                LABEL: default.astype(np.int64),
            }
        )
        return frame.with_columns(prediction_id=pl.format("{}-{}", pl.lit(label), "prediction_id"))


class LiveLog:
    """The service's log of predictions, as DayFiles."""

    def __init__(self, model: LiveModel, folder: Path, start: Micros) -> None:
        self._model = model
        self._files = DayFiles(folder, "predictions")
        self._written = start

    def write(self, until: Micros, *, incident: bool = False) -> int:
        """Append the rows from the last call's time up to `until`; return how many there were."""
        count = 0
        for start, end in by_day(self._written, until):
            rows = self._model.rows(start, end, incident=incident)
            self._files.append(start // DAY, rows)
            count += rows.height
        self._written = max(self._written, until)
        return count


class DayFiles(Struct, frozen=True):
    """One JSON-lines file per day of event time, `stem`-2024-05-31.jsonl, old ones deleted."""

    folder: Path
    stem: str

    def append(self, day: int, rows: pl.DataFrame) -> None:
        """Append the rows to the day's file, a count of days since 1970; delete the file that is too old."""
        with self._file(day).open("ab") as file:
            file.write(as_json_lines(rows))
        self._file(day - LOGS_KEPT_DAYS).unlink(missing_ok=True)

    def _file(self, day: int) -> Path:
        date = datetime.fromtimestamp(day * DAY / 10**6, UTC).date()
        return self.folder / f"{self.stem}-{date.isoformat()}.jsonl"


def as_json_lines(rows: pl.DataFrame) -> bytes:
    """Return the rows as a scoring service logs them, timestamps as ISO 8601 in UTC."""
    iso = pl.col("timestamp").dt.strftime("%Y-%m-%dT%H:%M:%S%.6fZ")
    return rows.with_columns(iso).write_ndjson().encode()


def write_reference(model: LiveModel, path: Path, start: Micros, end: Micros) -> int:
    """Write the calm rows of [start, end) with their outcomes as Parquet; return how many there were."""
    rows = model.labelled(start, end)
    rows.write_parquet(path)
    return rows.height


def by_day(start: Micros, end: Micros) -> Iterator[tuple[Micros, Micros]]:
    """Cut [start, end) at every midnight, UTC."""
    while start < end:
        stop = min(end, (start // DAY + 1) * DAY)
        yield start, stop
        start = stop


def _arrivals(rng: np.random.Generator, mean: int) -> NDArray[np.int64]:
    """Draw a day's arrival times, ascending microseconds after midnight, from the daily curve of traffic."""
    hours = np.linspace(0.0, 24.0, 24 * 12 + 1)
    density = 1.0 + TRAFFIC_SWING * np.cos((hours - BUSIEST_HOUR) * np.pi / 12.0)
    mass = np.concatenate([[0.0], np.cumsum((density[1:] + density[:-1]) / 2.0)])
    at = np.sort(rng.random(rng.poisson(mean)))
    return np.minimum(np.interp(at, mass / mass[-1], hours) * HOUR, DAY - 1).astype(np.int64)


def _latent(rng: np.random.Generator, time: NDArray[np.int64], shift: Floats) -> dict[str, Floats]:
    """Draw every numeric feature in units of its standard deviation, with season and incident."""
    wave = np.sin(time * (2.0 * np.pi / DAY))
    return {
        name: rng.standard_normal(len(time)) + feature.season * wave + (shift if name in SHIFTED else 0.0)
        for name, feature in _NUMERIC.items()
    }


def _score(latent: dict[str, Floats], version: NDArray[np.str_], unlogged: Floats) -> Floats:
    """Return the probability of default; version 2 was trained again and weighs a little differently.

    unlogged: what the model knows of the applicants beyond the logged features.
    """
    weight = np.where(version == "v2", 1.03, 1.0)
    return _logistic(weight * _evidence(latent) + unlogged + BASE_ODDS)


def _truth(latent: dict[str, Floats], unlogged: Floats, flipped: tuple[str, ...]) -> Floats:
    """Return how probable a default really is, whichever version scored it."""
    return _logistic(_evidence(latent, flipped) + unlogged + BASE_ODDS)


def _evidence(latent: dict[str, Floats], flipped: tuple[str, ...] = ()) -> Floats:
    terms = [(-f.weight if name in flipped else f.weight) * latent[name] for name, f in _NUMERIC.items()]
    total: Floats = np.sum(terms, axis=0)
    return total


def _draw(rng: np.random.Generator, shares: dict[str, float], n: int) -> NDArray[np.str_]:
    return rng.choice(np.array(list(shares)), size=n, p=list(shares.values()))
