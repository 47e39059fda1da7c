"""Reading a reference file, and making a baseline of it."""

import os
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import polars as pl
from msgspec.structs import replace

from monitor.config import Features, Model
from monitor.core.measuring import fitted, measured
from monitor.core.plan import joins, known_columns, score_columns
from monitor.core.profiles import Rows, Run
from monitor.core.reference import Baseline, Watched, build
from monitor.core.schema import Schema, type_rows
from monitor.core.standard import Standard
from monitor.core.timestamps import read_times
from monitor.core.vectors import embeddings_of, length_of
from monitor.core.windows import NEVER
from monitor.decoders.plain import decode
from monitor.errors import ConfigError, ReferenceUnusableError
from monitor.failures import POLARS_FAILURES
from monitor.types import Chunk, TypedRows

ANY_TIME = datetime(2000, 1, 1, tzinfo=UTC)
"""A reference's rows need no time; they are given this one."""
ANY = int(ANY_TIME.timestamp()) * 10**6

NO_LIMIT = 2**62


def read_frame(path: Path) -> pl.DataFrame:
    """Read a whole reference file; raises ReferenceUnusableError with the path and what to do."""
    endings = [ending for ending in path.name.lower().split(".")[1:] if ending not in {"gz", "zst"}]
    ending = endings[-1] if endings else ""
    try:
        if ending == "parquet":
            frame = pl.read_parquet(path)
        elif ending in {"arrow", "ipc", "feather"}:
            frame = pl.read_ipc(path)
        elif ending == "csv":
            frame = pl.read_csv(path, infer_schema_length=None)
        elif ending in {"jsonl", "ndjson", "json"}:
            frame = pl.read_ndjson(path, infer_schema_length=None)
        else:
            raise ReferenceUnusableError(
                f"{path}: unknown kind of reference; use .parquet, .arrow, .csv or .jsonl (also .gz, .zst)"
            )
    except POLARS_FAILURES as error:
        said = str(error).partition("\n")[0]
        raise ReferenceUnusableError(f"{path}: the reference cannot be read: {said}") from error
    if not frame.height:
        raise ReferenceUnusableError(f"{path}: the reference has no rows; give a file with some")
    return frame


def schema_of(model: Model, frame: pl.DataFrame | None, baseline: Baseline | None = None) -> Schema:
    """Return the log's schema; features come from the config, else from the reference's columns.

    Raises ConfigError when neither names any: watching nothing would be silence, not calm.
    """
    if model.features is not None:
        features = model.features
    elif frame is not None:
        features = _features_in(model, frame)
    elif baseline is not None:
        features = _features_of(model, baseline)
    else:
        says = "needs [models.features]: without a reference file, name the columns to watch"
        raise ConfigError([f"models.{model.name}.reference.first: {says}"])
    own = any(source.role == "both" for source in model.sources)
    vectors = embeddings_of(features.embeddings)
    return Schema(
        model.columns, features.numeric, features.categorical, model.task, joins(model), own, vectors
    )


def _features_in(model: Model, frame: pl.DataFrame) -> Features:
    free = [name for name in frame.columns if name not in known_columns(model)]
    numeric = tuple(n for n in free if frame.schema[n].is_numeric())
    texts = tuple(
        n for n in free if isinstance(frame.schema[n], pl.String | pl.Boolean | pl.Categorical | pl.Enum)
    )
    lists = {n: size for n in free if (size := length_of(frame[n])) > 1}
    return Features(numeric=numeric, categorical=texts, embeddings=lists)


def _features_of(model: Model, baseline: Baseline) -> Features:
    spoken = {"prediction"} if model.columns.prediction else set()
    spoken |= {*score_columns(model)}
    spoken |= {name for e in baseline.grid.embeddings for name in (e.norm, e.cosine)}
    numeric = tuple(f.name for f in baseline.grid.numeric if f.name not in spoken)
    texts = tuple(f.name for f in baseline.grid.categorical if f.name not in spoken)
    lists = {e.name: e.size for e in baseline.grid.embeddings}
    return Features(numeric=numeric, categorical=texts, embeddings=lists)


def watched(schema: Schema) -> Watched:
    """Return the canonical columns that a baseline of this schema has grids for."""
    numeric = tuple(name for name in schema.watched if name in schema.numbers)
    texts = tuple(n for n in schema.watched if n not in numeric)
    made = [name for e in schema.embeddings for name in e.features]
    vectors = tuple(e.name for e in schema.embeddings)
    return Watched((*numeric, *made), texts, schema.columns.segments, vectors)


def covers(baseline: Baseline, schema: Schema) -> bool:
    """Tell whether a stored baseline watches exactly what the schema asks for."""
    wanted = watched(schema)
    numeric = {f.name for f in baseline.grid.numeric}
    texts = {f.name for f in baseline.grid.categorical}
    same = numeric == set(wanted.numeric) and texts == set(wanted.categorical)
    vectors = {(e.name, e.size) for e in baseline.grid.embeddings}
    same &= vectors == {(e.name, e.size) for e in schema.embeddings}
    return same and set(baseline.segments) == set(wanted.segments)


def standard_of(model: Model, schema: Schema, frame: pl.DataFrame, baseline: Baseline) -> Standard:
    """Measure the reference's own predictions, where it has outcomes; what a window is compared with."""
    standard, finish = measured_of(model, schema, frame, baseline)
    return finish() if standard.pending else standard


def measured_of(
    model: Model, schema: Schema, frame: pl.DataFrame, baseline: Baseline
) -> tuple[Standard, Callable[[], Standard]]:
    """Return what `standard_of` does but for what takes long, and a function that does the rest."""
    if model.task not in {"regression", "none"}:  # only a model of losses looks at the features
        schema = replace(schema, numeric=(), categorical=(), embeddings=())
    rows = rows_of(schema, frame, baseline.origin)
    standard = measured(model, baseline, rows)

    def finish() -> Standard:
        os.environ.setdefault("OMP_NUM_THREADS", "1")  # scikit-learn's threads would wait for each other here
        return fitted(model, baseline, rows, standard)

    return standard, finish


def timed_rows(schema: Schema, frame: pl.DataFrame, origin: str, window: int) -> Rows:
    """Return a reference's rows with the starts of their windows, NEVER for rows without a time.

    window: microseconds. The rows are those that `baseline_of` makes a baseline of, in the same order.
    """
    return in_windows(at_their_times(schema, frame, origin), window)


def at_their_times(schema: Schema, frame: pl.DataFrame, origin: str) -> TypedRows:
    """Return a reference's typed rows, ANY_TIME for those without a time."""
    columns = schema.columns
    times = np.full(frame.height, ANY)
    if columns.timestamp in frame.columns:
        found, good = read_times(frame[columns.timestamp], columns.timestamp_unit)
        times = np.where(good, found, ANY)
    return _rows(schema, frame.with_columns(pl.Series("driftd:time", times).cast(pl.Datetime("us"))), origin)


def in_windows(rows: TypedRows, window: int) -> Rows:
    """Return rows of `at_their_times` with the starts of their windows, NEVER for those without a time."""
    start = np.where(rows.time == ANY, NEVER, rows.time // window * window)
    return Rows(start, rows.keys, rows.frame, rows.invalid)


def at_no_time(schema: Schema, frame: pl.DataFrame, origin: str) -> TypedRows:
    """Return a reference's typed rows, all of ANY_TIME."""
    return _rows(schema, frame.with_columns(pl.lit(ANY_TIME).alias("driftd:time")), origin)


def _rows(schema: Schema, timed: pl.DataFrame, origin: str) -> TypedRows:
    """Return typed rows of a reference with times in driftd:time; what it lacks counts as missing."""
    columns = schema.columns
    update = {
        "prediction_id": columns.prediction_id if columns.prediction_id in timed.columns else "",
        "timestamp": "driftd:time",
        "timestamp_unit": "auto",
    }
    narrow = replace(schema, columns=columns.model_copy(update=update), joined=False, labelled=False)
    return _typed(narrow, timed, origin)


def rows_of(schema: Schema, frame: pl.DataFrame, origin: str) -> TypedRows:
    """Return a reference's typed rows with what performance needs, by time where it has their times."""
    columns = schema.columns
    present = set(frame.columns)
    update = {"prediction_id": "", "timestamp": "driftd:time", "timestamp_unit": "auto"}
    whole = replace(
        schema, columns=columns.model_copy(update=update), joined=True, labelled=columns.label in present
    )
    timed = _in_order(schema, frame).with_columns(pl.lit(ANY_TIME).alias("driftd:time"))
    return _typed(whole, timed, origin)


def _in_order(schema: Schema, frame: pl.DataFrame) -> pl.DataFrame:
    """Return a reference's rows by time where it has their times, else as the file has them."""
    columns = schema.columns
    if columns.timestamp not in frame.columns:
        return frame
    time, readable = read_times(frame[columns.timestamp], columns.timestamp_unit)
    if not readable.all() or not (time[1:] < time[:-1]).any():
        return frame
    return frame[np.argsort(time, kind="stable")]


def _typed(schema: Schema, frame: pl.DataFrame, origin: str) -> TypedRows:
    chunk = Chunk(origin, 0, frame)
    rows, rejects = type_rows(schema, chunk, decode(chunk, schema.wanted, "parquet"), "auto", NO_LIMIT)
    if not len(rows.time):
        why = rejects[0].reason if rejects else "no rows"
        raise ReferenceUnusableError(f"{origin}: no row of the reference can be used ({why})")
    return rows


def baseline_of(schema: Schema, frame: pl.DataFrame, origin: str, run: Run = map) -> Baseline:
    """Make a baseline of a reference frame; a watched column that it lacks counts as missing values."""
    return baseline_from(schema, at_no_time(schema, frame, origin), (origin, frozenset(frame.columns)), run)


def baseline_from(
    schema: Schema, rows: TypedRows, found: tuple[str, frozenset[str]], run: Run = map
) -> Baseline:
    """Make a baseline of a reference's typed rows. found: where they are from, and all columns there."""
    typed = Rows(rows.time * 0, rows.keys, rows.frame, rows.invalid)
    return build(typed, watched(schema), *found, run)
