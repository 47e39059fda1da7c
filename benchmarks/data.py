"""The benchmark's data: a seeded prediction log and its reference, made once and kept in benchmarks/.data.

A log has 27 columns (20 numeric with 1 % null, 5 categorical, score, label) beside `timestamp` and
`prediction_id`. Every slice of 100,000 rows is made from its own seed, so a log of 20,000,000 rows is
streamed to disk slice by slice. Run as a program, it makes the logs named on the command line.
"""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray
from polars.io.plugins import register_io_source

from benchmarks.logs import HOUR, LOGS, NUMERIC, REFERENCE, SIZES, SLICE, START, Log

SEED = 20_250_106
ROW_GROUP = 125_000
"""What Polars' own default makes of a frame of 2,000,000 rows; windows and row groups do not line up."""

JITTER = 1_000_000
"""Rows are out of order by up to this many microseconds, as from a service with several workers."""

NULL_SHARE = 0.01
SHIFTED = ("num_00", "num_07")
"""Two features move in the last quarter of every log, so that some windows do drift."""

Floats = NDArray[np.float64]


def _numeric(rng: np.random.Generator, i: int) -> Floats:
    """Return one slice of the numeric feature `i`: normal, lognormal or integer-valued, NaN where null."""
    draws: tuple[Callable[[], Floats], ...] = (
        lambda: rng.normal(10.0 * i, 1.0 + i, SLICE),
        lambda: rng.lognormal(i / 10, 0.5, SLICE),
        lambda: rng.poisson(3.0 + i, SLICE).astype(np.float64),
        lambda: rng.normal(0.0, 0.01, SLICE),
    )
    values = draws[i % len(draws)]()
    values[rng.random(SLICE) < NULL_SHARE] = np.nan
    return values


def _categories(rng: np.random.Generator, size: int) -> pl.Series:
    """Return one slice of a categorical feature whose k-th value has a weight of 1 / k."""
    weights = 1 / np.arange(1, size + 1)
    codes = np.searchsorted(np.cumsum(weights / weights.sum()), rng.random(SLICE))
    names = pl.Series([f"value_{k:04d}" for k in range(size)])
    return names.gather(np.minimum(codes, size - 1))


def _times(rng: np.random.Generator, log: Log, index: int) -> NDArray[np.int64]:
    """Return the event times of slice `index`, evenly spread over its part of the window, with jitter."""
    step = HOUR // (log.slices_per_window * SLICE)
    times = START + step * (index * SLICE + np.arange(SLICE)) + rng.integers(-JITTER, JITTER, SLICE)
    return times.clip(START, START + log.windows * HOUR - 1)


def _ids(log: Log, index: int) -> pl.Series:
    """Return ids without order or repetition: the row's number times an odd constant, modulo 2**64."""
    start = index * SLICE + (2**40 if log is REFERENCE else 0)
    rows = np.arange(start, start + SLICE, dtype=np.uint64)
    return pl.Series(rows * np.uint64(0x9E3779B97F4A7C15)).cast(pl.String)


def make_slice(log: Log, index: int) -> pl.DataFrame:
    """Return slice `index` of `log`: SLICE rows, the same whenever it is made."""
    rng = np.random.default_rng((SEED, sum(log.name.encode()), index))
    numeric = {name: _numeric(rng, i) for i, name in enumerate(NUMERIC)}
    if log is not REFERENCE and index >= log.slices * 3 // 4:
        for name in SHIFTED:
            numeric[name] += np.nanstd(numeric[name]) / 2
    score = rng.beta(2.0, 5.0, SLICE)
    columns = {
        "timestamp": pl.Series(_times(rng, log, index)).cast(pl.Datetime("us", "UTC")),
        "prediction_id": _ids(log, index),
        **numeric,
        **{f"cat_{size}": _categories(rng, size) for size in SIZES},
        "score": score,
        "label": (rng.random(SLICE) < score).astype(np.int64),
    }
    counts = [name for i, name in enumerate(NUMERIC) if i % 4 == 2]
    return (
        pl.DataFrame(columns)
        .with_columns(pl.col(NUMERIC).fill_nan(None))
        .cast(dict.fromkeys(counts, pl.Int64))
    )


def _scan(log: Log) -> pl.LazyFrame:
    """Return the whole log as a frame that is made slice by slice when it is written."""

    def slices(
        with_columns: list[str] | None, predicate: pl.Expr | None, _rows: int | None, _batch: int | None
    ) -> Iterator[pl.DataFrame]:
        if with_columns is not None or predicate is not None:
            raise ValueError("the log is written whole")
        for index in range(log.slices):
            yield make_slice(log, index)

    return register_io_source(slices, schema=make_slice(log, 0).schema)


def make(log: Log) -> Path:
    """Write the log unless it is there; a log that was not finished is never taken for a whole one."""
    if log.path.exists():
        return log.path
    log.path.parent.mkdir(exist_ok=True)
    part = log.path.with_suffix(".part")
    if log.suffix == ".parquet":
        _scan(log).sink_parquet(part, row_group_size=ROW_GROUP)
    else:
        with part.open("wb") as out:
            for index in range(log.slices):
                iso = pl.col("timestamp").dt.strftime("%Y-%m-%dT%H:%M:%S.%6fZ")
                make_slice(log, index).with_columns(iso).write_ndjson(out)
    part.rename(log.path)
    return log.path


def main() -> None:
    """Make the logs named on the command line."""
    for name in sys.argv[1:]:
        path = make(LOGS[name])
        print(f"{path}: {LOGS[name].rows:,} rows, {path.stat().st_size / 1e6:,.0f} MB")


if __name__ == "__main__":
    main()
