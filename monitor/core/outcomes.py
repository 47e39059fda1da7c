"""Predictions and outcomes as numbers: classes as codes, and the rows that wait for each other."""

from collections.abc import Iterator

import numpy as np
import polars as pl
from msgspec import Struct
from numpy.typing import NDArray

from detectors.measure import Scored
from monitor.config import Columns, Model
from monitor.core.hashing import check_hashes, hash_text, mix
from monitor.core.plan import score_columns
from monitor.core.reasons import Reason
from monitor.core.schema import NUMERIC_TASKS, column_of
from monitor.core.timestamps import read_times
from monitor.core.values import read_numbers, read_text
from monitor.fields import TimeUnit
from monitor.types import Chunk, Decoded, Micros, Reject, TypedRows, Wanted

BINARY = ("0", "1")
FAULTS = (
    Reason.BAD_TIMESTAMP,
    Reason.FUTURE_TIMESTAMP,
    Reason.MISSING_ID,
    Reason.MISSING_LABEL,
    Reason.UNKNOWN_LABEL,
)


class Vocabulary(Struct, frozen=True):
    """What the words for outcomes mean. classes: code -> class; () where outcomes are numbers."""

    classes: tuple[str, ...]
    scores: tuple[str, ...]
    columns: Columns

    @classmethod
    def of(cls, model: Model) -> "Vocabulary":
        """Read a model's classes: configured, else those of its table of scores, else 0 and 1."""
        classes = model.performance.classes
        if model.task in (*NUMERIC_TASKS, "none"):
            classes = ()
        elif not classes and isinstance(model.columns.score, dict):
            classes = tuple(model.columns.score)
        elif not classes:
            classes = BINARY
        return cls(classes, score_columns(model), model.columns)

    @property
    def wanted(self) -> Wanted:
        """The columns of an outcome log."""
        columns = self.columns
        text = {columns.prediction_id, columns.timestamp, *({columns.label} if self.classes else ())} - {""}
        number = frozenset() if self.classes else frozenset({columns.label})
        return Wanted(number, frozenset(text), columns.timestamp)

    def codes(self, text: pl.Series) -> NDArray[np.float64]:
        """Return each text's class as a number, NaN where it is none of the classes."""
        lowered = text.str.to_lowercase()
        plain = (
            pl.when(lowered == "true")
            .then(pl.lit("1"))
            .when(lowered == "false")
            .then(pl.lit("0"))
            .otherwise(text.str.strip_suffix(".0"))
        )
        read = pl.select(plain.alias("text")).to_series()
        exact = text.cast(pl.Enum(self.classes), strict=False).to_physical().cast(pl.Float64)
        loose = read.cast(pl.Enum(self.classes), strict=False).to_physical().cast(pl.Float64)
        found: NDArray[np.float64] = exact.fill_null(loose).fill_null(np.nan).to_numpy()
        return found

    def scored(self, frame: pl.DataFrame, label: NDArray[np.float64] | None = None) -> Scored:
        """Return rows with the columns of `predictions` as a measure takes them."""
        rows = frame.height
        scores = np.empty((rows, len(self.scores)))
        for place, name in enumerate(self.scores):
            scores[:, place] = frame[name].to_numpy() if name in frame.columns else np.nan
        known = np.full(rows, np.nan) if label is None else label
        query = frame["query"].to_numpy() if "query" in frame.columns else None
        return Scored(frame["prediction"].to_numpy(), scores, known, query)


def coded(vocabulary: Vocabulary, rows: TypedRows) -> pl.DataFrame:
    """Return prediction and scores of typed rows as numbers, null-free (NaN where there is none)."""
    frame = rows.frame
    columns = [_prediction(vocabulary, frame).alias("prediction")]
    columns += [_filled(frame[name]) for name in vocabulary.scores]
    if vocabulary.columns.query:
        columns.append(pl.Series("query", hash_text(frame["query"])))
    return pl.DataFrame(columns)


def _filled(scores: pl.Series) -> pl.Series:
    """Return scores with NaN for null; without nulls at once, where `fill_null` would plan a query."""
    return scores.fill_null(np.nan) if scores.null_count() else scores


def _prediction(vocabulary: Vocabulary, frame: pl.DataFrame) -> pl.Series:
    if "prediction" not in frame.columns:
        return pl.Series(np.full(frame.height, np.nan))
    column = frame["prediction"]
    if vocabulary.classes:
        return pl.Series(vocabulary.codes(read_text(column)[0]))
    return read_numbers(column)[0].fill_null(np.nan)


def waiting(vocabulary: Vocabulary, rows: TypedRows, *, identified: bool = False) -> pl.DataFrame:
    """Return stored rows as they wait: ids as hashes, time, version, segments, groups, what was predicted.

    identified: as those that wait for outcomes of other rows must be; without it there are no hashes.
    """
    named = [n for n in rows.frame.columns if n == "version" or n.startswith(("segment:", "group:"))]
    made = rows.time if rows.made is None else rows.made
    known = dict(zip(("key", "check"), _identity(rows), strict=True)) if identified else {}
    first = pl.DataFrame({**known, "time": made})
    # column by column: `select` would bring all columns of the frame into chunks of one size first
    texts = [_few(rows.frame[name]) if name == "version" else rows.frame[name] for name in named]
    return pl.concat([first, pl.DataFrame(texts), coded(vocabulary, rows)], how="horizontal")


def _few(versions: pl.Series) -> pl.Series:
    """Return versions in 4 bytes each instead of 16, for millions of rows wait; of one version, at once."""
    if len(versions) and (versions == versions[0]).all():
        return versions.head(1).cast(pl.Categorical).new_from_index(0, len(versions))
    return versions.cast(pl.Categorical)


def own_outcomes(vocabulary: Vocabulary, rows: TypedRows) -> pl.DataFrame:
    """Return the outcomes that stored rows hold themselves, known when they were made; others wait."""
    key, check = _identity(rows)
    made = rows.time if rows.made is None else rows.made
    frame = pl.DataFrame({"time": made, "key": key, "check": check, "label": own_labels(vocabulary, rows)})
    return frame.filter(pl.col("label").is_finite())


def own_labels(vocabulary: Vocabulary, rows: TypedRows) -> NDArray[np.float64]:
    """Return the column `label` of stored rows as numbers, NaN where a row has no usable one."""
    column = rows.frame["label"]
    label = vocabulary.codes(column) if vocabulary.classes else column.fill_null(np.nan).to_numpy()
    return np.where(np.isfinite(label), label + 0.0, np.nan)


def _identity(rows: TypedRows) -> tuple[NDArray[np.uint64], NDArray[np.uint64]]:
    """Return both hashes of each row's id; a row without one is known by its content."""
    if rows.ids is None or rows.checks is None:
        return rows.keys, mix(rows.keys)
    return rows.ids, rows.checks


class Limits(Struct, frozen=True):
    """now: the largest credible timestamp. read: the time of outcomes that have none."""

    now: Micros
    read: Micros


def type_outcomes(
    vocabulary: Vocabulary, chunk: Chunk, decoded: Decoded, units: TimeUnit, limits: Limits
) -> tuple[pl.DataFrame, tuple[Reject, ...]]:
    """Return the usable rows of an outcome log (time, key, check, label), and the others as rejects."""
    columns = vocabulary.columns
    stamp = column_of(decoded, columns.timestamp)
    time, readable = read_times(stamp, units)
    unstamped = stamp.is_null().to_numpy() & ~decoded.invalid.get(
        columns.timestamp, np.zeros(len(time), np.bool_)
    )
    time, readable = np.where(unstamped, limits.read, time), readable | unstamped
    ids = read_text(column_of(decoded, columns.prediction_id))[0].fill_null("")
    raw = column_of(decoded, columns.label)
    missing = raw.is_null().to_numpy()
    if vocabulary.classes:
        text = read_text(raw)[0]
        label = vocabulary.codes(text)
        missing = missing | (text == "").fill_null(value=True).to_numpy()
    else:
        label = read_numbers(raw)[0].fill_null(np.nan).to_numpy()
        missing = missing & ~decoded.invalid.get(columns.label, np.zeros(len(time), np.bool_))
    fault = np.zeros(len(time), np.uint8)
    for broken, reason in (
        (~np.isfinite(label), Reason.UNKNOWN_LABEL),
        (missing, Reason.MISSING_LABEL),
        ((ids == "").to_numpy(), Reason.MISSING_ID),
        (time > limits.now, Reason.FUTURE_TIMESTAMP),
        (~readable, Reason.BAD_TIMESTAMP),
    ):
        fault[broken] = FAULTS.index(reason) + 1
    frame = pl.DataFrame(
        {"time": time, "key": hash_text(ids), "check": check_hashes(ids), "label": label + 0.0}
    )
    return frame.filter(pl.Series(fault == 0)), tuple(_rejects(chunk, decoded, fault))


def _rejects(chunk: Chunk, decoded: Decoded, fault: NDArray[np.uint8]) -> Iterator[Reject]:
    for row in np.flatnonzero(fault).tolist():
        offset, text = decoded.locate(row)
        yield Reject(chunk.file, offset, FAULTS[fault[row] - 1], text)
