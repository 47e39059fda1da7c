"""Canonical columns: which column of the log is what, and decoded rows as typed rows or rejects."""

from collections.abc import Iterator, Mapping
from functools import cached_property

import numpy as np
import polars as pl
from msgspec import Struct
from msgspec.structs import replace
from numpy.typing import NDArray

from monitor.config import Columns
from monitor.core.hashing import check_hashes, hash_rows, hash_text, mix
from monitor.core.reasons import Reason
from monitor.core.timestamps import read_times
from monitor.core.values import Mask, absent, read_numbers, read_text
from monitor.core.vectors import Embedding, read_embedding
from monitor.fields import Task, TimeUnit
from monitor.types import Chunk, Decoded, Micros, Reject, TypedRows, Wanted

VERSION_LENGTH = 64
NUMERIC_TASKS = ("regression", "ranking")
FAULTS = (Reason.BAD_TIMESTAMP, Reason.FUTURE_TIMESTAMP, Reason.MISSING_ID, Reason.NO_PREDICTION)


class Schema(Struct, frozen=True, dict=True):
    """What a model's log holds. numeric, categorical: feature columns, named as in the log.

    The canonical names "prediction", "score", "score_<class>", "version" and "segment:<column>" stand for
    the configured columns. With task "none" the prediction is a number where `numeric` holds "prediction".
    joined: whether outcomes are joined; then "group:<column>" and "query" are there too, and "label" where
    the rows hold their outcomes themselves (`labelled`). Each of `embeddings` has a column "vector:<name>"
    and its norm.
    """

    columns: Columns
    numeric: tuple[str, ...] = ()
    categorical: tuple[str, ...] = ()
    task: Task = "none"
    joined: bool = False
    labelled: bool = False
    embeddings: tuple[Embedding, ...] = ()

    @cached_property
    def scores(self) -> dict[str, str]:
        """Canonical score column -> column of the log."""
        score = self.columns.score
        if isinstance(score, str):
            return {"score": score} if score else {}
        return {f"score_{name}": column for name, column in score.items()}

    @cached_property
    def numbers(self) -> Mapping[str, str]:
        """Canonical numeric column -> column of the log: features, then prediction and scores."""
        found = {name: name for name in self.numeric if name not in self._reserved}
        if self.columns.prediction and self._numeric_prediction:
            found["prediction"] = self.columns.prediction
        if self.labelled and self.columns.label and self.task in NUMERIC_TASKS:
            found["label"] = self.columns.label
        return found | self.scores

    @cached_property
    def texts(self) -> Mapping[str, str]:
        """Canonical text column -> column of the log: features, prediction, segments, version."""
        found = {name: name for name in self.categorical if name not in self._reserved}
        if self.columns.prediction and not self._numeric_prediction:
            found["prediction"] = self.columns.prediction
        found |= {f"segment:{column}": column for column in self.columns.segments}
        return found | self._for_outcomes | {"version": self.columns.version}

    @property
    def _for_outcomes(self) -> dict[str, str]:
        """Canonical text column -> column of the log, of those that only performance needs."""
        columns = self.columns
        found = {f"group:{column}": column for column in columns.groups} if self.joined else {}
        if self.joined and columns.query:
            found["query"] = columns.query
        if self.labelled and columns.label and self.task not in NUMERIC_TASKS:
            found["label"] = columns.label
        return found

    @cached_property
    def watched(self) -> tuple[str, ...]:
        """The canonical columns that are watched: numbers and texts that stand for themselves."""
        apart = {"version", "label", *self._for_outcomes}
        texts = [name for name in self.texts if name not in apart and not name.startswith("segment:")]
        return (*(name for name in self.numbers if name not in apart), *texts)

    @cached_property
    def wanted(self) -> Wanted:
        """The columns that the decoder has to bring."""
        columns = self.columns
        text = {*self.texts.values(), columns.timestamp, columns.prediction_id} - {""}
        listed = frozenset(e.columns[0] for e in self.embeddings if len(e.columns) == 1)
        numbered = frozenset(name for e in self.embeddings for name in e.columns if name not in listed)
        return Wanted(numbered.union(self.numbers.values()), frozenset(text), columns.timestamp, listed)

    @property
    def _numeric_prediction(self) -> bool:
        return self.task in NUMERIC_TASKS or (self.task == "none" and "prediction" in self.numeric)

    @property
    def _reserved(self) -> set[str]:
        taken = {"version", "label"} if self.labelled else {"version"}
        return {*taken, *self.scores} | ({"prediction"} if self.columns.prediction else set())


def type_rows(
    schema: Schema, chunk: Chunk, decoded: Decoded, units: TimeUnit, now_limit: Micros
) -> tuple[TypedRows, tuple[Reject, ...]]:
    """Return the rows that have a good time, an id and a prediction, in the log's order, and the others.

    units: what numbers in the timestamp column count; "auto" looks at this chunk only, so detect once per
    source and pass that. now_limit: timestamps above it are from the future, microseconds.
    """
    time, readable = read_times(column_of(decoded, schema.columns.timestamp), units)
    frame, invalid = _canonical(schema, decoded)
    ids = (
        read_text(column_of(decoded, schema.columns.prediction_id))[0]
        if schema.columns.prediction_id
        else None
    )
    fault = np.zeros(len(time), np.uint8)
    if (lacking := _without_prediction(schema, frame, invalid)) is not None:
        fault[lacking] = _code(Reason.NO_PREDICTION)
    if ids is not None and (ids.null_count() or (ids == "").any()):
        fault[(ids.fill_null("") == "").to_numpy()] = _code(Reason.MISSING_ID)
    fault[time > now_limit] = _code(Reason.FUTURE_TIMESTAMP)
    fault[~readable] = _code(Reason.BAD_TIMESTAMP)
    if not fault.any():
        return replace(_typed(schema, time, ids, frame, invalid), shape=decoded.shape), ()
    good = fault == 0
    kept = pl.Series(good)
    rows = _typed(
        schema,
        time[good],
        None if ids is None else ids.filter(kept),
        frame.filter(kept),
        {name: mask[good] for name, mask in invalid.items()},
    )
    shape = None if decoded.shape is None else decoded.shape[good]
    return replace(rows, shape=shape), tuple(_rejects(chunk, decoded, fault))


def _canonical(schema: Schema, decoded: Decoded) -> tuple[pl.DataFrame, dict[str, Mask]]:
    """Return the watched columns under their canonical names, and where their types failed."""
    columns: list[pl.Series] = []
    invalid: dict[str, Mask] = {}
    nowhere = np.zeros(decoded.frame.height, np.bool_)
    for name, origin in schema.numbers.items():
        numbers, failed = read_numbers(column_of(decoded, origin))
        columns.append(numbers.alias(name))
        invalid[name] = decoded.invalid.get(origin, nowhere) if failed is None else failed
    for name, origin in schema.texts.items():
        text, failed = read_text(column_of(decoded, origin))
        columns.append((_versions(text) if name == "version" else text).alias(name))
        if name in schema.watched and (failed is not None or origin in decoded.invalid):
            invalid[name] = decoded.invalid[origin] if failed is None else failed
    for embedding in schema.embeddings:
        found, failures = read_embedding(embedding, decoded)
        columns += found
        invalid |= failures
    return pl.DataFrame(columns), invalid


def column_of(decoded: Decoded, name: str) -> pl.Series:
    """Return a decoded column, nulls where the data has none."""
    if name in decoded.frame.columns:
        return decoded.frame[name]
    return absent(name, pl.Null, decoded.frame.height)


def _versions(text: pl.Series) -> pl.Series:
    if text.null_count() == len(text):
        return pl.Series([""]).new_from_index(0, len(text))
    filled = text.fill_null("") if text.null_count() else text
    longest = filled.str.len_bytes().max()
    return (
        filled.str.head(VERSION_LENGTH) if isinstance(longest, int) and longest > VERSION_LENGTH else filled
    )


def _without_prediction(schema: Schema, frame: pl.DataFrame, invalid: Mapping[str, Mask]) -> Mask | None:
    """Return which rows have neither prediction nor score (None: no row); a failed type counts as one."""
    names = [*(["prediction"] if schema.columns.prediction else []), *schema.scores]
    if not names or any(frame[name].null_count() == 0 for name in names):
        return None
    lacking = np.ones(frame.height, np.bool_)
    for name in names:
        lacking &= frame[name].is_null().to_numpy()
        if name in invalid:
            lacking &= ~invalid[name]
    return lacking


def _typed(
    schema: Schema,
    time: NDArray[np.int64],
    ids: pl.Series | None,
    frame: pl.DataFrame,
    invalid: Mapping[str, Mask],
) -> TypedRows:
    if ids is None:
        content = (*schema.watched, *(e.features[0] for e in schema.embeddings))
        keys = hash_rows(time, [frame[name] for name in content])
        return TypedRows(time, None, keys, frame, invalid)
    hashes = hash_text(ids)
    checks = check_hashes(ids) if schema.joined else None
    return TypedRows(time, hashes, mix(hashes), frame, invalid, checks=checks)


def _code(reason: Reason) -> int:
    return FAULTS.index(reason) + 1


def _rejects(chunk: Chunk, decoded: Decoded, fault: NDArray[np.uint8]) -> Iterator[Reject]:
    for row in np.flatnonzero(fault).tolist():
        offset, text = decoded.locate(row)
        yield Reject(chunk.file, offset, FAULTS[fault[row] - 1], text)
