"""Features scored together get what each gets alone; what fails for one stays with it."""

from collections.abc import Mapping

import numpy as np
import pytest

from detectors.comparison import Comparison, numeric_starts
from detectors.distances import Counts, Floats
from detectors.drift import STATISTICS
from detectors.stacked import Scored, score_all
from detectors.statistic import Statistic


def features() -> Mapping[str, Comparison]:
    """Return features of several shapes, among them two of one shape whose groups begin elsewhere."""
    rng = np.random.default_rng(1)
    found = {}
    for name, cells in (("a", 202), ("b", 202), ("c", 40), ("d", 202)):
        reference = rng.poisson(rng.gamma(2.0, 50.0, cells))
        window = rng.poisson(reference * 0.1 + 1.0)
        places = np.sort(rng.normal(size=cells))
        found[name] = Comparison(reference, window, numeric_starts(reference), places, 2.0)
    return found


@pytest.mark.parametrize("name", STATISTICS)
def test_each_score_and_pvalue_is_the_one_it_has_alone_to_the_bit(name: str) -> None:
    row, every = STATISTICS[name], features()
    together = score_all(row, every)
    apart = {feature: score_all(row, {feature: one})[feature] for feature, one in every.items()}
    assert together == apart
    assert all(isinstance(found, Scored) and np.isfinite(found.score) for found in together.values())


def test_what_fails_for_one_feature_is_its_own_failure() -> None:
    def score(_p: Counts, q: Counts) -> Floats:
        if (q == 0).any():
            raise ValueError("a cell is empty")
        return np.asarray(q.sum(axis=-1), np.float64)

    row = Statistic(score, "cells", 1.0, lambda s, _n, _m: s, lambda e, _n, _m: e)
    counts = np.array([5, 5])
    found = score_all(row, {"good": Comparison(counts, counts), "bad": Comparison(counts, np.array([0, 10]))})
    assert found["good"] == Scored(10.0, None)
    assert str(found["bad"]) == "a cell is empty"
