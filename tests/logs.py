"""Small logs and models for tests: rows as tuples, batches cut anywhere, a daemon's core fed with them."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from msgspec.structs import replace

from detectors.base import Level, Verdict
from detectors.profile import WindowProfile, summaries
from detectors.series import Lent, Series
from monitor.config import Columns, Features, Model, Reference, Source
from monitor.core.closing import Judge
from monitor.core.plan import Plan
from monitor.core.reference import Baseline
from monitor.core.schema import Schema
from monitor.core.vectors import embeddings_of
from monitor.decoders.plain import decode
from monitor.references import baseline_of
from monitor.types import Batch, Chunk, Decoded, Position

SOURCE = "predictions-0"
EPOCH = 1_700_000_000 * 10**6 // 60_000_000 * 60_000_000
"""A time at a whole minute, microseconds."""
SECOND = 10**6
MINUTE = 60 * SECOND
FAR = EPOCH + 10**15


@dataclass(frozen=True)
class Row:
    """One line of a log. at: seconds after EPOCH; a time of None cannot be read."""

    id: str
    at: int | None
    x: float | None = 1.0
    colour: str | None = "red"
    version: str = "v1"
    place: str | None = "north"

    @property
    def time(self) -> int:
        """The time in microseconds."""
        assert self.at is not None
        return EPOCH + self.at * SECOND


def columns(**more: Any) -> Columns:  # noqa: ANN401 - the fields of Columns
    """Return the columns that every log here has; `more` are those of its model."""
    return Columns(prediction_id="id", timestamp="at", timestamp_unit="us", version="version", **more)


def model(**settings: Any) -> Model:  # noqa: ANN401 - the fields of Model
    """Return a model of one-minute windows that waits 30 seconds for late rows."""
    known: dict[str, Any] = {
        "name": "m",
        "window": timedelta(minutes=1),
        "lateness": timedelta(seconds=30),
        "columns": columns(segments=("place",)),
        "features": Features(numeric=("x",), categorical=("colour",)),
        "reference": Reference(path=Path("reference.parquet")),
        "sources": (Source(role="predictions", type="files", path="/logs/*.jsonl"),),
    }
    return Model(**{**known, **settings})


def schema_for(made: Model) -> Schema:
    """Return the schema of the model's log."""
    features = made.features or Features()
    schema = Schema(made.columns, features.numeric, features.categorical, made.task)
    return replace(schema, embeddings=embeddings_of(features.embeddings))


def frame_of(rows: Sequence[Row], extra: Mapping[str, str] | None = None) -> pl.DataFrame:
    """Return rows as a columnar file holds them. extra: further columns, the same value in each row."""
    found: dict[str, Any] = {
        "id": [row.id for row in rows],
        "at": [0 if row.at is None else row.time for row in rows],
        "x": pl.Series([row.x for row in rows], dtype=pl.Float64),
        "colour": pl.Series([row.colour for row in rows], dtype=pl.String),
        "version": pl.Series([row.version for row in rows], dtype=pl.String),
        "place": pl.Series([row.place for row in rows], dtype=pl.String),
    }
    more = {name: [value] * len(rows) for name, value in (extra or {}).items()}
    return pl.DataFrame(found | more)


def reference(made: Model, seed: int = 0) -> Baseline:
    """Return a baseline of 400 rows: x normal, two colours, three places."""
    rng = np.random.default_rng(seed)
    frame = pl.DataFrame(
        {
            "x": rng.normal(size=400),
            "colour": rng.choice(["red", "blue"], 400),
            "place": rng.choice(["north", "south", "west"], 400),
            "version": ["v0"] * 400,
        }
    )
    return replace(baseline_of(schema_for(made), frame, "file reference.parquet"), number=1)


@dataclass(frozen=True)
class Feed:
    """A log cut into batches. `decoded` is what the decoder makes of each one's chunks."""

    schema: Schema
    batches: tuple[Batch, ...]
    decoded: tuple[tuple[Decoded, ...], ...] = field(repr=False)


def feed(
    made: Model, rows: Sequence[Row], cuts: Iterable[int], extra: Mapping[str, str] | None = None
) -> Feed:
    """Cut one file of rows before the given places; every part is a batch."""
    bounds = [0, *sorted({cut for cut in cuts if 0 < cut < len(rows)}), len(rows)]
    chunks = [Chunk("log", a, frame_of(rows[a:b], extra)) for a, b in pairwise(bounds) if b > a]
    return feed_of(made, [[chunk] for chunk in chunks])


def feed_of(made: Model, batches: Sequence[Sequence[Chunk]]) -> Feed:
    """Make a batch of each list of chunks; the position counts them."""
    schema = schema_for(made)
    found = tuple(
        Batch(SOURCE, Position({"next": str(i + 1)}), tuple(chunks), more=i + 1 < len(batches))
        for i, chunks in enumerate(batches)
    )
    decoded = tuple(tuple(decode(c, schema.wanted, "parquet") for c in chunks) for chunks in batches)
    return Feed(schema, found, decoded)


def plan_of(made: Model) -> Plan:
    """Return the model's plan."""
    return Plan.of(made)


def mean_judge(limit: float = 1.0) -> Judge:
    """Return a judge with one monitor per feature; its score is any number that follows from the profile."""

    def judge(
        baseline: Baseline | None,
        window: WindowProfile | None,
        groups: int,
        series: Series | Lent | None = None,  # noqa: ARG001 - this judge looks at the window alone
    ) -> list[Verdict]:
        if baseline is None or window is None:
            return [Verdict("reference", "_all", "quality", Level.NO_REFERENCE, 0)]
        found = [_verdict(window, place, limit) for place in range(len(window.grid.features))]
        return [replace(verdict, note=f"{groups} {sorted(window.columns_unknown)}") for verdict in found]

    return judge


def _verdict(window: WindowProfile, place: int, limit: float) -> Verdict:
    summary = list(summaries(window.grid, window.window))[place]
    n = summary.n
    if n == 0:
        return Verdict("level", summary.grid.name, "drift", Level.INSUFFICIENT_DATA, 0)
    cells = window.window.cells[window.grid.slices[summary.grid.name]]
    score = float(summary.counts @ np.arange(len(summary.counts))) / n / 10 + float(cells.sum() % 3)
    level = Level.BREACH if score > limit else Level.OK
    return Verdict("level", summary.grid.name, "drift", level, n, score, limit)
