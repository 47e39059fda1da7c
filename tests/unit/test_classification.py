"""The measure of classification: values by hand and by scikit-learn, intervals by simulation, odd rows."""

import numpy as np
import pytest
from sklearn import metrics

from detectors.class_sums import BINS, SLAB, ClassSums, OpenSums
from detectors.classification import ClassMeasure, confusion, reliability
from detectors.measure import Better, Estimate, Floats, Ints, Measure, Scored

LEVEL = 0.05
NAN = float("nan")
BINARY = ClassMeasure(("no", "yes"), scored=True)
THREE = ("a", "b", "c")


def rows_of(label: object, prediction: object = None, scores: object = None) -> Scored:
    truth = np.array(label, dtype=np.float64)
    said = np.full(len(truth), NAN) if prediction is None else np.array(prediction, dtype=np.float64)
    given = np.empty((len(truth), 0)) if scores is None else np.array(scores, dtype=np.float64)
    return Scored(said, given if given.ndim > 1 else given[:, None], truth)


def one(measure: Measure, rows: Scored) -> Floats:
    return np.asarray(measure.sums(rows, np.zeros(len(rows.label), dtype=np.int64), 1)[0])


def measured(measure: Measure, rows: Scored) -> dict[str, Estimate]:
    return dict(measure.values(one(measure, rows), LEVEL))


def drawn(random: np.random.Generator, n: int) -> Scored:
    """Return binary rows, three in ten positive, whose scores are right."""
    label = (random.random(n) < 0.3).astype(np.float64)
    place = random.normal(size=n) + 1.5 * label
    return rows_of(label, None, 1 / (1 + np.exp(-(1.5 * place - 1.125 + np.log(0.3 / 0.7)))))


def table(rows: Scored, measure: ClassMeasure) -> Ints:
    return confusion(ClassSums.of(one(measure, rows), len(measure.classes)))


def test_rows_are_counted_by_true_and_predicted_class() -> None:
    found = table(rows_of([0, 0, 1, 1, 1], [0, 1, 1, 1, 0]), ClassMeasure(("no", "yes"), scored=False))

    assert found.tolist() == [[1, 1, 0], [1, 2, 0], [0, 0, 0]]


@pytest.mark.parametrize("odd", [-1.0, 2.0, 7.0, NAN])
def test_no_prediction_and_any_other_class_come_last(odd: float) -> None:
    found = table(rows_of([1, 0], [odd, 0]), ClassMeasure(("no", "yes"), scored=False))

    assert found.tolist() == [[1, 0, 0], [0, 0, 1], [0, 0, 0]]


def test_another_class_is_never_a_hit() -> None:
    found = measured(ClassMeasure(("no", "yes"), scored=False), rows_of([2, 1], [2, 1]))

    assert found["accuracy"].value == 0.5


def test_rows_without_a_label_are_left_out() -> None:
    assert table(rows_of([NAN, 1], [1, 1]), ClassMeasure(("no", "yes"), scored=False)).sum() == 1


def test_without_a_prediction_the_score_decides_at_a_half() -> None:
    assert table(rows_of([1, 1, 1], None, [0.49, 0.5, NAN]), BINARY)[1].tolist() == [1, 1, 1]


def test_a_threshold_decides_over_the_prediction() -> None:
    strict = ClassMeasure(("no", "yes"), scored=True, threshold=0.8)

    assert table(rows_of([1, 1, 1], [1, 0, 1], [0.7, 0.8, NAN]), strict)[1].tolist() == [1, 2, 0]


def test_of_more_classes_the_highest_score_is_predicted() -> None:
    scores = [[0.2, 0.5, 0.3], [0.2, 0.5, 0.3], [NAN, 0.5, 0.3]]

    found = table(rows_of([1, 1, 1], [NAN, 0, NAN], scores), ClassMeasure(THREE, scored=True))

    assert found[1].tolist() == [1, 1, 0, 1]


def test_a_histogram_is_by_label_then_prediction_then_score() -> None:
    rows = rows_of([1, 1, 0, 0], [1, 0, 1, 0], [0.0015, 1.0, 1.7, -3.0])

    labelled = ClassSums.of(one(BINARY, rows), 2).labelled

    assert [tuple(map(int, cell)) for cell in np.argwhere(labelled)] == [
        (0, 0, 0, 0),
        (0, 0, 1, BINS - 1),
        (0, 1, 0, BINS - 1),
        (0, 1, 1, 1),
    ]


def test_more_classes_have_a_histogram_each_against_the_rest() -> None:
    measure = ClassMeasure(THREE, scored=True)
    rows = rows_of([2], [0], [[0.5, 0.25, 0.25]])

    labelled = ClassSums.of(one(measure, rows), 3).labelled
    opened = OpenSums.of(measure.open_sums(rows, np.zeros(1, dtype=np.int64), 1)[0], 3)

    assert np.argwhere(labelled).tolist() == [[0, 0, 1, 500], [1, 0, 0, 250], [2, 1, 0, 250]]
    assert np.argwhere(opened.open).tolist() == [[0, 1, 500], [1, 0, 250], [2, 0, 250]]
    assert opened.predicted.tolist() == [1, 0, 0, 0]


def test_more_rows_than_a_slab_add_up() -> None:
    rows = drawn(np.random.default_rng(4), SLAB + 100)
    rest = rows.take(np.arange(len(rows.label)) >= SLAB)

    both = one(BINARY, rows.take(np.arange(len(rows.label)) < SLAB)) + one(BINARY, rest)

    np.testing.assert_array_equal(one(BINARY, rows), both)


def test_without_scores_there_are_no_metrics_of_scores() -> None:
    measure = ClassMeasure(("no", "yes"), scored=False)

    assert measure.width == 9
    assert measure.open_width == 4
    assert not {"roc_auc", "log_loss", "ece"} & set(measure.better)
    assert ClassSums.of(np.ones(9), 2).scored == 0
    assert not OpenSums.of(np.ones(4), 2).open.any()


def test_nothing_is_known_of_no_rows() -> None:
    found = measured(BINARY, rows_of([]))

    assert set(found.values()) == {Estimate(None, None, None, 0)}


def test_a_share_of_no_rows_is_0_without_an_interval() -> None:
    found = measured(BINARY, rows_of([1, 1], [0, 0], [0.2, 0.3]))

    assert found["precision"] == found["specificity"] == found["mcc"] == Estimate(0.0, None, None, 0)


def test_areas_are_none_without_both_sides() -> None:
    found = measured(BINARY, rows_of([0, 0], None, [0.2, 0.3]))

    assert found["roc_auc"].value is None
    assert found["average_precision"].value is None


def test_rows_without_scores_count_where_no_score_is_needed() -> None:
    found = measured(BINARY, rows_of([0, 1, 1], [0, 1, 1], [0.25, NAN, 0.75]))

    assert (found["accuracy"].n, found["brier"].n) == (3, 2)


def test_a_label_of_no_class_had_probability_0_of_many_and_is_negative_of_two() -> None:
    many = measured(ClassMeasure(THREE, scored=True), rows_of([5], None, [[0.5, 0.5, 0.0]]))
    two = measured(BINARY, rows_of([5], None, [0.5]))

    assert many["log_loss"].value == pytest.approx(-np.log(np.finfo(np.float64).eps))
    assert many["brier"].value == 1.5
    assert two["log_loss"].value == pytest.approx(np.log(2))


def test_cost_is_the_mean_over_the_matrix() -> None:
    measure = ClassMeasure(("no", "yes"), scored=False, costs=np.array([[0.0, 1.0], [5.0, -2.0]]))

    found = measured(measure, rows_of([0, 1, 1, 1], [1, 0, 1, NAN]))["cost"]

    assert found.value == pytest.approx(4 / 3)
    assert (found.n, found.method) == (3, "mover")


def test_specificity_of_more_classes_is_that_of_each_against_the_rest() -> None:
    random = np.random.default_rng(2)
    label, said = random.integers(0, 3, 200), random.integers(0, 3, 200)
    found = measured(ClassMeasure(THREE, scored=False), rows_of(label, said))

    each = metrics.multilabel_confusion_matrix(label, said)
    expected = each[:, 0, 0] / each[:, 0].sum(axis=1)

    assert [found[f"specificity:{name}"].value for name in THREE] == pytest.approx(expected.tolist())
    assert found["specificity_macro"].value == pytest.approx(expected.mean())
    assert found["specificity_weighted"].value == pytest.approx(np.bincount(label) / 200 @ expected)


def test_balanced_accuracy_is_over_the_classes_that_occur() -> None:
    found = measured(ClassMeasure(THREE, scored=False), rows_of([0, 0, 1, 1], [0, 2, 1, 1]))

    assert found["balanced_accuracy"].value == 0.75


def test_the_calibration_error_is_the_mean_distance_of_score_and_hits() -> None:
    rows = drawn(np.random.default_rng(3), 1000)
    score, hit = rows.scores[:, 0], rows.label == 1
    inside = [(score * 15).astype(int) == b for b in range(15)]
    expected = sum(abs(score[i].mean() - hit[i].mean()) * i.mean() for i in inside if i.any())

    assert measured(BINARY, rows)["ece"].value == pytest.approx(expected)


def test_reliability_of_more_classes_is_of_the_top_score() -> None:
    rows = rows_of([0, 1], None, [[0.5, 0.3, 0.2], [0.5, 0.3, 0.2]])

    parts = reliability(ClassSums.of(one(ClassMeasure(THREE, scored=True), rows), 3))

    assert (parts[7].n, parts[7].mean_score, parts[7].hits) == (2, 0.5, 0.5)
    assert (parts[0].n, parts[0].mean_score, parts[0].hits) == (0, None, None)


def test_names_and_directions_are_those_of_the_task() -> None:
    assert BINARY.better["brier"] is Better.LOWER
    assert BINARY.better["f1"] is Better.HIGHER
    assert BINARY.better["positive_share_true"] is Better.NEITHER
    assert {"f1:b", "f1_macro", "true_share:c"} <= set(ClassMeasure(THREE, scored=False).better)


@pytest.mark.parametrize("classes", [(), ("a",), ("a", "a")])
def test_fewer_than_two_classes_are_refused(classes: tuple[str, ...]) -> None:
    with pytest.raises(ValueError, match="two or more different classes"):
        ClassMeasure(classes, scored=False)


@pytest.mark.parametrize(("classes", "scored", "threshold"), [(THREE, True, 0.5), (("a", "b"), False, 0.5)])
def test_a_threshold_without_binary_scores_is_refused(
    classes: tuple[str, ...],
    scored: bool,  # noqa: FBT001 - a case of the table
    threshold: float,
) -> None:
    with pytest.raises(ValueError, match="belongs to two classes with scores"):
        ClassMeasure(classes, scored=scored, threshold=threshold)


def test_costs_of_another_shape_are_refused() -> None:
    with pytest.raises(ValueError, match="3 by 3"):
        ClassMeasure(THREE, scored=False, costs=np.zeros((2, 2)))


def test_scores_of_another_width_are_refused() -> None:
    with pytest.raises(ValueError, match="2 scores a row where 1 are due"):
        one(BINARY, rows_of([1], None, [[0.5, 0.5]]))
