"""The laws behind the windows' null model, against SciPy's own and against draws."""

import numpy as np
import pytest
from scipy import stats

from detectors.probability import (
    SURE,
    chi2_tail,
    dof_of_spread,
    log_variance,
    normal_cdf,
    normal_quantile,
    student_quantile,
    student_tail,
)


@pytest.mark.parametrize("x", [-6.0, -1.0, 0.0, 2.5])
def test_the_normal_law(x: float) -> None:
    assert float(normal_cdf(x)) == pytest.approx(stats.norm.cdf(x))
    assert float(normal_quantile(normal_cdf(x))) == pytest.approx(x, abs=1e-9)


@pytest.mark.parametrize("level", [0.3, 1e-3, 1e-7])
@pytest.mark.parametrize("dof", [1.5, 14.0, SURE])
def test_students_law(dof: float, level: float) -> None:
    at = float(student_quantile(dof, level))

    assert at == pytest.approx(stats.t.isf(level, dof), rel=1e-6)
    assert float(student_tail(dof, at)) == pytest.approx(level, rel=1e-6)


def test_the_chi_square_law() -> None:
    assert float(chi2_tail(24.0, 40.0)) == pytest.approx(stats.chi2.sf(40.0, 24))


@pytest.mark.parametrize("dof", [2.0, 10.0, 80.0])
def test_the_logarithm_of_an_estimated_variance(dof: float) -> None:
    drawn = np.log(np.random.default_rng(1).chisquare(dof, 200_000) / dof)
    mean, variance = log_variance(dof)

    assert float(mean) == pytest.approx(drawn.mean(), abs=0.01)
    assert float(variance) == pytest.approx(drawn.var(), rel=0.02)


@pytest.mark.parametrize("dof", [0.4, 1.0, 7.0, 300.0])
def test_the_degrees_of_freedom_that_vary_so_much(dof: float) -> None:
    assert dof_of_spread(float(log_variance(dof)[1])) == pytest.approx(dof, rel=1e-6)


@pytest.mark.parametrize("variance", [0.0, -1.0, 1e-9])
def test_no_spread_is_certainty(variance: float) -> None:
    assert dof_of_spread(variance) == SURE
