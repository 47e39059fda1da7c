"""Real logs through the daemon's streams: the alarms of the detectors alone, in the windows of their rows."""

import json
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from detectors.bets import Plan
from detectors.e_sr import ESR
from detectors.mean_bound import moments_of
from detectors.measure import Floats
from detectors.river_rules import adwin
from detectors.streaming import Stream
from tests.golden.outcome_logs import DAY, MICROSECOND, WEEK, Watched, config, micros, outcomes

pytestmark = pytest.mark.acceptance

COLUMNS = 'prediction_id = "id"\ntimestamp = "timestamp"\nprediction = "y_pred"\nlabel = "label"\n'
SETTINGS = (
    'task = "TASK"\nwindow = "7d"\nlateness = "1h"\nlabel_horizon = "30d"\nalarms = { keep_firing = 1 }'
)
MONITOR = '\n[[models.monitors]]\ndetector = "e_sr"\nparameters = { arl = 1e5, tolerance = 0 }\n'
FEATURE = '\n[[models.monitors]]\ndetector = "adwin"\non = ["car_value"]\nscale = "raw"\n'


def errors(rows: pl.DataFrame) -> Floats:
    return (rows["y_pred"] != rows["label"]).to_numpy().astype(float)


def alarming(stream: Stream, rows: pl.DataFrame, values: Floats) -> list[int]:
    """Return the windows, by their starts, whose rows are alarms of a stream that goes over all of them."""
    length = WEEK // MICROSECOND
    starts = micros(rows) // length * length
    return sorted(set(starts[stream.feed(values).rows].tolist()))


def begins(windows: Iterable[int]) -> list[int]:
    """Return the first of each series of windows that follow each other."""
    known = set(windows)
    return sorted(start for start in known if start - WEEK // MICROSECOND not in known)


def watch(folder: Path, rows: pl.DataFrame, reference: int, task: str, monitors: str) -> Watched:
    """Watch what follows the reference's rows; every outcome is known a day after its prediction."""
    text = config("m", SETTINGS.replace("TASK", task), COLUMNS) + monitors
    later = rows.slice(reference)
    watched = Watched.of(folder, "m", text, rows.head(reference))
    return watched.log(predictions=later.drop("label"), outcomes=outcomes(later, DAY)).run("--flush")


@pytest.fixture(scope="module")
def loans(data: Path) -> pl.DataFrame:
    frame = pl.read_parquet(data / "car_loan" / "car_loan_synthetic.parquet").drop("period", "y_pred_proba")
    return frame.rename({"repaid": "label"}).cast({"label": pl.Int64})


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory, loans: pl.DataFrame) -> Watched:
    return watch(tmp_path_factory.mktemp("loans"), loans, 50_000, "binary", MONITOR + FEATURE)


def test_the_daemon_alarms_in_the_windows_in_which_the_detector_alone_does(
    watched: Watched, loans: pl.DataFrame
) -> None:
    later = loans.slice(50_000)
    reference = moments_of(errors(loans.head(50_000)))

    windows = alarming(ESR(reference, Plan(arl=1e5)), later, errors(later))

    assert len(windows) > 1
    assert [one.start for one in watched.started("e_sr")] == begins(windows)


def test_the_change_at_row_75_000_is_found_within_1_700_rows_and_nothing_before(
    watched: Watched, loans: pl.DataFrame
) -> None:
    length = WEEK // MICROSECOND
    change, latest = (micros(loans)[[75_000, 76_700]] // length * length).tolist()

    first, *_ = watched.started("e_sr")

    assert change <= first.start <= latest


def test_a_raw_feature_alarms_where_the_detector_alone_does(watched: Watched, loans: pl.DataFrame) -> None:
    later = loans.slice(50_000)

    windows = alarming(adwin(), later, later["car_value"].to_numpy().astype(np.float64))

    assert [one.start for one in watched.started("adwin")] == begins(windows) != []


def test_a_stream_of_errors_asks_for_a_retraining(watched: Watched) -> None:
    note = min(watched.project.notes(), key=lambda note: note.created)

    (monitor,) = json.loads(note.body)["data"]["monitors"]
    assert (monitor["kind"], monitor["feature"], monitor["detector"]) == ("performance", "_error", "e_sr")
    assert monitor["score"] > monitor["threshold"] == 1e5


def test_by_default_a_classifier_has_its_errors_watched(tmp_path: Path, data: Path) -> None:
    cards = pl.read_parquet(data / "credit_card" / "credit_card_multiclass_synthetic.parquet")
    cards = cards.rename({"y_true": "label"}).drop("period", *(c for c in cards.columns if "proba" in c))
    classes = 'classes = ["prepaid_card", "highstreet_card", "upmarket_card"]'

    seen = watch(tmp_path, cards, 60_000, "multiclass", f"\n[models.performance]\n{classes}\n")

    length = WEEK // MICROSECOND
    (first, *_) = (one for one in seen.started("e_sr"))
    assert first.start == int(micros(cards)[90_000]) // length * length


def test_losses_that_become_smaller_are_no_alarm(tmp_path: Path, data: Path) -> None:
    prices = pl.read_parquet(data / "car_price" / "car_price_regression_synthetic.parquet")
    prices = prices.rename({"y_true": "label"}).drop("period")

    seen = watch(tmp_path, prices, 60_000, "regression", "")

    (key,) = (key for key in seen.state.streams if key.detector == "e_sr")
    assert key.feature == "_loss"
    assert seen.started("e_sr") == []
