"""Isotonic regression, against SciPy's."""

import numpy as np
import pytest
from scipy.optimize import isotonic_regression

from detectors.isotonic import isotonic


@pytest.mark.parametrize("seed", range(20))
def test_it_is_scipys_to_the_bit(seed: int) -> None:
    rng = np.random.default_rng(seed)
    n = int(rng.integers(1, 1000))
    rows = rng.integers(1, 500, n)
    noisy = np.clip(np.linspace(0.0, 1.0, n) + rng.normal(0.0, 0.2, n), 0.0, 1.0)
    values, weights = rng.binomial(rows, noisy) / rows, rows.astype(np.float64)
    assert np.array_equal(isotonic(values, weights), isotonic_regression(values, weights=weights).x)


def test_values_that_only_fall_become_their_mean() -> None:
    found = isotonic(np.array([3.0, 2.0, 1.0]), np.array([1.0, 1.0, 2.0]))
    assert found.tolist() == [1.75, 1.75, 1.75]


def test_nothing_stays_nothing() -> None:
    assert isotonic(np.empty(0), np.empty(0)).tolist() == []
