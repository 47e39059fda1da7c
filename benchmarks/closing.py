"""How long a window of 500 features takes to close, each judged by five detectors.

    python -m benchmarks.closing [--features 500]

Rows are typed and profiled beforehand: what is timed is judging. Prints one line per window; the first one
pays for what is made once per reference, and for the simulations at its number of rows.
"""

import argparse
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import numpy as np
import polars as pl
from msgspec.structs import replace

from detectors.calibration import Calibrator
from monitor.config import Columns, Features, Model, Monitor, Reference, Source
from monitor.core.closing import close_until
from monitor.core.judging import BudgetJudge, distances_of
from monitor.core.nulls import learn_nulls
from monitor.core.plan import Plan
from monitor.core.profiles import GroupKey, profile_all
from monitor.core.schema import Schema
from monitor.core.state import Book, ModelState
from monitor.references import baseline_of, timed_rows

DETECTORS = ("shift", "psi", "ks", "js", "wasserstein")
DAY = 86_400 * 10**6
HOUR = DAY // 24
BEGIN = 20_000 * DAY
REFERENCE_DAYS, REFERENCE_ROWS = 15, 36_000
WINDOW_ROWS, WINDOWS = 500, 12


def model(features: int) -> Model:
    """Return a model of hourly windows with so many features and five detectors on each."""
    return Model(
        name="wide",
        window=timedelta(hours=1),
        columns=Columns(timestamp="at", timestamp_unit="us"),
        features=Features(numeric=tuple(f"x{i}" for i in range(features))),
        reference=Reference(path=Path("reference.parquet")),
        sources=(Source(role="predictions", type="files", path="/nowhere/*.jsonl"),),
        monitors=tuple(Monitor(detector=name) for name in DETECTORS),
    )


def rows(features: int, count: int, begin: int, length: int, seed: int) -> pl.DataFrame:
    """Return normal rows spread evenly over a stretch of time."""
    rng = np.random.default_rng(seed)
    columns = {f"x{i}": rng.normal(size=count) for i in range(features)}
    return pl.DataFrame({"at": begin + np.arange(count) * length // count, **columns})


def seconds(features: int) -> Iterator[tuple[str, float]]:
    """Yield what was done, and how long it took."""
    made = model(features)
    plan, schema = Plan.of(made), Schema(made.columns, made.features.numeric if made.features else (), ())
    frame = rows(features, REFERENCE_ROWS, BEGIN - REFERENCE_DAYS * DAY, REFERENCE_DAYS * DAY, 1)
    baseline = replace(baseline_of(schema, frame, "file reference.parquet"), number=1)
    typed = timed_rows(schema, frame, baseline.origin, plan.window)
    began = time.perf_counter()
    nulls = learn_nulls(baseline, typed, plan.window, distances_of(made, baseline.grid))
    yield f"learning from {REFERENCE_DAYS * 24} windows of the reference", time.perf_counter() - began
    state = ModelState("wide", book=Book(window=HOUR), baselines=(baseline,), nulls={1: nulls})
    judge = BudgetJudge(plan, Calibrator())
    for number in range(WINDOWS):
        start = BEGIN + number * HOUR
        new = timed_rows(schema, rows(features, WINDOW_ROWS, start, HOUR, 2 + number), "log", plan.window)
        state = replace(state, windows={GroupKey(start, ""): profile_all(baseline.grid, new)})
        began = time.perf_counter()
        state = close_until(plan, judge, state, start + HOUR).state
        yield f"window {number + 1}: {len(state.trips):,} verdicts", time.perf_counter() - began


def main() -> None:
    """Print the times."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--features", type=int, default=500)
    for what, took in seconds(parser.parse_args().features):
        print(f"{what:60} {took:7.3f} s")


if __name__ == "__main__":
    main()
