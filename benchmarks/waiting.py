"""A daemon's core beside which predictions wait, with its store and segments: fed by benchmarks/join.py."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
from msgspec.structs import replace
from numpy.typing import NDArray

from benchmarks.logs import HOUR, START
from detectors.calibration import Calibrator
from monitor.clock import ManualClock
from monitor.config import Columns, Features, Model, Performance, Reference, Source
from monitor.core.judging import BudgetJudge
from monitor.core.outbox import Note
from monitor.core.outcomes import Vocabulary
from monitor.core.plan import Plan
from monitor.core.state import ModelState
from monitor.decoders.plain import decode
from monitor.models import adopt, joining_of
from monitor.references import baseline_of, schema_of, standard_of
from monitor.shelves import Shelves
from monitor.store.sqlite import SqliteStore
from monitor.types import Batch, Changes, Chunk, Decoded, Position, Reject
from monitor.worker import Tools, Worker

Ints = NDArray[np.int64]
NAME = "join"
HOURS = 240
LAG = HOURS * HOUR
"""Outcomes follow their predictions by this much, so that the first comes when the last prediction has."""
REFERENCE_ROWS = 50_000
NOW = datetime(2030, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Size:
    """How many predictions wait, and how many outcomes come."""

    predictions: int = 10_000_000
    outcomes: int = 2_000_000


def model() -> Model:
    """Return a binary model of hourly windows, with a segment."""
    columns = Columns(
        prediction_id="id",
        timestamp="at",
        timestamp_unit="us",
        version="version",
        prediction="y",
        score="score",
        label="label",
        segments=("region",),
    )
    return Model(
        name=NAME,
        task="binary",
        window=timedelta(hours=1),
        lateness=timedelta(0),
        label_horizon=timedelta(days=30),
        columns=columns,
        features=Features(numeric=("x",)),
        reference=Reference(path=Path("reference.parquet")),
        sources=tuple(Source(role=r, type="files", path="/logs/*") for r in ("predictions", "outcomes")),
        performance=Performance(matured=0.5),
    )


def predictions(places: Ints, size: Size) -> pl.DataFrame:
    """Return the predictions of these numbers, evenly spread over the hours. Labels follow the scores."""
    rng = np.random.default_rng(int(places[0]) if len(places) else 0)
    score = rng.random(len(places))
    return pl.DataFrame(
        {
            "id": ids(places),
            "at": made(places, size),
            "version": pl.repeat("v1", len(places), eager=True),
            "y": (score > 0.5).astype(np.int64),
            "score": score,
            "x": rng.normal(size=len(places)),
            "region": pl.Series(["north", "south", "west"]).gather(rng.integers(0, 3, len(places))),
        }
    )


def ids(places: Ints) -> pl.Series:
    """Return the ids of these numbers."""
    return pl.select(pl.format("prediction-{}", pl.Series(places))).to_series()


def made(places: Ints, size: Size) -> Ints:
    """Return when the predictions of these numbers were made."""
    return START + places * (HOURS * HOUR // size.predictions)


def outcomes(places: Ints, size: Size) -> pl.DataFrame:
    """Return the outcomes of the predictions of these numbers."""
    label = (places * 2_654_435_761 >> 7) & 1
    return pl.DataFrame({"id": ids(places), "at": made(places, size) + LAG, "label": label})


@dataclass
class Log:
    """A source that hands out frames, one a poll."""

    name: str
    frames: Iterator[pl.DataFrame]
    at: int = 0

    def poll(self, after: Position, _limit: int) -> Batch | None:
        """Return the next frame as a batch."""
        del after
        frame = next(self.frames, None)
        if frame is None:
            return None
        self.at += 1
        return Batch(self.name, Position({"next": str(self.at)}), (Chunk("log", 0, frame),), more=True)

    def close(self) -> None:
        """Nothing is held."""


class Ward:
    """A worker with its store and segments in a folder."""

    def __init__(self, folder: Path, ahead: ThreadPoolExecutor, pool: ThreadPoolExecutor) -> None:
        self._store = SqliteStore(folder)
        self._shelves = Shelves(folder)
        self._shelves.add(NAME, {})
        made_model = model()
        self.plan = Plan.of(made_model)
        self.schema = schema_of(made_model, None)
        clock = ManualClock(NOW)
        self.tools = Tools(clock, lambda: int(NOW.timestamp() * 10**6), self._commit, pool.map, ahead)
        state = self._with_reference(ModelState(NAME))
        joining = joining_of(self.plan, state, self._shelves.by_model[NAME].keep)
        self.worker = Worker(self.plan, self.schema, BudgetJudge(self.plan, Calibrator()), state, joining)

    def _with_reference(self, state: ModelState) -> ModelState:
        size = Size(REFERENCE_ROWS, 0)
        places = np.arange(REFERENCE_ROWS)
        label = outcomes(places, size)["label"]
        frame = predictions(places, size).with_columns(label)
        baseline = baseline_of(self.schema, frame, "file reference.parquet")
        state, changes = adopt(self.plan, state, baseline)
        self._commit(NAME, changes, (), ())
        standard = standard_of(self.plan.model, self.schema, frame, state.baselines[0])
        return replace(state, labels=replace(state.labels, standards=(standard,)))

    def _commit(
        self, model_: str, changes: Changes, _rejects: Sequence[Reject], _notes: Sequence[Note]
    ) -> None:
        self._store.commit(changes)
        self._shelves.after(model_, changes)

    def take(self, name: str, frames: Iterator[pl.DataFrame]) -> None:
        """Take in frames, each of them as a batch."""
        wanted = self.schema.wanted
        if name.startswith("outcomes"):
            wanted = Vocabulary.of(self.plan.model).wanted

        def decoded(batch: Batch) -> tuple[Decoded, ...]:
            return tuple(decode(chunk, wanted, "parquet") for chunk in batch.chunks)

        self.worker.drain(self.tools, Log(name, frames), decoded, lambda: False)

    def close(self) -> None:
        """Release the store."""
        self._store.close()
