"""Features scored together get what each gets alone; what fails for one stays with it."""

from collections.abc import Mapping

import numpy as np
import pytest
from msgspec.structs import replace

from detectors.comparison import Comparison, numeric_starts
from detectors.drift import STATISTICS
from detectors.recent import Recent
from detectors.stacked import Left, Scored, Stacks, score_all
from detectors.statistic import Statistic
from detectors.table import Floats, Table


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
    together = score_all(row, Stacks(every, Recent(9)), tuple(every))
    apart = {}
    for feature, one in every.items():
        score, table = row.of(one), one.groups if row.takes == "groups" else one.cells
        pvalue = float(row.pvalue(score, table)) if row.pvalue is not None else None
        apart[feature] = Scored(float(score), pvalue)
    assert together == apart
    assert all(np.isfinite(found.score) for found in apart.values())


@pytest.mark.parametrize("name", STATISTICS)
def test_the_reference_that_is_remembered_changes_no_score(name: str) -> None:
    row, every, lefts = STATISTICS[name], features(), Recent[Left](9)
    later = {feature: replace(one, window=one.window + 7) for feature, one in every.items()}
    before = score_all(row, Stacks(every, lefts), tuple(every))
    found = score_all(row, Stacks(later, lefts), tuple(every))
    assert found == score_all(row, Stacks(later, Recent(9)), tuple(every))
    assert found != before
    some = ("d", "a")  # the others have too few rows this time
    assert score_all(row, Stacks(later, lefts), some) == {feature: found[feature] for feature in some}


def test_what_fails_for_one_feature_is_its_own_failure() -> None:
    def score(table: Table) -> Floats:
        if (table.window.counts == 0).any():
            raise ValueError("a cell is empty")
        return np.asarray(table.window.rows, np.float64)

    row = Statistic(score, "cells", 1.0, lambda s, _n, _m: s, lambda e, _n, _m: e)
    counts = np.array([5, 5])
    every: dict[str, Comparison | Exception] = {
        "good": Comparison(counts, counts),
        "bad": Comparison(counts, np.array([0, 10])),
        "none": ValueError("not comparable"),
    }
    found = score_all(row, Stacks(every, Recent(9)), tuple(every))
    assert found["good"] == Scored(10.0, None)
    assert [str(found[name]) for name in ("bad", "none")] == ["a cell is empty", "not comparable"]
