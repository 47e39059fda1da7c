"""Real predictions, and outcomes that come later, through the real daemon: against scikit-learn."""

import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from sklearn import metrics

from monitor.core.labels import ESTIMATED, REALIZED
from tests.golden.outcome_logs import (
    DAY,
    MICROSECOND,
    MONTH,
    WEEK,
    Watched,
    config,
    delays,
    history,
    micros,
    outcomes,
    spaced,
    windows_of,
)
from tests.golden.performance_oracles import agree, agree_binary, binary, regression, several

pytestmark = pytest.mark.acceptance

COLUMNS = """
prediction_id = "id"
timestamp = "timestamp"
prediction = "y_pred"
label = "label"
"""
BINARY = f'{COLUMNS}score = "score"\n'
JUDGED = ("accuracy", "roc_auc", "estimated_accuracy", "estimated_roc_auc")
CLASSES = ("prepaid_card", "highstreet_card", "upmarket_card")


def settings(task: str, window: str) -> str:
    return f'task = "{task}"\nwindow = "{window}"\nlateness = "1h"\nlabel_horizon = "30d"'


@dataclass(frozen=True)
class Life:
    """A model that was watched over all of these rows."""

    watched: Watched
    rows: pl.DataFrame
    window: timedelta

    @property
    def windows(self) -> dict[int, pl.DataFrame]:
        """Each window's rows."""
        return dict(windows_of(self.rows, self.window))

    def holds(self, start: int, row: int) -> bool:
        """Tell whether a window holds rows from this one on."""
        return start + self.window // MICROSECOND > int(micros(self.rows)[row])


def live(watched: Watched, rows: pl.DataFrame, window: timedelta) -> Life:
    """Log predictions, and outcomes 1 to 20 days later; watch all of it."""
    watched.log(predictions=rows.drop("label"), outcomes=outcomes(rows, delays(rows.height)))
    return Life(watched.run("--flush"), rows, window)


@pytest.fixture(scope="module")
def lives(tmp_path_factory: pytest.TempPathFactory, loans: pl.DataFrame) -> dict[str, Life]:
    """Return the loans' life three times: by month with all default monitors, by week, 5,000 rows a month."""
    reference, rows = loans.head(50_000), loans.slice(50_000)
    columns = f'{BINARY}segments = ["salary_range"]'
    made = {
        "monthly": (config("loans", settings("binary", "30d"), columns), rows, MONTH),
        "weekly": (config("loans", settings("binary", "7d"), BINARY, judged=JUDGED), rows, WEEK),
        "evenly": (
            config("loans", settings("binary", "30d"), BINARY, judged=JUDGED),
            spaced(rows, MONTH, 5_000),
            MONTH,
        ),
    }
    return {
        name: live(Watched.of(tmp_path_factory.mktemp(name), "loans", text, reference), log, window)
        for name, (text, log, window) in made.items()
    }


@pytest.mark.parametrize("name", ["monthly", "weekly", "evenly"])
def test_realised_performance_equals_scikit_learn(name: str, lives: dict[str, Life]) -> None:
    life = lives[name]
    realised = history(life.watched.state, REALIZED)

    assert realised.keys() == life.windows.keys()
    for start, rows in life.windows.items():
        assert (realised[start].rows, realised[start].coverage) == (rows.height, 1)
        agree_binary(realised[start], rows)


def test_realised_performance_of_each_segment_equals_scikit_learn(lives: dict[str, Life]) -> None:
    life = lives["monthly"]
    state = life.watched.state
    for (value,), rows in life.rows.group_by("salary_range"):
        realised = history(state, REALIZED, f"salary_range={value}")
        for start, part in windows_of(rows, MONTH):
            assert (realised[start].rows, realised[start].coverage) == (part.height, 1)
            agree_binary(realised[start], part)


@pytest.mark.parametrize(("metric", "baseline"), [("roc_auc", 0.0021), ("accuracy", 0.0031)])
def test_the_estimate_is_near_what_the_outcomes_say(
    metric: str, baseline: float, lives: dict[str, Life]
) -> None:
    life = lives["evenly"]
    estimated = history(life.watched.state, ESTIMATED)

    assert [rows.height for rows in life.windows.values()] == [5_000] * 10
    assert estimated.keys() == life.windows.keys()
    found = [estimated[start].metrics[metric].value or 0 for start in life.windows]
    off = np.array(found) - [binary(rows)[metric] for rows in life.windows.values()]
    assert round(float(np.abs(off).mean()), 4) <= baseline


@pytest.mark.parametrize("basis", ["", "estimated_"])
@pytest.mark.parametrize("name", ["monthly", "weekly", "evenly"])
def test_performance_fires_in_windows_with_rows_after_75_000_alone(
    name: str, basis: str, lives: dict[str, Life]
) -> None:
    life = lives[name]

    started = life.watched.started(f"{basis}accuracy", f"{basis}roc_auc")

    assert any(one.segment == "all" for one in started)
    assert all(life.holds(one.start, 25_000) for one in started)


@pytest.mark.parametrize("basis", ["", "estimated_"])
def test_at_5_000_rows_a_window_the_first_one_after_row_75_000_fires_for_good(
    basis: str, lives: dict[str, Life]
) -> None:
    life = lives["evenly"]

    started = life.watched.started(f"{basis}accuracy")

    assert [one.start for one in started] == [sorted(life.windows)[5]]
    assert life.watched.phase(f"{basis}accuracy") == "firing"


@pytest.mark.parametrize("name", ["monthly", "evenly"])
def test_one_incident_asks_for_one_retraining(name: str, lives: dict[str, Life]) -> None:
    watched = lives[name].watched

    (note,) = watched.project.notes()
    asked = json.loads(note.body)["data"]

    assert {monitor["kind"] for monitor in asked["monitors"]} == {"performance"}
    end = datetime.fromisoformat(asked["window"]["end"])
    fall = lives[name].rows["timestamp"][25_000].replace(tzinfo=UTC)
    assert fall < end <= fall + 2 * MONTH
    labels = {"model": "loans", "webhook": "training", "outcome": "requested"}
    assert watched.project.samples().get("driftd_retrain_requests_total", **labels) == 1


def test_metrics_show_the_newest_window(lives: dict[str, Life]) -> None:
    life = lives["evenly"]
    samples, start = life.watched.project.samples(), max(life.windows)
    group = {"model": "loans", "version": "", "segment": "all"}
    realised = group | {"basis": "realized"}
    for metric, value in binary(life.windows[start]).items():
        found = samples.get("driftd_performance_value", **realised, metric=metric)
        assert found == pytest.approx(value, abs=1e-9), metric
    end = (start + MONTH // MICROSECOND) / 10**6
    assert samples.get("driftd_performance_window_timestamp_seconds", **realised) == end
    assert samples.get("driftd_label_coverage_ratio", **group) == 1
    for basis in ("realized", "estimated"):
        state = {**group, "metric": "accuracy", "basis": basis, "state": "firing"}
        assert samples.get("driftd_performance_state", **state) == 1


def test_several_classes_fire_after_row_90_000_and_not_before(tmp_path: Path, data: Path) -> None:
    cards = pl.read_parquet(data / "credit_card" / "credit_card_multiclass_synthetic.parquet").drop("period")
    named = {f"y_pred_proba_{name}": f"score_{name}" for name in CLASSES}
    cards = cards.rename({"y_true": "label", **named})
    score = "".join(f'{name} = "score_{name}"\n' for name in CLASSES)
    columns = f"{COLUMNS}\n[models.columns.score]\n{score}"
    text = config("cards", settings("multiclass", "7d"), columns, judged=("accuracy", "f1_macro"))

    life = live(Watched.of(tmp_path, "cards", text, cards.head(60_000)), cards.slice(60_000), WEEK)

    realised = history(life.watched.state, REALIZED)
    assert realised.keys() == life.windows.keys()
    for start, rows in life.windows.items():
        assert (realised[start].rows, realised[start].coverage) == (rows.height, 1)
        agree(realised[start], several(rows, CLASSES))
    first = next(start for start in sorted(life.windows) if life.holds(start, 30_000))
    started = life.watched.started("accuracy", "f1_macro")
    assert sorted(one.detector for one in started) == ["accuracy", "f1_macro"]
    assert all(first <= one.start <= first + WEEK // MICROSECOND for one in started)
    assert len(life.watched.project.notes()) == 1


def test_a_regression_that_improves_asks_for_nothing(tmp_path: Path, data: Path) -> None:
    prices = pl.read_parquet(data / "car_price" / "car_price_regression_synthetic.parquet")
    prices = prices.drop("period").rename({"y_true": "label"})
    judged = ("mae", "rmse", "r2", "estimated_mae", "estimated_rmse")
    text = config("prices", settings("regression", "1d"), COLUMNS, judged=judged)

    life = live(Watched.of(tmp_path, "prices", text, prices.head(60_000)), prices.slice(60_000), DAY)

    realised = history(life.watched.state, REALIZED)
    assert realised.keys() == life.windows.keys()
    for start, rows in life.windows.items():
        agree(realised[start], regression(rows))
    newest = realised[max(life.windows)].metrics["mae"]
    assert newest.value == pytest.approx(698, abs=25)
    assert history(life.watched.state, ESTIMATED).keys() == life.windows.keys()
    assert life.watched.started(*judged) == []
    assert life.watched.project.notes() == []


def test_the_decline_of_a_static_model_is_seen(tmp_path: Path, data: Path) -> None:
    names = {"row": "id", "timestamp_derived": "timestamp", "proba_up": "score", "y_true": "label"}
    power = pl.read_parquet(data / "elec2" / "predlog_static_hgb.parquet").rename(names)
    power = power.cast({"score": pl.Float64})
    reference, rows = (power.filter(split=part).drop("split") for part in ("train", "serve"))
    text = config("power", settings("binary", "30d"), BINARY, ("both",), JUDGED)
    watched = Watched.of(tmp_path, "power", text, reference).log(both=rows).run("--flush")

    realised, windows = history(watched.state, REALIZED), dict(windows_of(rows, MONTH))

    assert realised.keys() == windows.keys()
    for start, part in windows.items():
        assert (realised[start].rows, realised[start].coverage) == (part.height, 1)
        agree_binary(realised[start], part)
    before = metrics.roc_auc_score(reference["label"], reference["score"])
    areas = [realised[start].metrics["roc_auc"].value or 0 for start in sorted(realised)]
    assert before == pytest.approx(0.788, abs=0.001)
    assert max(areas[1:]) < before
    assert np.mean(areas[4:]) < before - 0.08
    assert [one.start for one in watched.started("roc_auc")] == [sorted(windows)[2]]
    assert watched.phase("roc_auc") == "firing"
    # what the scores mean has changed: no estimate sees that
    assert watched.started("estimated_roc_auc") == []
