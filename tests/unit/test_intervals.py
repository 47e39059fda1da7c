"""Intervals from sums: SciPy's where it has them, and what each does at its ends."""

import numpy as np
import pytest
from scipy import stats

from detectors.intervals import (
    DRAWS,
    FEW,
    bounded,
    drawn_deviation,
    exact,
    normal_quantile,
    of_area,
    of_losses,
    poisson,
    wilson,
)

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


@pytest.mark.parametrize(("k", "n"), [(0, 1), (1, 1), (8, 10), (0, 50), (50, 50), (3, 10**6)])
@pytest.mark.parametrize("level", [0.3, 0.05, 1e-6])
def test_the_exact_interval_is_scipys(k: int, n: int, level: float) -> None:
    expected = stats.binomtest(k, n).proportion_ci(1 - level, method="exact")

    low, high = exact(np.array(float(k)), np.array(float(n)), level)

    assert (float(low), float(high)) == pytest.approx((expected.low, expected.high), rel=1e-6, abs=1e-12)


def test_without_rows_a_share_may_be_anything() -> None:
    low, high = exact(np.zeros(1), np.zeros(1), LEVEL)

    assert (low.tolist(), high.tolist()) == ([0.0], [1.0])


def test_of_a_part_of_a_row_next_to_nothing_is_known() -> None:
    low, high = exact(np.array([0.0, 0.2, 0.02]), np.array([0.3, 0.2, 0.04]), LEVEL)

    assert low[0] == 0.0
    assert high[1] == 1.0
    assert (low < 0.1).all()
    assert (high > 0.9).all()


def test_a_trace_that_subtraction_left_is_no_row() -> None:
    whole, trace = (exact(np.array([k]), np.array([20.0]), LEVEL) for k in (0.0, 1e-14))

    assert trace[0] == whole[0]
    assert trace[1] == pytest.approx(whole[1])


@pytest.mark.parametrize("level", [0.3, 0.05, 1e-6])
def test_garwoods_interval_is_that_of_chi_square(level: float) -> None:
    counts = np.array([0.0, 1.0, 2.5, 40.0, 1e7])

    low, high = poisson(counts, level)

    assert low[0] == 0.0
    assert low[1:] == pytest.approx(stats.chi2.ppf(level / 2, 2 * counts[1:]) / 2)
    assert high == pytest.approx(stats.chi2.isf(level / 2, 2 * counts + 2) / 2)


def test_the_interval_of_many_losses_is_the_normal_one() -> None:
    x = np.random.default_rng(1).gamma(2.0, size=40_000)
    error = float(stats.sem(x))

    found = of_losses((len(x), float(x.sum()), float((x * x).sum())), 3.0, LEVEL)

    assert found == pytest.approx(stats.norm.interval(1 - LEVEL, float(x.mean()), error), abs=0.02 * error)


def test_the_interval_of_a_few_equal_losses_among_many_rows_is_garwoods() -> None:
    found = of_losses((1e9, 7.0, 7.0), 1.0, LEVEL)
    low, high = poisson(np.array(7.0), LEVEL)

    assert found == pytest.approx((float(low) / 1e9, float(high) / 1e9))


def test_no_loss_at_all_may_still_be_followed_by_a_heavy_one() -> None:
    low, high = of_losses((200.0, 0.0, 0.0), 2.0, LEVEL) or (None, None)

    assert low == 0.0
    assert high == pytest.approx(2.0 * stats.expon.isf(LEVEL / 2) / 200)


def test_one_row_has_no_interval_of_its_loss() -> None:
    assert of_losses((1.0, 3.0, 9.0), 1.0, LEVEL) is None


def test_equal_losses_have_no_lower_end_of_their_own_despite_rounding() -> None:
    low, high = of_losses((3.0, 0.1 * 3, 0.01 * 3), 0.1, LEVEL) or (0.0, 0.0)

    assert low == pytest.approx(0.1)
    assert high > 0.1


@pytest.mark.parametrize("sums", [(1e6, 1e-200, 1e-300), (9.0, 1e-160, 1e-320), (5.0, 1e9, 2e17 + 1)])
def test_losses_of_any_size_have_numbers_as_ends(sums: tuple[float, float, float]) -> None:
    low, high = of_losses(sums, 36.0, 1e-12) or (np.nan, np.nan)

    assert 0.0 <= low <= sums[1] / sums[0] <= high < np.inf


def test_losses_of_nothing_that_can_be_heavy_have_an_interval_of_one_point() -> None:
    assert of_losses((10.0, 0.0, 0.0), 0.0, LEVEL) == (0.0, 0.0)


def test_an_area_on_few_rows_is_as_uncertain_as_a_share_of_them() -> None:
    few, enough = of_area(0.02, 1e-6, FEW - 1, LEVEL), of_area(0.02, 1e-6, FEW, LEVEL)

    assert few[1] > 0.5
    assert enough == bounded(0.02, 1e-6, FEW, LEVEL)


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
