"""Intervals from sums: SciPy's where it has them, and what each does at its ends."""

import numpy as np
import pytest
from scipy import stats

from detectors.intervals import DRAWS, bounded, drawn_deviation, normal_quantile, of_mean, wilson

LEVEL = 0.05


@pytest.mark.parametrize("level", [0.5, 0.05, 1e-9, 1e-200])
def test_a_quantile_of_the_normal_law_is_scipys(level: float) -> None:
    assert normal_quantile(level) == pytest.approx(float(stats.norm.isf(level / 2)), rel=1e-12)


@pytest.mark.parametrize(("k", "n"), [(0, 1), (1, 1), (8, 10), (0, 50), (50, 50), (3, 10**6)])
@pytest.mark.parametrize("level", [0.3, 0.05, 1e-6])
def test_wilsons_interval_is_scipys(k: int, n: int, level: float) -> None:
    expected = stats.binomtest(k, n).proportion_ci(1 - level, method="wilson")

    assert wilson(k, n, level) == pytest.approx((expected.low, expected.high), abs=1e-9)


def test_wilsons_interval_takes_expected_counts() -> None:
    whole, half = wilson(8, 10, LEVEL), wilson(8.5, 10, LEVEL)

    assert whole[0] < half[0] < wilson(9, 10, LEVEL)[0]


def test_the_interval_of_a_mean_is_the_normal_one() -> None:
    x = np.random.default_rng(1).gamma(2.0, size=400)
    error = float(stats.sem(x))

    found = of_mean(float(x.sum()), float((x * x).sum()), len(x), LEVEL)

    assert found == pytest.approx(stats.norm.interval(1 - LEVEL, float(x.mean()), error))


def test_one_row_has_no_interval_of_its_mean() -> None:
    assert of_mean(3.0, 9.0, 1, LEVEL) is None


def test_equal_rows_have_an_interval_of_one_point_despite_rounding() -> None:
    assert of_mean(0.1 * 3, 0.01 * 3, 3, LEVEL) == pytest.approx((0.1, 0.1))


def test_a_bounded_value_far_from_its_ends_has_nearly_the_normal_interval() -> None:
    low, high = bounded(0.5, 1e-6, 10**6, LEVEL)

    assert (low, high) == pytest.approx((0.5 - 1.96e-3, 0.5 + 1.96e-3), abs=1e-6)


@pytest.mark.parametrize("value", [0.0, 1e-12, 0.5, 1 - 1e-12, 1.0])
@pytest.mark.parametrize("variance", [0.0, 1e-300, 1e-3, 10.0])
def test_a_bounded_interval_stays_within_0_and_1_and_holds_its_value(value: float, variance: float) -> None:
    low, high = bounded(value, variance, 20, LEVEL)

    assert 0 <= low <= value <= high <= 1


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_without_variance_an_end_has_wilsons_interval(value: float) -> None:
    assert bounded(value, 0.0, 30, LEVEL) == pytest.approx(wilson(30 * value, 30, LEVEL))


def test_the_drawn_deviation_of_a_share_is_the_binomial_one() -> None:
    counts = np.array([[300.0, 100.0], [100.0, 500.0]])

    found = drawn_deviation(counts, lambda drawn: drawn[:, 0, 0] / 1000)

    assert found == pytest.approx(np.sqrt(0.3 * 0.7 / 1000), rel=4 / np.sqrt(2 * DRAWS))


def test_draws_are_the_same_for_the_same_counts() -> None:
    counts = np.array([10.0, 0.0, 30.0])
    other = np.array([10.0, -0.0, 30.0])

    assert drawn_deviation(counts, lambda d: d[:, 0]) == drawn_deviation(other, lambda d: d[:, 0])
