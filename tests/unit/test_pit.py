"""A feature on the scale of its reference: SciPy's percentile of the rows where bins are values."""

import numpy as np
import pytest
from scipy import stats

from detectors.mean_bound import moments_of
from detectors.measure import Floats
from detectors.pit import Pit
from detectors.profile import NumericGrid, NumericSummary, summaries
from tests.unit.slow_profiles import make_grid, make_profile, numeric_grid


def pit_of(rows: Floats, bins: int = 200) -> Pit:
    columns = {"x": rows}
    grid = make_grid(columns, bins)
    (summary,) = summaries(grid, make_profile(grid, columns))
    assert isinstance(summary, NumericSummary)
    return Pit.of_summary(summary)


def test_where_every_value_is_a_bin_it_is_scipys_percentile() -> None:
    rows = np.random.default_rng(1).poisson(3.0, 500).astype(float)

    mapped = pit_of(rows).map(np.arange(8.0))

    expected = [stats.percentileofscore(rows, value, kind="mean") / 100 for value in range(8)]
    assert mapped == pytest.approx(expected)


def test_of_a_continuous_feature_it_is_as_near_as_a_bin() -> None:
    rows = np.random.default_rng(2).normal(size=10_000)
    new = np.linspace(rows.min(), rows.max(), 501)

    expected = [stats.percentileofscore(rows, value, kind="mean") / 100 for value in new]

    assert np.abs(pit_of(rows).map(new) - expected).max() <= 0.0051


def test_the_unit_of_a_feature_does_not_matter() -> None:
    rows = np.random.default_rng(3).normal(size=1000)
    new = np.random.default_rng(4).normal(0.5, size=100)

    assert pit_of(rows).map(new).tolist() == pit_of(rows * 1024).map(new * 1024).tolist()


def test_beyond_the_reference_it_is_0_and_1() -> None:
    pit = pit_of(np.arange(10.0))

    assert pit.map(np.array([-0.001, -1e300, 9.001, 1e300])).tolist() == [0.0, 0.0, 1.0, 1.0]


def test_the_extremes_are_inside_of_the_reference() -> None:
    low, high = pit_of(np.arange(10.0)).map(np.array([0.0, 9.0]))

    assert (low, high) == (0.05, 0.95)


def test_what_is_not_finite_has_no_place() -> None:
    mapped = pit_of(np.arange(10.0)).map(np.array([np.nan, np.inf, -np.inf]))

    assert np.isnan(mapped).all()


def test_no_rows_are_mapped_to_no_rows() -> None:
    assert pit_of(np.arange(10.0)).map(np.empty(0)).shape == (0,)


def test_a_constant_is_in_the_middle_of_itself() -> None:
    assert pit_of(np.full(50, 4.0)).map(np.array([3.9, 4.0, 4.1])).tolist() == [0.0, 0.5, 1.0]


@pytest.mark.parametrize("bins", [5, 200])
def test_the_reference_has_the_moments_of_its_own_places(bins: int) -> None:
    rows = np.random.default_rng(5).exponential(size=777)
    pit = pit_of(rows, bins)

    own = moments_of(pit.map(rows))

    assert pit.reference.n == own.n == 777
    assert pit.reference.mean == pytest.approx(0.5)
    assert pit.reference.squares == pytest.approx(own.squares)


def test_missing_rows_of_the_reference_count_for_nothing() -> None:
    rows = np.arange(10.0)

    assert pit_of(np.append(rows, [np.nan, np.inf])).places.tolist() == pit_of(rows).places.tolist()


def test_a_reference_without_rows_is_refused() -> None:
    grid: NumericGrid = numeric_grid("age", np.arange(10.0))

    with pytest.raises(ValueError, match="age: the reference has no value"):
        Pit.of(grid, np.zeros(grid.bins + 2, np.int64))
