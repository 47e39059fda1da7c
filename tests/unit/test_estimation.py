"""Estimated performance of classifiers: scikit-learn on the same rows, and truth where it is simulated."""

import math
from collections.abc import Callable
from functools import partial

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.optimize import isotonic_regression
from sklearn import metrics

from detectors.estimation import estimate
from detectors.expected import (
    Expected,
    Metric,
    average_precision,
    balanced_accuracy,
    fraction,
    roc_auc,
    variance,
)
from detectors.measure import Estimate
from detectors.score_calibration import Calibration, coverage_note, covered, fit, known
from tests.oracles import binned, decisions

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
LEVEL = 0.05


def counted(score: Floats, label: Ints, predicted: Ints) -> Floats:
    return binned(score, label, predicted).astype(np.float64)


def rows(seed: int, n: int, truth: Callable[[Floats], Floats], a: float = 0.6) -> tuple[Floats, Ints, Ints]:
    """Draw n scores from Beta(a, a), their labels, and predictions at 0.5."""
    rng = np.random.default_rng(seed)
    score = rng.beta(a, a, n)
    label = (rng.random(n) < truth(score)).astype(np.int64)
    return score, label, (score >= 0.5).astype(np.int64)


def honest(score: Floats) -> Floats:
    return score


def too_sure(score: Floats) -> Floats:
    return 0.25 + score / 2


def numbers(found: Estimate) -> tuple[float, float, float]:
    assert found.value is not None
    assert found.low is not None
    assert found.high is not None
    return found.value, found.low, found.high


def binary_truth(score: Floats, label: Ints, predicted: Ints) -> dict[str, float]:
    """Return what scikit-learn says of the rows, the score cut to its bin."""
    bins = np.minimum((score * 1000).astype(np.int64), 999)
    return {
        **decisions(label, predicted),
        "roc_auc": metrics.roc_auc_score(label, bins),
        "average_precision": metrics.average_precision_score(label, bins),
    }


def certain(table: Floats) -> Calibration:
    """Return a calibration that knows the label of each bin; the rows are so many that it is sure of it."""
    by_label = table.sum(axis=2)
    return Calibration((by_label[:, 1] > 0).astype(float), np.full((1, 1000), 1e9), np.array([True]))


def test_certain_scores_give_what_scikit_learn_says_of_the_rows() -> None:
    score, _, predicted = rows(1, 3_000, honest)
    label = (np.floor(score * 1000) % 3 > 0).astype(np.int64)
    table = counted(score, label, predicted)

    found = estimate(certain(table), table.sum(axis=1), LEVEL)

    for name, expected in binary_truth(score, label, predicted).items():
        assert found[name].value == pytest.approx(expected, abs=1e-12), name


METRICS: dict[str, Metric] = {
    **{
        name: partial(fraction, name)
        for name in ("accuracy", "precision", "recall", "f1", "specificity", "positive_share_true")
    },
    "balanced_accuracy": balanced_accuracy,
    "roc_auc": roc_auc,
    "average_precision": average_precision,
}


@pytest.mark.parametrize("name", METRICS)
def test_a_metric_of_counts_is_scikit_learns(name: str) -> None:
    score, label, predicted = rows(2, 2_000, too_sure)

    found = METRICS[name](Expected(counted(score, label, predicted)[0]))

    assert found is not None
    assert found.value == pytest.approx(binary_truth(score, label, predicted)[name], abs=1e-12)


@pytest.mark.parametrize("name", METRICS)
def test_a_gradient_is_the_slope(name: str) -> None:
    table = np.random.default_rng(3).uniform(1.0, 9.0, (2, 2, 6))
    found = METRICS[name](Expected(table))
    assert found is not None
    gradient = np.broadcast_to(found.gradient, table.shape)

    for cell in np.ndindex(*table.shape):
        step = np.zeros_like(table)
        step[cell] = 1e-5
        up, down = METRICS[name](Expected(table + step)), METRICS[name](Expected(table - step))
        assert up is not None
        assert down is not None
        assert gradient[cell] == pytest.approx((up.value - down.value) / 2e-5, abs=1e-8)


@pytest.mark.parametrize("name", METRICS)
def test_the_variance_is_that_of_samples_of_rows(name: str) -> None:
    rng = np.random.default_rng(4)
    table = np.array([[[60.0, 40, 20], [10, 20, 30]], [[5, 20, 40], [10, 50, 95]]])
    found = METRICS[name](Expected(table))
    draws = rng.multinomial(400, table.ravel() / table.sum(), 4_000).astype(float).reshape(-1, 2, 2, 3)

    sampled = [one.value for one in map(METRICS[name], map(Expected, draws)) if one is not None]

    assert found is not None
    assert variance(found, Expected(table)) == pytest.approx(np.var(sampled), rel=0.1)


@pytest.mark.parametrize("name", METRICS)
def test_nothing_counted_has_no_metric(name: str) -> None:
    assert METRICS[name](Expected(np.zeros((2, 2, 6)))) is None


def test_honest_scores_are_believed() -> None:
    learnt = fit(counted(*rows(5, 40_000, honest)))

    assert not learnt.isotonic[0]
    assert learnt.probability[0, [0, 500, 999]].tolist() == [0.0005, 0.5005, 0.9995]


def test_scores_that_are_too_sure_get_the_isotonic_map() -> None:
    table = counted(*rows(6, 40_000, too_sure))
    positive, size = table[0, 1].sum(axis=0), table[0].sum(axis=(0, 1))

    learnt = fit(table)

    assert learnt.isotonic[0]
    expected = isotonic_regression(positive[size > 0] / size[size > 0], weights=size[size > 0]).x
    assert learnt.probability[0, size > 0] == pytest.approx(expected)


def test_the_map_is_judged_on_rows_it_has_not_seen() -> None:
    """On its own rows an isotonic map of honest scores always wins; on others it must not."""
    wins = sum(bool(fit(counted(*rows(seed, 1_000, honest))).isotonic[0]) for seed in range(40))

    assert wins < 10


def test_bins_without_rows_lie_between_their_neighbours() -> None:
    table = np.zeros((1, 2, 2, 1000))
    table[0, :, 0, 200], table[0, :, 1, 400] = (600, 400), (400, 600)

    learnt = fit(table)

    assert learnt.isotonic[0]
    assert learnt.probability[0, [0, 200, 300, 400, 999]] == pytest.approx([0.4, 0.4, 0.5, 0.6, 0.6])


def test_counts_may_be_whole_or_not() -> None:
    table = counted(*rows(7, 5_000, too_sure))

    assert np.array_equal(fit(table).probability, fit(table.astype(np.int64)).probability)


@pytest.mark.parametrize(
    "table", [np.zeros((1, 2, 2, 7)), np.zeros((2, 1000)), np.full((1, 2, 2, 1000), np.nan)]
)
def test_a_reference_of_the_wrong_shape_or_kind_is_refused(table: Floats) -> None:
    with pytest.raises(ValueError, match=r"histograms|not finite"):
        fit(table)


def test_a_reference_without_rows_is_refused() -> None:
    with pytest.raises(ValueError, match="no labelled rows"):
        fit(np.zeros((1, 2, 2, 1000)))


def test_a_window_of_other_classes_is_refused() -> None:
    learnt = fit(counted(*rows(9, 500, honest)))

    with pytest.raises(ValueError, match="3 histograms for 1"):
        estimate(learnt, np.zeros((3, 2, 1000)), LEVEL)


def test_a_window_without_rows_has_no_metrics() -> None:
    found = estimate(fit(counted(*rows(9, 500, honest))), np.zeros((1, 2, 1000)), LEVEL)

    assert set(found.values()) == {Estimate(None, None, None, 0)}


def test_no_precision_where_nothing_is_predicted_positive() -> None:
    score, label, _ = rows(10, 500, honest)
    table = counted(score, label, np.zeros(500, dtype=np.int64))

    found = estimate(fit(table), table.sum(axis=1), LEVEL)

    assert found["precision"].value is None
    assert found["recall"].value == 0.0


@pytest.mark.parametrize(("truth", "seed"), [(honest, 100), (too_sure, 200)])
def test_bands_hold_the_realised_value_as_often_as_they_say(
    truth: Callable[[Floats], Floats], seed: int
) -> None:
    """The scores of the windows are drawn from another law than the reference's: the mix changes."""
    inside: dict[str, list[bool]] = {}
    for i in range(200):
        learnt = fit(counted(*rows(seed + i, 4_000, truth)))
        window = rows(10_000 + seed + i, 1_000, truth, a=1.0)
        found = estimate(learnt, counted(*window).sum(axis=1), LEVEL)
        for name, realised in binary_truth(*window).items():
            _, low, high = numbers(found[name])
            inside.setdefault(name, []).append(low <= realised <= high)

    assert {name: np.mean(hits) for name, hits in inside.items() if np.mean(hits) < 0.92} == {}
    assert np.mean(inside["accuracy"]) < 0.995


def test_a_changed_mix_of_scores_is_seen() -> None:
    learnt = fit(counted(*rows(11, 50_000, too_sure)))
    window = rows(12, 50_000, too_sure, a=4.0)  # more scores near 0.5

    found = estimate(learnt, counted(*window).sum(axis=1), LEVEL)

    for name, realised in binary_truth(*window).items():
        assert numbers(found[name])[0] == pytest.approx(realised, abs=0.012), name


def test_concept_drift_is_not_seen() -> None:
    """What the page says of it: labels that are another function of the score leave the estimate as it is."""
    learnt = fit(counted(*rows(13, 20_000, honest)))
    score, label, predicted = rows(14, 20_000, lambda s: 1.0 - s)

    found = numbers(estimate(learnt, counted(score, label, predicted).sum(axis=1), LEVEL)["accuracy"])

    assert found[0] > 0.75
    assert metrics.accuracy_score(label, predicted) < 0.25


def middle(seed: int, n: int) -> tuple[Floats, Ints, Ints]:
    score, label, predicted = rows(seed, n, honest)
    kept = np.abs(score - 0.5) < 0.25
    return score[kept], label[kept], predicted[kept]


def test_the_reference_covers_itself() -> None:
    table = counted(*rows(15, 20_000, honest))

    assert covered(known(table.sum(axis=(1, 2))), table.sum(axis=1)) == 1.0


def test_rows_with_scores_the_reference_never_held_are_not_covered() -> None:
    reference, window = counted(*middle(16, 20_000)), rows(17, 20_000, honest)
    outside = np.mean(np.abs(window[0] - 0.5) > 0.25 + 0.011)
    near = np.mean(np.abs(window[0] - 0.5) > 0.25)

    found = covered(known(reference.sum(axis=(1, 2))), counted(*window).sum(axis=1))

    assert found is not None
    assert 1 - near <= found <= 1 - outside


def test_coverage_of_no_rows_does_not_exist() -> None:
    assert covered(known(counted(*middle(16, 100)).sum(axis=(1, 2))), np.zeros((1, 2, 1000))) is None


def test_the_edges_have_neighbours_on_one_side() -> None:
    size = np.zeros((1, 1000))
    size[0, [0, 999]] = 5

    assert np.flatnonzero(known(size)[0]).tolist() == [*range(11), *range(989, 1000)]


def test_low_coverage_has_a_note() -> None:
    assert [coverage_note(share) for share in (None, 1.0, 0.9)] == ["", "", ""]
    assert "89.0 %" in coverage_note(0.89)


def test_uncovered_rows_may_be_all_right_or_all_wrong() -> None:
    learnt, window = fit(counted(*middle(18, 50_000))), counted(*rows(19, 20_000, honest))
    unknown = float((window * ~known(learnt.rows)[:, None, None]).sum() / window.sum())

    value, low, high = numbers(estimate(learnt, window.sum(axis=1), LEVEL)["accuracy"])

    assert unknown > 0.3
    assert high - low == pytest.approx(unknown, abs=0.02)
    assert low <= value <= high


def test_all_right_and_all_wrong_labels_are_within_the_band_of_every_metric() -> None:
    learnt = fit(counted(*middle(18, 50_000)))
    score, label, predicted = rows(19, 20_000, honest)
    strange = np.abs(score - 0.5) > 0.27

    for one in (predicted, 1 - predicted, 0 * predicted, 0 * predicted + 1):
        found = estimate(learnt, counted(score, label, predicted).sum(axis=1), 0.001)
        for name, realised in binary_truth(score, np.where(strange, one, label), predicted).items():
            _, low, high = numbers(found[name])
            assert low <= realised <= high, name


def test_a_band_is_wider_the_smaller_the_level_and_stays_in_the_unit_interval() -> None:
    learnt, window = fit(counted(*rows(20, 400, honest))), counted(*rows(21, 30, honest)).sum(axis=1)
    wide, narrow = estimate(learnt, window, 1e-20), estimate(learnt, window, 0.3)

    assert wide.keys() == narrow.keys() == METRICS.keys()
    for name in METRICS:
        assert numbers(wide[name])[1] <= numbers(narrow[name])[1] <= numbers(narrow[name])[2], name
        assert numbers(wide[name])[1] >= 0.0
        assert numbers(narrow[name])[2] <= numbers(wide[name])[2] <= 1.0
        assert all(math.isfinite(number) for number in numbers(wide[name]))


def drawn(seed: int, n: int, spread: float = 1.0) -> tuple[Floats, Ints]:
    """Draw honest scores of three classes, and labels."""
    rng = np.random.default_rng(seed)
    score = rng.dirichlet(np.array([0.6, 0.9, 1.2]) * spread, n)
    return score, (rng.random((n, 1)) > score.cumsum(axis=1)[:, :2]).sum(axis=1)


def against_the_rest(score: Floats, label: Ints) -> Floats:
    predicted = score.argmax(axis=1)
    tables = [
        counted(score[:, k], (label == k).astype(np.int64), (predicted == k).astype(np.int64))
        for k in range(3)
    ]
    return np.concatenate(tables)


def multiclass_truth(score: Floats, label: Ints) -> dict[str, float]:
    predicted = score.argmax(axis=1)
    each = metrics.precision_recall_fscore_support(label, predicted)
    one_hot = np.eye(3)[label]
    found = {
        "accuracy": metrics.accuracy_score(label, predicted),
        "precision_macro": each[0].mean(),
        "recall_macro": each[1].mean(),
        "f1_macro": each[2].mean(),
        "roc_auc": metrics.roc_auc_score(one_hot, score),
        "average_precision": metrics.average_precision_score(one_hot, score),
    }
    for k, one in enumerate("abc"):
        found |= {f"precision:{one}": each[0][k], f"recall:{one}": each[1][k], f"f1:{one}": each[2][k]}
        found[f"true_share:{one}"] = float(np.mean(label == k))
    return found


def test_metrics_of_three_classes_are_near_scikit_learns_when_the_mix_changes() -> None:
    learnt, window = fit(against_the_rest(*drawn(30, 50_000))), drawn(31, 50_000, spread=3.0)

    found = estimate(learnt, against_the_rest(*window).sum(axis=1), LEVEL, "abc")

    truth = multiclass_truth(*window)
    assert list(found) == [*list(truth)[:6], *list(found)[6:]]
    assert set(found) == set(truth)
    for name, realised in truth.items():
        assert numbers(found[name])[0] == pytest.approx(realised, abs=0.02), name


def test_bands_of_three_classes_hold_the_realised_value() -> None:
    inside: dict[str, list[bool]] = {}
    for i in range(100):
        learnt, window = fit(against_the_rest(*drawn(300 + i, 4_000))), drawn(900 + i, 1_000, spread=1.5)
        found = estimate(learnt, against_the_rest(*window).sum(axis=1), LEVEL, "abc")
        for name, realised in multiclass_truth(*window).items():
            _, low, high = numbers(found[name])
            inside.setdefault(name, []).append(low <= realised <= high)

    assert {name: np.mean(hits) for name, hits in inside.items() if np.mean(hits) < 0.9} == {}
    assert np.mean(inside["accuracy"]) < 1.0


def test_probabilities_of_the_classes_sum_to_one_on_average() -> None:
    """Scores of three classes that are all twice too high, and too few rows to learn a map from."""
    learnt = Calibration(
        np.tile((np.arange(1000) + 0.5) / 500, (3, 1)).clip(max=1.0),
        np.full((3, 1000), 50.0),
        np.zeros(3, dtype=bool),
    )
    score, label = drawn(32, 20_000)
    table = against_the_rest(score / 2, label)

    found = estimate(learnt, table.sum(axis=1), LEVEL)

    assert sum(numbers(found[f"true_share:{k}"])[0] for k in range(3)) == pytest.approx(1.0, abs=1e-3)


def test_names_for_another_number_of_classes_are_refused() -> None:
    learnt = fit(against_the_rest(*drawn(33, 500)))

    with pytest.raises(ValueError, match="2 names for 3 classes"):
        estimate(learnt, np.zeros((3, 2, 1000)), LEVEL, ("a", "b"))
