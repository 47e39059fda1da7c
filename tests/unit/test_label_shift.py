"""Label shift: the shares of predicted classes, and of the true ones that they betray."""

import numpy as np
import pytest
from scipy import stats

from detectors.label_shift import estimated_shares, importance, prior_shift
from detectors.table import Floats

RATES = np.array([[0.85, 0.1, 0.05], [0.2, 0.7, 0.1], [0.05, 0.15, 0.8]])
"""By true class, how often each class is predicted."""
USUAL = np.array([0.6, 0.3, 0.1])


def predicted(rng: np.random.Generator, shares: Floats, rows: int) -> Floats:
    true = rng.multinomial(rows, shares)
    return np.stack([rng.multinomial(n, rate) for n, rate in zip(true, RATES, strict=True)])


def test_prior_shift_is_scipys_chi_square() -> None:
    p, q = np.array([800, 150, 50]), np.array([120, 60, 20])
    exact = stats.chi2_contingency(np.array([p, q]), correction=False)
    found = prior_shift(p, q, 1e-3)

    assert found.score == pytest.approx(exact.statistic)
    assert found.pvalue == pytest.approx(exact.pvalue)
    assert found.threshold == pytest.approx(stats.chi2.isf(1e-3, 2))
    assert found.effect == pytest.approx(0.2)


def test_prior_shift_of_calm_rows_holds_its_level_also_with_rare_classes() -> None:
    rng = np.random.default_rng(1)
    shares = np.append(USUAL * 0.99, np.full(5, 0.002))
    drawn = rng.multinomial(5000, shares, 2000), rng.multinomial(300, shares, 2000)
    breaches = [(f.score > f.threshold, f.pvalue < 0.01) for f in map(prior_shift, *drawn, [0.01] * 2000)]

    assert all(over == below for over, below in breaches)
    assert np.mean([over for over, _ in breaches]) == pytest.approx(0.01, abs=0.007)


def test_one_class_is_no_shift_and_no_rows_are_refused() -> None:
    assert prior_shift(np.array([10, 0]), np.array([5, 0]), 0.01).pvalue == 1.0
    with pytest.raises(ValueError, match="need rows"):
        prior_shift(np.array([10, 0]), np.array([0, 0]), 0.01)


@pytest.mark.parametrize("shares", [USUAL, np.array([0.2, 0.3, 0.5]), np.array([0.0, 0.1, 0.9])])
def test_the_true_shares_are_found_and_their_intervals_hold(shares: Floats) -> None:
    rng, covered, values = np.random.default_rng(2), [], []
    for _ in range(300):
        confusion = predicted(rng, USUAL, 3000)
        found = estimated_shares(confusion, predicted(rng, shares, 1000).sum(axis=0))
        covered.append((found.low <= shares) & (shares <= found.high))
        values.append(found.value)

    assert np.mean(values, axis=0) == pytest.approx(shares, abs=0.02)
    assert np.mean(covered, axis=0).min() > 0.92  # 0.95 less the chance of 300 draws
    assert np.sum(values, axis=1) == pytest.approx(1.0)


def test_weights_bring_the_reference_to_the_window() -> None:
    confusion = np.array([[800, 200], [50, 450]])
    found = estimated_shares(confusion, np.array([590, 410]))

    assert importance(confusion, found) == pytest.approx([0.7 / (2 / 3), 0.3 / (1 / 3)])


def test_a_model_that_cannot_tell_classes_apart_is_refused() -> None:
    with pytest.raises(ValueError, match="does not tell the classes apart"):
        estimated_shares(np.array([[500, 500], [50, 50]]), np.array([10, 10]))
    with pytest.raises(ValueError, match="each class needs rows"):
        estimated_shares(np.array([[500, 500], [0, 0]]), np.array([10, 10]))
