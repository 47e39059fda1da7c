"""The tables of a judged window: scikit-learn's on the same rows, and stored with the window."""

import json

import numpy as np
import pytest
from sklearn import metrics

from detectors.classification import ClassMeasure
from detectors.measure import Estimate, Floats, Measure, Scored
from detectors.ranking import RankingMeasure
from detectors.regression import RegressionMeasure
from monitor.core.details import details_of
from monitor.core.labels import Measured

N = 3000
NAN = float("nan")
MEASURED = Measured(9, 1.0, {"accuracy": Estimate(0.9, 0.8, 1.0, 9)}, detail={"bounds": {"roc_auc": None}})


def binary(seed: int = 1) -> Scored:
    rng = np.random.default_rng(seed)
    score = rng.beta(2, 3, N)
    label = (rng.random(N) < score).astype(np.float64)
    return Scored((score >= 0.5).astype(np.float64), score[:, None], label)


def three(seed: int = 2) -> Scored:
    rng = np.random.default_rng(seed)
    scores = rng.dirichlet((1, 2, 3), N)
    label = rng.integers(0, 3, N).astype(np.float64)
    return Scored(scores.argmax(axis=1).astype(np.float64), scores, label)


TASKS = {2: binary(), 3: three()}


def measure(classes: int, *, scored: bool = True) -> ClassMeasure:
    return ClassMeasure(tuple("abcde")[:classes], scored=scored)


def sums(of: Measure, rows: Scored) -> Floats:
    return np.asarray(of.sums(rows, np.zeros(len(rows.label), np.int64), 1)[0])


@pytest.mark.parametrize("classes", [2, 3])
def test_the_confusion_counts_are_scikit_learns(classes: int) -> None:
    rows = TASKS[classes]
    table = details_of(measure(classes), sums(measure(classes), rows))["confusion"]

    expected = metrics.confusion_matrix(rows.label, rows.prediction, labels=range(classes))
    np.testing.assert_array_equal([row[:-1] for row in table["rows"][:-1]], expected)
    assert table["classes"] == [*"abc"[:classes], "_other"]


def test_a_prediction_that_is_no_class_is_in_the_last_column() -> None:
    rows = Scored(np.array([NAN, 7.0, 1.0]), np.empty((3, 0)), np.array([0.0, 1.0, 1.0]))
    of = measure(2, scored=False)

    assert details_of(of, sums(of, rows))["confusion"]["rows"] == [[0, 0, 1], [0, 1, 1], [0, 0, 0]]


@pytest.mark.parametrize("classes", [2, 3])
def test_the_areas_of_the_rows_are_within_their_bounds(classes: int) -> None:
    rows, of = TASKS[classes], measure(classes)
    bounds, values = details_of(of, sums(of, rows))["bounds"], of.values(sums(of, rows), 0.05)
    own = (rows.label[:, None] == np.arange(classes))[:, 1 if classes == 2 else 0 :]
    exact = {
        "roc_auc": metrics.roc_auc_score(own, rows.scores, average="macro"),
        "average_precision": metrics.average_precision_score(own, rows.scores, average="macro"),
    }

    assert bounds.keys() == exact.keys()
    for name, area in exact.items():
        assert values[name].value == pytest.approx(area, abs=bounds[name])
        assert 0 < bounds[name] < 0.01


def test_the_reliability_table_holds_the_rows_of_each_bin_of_the_score() -> None:
    rows, of = TASKS[2], measure(2)
    bins = details_of(of, sums(of, rows))["reliability"]

    for i, (low, high, n, mean, hits) in enumerate(bins):
        mine = np.minimum((rows.scores[:, 0] * 15).astype(int), 14) == i
        assert (low, high, n) == (pytest.approx(i / 15), pytest.approx((i + 1) / 15), mine.sum())
        assert mean == (pytest.approx(rows.scores[mine].mean()) if n else None)
        assert hits == (pytest.approx(rows.label[mine].mean()) if n else None)
    assert len(bins) == 15


def test_the_reliability_table_gives_the_expected_calibration_error() -> None:
    of = measure(3)
    found = sums(of, TASKS[3])
    bins = details_of(of, found)["reliability"]

    error = sum(n * abs(mean - hits) for _, _, n, mean, hits in bins if n) / N
    assert of.values(found, 0.05)["ece"].value == pytest.approx(error)


def test_without_scores_there_is_the_confusion_alone() -> None:
    of = measure(2, scored=False)
    assert details_of(of, sums(of, TASKS[2])).keys() == {"confusion"}


@pytest.mark.parametrize("of", [RegressionMeasure(), RankingMeasure()])
def test_other_tasks_have_no_tables(of: Measure) -> None:
    assert details_of(of, np.zeros(of.width)) == {}


def test_a_window_without_outcomes_has_counts_of_0_and_no_bounds() -> None:
    found = details_of(measure(2), np.zeros(measure(2).width))

    assert found["bounds"] == {"roc_auc": None, "average_precision": None}
    assert found["confusion"]["rows"] == [[0] * 3] * 3
    assert {tuple(one[2:]) for one in found["reliability"]} == {(0, None, None)}


def test_the_tables_are_stored_with_their_window() -> None:
    made = Measured(N, 1.0, {}, detail=details_of(measure(2), sums(measure(2), TASKS[2])))
    assert Measured.load(made.dump()) == made


def test_a_window_that_was_stored_without_tables_is_read() -> None:
    old = json.loads(MEASURED.dump())
    del old["detail"]

    found = Measured.load(json.dumps(old).encode())

    assert (found.rows, found.metrics, found.detail) == (9, MEASURED.metrics, {})
