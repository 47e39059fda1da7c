"""Estimated errors of a regression: simulated truth, scikit-learn's own trees, the real prices."""

import math
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from numpy.typing import NDArray
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.metrics import mean_absolute_error, mean_squared_error, root_mean_squared_error

from detectors.direct_loss import (
    DEPTH,
    LARGEST_SAMPLE,
    LEARNING_RATE,
    METHOD,
    TREES,
    LossModel,
    Trees,
    digest,
    estimate_regression,
    estimate_sums,
    fit_loss,
    load,
    loss_sums,
)
from detectors.measure import Estimate

Floats = NDArray[np.float64]
LEVEL = 0.05
NUMERIC = ("car_age", "km_driven", "price_new", "accident_count", "door_count")
CATEGORICAL = ("fuel", "transmission")


def rows(seed: int, n: int, loud: float = 0.5) -> tuple[Floats, Floats, Floats]:
    """Draw features, predictions and labels; a share of the rows is loud, with errors four times as large."""
    rng = np.random.default_rng(seed)
    features = rng.random((n, 3))
    features[:, 1] = rng.random(n) < loud
    features[rng.random(n) < 0.1, 2] = np.nan
    prediction = 10.0 * features[:, 0]
    return features, prediction, prediction + rng.normal(size=n) * (1.0 + 3.0 * features[:, 1])


@pytest.fixture(scope="module")
def learnt() -> LossModel:
    return fit_loss(*rows(1, 10_000), seed=7)


def numbers(found: Estimate) -> tuple[float, float, float]:
    assert found.value is not None
    assert found.low is not None
    assert found.high is not None
    return found.value, found.low, found.high


def test_our_trees_predict_what_scikit_learns_do(learnt: LossModel) -> None:
    features, prediction, label = rows(1, 10_000)
    new, at, _ = rows(2, 5_000)
    new[:50, 0] = np.nan
    theirs = [
        HistGradientBoostingRegressor(
            max_iter=TREES,
            max_depth=DEPTH,
            learning_rate=LEARNING_RATE,
            early_stopping=False,
            random_state=7,
            categorical_features=None,
        )
        .fit(np.column_stack([features, prediction]), loss)
        .predict(np.column_stack([new, at]))
        for loss in (np.abs(label - prediction), np.square(label - prediction))
    ]

    ours = learnt.trees.sums(np.column_stack([new, at]))

    np.testing.assert_allclose(ours, np.stack(theirs, axis=1), rtol=1e-12)


def test_loud_rows_are_told_from_quiet_ones(learnt: LossModel) -> None:
    features, prediction, _ = rows(3, 2_000)

    found = learnt.predict(features, prediction)

    for loud, scale in ((0.0, 1.0), (1.0, 4.0)):
        mean = found[features[:, 1] == loud].mean(axis=0)
        assert mean == pytest.approx([scale * np.sqrt(2 / np.pi), scale**2], rel=0.07)


def test_no_expected_square_is_below_the_square_of_the_mean(learnt: LossModel) -> None:
    features, prediction, _ = rows(3, 2_000)

    found = learnt.predict(features, prediction)

    assert (found >= 0.0).all()
    assert (found[:, 1] >= np.square(found[:, 0])).all()


def test_batches_change_nothing(learnt: LossModel) -> None:
    features, prediction, _ = rows(4, 5_000)
    parts = [learnt.predict(features[i : i + 700], prediction[i : i + 700]) for i in range(0, 5_000, 700)]

    assert np.array_equal(np.concatenate(parts), learnt.predict(features, prediction))


def test_no_rows_have_no_losses(learnt: LossModel) -> None:
    assert learnt.predict(np.empty((0, 3)), np.empty(0)).shape == (0, 2)


def test_other_features_are_refused(learnt: LossModel) -> None:
    with pytest.raises(ValueError, match=r"shape \(5, 2\), 3 were learnt"):
        learnt.predict(np.zeros((5, 2)), np.zeros(5))


def test_infinite_features_count_as_missing(learnt: LossModel) -> None:
    features = np.array([[0.5, 1.0, np.inf], [0.5, 1.0, np.nan]])

    found = learnt.predict(features, np.array([5.0, 5.0]))

    assert np.array_equal(found[0], found[1])


def test_the_same_rows_and_seed_give_the_same_bytes(learnt: LossModel) -> None:
    assert fit_loss(*rows(1, 10_000), seed=7).dump() == learnt.dump()


def test_of_many_rows_a_seeded_sample_is_learnt_from() -> None:
    many = rows(5, LARGEST_SAMPLE + 5_000)

    one, other = fit_loss(*many, seed=1), fit_loss(*many, seed=2)

    assert one.rows == other.rows == LARGEST_SAMPLE
    assert one.dump() != other.dump()


def test_the_range_is_that_of_all_rows_and_not_of_the_sample() -> None:
    features, prediction, label = rows(5, LARGEST_SAMPLE + 5_000)

    reach = fit_loss(features, prediction, label, seed=1).reach

    assert np.array_equal(reach, [np.nanmin(features, axis=0), np.nanmax(features, axis=0)])


def test_rows_without_a_prediction_or_a_label_teach_nothing() -> None:
    features, prediction, label = rows(6, 1_000)
    one, two, three = (np.insert(part, [0, 0], np.nan, axis=0) for part in (features, prediction, label))
    two[0], three[1] = 1.0, 1.0

    found = fit_loss(one, two, three, seed=1)

    assert found.rows == 1_000
    assert found.predict(features, prediction).tolist() == (
        fit_loss(features, prediction, label, seed=1).predict(features, prediction).tolist()
    )


@pytest.mark.parametrize("odd", [math.inf, 1e78, -1e200])
def test_rows_too_far_to_be_squared_teach_nothing(odd: float) -> None:
    parts = rows(6, 1_000)
    features, prediction, label = (np.insert(part, [0, 0], part[:2], axis=0) for part in parts)
    prediction[0], label[1] = odd, odd

    found = fit_loss(features, prediction, label, seed=1)

    assert found.rows == 1_000
    assert found.kurtosis == fit_loss(*parts, seed=1).kurtosis


@pytest.mark.parametrize(("far", "lost"), [(1e100, {"mse", "rmse"}), (1e160, {"mae", "mse", "rmse"})])
def test_losses_too_large_to_be_squared_are_no_number_and_no_error(far: float, lost: set[str]) -> None:
    found = estimate_sums(np.array([10.0, far, far * far, math.inf]), LEVEL)

    assert {name for name, one in found.items() if one == Estimate(None, None, None, 10, METHOD)} == lost


def test_a_reference_without_labels_is_refused() -> None:
    features, prediction, _ = rows(6, 10)

    with pytest.raises(ValueError, match="both a prediction and a label"):
        fit_loss(features, prediction, np.full(10, np.nan), seed=1)


def test_a_perfect_model_has_no_loss() -> None:
    features, prediction, _ = rows(6, 200)

    found = fit_loss(features, prediction, prediction, seed=1)
    losses = estimate_regression(found.predict(features, prediction), LEVEL, found.kurtosis, found.rows)

    assert {numbers(one) for one in losses.values()} == {(0.0, 0.0, 0.0)}


def test_what_is_dumped_can_be_loaded(learnt: LossModel) -> None:
    dumped = learnt.dump()

    again = load(dumped, digest(dumped))

    assert again.dump() == dumped
    assert (again.kurtosis, again.rows) == (learnt.kurtosis, learnt.rows)
    assert all(
        np.array_equal(getattr(again.trees, name), getattr(learnt.trees, name))
        for name in Trees.__struct_fields__
    )


def test_other_bytes_are_refused_before_they_are_read(
    learnt: LossModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    dumped = learnt.dump()
    monkeypatch.setattr(np, "load", lambda *_, **__: pytest.fail("the bytes were read"))

    for wrong in (dumped[:-1], dumped + b"0", b""):
        with pytest.raises(ValueError, match="not the ones that were stored"):
            load(wrong, digest(dumped))


def test_a_dump_of_another_version_is_refused(learnt: LossModel, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("detectors.direct_loss.VERSION", 2)
    dumped = learnt.dump()
    monkeypatch.undo()

    with pytest.raises(ValueError, match="version 2, this is 1"):
        load(dumped, digest(dumped))


def test_rows_within_the_range_of_every_feature_are_covered(learnt: LossModel) -> None:
    inside = [0.5, 1.0, 0.5]
    features = np.array([inside, [0.5, 1.0, np.nan], [0.5, 2.0, 0.5], [np.nan, 1.0, 0.5], inside])

    assert learnt.coverage(features) == 0.6  # a second feature of 2 is new, and the first never lacked


def test_a_feature_that_the_reference_always_lacked_is_covered_only_when_missing() -> None:
    features, prediction, label = rows(6, 200)
    features[:, 2] = np.nan

    found = fit_loss(features, prediction, label, seed=1)

    assert found.coverage(np.array([[0.5, 0.0, np.nan], [0.5, 0.0, 0.5]])) == 0.5


def test_coverage_of_no_rows_does_not_exist(learnt: LossModel) -> None:
    assert learnt.coverage(np.empty((0, 3))) is None


def test_no_rows_have_no_metrics() -> None:
    found = estimate_regression(np.empty((0, 2)), LEVEL)

    assert found == dict.fromkeys(("mae", "mse", "rmse"), Estimate(None, None, None, 0))


def test_sums_of_two_sets_of_rows_add_up(learnt: LossModel) -> None:
    losses = learnt.predict(*rows(8, 1_000)[:2])

    whole, parts = loss_sums(losses), loss_sums(losses[:300]) + loss_sums(losses[300:])

    assert parts == pytest.approx(whole)
    assert estimate_sums(whole, LEVEL) == estimate_regression(losses, LEVEL)


def test_the_reference_s_chance_widens_the_band(learnt: LossModel) -> None:
    losses = learnt.predict(*rows(8, 1_000)[:2])

    alone, both = estimate_regression(losses, LEVEL), estimate_regression(losses, LEVEL, reference_rows=1_000)

    assert alone.keys() == both.keys() == {"mae", "mse", "rmse"}
    for name in alone:
        widths = [high - low for _, low, high in (numbers(alone[name]), numbers(both[name]))]
        assert widths[1] == pytest.approx(widths[0] * np.sqrt(2.0))


def truth(prediction: Floats, label: Floats) -> dict[str, float]:
    return {
        "mae": mean_absolute_error(label, prediction),
        "mse": mean_squared_error(label, prediction),
        "rmse": root_mean_squared_error(label, prediction),
    }


def test_bands_hold_the_realised_value_as_often_as_they_say(learnt: LossModel) -> None:
    inside: dict[str, list[bool]] = {}
    for i in range(200):
        features, prediction, label = rows(100 + i, 500, loud=0.3)
        losses = learnt.predict(features, prediction)
        found = estimate_regression(losses, LEVEL, learnt.kurtosis, learnt.rows)
        for name, realised in truth(prediction, label).items():
            _, low, high = numbers(found[name])
            inside.setdefault(name, []).append(low <= realised <= high)

    assert {name: np.mean(hits) for name, hits in inside.items() if np.mean(hits) < 0.92} == {}


def test_errors_that_grow_without_a_change_of_features_are_not_seen(learnt: LossModel) -> None:
    """What the page says of concept drift."""
    features, prediction, label = rows(9, 2_000)
    label += 20.0

    value, _, high = numbers(estimate_regression(learnt.predict(features, prediction), LEVEL)["mae"])

    assert value < high < mean_absolute_error(label, prediction) / 4


def test_real_prices_get_better_and_the_estimate_with_them(data: Path) -> None:
    """The real MAE falls from 852 to 698 at row 90,000: a change of the cars, which the estimate follows."""
    frame = pl.read_parquet(data / "car_price" / "car_price_regression_synthetic.parquet")
    codes = [pl.col(name).rank("dense").cast(pl.Float64) for name in CATEGORICAL]
    features = frame.select(*NUMERIC, *codes).to_numpy().astype(np.float64)
    prediction, label = frame["y_pred"].to_numpy(), frame["y_true"].to_numpy()
    learnt = fit_loss(features[:60_000], prediction[:60_000], label[:60_000], seed=1)
    estimated, realised = [], []
    for start in range(60_000, 120_000, 6_000):
        part = slice(start, start + 6_000)
        found = estimate_regression(learnt.predict(features[part], prediction[part]), LEVEL)
        estimated.append(numbers(found["mae"])[0])
        realised.append(mean_absolute_error(label[part], prediction[part]))

    off = np.abs(np.array(estimated) - realised)
    correlation = np.corrcoef(estimated, realised)[0, 1]
    print(f"car_price: MAE off by {off.mean():.1f} (at most {off.max():.1f}), correlation {correlation:.4f}")  # noqa: T201
    assert correlation > 0.99
    assert off.mean() < 0.01 * np.mean(realised)
    assert off.max() < 0.05 * min(realised)
