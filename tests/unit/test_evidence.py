"""How far out the evidence of a block of windows may be."""

import numpy as np
import pytest
from msgspec.structs import replace
from scipy import stats

from detectors.evidence import Merged, Tail
from detectors.probability import SURE
from detectors.table import Floats

NO_SKEW = np.zeros((1, 1))


def one(value: float) -> Floats:
    return np.full(1, value)


def block(z: float = 0.0, variance: float = 1.0) -> Merged:
    """One window whose readings have this variance."""
    at = np.ones((1, 1))
    return Merged(z * at, at / variance, 100.0 * at, at)


@pytest.fixture
def sure() -> Tail:
    return Tail(1, one(1.0), one(SURE), one(0.0), one(0.0), one(0.0), one(1.0), one(1.0))


@pytest.mark.parametrize("level", [1e-2, 1e-5, 1e-7])
def test_what_is_sure_has_the_normal_limit(sure: Tail, level: float) -> None:
    found = float(sure.limit(block(), one(level), NO_SKEW)[0, 0])

    assert found == pytest.approx(stats.norm.isf(level / 2), rel=0.01)


def test_what_is_known_from_few_blocks_has_students_limit(sure: Tail) -> None:
    found = float(replace(sure, dof=one(14.0)).limit(block(), one(1e-4), NO_SKEW)[0, 0])

    assert found == pytest.approx(stats.t.isf(5e-5, 14))


def test_heavy_tails_and_few_blocks_add_up(sure: Tail) -> None:
    both = replace(sure, dof=one(20.0), heavy=one(1 / 5))

    found = float(both.limit(block(), one(1e-4), NO_SKEW)[0, 0])
    assert found == pytest.approx(stats.t.isf(5e-5, 4))


@pytest.mark.parametrize("mean", [5.0, 20.0, 200.0])
def test_a_skewed_tail_reaches_as_far_as_a_count_of_rare_rows(sure: Tail, mean: float) -> None:
    exact = (stats.poisson.isf(1.5e-6, mean) - mean) / mean**0.5
    found = float(sure.limit(block(), one(3e-6), np.full((1, 1), mean**-0.5))[0, 0])

    assert found == pytest.approx(exact, rel=0.1)


def test_no_limit_is_below_what_the_reference_reached(sure: Tail) -> None:
    assert float(replace(sure, top=one(9.0)).limit(block(), one(0.1), NO_SKEW)[0, 0]) == 9.0


@pytest.mark.parametrize("skew", [0.0, 0.1, 0.5])
@pytest.mark.parametrize("level", [1e-2, 1e-6])
def test_the_p_value_inverts_the_limit(sure: Tail, level: float, skew: float) -> None:
    tail = replace(sure, dof=one(30.0), square=one(4.0))
    towards = np.full((1, 1), skew)
    limit = float(tail.limit(block(), one(level), towards)[0, 0])

    assert float(tail.pvalue(block(limit), towards)[0, 0]) == pytest.approx(level, rel=1e-3)


def test_windows_like_the_references_are_judged_like_them(sure: Tail) -> None:
    tail = replace(sure, square=one(9.0), dof=one(50.0), variance=one(0.3))
    spread, certainty = tail.spread(block(variance=0.3))

    assert (float(spread[0, 0]), float(certainty[0, 0])) == pytest.approx((3.0, 1.0))


def test_of_larger_windows_less_is_chance_and_less_is_known(sure: Tail) -> None:
    tail = replace(sure, square=one(4.0), dof=one(50.0))
    spread, certainty = tail.spread(block(variance=0.1))

    # the variance of a block was 4 and is 4 - 1 + 0.1 now
    assert float(spread[0, 0]) ** 2 * 0.1 == pytest.approx(3.1)
    assert float(certainty[0, 0]) == pytest.approx((3.1 / 4.0) ** 2)


def test_of_smaller_windows_more_is_chance(sure: Tail) -> None:
    spread, certainty = replace(sure, square=one(4.0)).spread(block(variance=10.0))

    assert float(spread[0, 0]) ** 2 == pytest.approx(1.3)
    assert float(certainty[0, 0]) == 1.0


def test_a_thin_reference_hardly_knows_what_full_windows_do(sure: Tail) -> None:
    tail = replace(sure, dof=one(360.0))
    full, thin = (float(tail.limit(block(variance=v), one(1e-4), NO_SKEW)[0, 0]) for v in (0.05, 1.0))

    assert full > 5 * thin


def test_a_window_without_rows_has_a_limit(sure: Tail) -> None:
    nothing = Merged(*(np.zeros((1, 1)),) * 4)

    assert np.isfinite(sure.limit(nothing, one(1e-4), NO_SKEW)).all()
    assert float(sure.pvalue(nothing, NO_SKEW)[0, 0]) == pytest.approx(1.0)
