"""What a reference teaches: learnt once, however many lives a model has on it in the tests of a module."""

from dataclasses import dataclass, field
from functools import lru_cache
from typing import Self

import polars as pl
from msgspec.structs import replace

from monitor.config import Model
from monitor.core.judging import null_models
from monitor.core.nulls import Nulls
from monitor.core.reference import Baseline
from monitor.core.schema import Schema
from monitor.core.standard import Standard
from monitor.references import baseline_of, standard_of, timed_rows
from tests.logs import plan_of


@dataclass(frozen=True, slots=True)
class Teaching:
    """A model and its reference; two are equal where their words and rows are."""

    words: str
    hashes: bytes
    made: Model = field(compare=False)
    schema: Schema = field(compare=False)
    rows: pl.DataFrame = field(compare=False)

    @classmethod
    def of(cls, made: Model, schema: Schema, rows: pl.DataFrame) -> Self:
        return cls(
            repr((made, schema, rows.schema)), rows.hash_rows().to_numpy().tobytes(), made, schema, rows
        )


@lru_cache(32)
def baseline_by(asked: Teaching) -> Baseline:
    """Profile the reference."""
    origin = f"file {asked.made.reference.path}"
    return replace(baseline_of(asked.schema, asked.rows, origin), number=1)


@lru_cache(32)
def nulls_by(asked: Teaching) -> Nulls:
    """Learn what is usual in its windows."""
    plan, baseline = plan_of(asked.made), baseline_by(asked)
    rows = timed_rows(asked.schema, asked.rows, baseline.origin, plan.window)
    return null_models(plan, baseline, rows)


@lru_cache(32)
def standard_by(asked: Teaching) -> Standard:
    """Measure how good its predictions are."""
    return standard_of(asked.made, asked.schema, asked.rows, baseline_by(asked))
