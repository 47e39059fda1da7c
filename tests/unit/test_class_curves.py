"""Areas under curves from histograms, their bounds and variances; and how often intervals hold the truth."""

import numpy as np
import pytest
from sklearn import metrics

from detectors.class_curves import average_precision, mean_area, roc_auc
from detectors.class_sums import ClassSums
from detectors.classification import ClassMeasure, bound_of
from detectors.measure import Floats, Ints, Scored

LEVEL = 0.05
BINARY = ClassMeasure(("no", "yes"), scored=True)


def rows_of(label: Ints, scores: Floats) -> Scored:
    wide = scores if scores.ndim > 1 else scores[:, None]
    return Scored(np.full(len(label), np.nan), wide, label.astype(np.float64))


def one(rows: Scored) -> Floats:
    return np.asarray(BINARY.sums(rows, np.zeros(len(rows.label), dtype=np.int64), 1)[0])


def drawn(random: np.random.Generator, n: int) -> Scored:
    """Return binary rows, three in ten positive, whose scores are right."""
    label = np.asarray(random.random(n) < 0.3, dtype=np.int64)
    place = random.normal(size=n) + 1.5 * label
    return rows_of(label, 1 / (1 + np.exp(-(1.5 * place - 1.125 + np.log(0.3 / 0.7)))))


def drawn_of_four(random: np.random.Generator, n: int) -> Scored:
    label = random.choice(4, n, p=[0.4, 0.3, 0.2, 0.1])
    places = np.exp(random.normal(size=(n, 4)) + 1.5 * (label[:, None] == np.arange(4)))
    return rows_of(label, places / places.sum(axis=1, keepdims=True))


def test_areas_are_exact_where_equal_scores_only_share_a_bin() -> None:
    random = np.random.default_rng(5)
    label, score = random.integers(0, 2, 300), (random.integers(0, 40, 300) + 0.5) / 1000
    found = BINARY.values(one(rows_of(label, score)), LEVEL)

    assert found["roc_auc"].value == pytest.approx(metrics.roc_auc_score(label, score))
    assert found["average_precision"].value == pytest.approx(metrics.average_precision_score(label, score))


@pytest.mark.parametrize("best", [True, False])
def test_the_bound_holds_for_the_best_and_the_worst_order_in_one_bin(best: bool) -> None:  # noqa: FBT001
    label = np.array([1] * 30 + [0] * 50)
    score = np.linspace(0.0009, 0.0001, 80) if best else np.linspace(0.0001, 0.0009, 80)
    sums = one(rows_of(label, score))
    found, bound = BINARY.values(sums, LEVEL), bound_of(ClassSums.of(sums, 2))

    assert bound["roc_auc"] == 0.5
    for name, exact in (
        ("roc_auc", metrics.roc_auc_score(label, score)),
        ("average_precision", metrics.average_precision_score(label, score)),
    ):
        value, most = found[name].value, bound[name]
        assert value is not None
        assert most is not None
        assert abs(exact - value) <= most + 1e-12


def histogram(places: Ints) -> Floats:
    return np.bincount(places, minlength=55).astype(np.float64)


def test_delongs_variance_is_that_of_its_components_on_the_rows() -> None:
    random = np.random.default_rng(6)
    own, other = random.integers(0, 50, 40) + 5, random.integers(0, 50, 60)
    wins = (own[:, None] > other) + 0.5 * (own[:, None] == other)
    expected = wins.mean(axis=1).var(ddof=1) / 40 + wins.mean(axis=0).var(ddof=1) / 60

    area = roc_auc(histogram(other), histogram(own))

    assert area is not None
    assert area.variance == pytest.approx(expected)


def test_few_rows_of_a_class_have_hanley_and_mcneils_variance() -> None:
    area = roc_auc(np.array([50.0, 50.0]), np.array([1.0, 2.0]))

    assert area is not None
    assert (area.method, area.rows) == ("hanley-mcneil", 3)
    assert area.variance > 0


def test_the_mean_of_areas_leaves_out_classes_without_one() -> None:
    area = average_precision(np.array([3.0, 1.0]), np.array([1.0, 3.0]))

    assert mean_area([None, area, None]) == area
    assert mean_area([None]) is None


@pytest.mark.parametrize(
    "name", ["accuracy", "f1", "mcc", "balanced_accuracy", "roc_auc", "log_loss", "brier"]
)
def test_19_of_20_intervals_hold_the_truth(name: str) -> None:
    assert 0.92 <= covered(BINARY, drawn(np.random.default_rng(8), 150_000), TRUTH[name], name) <= 0.98


TRUTH = {
    "accuracy": 0.8058,
    "f1": 0.6386,
    "mcc": 0.5149,
    "balanced_accuracy": 0.7390,
    "roc_auc": 0.8556,
    "log_loss": 0.4210,
    "brier": 0.1354,
    "precision_macro": 0.6640,
    "f1_macro": 0.6738,
    "f1_weighted": 0.7093,
    "precision_weighted": 0.7273,
    "specificity_weighted": 0.9007,
}
"""Values of two million rows drawn in the same way; of roc_auc, by the normal law."""


@pytest.mark.parametrize(
    "name", ["precision_macro", "f1_macro", "f1_weighted", "precision_weighted", "specificity_weighted"]
)
def test_19_of_20_intervals_of_means_over_classes_hold_the_truth(name: str) -> None:
    measure = ClassMeasure(tuple("abcd"), scored=False)
    rows = drawn_of_four(np.random.default_rng(9), 120_000)
    said = Scored(rows.scores.argmax(axis=1).astype(np.float64), rows.scores, rows.label)

    assert 0.92 <= covered(measure, said, TRUTH[name], name) <= 0.98


def covered(measure: ClassMeasure, rows: Scored, truth: float, name: str) -> float:
    """Return the share of 300 equal parts of the rows whose interval holds the truth."""
    parts = measure.sums(rows, np.arange(len(rows.label), dtype=np.int64) % 300, 300)
    found = [measure.values(part, LEVEL)[name] for part in parts]
    return sum((e.low or 0.0) <= truth <= (e.high or 0.0) for e in found) / 300
