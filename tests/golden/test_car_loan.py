"""Real predictions through the real daemon: its numbers against Polars and SciPy on the same rows."""

import gzip
import re
from datetime import timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from numpy.typing import NDArray
from scipy import stats

from detectors.bounds import (
    anderson_darling_range,
    cramer_von_mises_range,
    energy_bound,
    ks_bound,
    wasserstein_bound,
)
from detectors.comparison import numeric_starts
from detectors.profile import NumericSummary, summaries
from monitor.core.state import ModelState, load_model
from tests.audits import records, unequal
from tests.oracles import anderson_darling, categories, cells, cramer_von_mises, distances
from tests.programs import CAR_LOAN, Project, Samples

pytestmark = pytest.mark.acceptance

MODEL = "car-loan"
NUMERIC = ("car_value", "debt_to_income_ratio", "loan_length", "driver_tenure")
CATEGORICAL = ("salary_range", "size_of_downpayment", "repaid_loan_on_prev_car")
SHARES = ("psi", "js", "chi2", "hellinger", "total_variation", "l_infinity")
CURVES = ("ks", "cramer_von_mises", "anderson_darling", "wasserstein", "energy")
SEGMENTS = "salary_range"
CONFIG = f"""
{CAR_LOAN}
window = "WINDOW"
series_limit = 20000
alarms.min_rows = 10
columns.score = "y_pred_proba"
columns.label = "repaid"
columns.segments = ["{SEGMENTS}"]
features.numeric = {list(NUMERIC)}
features.categorical = {list(CATEGORICAL)}

[[models.sources]]
role = "predictions"
type = "files"
path = "logs/predictions*"
format = "FORMAT"
"""
QUALITY = '\n[[models.monitors]]\ndetector = "quality"\n'
Floats = NDArray[np.float64]


def monitors() -> str:
    """Every distance on everything, and the quality checks. The thresholds are of no interest here."""
    wanted = [(d, on) for d in (*SHARES, *CURVES) for on in ("features", "prediction", "score")]
    distances = [
        f'\n[[models.monitors]]\ndetector = "{d}"\non = "{on}"\nthreshold = 0.5\n' for d, on in wanted
    ]
    return "".join([*distances, QUALITY])


def config(window: str, reference: str = "reference.parquet", form: str = "jsonl", rest: str = "") -> str:
    text = CONFIG.replace("WINDOW", window).replace("reference.parquet", reference)
    return text.replace("FORMAT", form) + rest


@pytest.fixture(scope="module")
def log(car_loans: pl.DataFrame) -> pl.DataFrame:
    """Return of the real predictions the later half, with some values missing."""
    return car_loans.slice(50_000).with_columns(
        pl.when(pl.col("id") % 50 != 7).then("car_value"),
        pl.when(pl.col("id") % 40 != 3).then("size_of_downpayment"),
    )


@pytest.fixture(scope="module")
def reference(car_loans: pl.DataFrame) -> pl.DataFrame:
    return car_loans.head(50_000)


def project(folder: Path, text: str, reference: pl.DataFrame) -> Project:
    made = Project(folder).configure(text, reference)
    reference.write_ndjson(folder / "reference.jsonl")
    return made


def state_of(made: Project) -> ModelState:
    return load_model(MODEL, made.entries())


def window_of(log: pl.DataFrame, window: timedelta) -> pl.Series:
    """Return the start of each row's window, from Polars alone."""
    return log["timestamp"].dt.truncate(window)


def test_daily_windows_count_what_polars_counts(
    tmp_path: Path, log: pl.DataFrame, reference: pl.DataFrame
) -> None:
    made = project(tmp_path, config("1d", "reference.jsonl", rest=QUALITY), reference)
    log.write_ndjson(tmp_path / "logs" / "predictions.jsonl")

    summary = made.once("--flush")

    days = log.with_columns(day=window_of(log, timedelta(days=1)))
    every = days["day"].n_unique()
    assert "rows        50,000 received, 50,000 stored, 0 rejected, 0 duplicate, 0 late, 0 dropped" in summary
    assert f"windows     {every:,} closed, 0 open" in summary
    status, samples = made.status()["models"][0], made.samples()
    assert status["events"] == {
        "received": 50_000,
        "stored": 50_000,
        "rejected": 0,
        "duplicate": 0,
        "late": 0,
        "dropped": 0,
    }
    assert (status["windows"]["closed"], status["windows"]["open"]) == (every, 0)
    assert (
        samples.total("driftd_events_stored_total") == samples.total("driftd_events_received_total") == 50_000
    )
    assert samples.get("driftd_windows_closed_total", model=MODEL) == every
    newest = log["timestamp"].to_physical().to_numpy().max() / 10**6
    assert samples.get("driftd_last_row_timestamp_seconds", model=MODEL) == newest
    daily = days.group_by("day").len().sort("day")["len"].to_list()
    volumes = state_of(made).volumes
    assert list(volumes["", "all"]) == daily[-len(volumes["", "all"]) :]
    for (value,), part in days.group_by(SEGMENTS):
        counted = part.group_by("day").len().sort("day")["len"].to_list()
        found = volumes["", f"{SEGMENTS}={value}"]
        assert list(found) == counted[-len(found) :]
        rows = {g["segment"]: g["rows"] for g in status["groups"]}[f"{SEGMENTS}={value}"]
        labels = {"model": MODEL, "version": "", "segment": f"{SEGMENTS}={value}"}
        assert samples.get("driftd_window_rows", **labels) == rows == counted[-1]


@pytest.fixture(scope="module")
def monthly(tmp_path_factory: pytest.TempPathFactory, log: pl.DataFrame, reference: pl.DataFrame) -> Project:
    """Return a project that has read the log with every distance and windows of 30 days."""
    folder = tmp_path_factory.mktemp("monthly")
    made = project(folder, config("30d", rest=monitors()), reference)
    log.write_ndjson(folder / "logs" / "predictions.jsonl")
    made.once("--flush")
    return made


def test_every_verdict_that_fired_comes_out_of_its_audit_record(monthly: Project) -> None:
    entries = monthly.entries()
    ways = {record.head["how"] for record in records(entries).values()}
    assert ways >= {"distance", "quality"}
    assert unequal(entries) == {}


def parts(log: pl.DataFrame, reference: pl.DataFrame) -> dict[str, tuple[pl.DataFrame, pl.DataFrame]]:
    """Segment -> the rows of the reference, and of the last window."""
    starts = window_of(log, timedelta(days=30))
    last = log.filter(starts == starts.max())
    named = {
        f"{SEGMENTS}={value}": (
            reference.filter(pl.col(SEGMENTS) == value),
            last.filter(pl.col(SEGMENTS) == value),
        )
        for value in reference[SEGMENTS].unique()
    }
    return {"all": (reference, last), **named}


def score(samples: Samples, segment: str, feature: str, detector: str) -> float:
    labels = {"model": MODEL, "version": "", "segment": segment, "feature": feature, "detector": detector}
    found = samples.get("driftd_drift_score", **labels)
    assert found is not None, labels
    return found


def test_shares_of_categories_equal_scipy(
    monthly: Project, log: pl.DataFrame, reference: pl.DataFrame
) -> None:
    samples = monthly.samples()
    columns = {**{name: name for name in CATEGORICAL}, "prediction": "y_pred"}
    for segment, (before, now) in parts(log, reference).items():
        for feature, column in columns.items():
            for detector, expected in distances(*categories(before[column], now[column])).items():
                assert score(samples, segment, feature, detector) == pytest.approx(expected, abs=1e-12)


def numbers(frame: pl.DataFrame, feature: str) -> Floats:
    column = "y_pred_proba" if feature == "score" else feature
    return frame[column].drop_nulls().to_numpy()


def test_distances_of_numbers_equal_scipy_within_the_bounds_of_the_grid(
    monthly: Project, log: pl.DataFrame, reference: pl.DataFrame
) -> None:
    samples, baseline = monthly.samples(), state_of(monthly).baselines[0]
    for segment, (before, now) in parts(log, reference).items():
        every = summaries(baseline.grid, baseline.profiles[segment])
        numeric = {s.grid.name: s for s in every if isinstance(s, NumericSummary)}
        assert numeric.keys() == {*NUMERIC, "score"}
        for name, summary in numeric.items():
            check_numbers(samples, segment, summary, numbers(before, name), numbers(now, name))


def check_numbers(
    samples: Samples, segment: str, reference: NumericSummary, old: Floats, new: Floats
) -> None:
    grid = reference.grid
    p, q = cells(grid, old), cells(grid, new)
    assert p.tolist() == reference.counts.tolist()
    found = {d: score(samples, segment, grid.name, d) for d in (*SHARES, *CURVES)}
    starts = numeric_starts(p)
    for detector, expected in distances(np.add.reduceat(p, starts), np.add.reduceat(q, starts)).items():
        assert found[detector] == pytest.approx(expected, abs=1e-12)

    exact = stats.ks_2samp(old, new).statistic
    assert found["ks"] <= exact + 1e-12
    assert exact <= found["ks"] + ks_bound(p, q) + 1e-12
    low, high = cramer_von_mises_range(p, q)
    assert low <= cramer_von_mises(old, new) <= high
    if len({*old, *new}) == len(old) + len(new):  # SciPy's formula is another one for values that repeat
        assert low <= stats.cramervonmises_2samp(old, new).statistic <= high
    assert low <= found["cramer_von_mises"] <= high
    low, high = anderson_darling_range(p, q)
    assert low <= anderson_darling(old, new) <= high
    assert low <= found["anderson_darling"] <= high
    seen = NumericSummary(
        grid, len(new), q, 0, 0, 0, 0, 0, float(new.sum()), float(new.var()), new.min(), new.max()
    )
    moved = stats.wasserstein_distance(old, new) / grid.sd
    assert found["wasserstein"] == pytest.approx(moved, abs=wasserstein_bound(reference, seen, grid.sd))
    apart = stats.energy_distance(old / grid.sd, new / grid.sd)
    assert found["energy"] == pytest.approx(apart, abs=energy_bound(reference, seen, grid.sd))


def test_missing_values_are_counted(monthly: Project, log: pl.DataFrame, reference: pl.DataFrame) -> None:
    samples = monthly.samples()
    for segment, (before, now) in parts(log, reference).items():
        for feature in (*NUMERIC, *CATEGORICAL):
            excess = now[feature].null_count() / now.height - before[feature].null_count() / before.height
            assert score(samples, segment, feature, "null_share") == pytest.approx(
                max(excess, 0.0), abs=1e-12
            )
    assert score(samples, "all", "car_value", "null_share") > 0
    assert score(samples, "all", "size_of_downpayment", "null_share") > 0


def comparable(made: Project) -> str:
    """Return the metrics less the configuration's hash, which covers the log's format."""
    return re.sub(r'config="\w+"', "", made.metrics())


@pytest.mark.parametrize("form", ["csv", "parquet", "jsonl.gz", "csv.gz"])
def test_every_format_of_the_same_log_gives_the_same_metrics(
    tmp_path: Path, form: str, monthly: Project, log: pl.DataFrame, reference: pl.DataFrame
) -> None:
    made = project(tmp_path, config("30d", form=form.removesuffix(".gz"), rest=monitors()), reference)
    path = tmp_path / "logs" / f"predictions.{form}"
    if form == "parquet":
        log.write_parquet(path, row_group_size=7_000)
    else:
        text = log.write_csv() if form.startswith("csv") else log.write_ndjson()
        path.write_bytes(gzip.compress(text.encode()) if form.endswith(".gz") else text.encode())

    made.once("--flush")

    assert comparable(made) == comparable(monthly)
