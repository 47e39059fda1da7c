"""What holds of the distances for any two samples."""

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import stats
from scipy.spatial.distance import jensenshannon

from detectors.base import Level
from detectors.bounds import anderson_darling_range, cramer_von_mises_range, ks_bound
from detectors.calibration import Calibrator
from detectors.comparison import Comparison, group_starts, numeric_starts
from detectors.distances import anderson_darling, cramer_von_mises, ks
from detectors.drift import STATISTICS, Drift, applies
from detectors.monitors import Judgement, MonitorSpec
from detectors.table import Counts, Table
from tests import oracles
from tests.unit.slow_profiles import make_window

few = settings(max_examples=50)
counts = hnp.arrays(np.int64, st.shared(st.integers(1, 30), key="k"), elements=st.integers(0, 10**6))
samples = counts.filter(lambda c: c.sum() > 0)


def comparison(p: Counts, q: Counts) -> Comparison:
    places = np.arange(len(p), dtype=np.float64)
    return Comparison(p, q, np.arange(len(p)), places)


@pytest.mark.parametrize("name", STATISTICS)
@given(p=samples, q=samples)
@few
def test_a_distance_is_finite_and_not_below_zero(name: str, p: Counts, q: Counts) -> None:
    row = STATISTICS[name]
    seen = comparison(p, q)
    score = float(row.of(seen))
    n, m = int(p.sum()), int(q.sum())

    assert np.isfinite(score)
    assert score >= 0
    assert row.effect(score, n, m) >= 0
    assert row.floor(0.1, n, m) > 0
    if row.pvalue is not None:
        assert 0 <= row.pvalue(row.of(seen), row.arguments(seen)[0]) <= 1


@pytest.mark.parametrize("name", STATISTICS)
@given(p=samples, times=st.integers(1, 50))
@few
def test_equal_shares_have_no_distance(name: str, p: Counts, times: int) -> None:
    scale = 1.0 if STATISTICS[name].exponent else float(times * p.sum())

    assert float(STATISTICS[name].of(comparison(p, (p * times).astype(np.int64)))) <= 1e-7 * scale


@pytest.mark.parametrize("name", ["js", "ks", "hellinger", "total_variation", "l_infinity"])
@given(p=samples, q=samples)
@few
def test_a_distance_of_shares_is_symmetric_and_at_most_one(name: str, p: Counts, q: Counts) -> None:
    there, back = (float(STATISTICS[name].of(comparison(*c))) for c in ((p, q), (q, p)))

    assert there == pytest.approx(back, abs=1e-12)
    assert there <= 1 + 1e-12


@pytest.mark.parametrize("name", [n for n, row in STATISTICS.items() if not row.numeric_only])
@given(p=samples, q=samples, seed=st.integers(0, 1000))
@few
def test_categories_have_no_order(name: str, p: Counts, q: Counts, seed: int) -> None:
    order = np.random.default_rng(seed).permutation(len(p))
    score, shuffled = (float(STATISTICS[name].of(comparison(*c))) for c in ((p, q), (p[order], q[order])))

    assert score == pytest.approx(shuffled, rel=1e-9, abs=1e-9)


@pytest.mark.parametrize("name", STATISTICS)
@given(p=samples, q=samples, r=samples)
@few
def test_many_pairs_at_once_are_judged_as_one_by_one(name: str, p: Counts, q: Counts, r: Counts) -> None:
    windows = np.array([q, r], dtype=np.int64)
    together = STATISTICS[name].of(comparison(p, windows))
    apart = [float(STATISTICS[name].of(comparison(p, window))) for window in (q, r)]

    assert together.tolist() == pytest.approx(apart, rel=1e-9, abs=1e-12)


@given(p=samples, q=samples)
@few
def test_js_and_chi2_are_scipys(p: Counts, q: Counts) -> None:
    table = np.array([p, q])[:, (p + q) > 0]
    exact = stats.chi2_contingency(table, correction=False).statistic

    assert float(STATISTICS["js"].of(comparison(p, q))) == pytest.approx(
        jensenshannon(p, q, base=2), abs=1e-6
    )
    assert float(STATISTICS["chi2"].of(comparison(p, q))) == pytest.approx(exact, rel=1e-6, abs=1e-6)


@given(
    x=hnp.arrays(np.float64, st.integers(2, 60), elements=st.floats(-5, 5), unique=True),
    y=hnp.arrays(np.float64, st.integers(2, 60), elements=st.floats(-5, 5), unique=True),
    cuts=hnp.arrays(np.float64, st.integers(1, 12), elements=st.floats(-5, 5), unique=True),
)
@few
def test_the_bounds_hold_on_any_grid(x: Counts, y: Counts, cuts: Counts) -> None:
    p, q = (np.bincount(np.searchsorted(np.sort(cuts), v), minlength=len(cuts) + 1) for v in (x, y))
    exact = float(stats.ks_2samp(x, y).statistic)
    score = float(ks(Table.of(p, q)))

    assert score - 1e-9 <= exact <= score + ks_bound(p, q) + 1e-9
    low, high = cramer_von_mises_range(p, q)
    assert low - 1e-9 <= float(cramer_von_mises(Table.of(p, q))) <= high + 1e-9
    if not np.isin(x, y).any():  # SciPy's mid-ranks are another statistic where rows are tied
        assert low - 1e-9 <= stats.cramervonmises_2samp(x, y, method="asymptotic").statistic <= high + 1e-9
    low, high = anderson_darling_range(p, q)
    assert low - 1e-9 <= float(anderson_darling(Table.of(p, q))) <= high + 1e-9
    assert low - 1e-9 <= oracles.anderson_darling(x, y) <= high + 1e-9


@given(p=samples)
@few
def test_groups_are_few_and_begin_at_the_first_cell(p: Counts) -> None:
    starts = group_starts(p)

    assert starts[0] == 0
    assert (np.diff(starts) > 0).all()
    assert len(starts) <= 29
    outer = numeric_starts(np.pad(p, 1).astype(np.int64))
    assert outer[0] == 0
    assert (np.diff(outer) > 0).all()


@given(
    x=hnp.arrays(np.float64, st.integers(100, 150), elements=st.floats(-1e150, 1e150)),
    y=hnp.arrays(np.float64, st.integers(0, 120), elements=st.floats(allow_nan=True, allow_infinity=True)),
)
@example(x=np.arange(100.0), y=np.array([3e299]))  # too far away to be told in units of the grid
@few
def test_no_value_makes_a_verdict_that_is_not_a_number(x: Counts, y: Counts) -> None:
    window = make_window({"x": x.astype(np.float64)}, {"x": y.astype(np.float64)}, bins=20)
    specs = [MonitorSpec("x", n, "drift") for n in STATISTICS if applies(n, window.grid.features[0])]

    for verdict in Drift(specs, Judgement(1e-3, min_rows=50), Calibrator()).close(window):
        assert verdict.level in {Level.OK, Level.BREACH, Level.INSUFFICIENT_DATA}
        numbers = [verdict.score, verdict.threshold, verdict.pvalue, verdict.effect]
        assert all(v is None or np.isfinite(v) for v in numbers)
