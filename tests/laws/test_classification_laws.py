"""What holds of the measure of classification for any rows."""

import math
import warnings
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics

from detectors.class_sums import ClassSums, OpenSums
from detectors.classification import ClassMeasure, bound_of, confusion, reliability
from detectors.measure import Better, Estimate, Floats, Ints, Scored

LEVEL = 0.05
NAMES = tuple("abcde")
few = settings(max_examples=60)


def measure_of(classes: int) -> ClassMeasure:
    costs = np.arange(classes * classes, dtype=np.float64).reshape(classes, classes)
    return ClassMeasure(NAMES[:classes], scored=True, costs=costs)


@st.composite
def rows(draw: st.DrawFn, classes: int, *, clean: bool = False) -> Scored:
    """Draw rows; clean: all have label, prediction and scores. Coarse scores make ties."""
    n = draw(st.integers(1, 60))
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    weights = random.dirichlet(np.full(classes, draw(st.sampled_from([0.2, 1.0, 5.0]))))
    label = random.choice(classes, n, p=weights).astype(np.float64)
    prediction = np.where(random.random(n) < 0.5, label, random.integers(0, classes, n))
    parts = random.integers(1, draw(st.sampled_from([2, 10, 10**6])) + 1, (n, classes)).astype(np.float64)
    scores = parts / parts.sum(axis=1, keepdims=True)
    if classes == 2:
        scores = scores[:, 1:]
    if not clean:
        label[random.random(n) < 0.1] = np.nan
        label[random.random(n) < 0.1] = classes
        prediction[random.random(n) < 0.2] = np.nan
        scores[random.random(n) < 0.2, -1] = np.nan
    return Scored(prediction, scores, label)


def one(measure: ClassMeasure, drawn: Scored) -> Floats:
    return np.asarray(measure.sums(drawn, np.zeros(len(drawn.label), dtype=np.int64), 1)[0])


many = st.integers(2, 5)
any_rows = many.flatmap(lambda c: st.tuples(st.just(c), rows(c)))
clean_rows = many.flatmap(lambda c: st.tuples(st.just(c), rows(c, clean=True)))


@given(drawn=any_rows, groups=st.integers(1, 4), seed=st.integers(0, 99))
@few
def test_groups_are_counted_as_if_each_were_alone_and_add_up(
    drawn: tuple[int, Scored], groups: int, seed: int
) -> None:
    measure, given_rows = measure_of(drawn[0]), drawn[1]
    group: Ints = np.random.default_rng(seed).integers(0, groups, len(given_rows.label))

    together = measure.sums(given_rows, group, groups)

    alone = [one(measure, given_rows.take(group == g)) for g in range(groups)]
    np.testing.assert_array_equal(together, alone)
    np.testing.assert_allclose(together.sum(axis=0), one(measure, given_rows), rtol=1e-12, atol=1e-12)


@given(drawn=any_rows, seed=st.integers(0, 99))
@few
def test_rows_taken_off_again_leave_the_values_of_the_others(drawn: tuple[int, Scored], seed: int) -> None:
    measure, given_rows = measure_of(drawn[0]), drawn[1]
    kept = np.random.default_rng(seed).random(len(given_rows.label)) < 0.5

    left = one(measure, given_rows) - one(measure, given_rows.take(~kept))

    expected = measure.values(one(measure, given_rows.take(kept)), LEVEL)
    for name, estimate in measure.values(left, LEVEL).items():
        assert estimate.n == expected[name].n
        assert estimate.value == pytest.approx(expected[name].value, abs=1e-9)


@given(drawn=any_rows)
@few
def test_open_sums_are_the_labelled_ones_without_the_labels(drawn: tuple[int, Scored]) -> None:
    classes, given_rows = drawn
    measure = measure_of(classes)
    known = given_rows.take(~np.isnan(given_rows.label))

    found = measure.open_sums(known, np.zeros(len(known.label), dtype=np.int64), 1)[0]

    opened, labelled = OpenSums.of(found, classes), ClassSums.of(one(measure, known), classes)
    np.testing.assert_array_equal(opened.open, labelled.labelled.sum(axis=1))
    np.testing.assert_array_equal(opened.predicted, labelled.confusion.sum(axis=0))
    assert opened.n == len(known.label)


@given(drawn=any_rows, level=st.sampled_from([0.5, 0.05, 1e-4]))
@few
def test_an_interval_holds_its_value_and_nothing_is_nan(drawn: tuple[int, Scored], level: float) -> None:
    measure = measure_of(drawn[0])

    found = measure.values(one(measure, drawn[1]), level)

    assert list(found) == list(measure.better)
    for estimate in found.values():
        assert _sound(estimate), estimate


def _sound(estimate: Estimate) -> bool:
    if estimate.low is None or estimate.high is None or estimate.value is None:
        return estimate.low is None and estimate.high is None and estimate.method in {"", "normal"}
    numbers = (estimate.low, estimate.value, estimate.high)
    return all(math.isfinite(x) for x in numbers) and sorted(numbers) == list(numbers)


@given(drawn=any_rows)
@few
def test_the_best_shares_are_1_and_the_worst_0(drawn: tuple[int, Scored]) -> None:
    measure = measure_of(drawn[0])
    found = measure.values(one(measure, drawn[1]), LEVEL)

    for name, better in measure.better.items():
        value = found[name].value
        if value is not None and better is Better.HIGHER:
            assert (-1 if name == "mcc" else 0) <= value <= 1


@given(drawn=any_rows, level=st.sampled_from([0.05, 1e-4]))
@few
def test_four_times_the_rows_never_widen_a_mean_over_the_classes(
    drawn: tuple[int, Scored], level: float
) -> None:
    measure = measure_of(drawn[0])
    sums = one(measure, drawn[1])
    found, more = measure.values(sums, level), measure.values(4 * sums, level)

    for name in found:
        if name.endswith(("_macro", "_weighted")) or name in {"balanced_accuracy", "cost", "brier"}:
            assert _width(more[name]) <= _width(found[name]) + 1e-9, name


@given(drawn=st.integers(3, 5).flatmap(lambda c: st.tuples(st.just(c), rows(c - 1))))
@few
def test_a_class_that_is_not_there_leaves_its_part_of_a_mean_open(drawn: tuple[int, Scored]) -> None:
    classes, given_rows = drawn
    measure = ClassMeasure(NAMES[:classes], scored=False)
    codes = (np.where(x < classes - 1, x, np.nan) for x in (given_rows.prediction, given_rows.label))
    prediction, label = codes
    bare = Scored(prediction, np.empty((len(label), 0)), label)

    found = measure.values(one(measure, bare), LEVEL)

    for name in ("precision_macro", "recall_macro", "f1_macro", "balanced_accuracy"):
        if found[name].low is not None:
            assert _width(found[name]) >= (1 - (found[name].value or 0.0)) / classes - 1e-9, name


def _width(estimate: Estimate) -> float:
    """Return how wide an interval is, one that is none being the widest."""
    if estimate.low is None or estimate.high is None:
        return math.inf
    return estimate.high - estimate.low


@given(drawn=any_rows)
@few
def test_the_tables_count_every_row_once(drawn: tuple[int, Scored]) -> None:
    classes, given_rows = drawn
    sums = ClassSums.of(one(measure_of(classes), given_rows), classes)

    assert confusion(sums).sum() == (~np.isnan(given_rows.label)).sum()
    assert sum(part.n for part in reliability(sums)) == sums.scored


ORACLES: dict[str, Callable[[Ints, Ints], float]] = {
    "accuracy": metrics.accuracy_score,
    "mcc": metrics.matthews_corrcoef,
}
AVERAGED = {"precision": metrics.precision_score, "recall": metrics.recall_score, "f1": metrics.f1_score}


@given(drawn=clean_rows)
@few
def test_what_rests_on_predictions_is_scikit_learns(drawn: tuple[int, Scored]) -> None:
    classes, given_rows = drawn
    measure = measure_of(classes)
    found = measure.values(one(measure, given_rows), LEVEL)
    label, predicted = given_rows.label.astype(np.int64), given_rows.prediction.astype(np.int64)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of a single class
        expected = {name: oracle(label, predicted) for name, oracle in ORACLES.items()}
        for name, score in AVERAGED.items():
            options = {"labels": range(classes), "zero_division": 0}
            if classes == 2:
                expected[name] = score(label, predicted, pos_label=1, zero_division=0)
                continue
            for kind in ("macro", "weighted"):
                expected[f"{name}_{kind}"] = score(label, predicted, average=kind, **options)
            each = score(label, predicted, average=None, **options)
            expected |= {f"{name}:{NAMES[k]}": float(each[k]) for k in range(classes)}

    for name, value in expected.items():
        assert found[name].value == pytest.approx(value, abs=1e-12), name


@given(drawn=clean_rows)
@few
def test_what_rests_on_scores_is_scikit_learns_or_within_the_bound(drawn: tuple[int, Scored]) -> None:
    classes, given_rows = drawn
    measure = measure_of(classes)
    sums = one(measure, given_rows)
    found, bounds = measure.values(sums, LEVEL), bound_of(ClassSums.of(sums, classes))
    label = given_rows.label.astype(np.int64)
    wide = given_rows.scores
    if classes == 2:
        wide = np.column_stack([1 - wide, wide])

    assert found["log_loss"].value == pytest.approx(metrics.log_loss(label, wide, labels=range(classes)))
    brier = metrics.brier_score_loss(label, wide, labels=range(classes), scale_by_half=classes == 2)
    assert found["brier"].value == pytest.approx(brier)
    for name, score in (
        ("roc_auc", metrics.roc_auc_score),
        ("average_precision", metrics.average_precision_score),
    ):
        tested = [k for k in range(1 if classes == 2 else 0, classes) if _defined(name, label == k)]
        if not tested:
            assert found[name].value is None
            assert bounds[name] is None
            continue
        exact = np.mean([score(label == k, wide[:, k]) for k in tested])
        assert found[name].value == pytest.approx(exact, abs=(bounds[name] or 0.0) + 1e-12)


def _defined(name: str, own: np.ndarray[tuple[int], np.dtype[np.bool_]]) -> bool:
    return bool(own.any() and (name == "average_precision" or not own.all()))
