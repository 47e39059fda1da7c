"""Metrics of predicted numbers: scikit-learn's values, intervals that are right, and what is left out."""

import math

import numpy as np
import pytest
from sklearn import metrics

from detectors.means import mean_estimate
from detectors.measure import Better, Estimate, Floats, Measure, Scored
from detectors.regression import EPSILON, ERROR_QUANTILES, FURTHEST, RegressionMeasure, error_edges

LEVEL = 0.05


def rows_of(prediction: Floats, label: Floats) -> Scored:
    return Scored(prediction, np.empty((len(label), 0)), label)


def drawn(seed: int, n: int) -> tuple[Floats, Floats]:
    """Return predictions and labels; the errors are skewed, wider for large labels, and biased."""
    random = np.random.default_rng(seed)
    label = random.gamma(4.0, 5.0, n)
    return label * (0.8 + random.exponential(0.3, n)) + random.normal(size=n), label


def measured(
    measure: Measure, prediction: Floats, label: Floats, level: float = LEVEL
) -> dict[str, Estimate]:
    rows = rows_of(prediction, label)
    return dict(measure.values(measure.sums(rows, np.zeros(len(label), np.int64), 1)[0], level))


@pytest.fixture
def values() -> dict[str, float | None]:
    measure = RegressionMeasure(quantiles=(0.1, 0.5, 0.95), centre=18.0)
    return {name: found.value for name, found in measured(measure, *drawn(1, 3_000)).items()}


@pytest.mark.parametrize(
    ("name", "of"),
    [
        ("mae", metrics.mean_absolute_error),
        ("mse", metrics.mean_squared_error),
        ("rmse", metrics.root_mean_squared_error),
        ("mape", metrics.mean_absolute_percentage_error),
        ("r2", metrics.r2_score),
        ("pinball:0.1", lambda y, p: metrics.mean_pinball_loss(y, p, alpha=0.1)),
        ("pinball:0.5", lambda y, p: metrics.mean_pinball_loss(y, p, alpha=0.5)),
        ("pinball:0.95", lambda y, p: metrics.mean_pinball_loss(y, p, alpha=0.95)),
        ("bias", lambda y, p: (p - y).mean()),
        ("label_mean", lambda y, _: y.mean()),
        ("prediction_mean", lambda _, p: p.mean()),
    ],
)
def test_a_metric_is_scikit_learns(name: str, of: object, values: dict[str, float | None]) -> None:
    prediction, label = drawn(1, 3_000)
    assert callable(of)

    assert values[name] == pytest.approx(of(label, prediction), rel=1e-10)


def test_every_metric_comes_in_the_order_of_the_directions() -> None:
    measure = RegressionMeasure(edges=(-1.0, 0.0, 1.0), quantiles=(0.1, 0.9))

    assert list(measured(measure, *drawn(1, 50))) == list(measure.better)
    assert measure.better["pinball:0.9"] is Better.LOWER
    assert measure.better["r2"] is Better.HIGHER
    assert measure.better["bias"] is Better.NEITHER


def test_quantiles_of_the_loss_do_not_widen_the_sums() -> None:
    assert RegressionMeasure(quantiles=(0.1, 0.2, 0.3)).width == RegressionMeasure(quantiles=()).width


def test_without_edges_there_are_no_error_quantiles() -> None:
    assert not set(ERROR_QUANTILES) & set(RegressionMeasure().better)


@pytest.mark.parametrize("odd", [math.nan, math.inf, -math.inf, 2 * FURTHEST])
def test_rows_that_are_no_use_are_left_out_and_counted(odd: float) -> None:
    prediction, label = drawn(2, 100)
    more = measured(
        RegressionMeasure(),
        np.concatenate([prediction, [odd, 1.0]]),
        np.concatenate([label, [1.0, odd]]),
    )
    without = measured(RegressionMeasure(), prediction, label)

    assert more["unusable"] == Estimate(2.0, None, None, 102)
    assert {**more, "unusable": None} == {**without, "unusable": None}


def test_labels_at_zero_are_left_out_of_mape_alone() -> None:
    found = measured(RegressionMeasure(), np.array([1.0, 3.0, 5.0]), np.array([0.0, 2.0, EPSILON / 2]))

    assert found["mape"] == Estimate(0.5, None, None, 1)
    assert found["mape_left_out"].value == 2.0
    assert found["mae"].n == 3


def test_no_rows_give_no_values_but_counts() -> None:
    measure = RegressionMeasure(edges=(-1.0, 1.0))
    found = measure.values(np.zeros(measure.width), LEVEL)

    assert {e for name, e in found.items() if name not in {"unusable", "mape_left_out"}} == {
        Estimate(None, None, None, 0)
    }
    assert found["unusable"].value == 0.0


def test_one_row_has_no_interval() -> None:
    found = measured(RegressionMeasure(), np.array([3.0]), np.array([1.0]))

    assert (found["rmse"].value, found["r2"].value) == (2.0, None)
    assert all((e.low, e.high) == (None, None) for e in found.values())


@pytest.mark.parametrize(("level", "centre"), [(3.1, 0.0), (1e8 / 3, 0.0), (3.1, 3.1)])
def test_labels_that_do_not_vary_have_no_r2(level: float, centre: float) -> None:
    label = np.full(10_000, level)
    found = measured(RegressionMeasure(centre=centre), label + 1.0, label)

    assert found["r2"] == Estimate(None, None, None, 10_000)


def test_right_predictions_have_no_loss() -> None:
    label = drawn(3, 100)[1]
    found = measured(RegressionMeasure(), label, label)

    assert found["rmse"] == Estimate(0.0, 0.0, 0.0, 100, "delta")
    assert found["r2"] == Estimate(1.0, 1.0, 1.0, 100, "delta")


def test_a_centre_near_the_labels_keeps_r2_far_from_zero() -> None:
    prediction, label = drawn(4, 2_000)
    found = measured(RegressionMeasure(centre=1e9), prediction + 1e9, label + 1e9)

    assert found["r2"].value == pytest.approx(metrics.r2_score(label, prediction), rel=1e-6)
    assert found["label_mean"].value == pytest.approx(1e9 + label.mean(), rel=1e-12)


def test_intervals_of_means_are_by_sample_variance() -> None:
    prediction, label = drawn(5, 400)
    loss = np.abs(prediction - label)
    found = measured(RegressionMeasure(), prediction, label)["mae"]

    reach = 1.959964 * loss.std(ddof=1) / 20.0
    assert found.method == "normal"
    assert found.high == pytest.approx(loss.mean() + reach, rel=1e-6)
    assert found.low == pytest.approx(loss.mean() - reach, rel=1e-6)


def test_a_pinball_loss_has_its_rows_variance() -> None:
    prediction, label = drawn(6, 400)
    loss = np.maximum(0.9 * (label - prediction), 0.1 * (prediction - label))
    found = measured(RegressionMeasure(quantiles=(0.9,)), prediction, label)["pinball:0.9"]
    wanted = mean_estimate(400, float(loss.sum()), float((loss * loss).sum()), LEVEL)

    assert (found.value, found.low) == pytest.approx((wanted.value, wanted.low), rel=1e-9)


def test_the_delta_method_is_the_jackknifes_spread() -> None:
    prediction, label = drawn(7, 600)
    left = [np.delete(np.arange(600), i) for i in range(600)]
    found = measured(RegressionMeasure(centre=20.0), prediction, label)

    for name, of in (("r2", metrics.r2_score), ("rmse", metrics.root_mean_squared_error)):
        folds = np.array([of(label[i], prediction[i]) for i in left])
        error = math.sqrt(599 / 600 * np.square(folds - folds.mean()).sum())
        low, value = found[name].low, found[name].value
        assert low is not None
        assert value is not None
        assert (value - low) / 1.959964 == pytest.approx(error, rel=0.03)


def test_groups_are_summed_apart() -> None:
    prediction, label = drawn(8, 300)
    groups = np.arange(300) % 3
    measure = RegressionMeasure(edges=(-5.0, 0.0, 5.0), centre=20.0)
    together = measure.sums(rows_of(prediction, label), groups, 4)

    for g in range(3):
        part = rows_of(prediction[groups == g], label[groups == g])
        alone = measure.sums(part, np.zeros(100, np.int64), 1)[0]
        assert together[g] == pytest.approx(alone, rel=1e-12)
    assert not together[3].any()


def test_open_sums_are_of_predictions_about_the_centre() -> None:
    rows = rows_of(np.array([11.0, 13.0, math.nan]), np.array([math.nan, 1.0, 1.0]))
    found = RegressionMeasure(centre=10.0).open_sums(rows, np.array([0, 0, 1]), 2)

    assert found.tolist() == [[2.0, 4.0, 10.0], [0.0, 0.0, 0.0]]


def test_error_quantiles_of_the_reference_itself_are_edges() -> None:
    prediction, label = drawn(9, 5_000)
    errors = prediction - label
    found = measured(RegressionMeasure(error_edges(errors)), prediction, label)

    for name, q in ERROR_QUANTILES.items():
        assert found[name].value == pytest.approx(np.quantile(errors, q), abs=0.05)
        assert found[name].method == "order"


def test_an_error_quantile_beyond_the_edges_is_not_known() -> None:
    found = measured(RegressionMeasure(edges=(-1.0, 0.0, 1.0)), np.full(200, 9.0), np.zeros(200))

    assert found["error_p50"] == Estimate(None, None, None, 200)


def test_a_quantile_of_few_rows_has_no_interval() -> None:
    errors = np.linspace(-1.0, 1.0, 20)
    found = measured(RegressionMeasure(error_edges(errors)), errors, np.zeros(20))

    assert found["error_p05"].value is not None
    assert found["error_p05"].low is None
    assert found["error_p50"].low is not None


def test_edges_reach_far_beyond_the_references_errors() -> None:
    errors = np.random.default_rng(0).normal(size=1_000)
    edges = np.array(error_edges(errors))

    assert len(edges) == 133
    assert (np.diff(edges) > 0).all()
    assert edges[-1] > 1_000 * np.ptp(errors)
    assert edges[0] < -1_000 * np.ptp(errors)


@pytest.mark.parametrize("only", [0.0, 2.5, -1e20])
def test_equal_errors_have_edges(only: float) -> None:
    edges = error_edges(np.array([only, only, math.nan]))

    assert only in edges
    assert len(RegressionMeasure(edges).better) > len(RegressionMeasure().better)


def test_no_errors_have_no_edges() -> None:
    assert error_edges(np.array([math.nan, math.inf])) == ()


@pytest.mark.parametrize("edges", [(1.0, 0.0), (0.0, 0.0), (0.0, math.inf), (math.nan,)])
def test_edges_must_be_finite_and_ascending(edges: tuple[float, ...]) -> None:
    with pytest.raises(ValueError, match="finite and ascending"):
        RegressionMeasure(edges)


@pytest.mark.parametrize("q", [0.0, 1.0, math.nan])
def test_quantiles_lie_between_0_and_1(q: float) -> None:
    with pytest.raises(ValueError, match="between 0 and 1"):
        RegressionMeasure(quantiles=(q,))


def test_the_centre_must_be_finite() -> None:
    with pytest.raises(ValueError, match="centre"):
        RegressionMeasure(centre=math.nan)
