"""Each distance against SciPy on the same rows, within the bound that the grid's code states."""

from collections.abc import Callable

import numpy as np
import pytest
from scipy import stats
from scipy.spatial.distance import jensenshannon

from detectors.bounds import (
    anderson_darling_range,
    cramer_von_mises_range,
    energy_bound,
    ks_bound,
    wasserstein_bound,
)
from detectors.comparison import Comparison, compare, group_starts, numeric_starts
from detectors.distances import (
    anderson_darling,
    chi2,
    cramer_von_mises,
    energy,
    hellinger,
    js,
    ks,
    l_infinity,
    psi,
    total_variation,
    wasserstein,
)
from detectors.drift import STATISTICS
from detectors.profile import CategorySummary, NumericSummary, summaries
from detectors.pvalues import (
    chi2_pvalue,
    cramer_von_mises_pvalue,
    ks_pvalue,
    psi_pvalue,
)
from detectors.table import Floats, Table
from tests import oracles
from tests.unit.slow_profiles import Columns, make_window

SHIFTS: dict[str, Callable[[Floats], Floats]] = {
    "none": lambda x: x,
    "location": lambda x: x + 0.3,
    "scale": lambda x: x * 1.5,
    "far": lambda x: x + 10.0,
}
TABLES = [
    ([50, 30, 20], [5, 9, 6]),
    ([5000, 300, 20, 0], [40, 9, 6, 0]),
    ([10, 0, 5], [0, 7, 5]),
    ([1, 10**9], [2, 10**9]),
]


def pair(reference: Floats, window: Floats, bins: int = 200) -> tuple[NumericSummary, NumericSummary]:
    seen = make_window({"x": reference}, {"x": window}, bins=bins)
    (a,), (b,) = summaries(seen.grid, seen.reference), summaries(seen.grid, seen.window)
    assert isinstance(a, NumericSummary)
    assert isinstance(b, NumericSummary)
    return a, b


def categories(reference: Columns, window: Columns, limit: int = 1000) -> Comparison:
    seen = make_window(reference, window, limit=limit)
    (a,), (b,) = summaries(seen.grid, seen.reference), summaries(seen.grid, seen.window)
    assert isinstance(a, CategorySummary)
    return compare(a, b)


@pytest.mark.parametrize("shift", SHIFTS)
@pytest.mark.parametrize("bins", [20, 200])
def test_ks_is_below_scipys_by_no_more_than_its_bound(shift: str, bins: int) -> None:
    rng = np.random.default_rng(1)
    x, y = rng.normal(size=2000), SHIFTS[shift](rng.normal(size=300))
    a, b = pair(x, y, bins)
    exact = float(stats.ks_2samp(x, y).statistic)
    score = float(ks(Table.of(a.counts, b.counts)))

    assert score - 1e-12 <= exact <= score + ks_bound(a.counts, b.counts) + 1e-12
    assert ks_bound(a.counts, b.counts) <= max(a.counts.max() / a.n, b.counts.max() / b.n) + 1e-12


@pytest.mark.parametrize("shift", SHIFTS)
@pytest.mark.parametrize("bins", [20, 200])
def test_cramer_von_mises_is_as_near_to_scipys_as_its_range(shift: str, bins: int) -> None:
    rng = np.random.default_rng(2)
    x, y = rng.normal(size=2000), SHIFTS[shift](rng.normal(size=300))
    a, b = pair(x, y, bins)
    exact = float(stats.cramervonmises_2samp(x, y).statistic)
    low, high = cramer_von_mises_range(a.counts, b.counts)

    assert low - 1e-9 <= exact <= high + 1e-9
    assert low - 1e-9 <= float(cramer_von_mises(Table.of(a.counts, b.counts))) <= high + 1e-9


def test_cramer_von_mises_of_200_bins_is_within_a_twentieth_of_scipys() -> None:
    rng = np.random.default_rng(3)
    x, y = rng.normal(size=5000), rng.normal(0.2, 1.0, size=1000)
    a, b = pair(x, y)

    exact = stats.cramervonmises_2samp(x, y).statistic
    assert float(cramer_von_mises(Table.of(a.counts, b.counts))) == pytest.approx(exact, rel=0.05)


def scipys_anderson_darling(x: Floats, y: Floats) -> float:
    """Return A^2 out of SciPy's result: A^2 less its mean, over its deviation (Scholz, Stephens 1987)."""
    rows = np.arange(1.0, len(x) + len(y))
    rest, total = len(rows), len(rows) + 1
    h, pairs = (1.0 / rows).sum(), 1.0 / len(x) + 1.0 / len(y)
    g = sum(float((1.0 / ((total - i) * np.arange(i + 1.0, total))).sum()) for i in range(1, rest))
    a, b = (4 * g - 6) + (10 - 6 * g) * pairs, (2 * g - 4) * 4 + 16 * h + (2 * g - 14 * h - 4) * pairs
    b += -8 * h + 4 * g - 6
    c = (6 * h + 2 * g - 2) * 4 + (4 * h - 4 * g + 6) * 2 + (2 * h - 6) * pairs + 4 * h
    d = (2 * h + 6) * 4 - 8 * h
    variance = (a * total**3 + b * total**2 + c * total + d) / (rest * (total - 2.0) * (total - 3.0))
    found = stats.anderson_ksamp([x, y], variant="right", method=stats.PermutationMethod(n_resamples=1))
    return float(found.statistic * np.sqrt(variance) + 1.0)


@pytest.mark.parametrize("shift", SHIFTS)
@pytest.mark.parametrize("bins", [20, 200])
def test_anderson_darling_is_as_near_to_scipys_as_its_range(shift: str, bins: int) -> None:
    rng = np.random.default_rng(12)
    x, y = rng.normal(size=2000), SHIFTS[shift](rng.normal(size=300))
    a, b = pair(x, y, bins)
    exact = oracles.anderson_darling(x, y)
    low, high = anderson_darling_range(a.counts, b.counts)

    assert exact == pytest.approx(scipys_anderson_darling(x, y), rel=1e-9)
    assert low - 1e-9 <= exact <= high + 1e-9
    assert low - 1e-9 <= float(anderson_darling(Table.of(a.counts, b.counts))) <= high + 1e-9
    assert (
        bins == 20
        or shift == "far"
        or float(anderson_darling(Table.of(a.counts, b.counts))) == pytest.approx(exact, rel=0.1)
    )


@pytest.mark.parametrize("shift", SHIFTS)
@pytest.mark.parametrize("bins", [20, 200])
def test_energy_is_as_near_to_scipys_as_its_bound(shift: str, bins: int) -> None:
    rng = np.random.default_rng(13)
    x, y = rng.normal(3.0, 2.0, size=2000), SHIFTS[shift](rng.normal(3.0, 2.0, size=300))
    a, b = pair(x, y, bins)
    exact = stats.energy_distance(x / x.std(), y / x.std())
    seen = compare(a, b)
    assert seen.places is not None

    score = float(energy(seen.cells.apart, seen.gaps))
    assert abs(score - exact) <= energy_bound(a, b, seen.unit) + 1e-12
    assert bins == 20 or shift == "far" or score == pytest.approx(exact, rel=0.05)


@pytest.mark.parametrize("shift", SHIFTS)
@pytest.mark.parametrize("bins", [20, 200])
def test_wasserstein_is_as_near_to_scipys_as_its_bound(shift: str, bins: int) -> None:
    rng = np.random.default_rng(4)
    x, y = rng.normal(3.0, 2.0, size=2000), SHIFTS[shift](rng.normal(3.0, 2.0, size=300))
    a, b = pair(x, y, bins)
    exact = stats.wasserstein_distance(x, y) / x.std()
    seen = compare(a, b)
    assert seen.places is not None

    score = float(wasserstein(seen.cells.apart, seen.gaps))
    assert abs(score - exact) <= wasserstein_bound(a, b, seen.unit) + 1e-12


def test_wasserstein_of_rows_inside_the_range_is_within_a_hundredth_of_scipys() -> None:
    rng = np.random.default_rng(5)
    x, y = rng.uniform(size=5000), rng.beta(2.0, 2.0, size=1000)
    a, b = pair(x, np.clip(y, x.min(), x.max()))
    seen = compare(a, b)
    assert seen.places is not None

    exact = stats.wasserstein_distance(x, y) / x.std()
    assert float(wasserstein(seen.cells.apart, seen.gaps)) == pytest.approx(exact, rel=0.01)


def test_distances_of_discrete_rows_are_scipys_exactly() -> None:
    rng = np.random.default_rng(6)
    x, y = (np.minimum(rng.poisson(mean, rows), 7).astype(float) for mean, rows in ((3.0, 3000), (3.5, 500)))
    a, b = pair(x, y)
    seen = compare(a, b)
    assert seen.places is not None

    assert float(ks(seen.cells)) == pytest.approx(stats.ks_2samp(x, y).statistic)
    exact = stats.wasserstein_distance(x, y) / x.std()
    assert float(wasserstein(seen.cells.apart, seen.gaps)) == pytest.approx(exact)


@pytest.mark.parametrize(("p", "q"), TABLES)
def test_chi2_is_scipys(p: list[int], q: list[int]) -> None:
    table = np.array([p, q])
    used = table[:, table.sum(axis=0) > 0]
    exact = stats.chi2_contingency(used, correction=False)

    seen = Table.of(table[0], table[1])
    score = chi2(seen)
    assert float(score) == pytest.approx(exact.statistic)
    assert chi2_pvalue(score, seen) == pytest.approx(exact.pvalue)


@pytest.mark.parametrize(("p", "q"), TABLES)
def test_js_is_scipys(p: list[int], q: list[int]) -> None:
    score = float(js(Table.of(np.array(p), np.array(q))))
    assert score == pytest.approx(jensenshannon(p, q, base=2), abs=1e-7)


@pytest.mark.parametrize(("p", "q"), TABLES)
def test_the_distances_of_shares_are_their_formulas(p: list[int], q: list[int]) -> None:
    a, b = np.array(p) / sum(p), np.array(q) / sum(q)
    counts = np.array(p), np.array(q)

    seen = Table.of(*counts)
    assert float(total_variation(seen)) == pytest.approx(np.abs(a - b).sum() / 2)
    assert float(l_infinity(seen)) == pytest.approx(np.abs(a - b).max())
    assert float(hellinger(seen)) == pytest.approx(np.sqrt(max(1 - np.sqrt(a * b).sum(), 0)), abs=1e-7)


def test_psi_takes_off_what_noise_alone_would_give() -> None:
    rng = np.random.default_rng(7)
    masses, n, m = np.full(10, 0.1), 10_000, 500
    p, q = rng.multinomial(n, masses, 4000), rng.multinomial(m, masses, 4000)

    assert float(Table.of(p, q).index.mean()) == pytest.approx(9 * (1 / n + 1 / m), rel=0.03)
    assert float((psi(Table.of(p, q)) == 0).mean()) > 0.5


def test_psi_equals_the_textbook_formula_on_large_samples() -> None:
    p, q = np.array([4, 3, 2, 1]) * 10**7, np.array([1, 2, 3, 4]) * 10**7
    a, b = p / p.sum(), q / q.sum()

    assert float(psi(Table.of(p, q))) == pytest.approx(((a - b) * np.log(a / b)).sum(), rel=1e-5)


def test_pvalues_are_scipys_where_each_row_has_its_own_cell() -> None:
    rng = np.random.default_rng(8)
    x, y = rng.normal(size=1500), rng.normal(0.05, 1.0, size=400)
    cells = np.sort(np.concatenate([x, y]))
    p, q = (np.isin(cells, rows).astype(np.int64) for rows in (x, y))
    exact = stats.cramervonmises_2samp(x, y, method="asymptotic").pvalue

    seen = Table.of(p, q)
    assert cramer_von_mises_pvalue(cramer_von_mises(seen), seen) == pytest.approx(exact, rel=1e-6)
    d, size = stats.ks_2samp(x, y).statistic, np.sqrt(1500 * 400 / 1900)
    assert ks_pvalue(ks(seen), seen) == pytest.approx(stats.kstwobign.sf(d * size))


@pytest.mark.parametrize("name", [name for name, row in STATISTICS.items() if row.pvalue is not None])
def test_pvalues_without_drift_are_uniform(name: str) -> None:
    rng, row = np.random.default_rng(9), STATISTICS[name]
    assert row.pvalue is not None
    cells = 10 if row.takes == "groups" else 200
    masses = np.full(cells, 1 / cells)
    drawn = rng.multinomial(20_000, masses, 1000), rng.multinomial(5000, masses, 1000)
    tables = [Table.of(p, q) for p, q in zip(*drawn, strict=True)]
    found = np.array([row.pvalue(row.score(table), table) for table in tables])

    for level in (0.05, 0.2, 0.5):
        assert float((found < level).mean()) == pytest.approx(level, abs=4 * np.sqrt(level / 1000))


def test_one_cell_is_no_evidence() -> None:
    one = Table.of(np.array([50]), np.array([7]))

    pairs = ((psi, psi_pvalue), (chi2, chi2_pvalue), (ks, ks_pvalue))
    assert [pvalue(score(one), one) for score, pvalue in pairs] == [1.0, 1.0, 1.0]


def test_ten_groups_hold_a_tenth_each() -> None:
    counts = np.random.default_rng(10).multinomial(50_000, np.full(200, 1 / 200))
    groups = np.add.reduceat(counts, group_starts(counts))

    assert len(groups) == 10
    assert groups.max() - groups.min() < 1000


def test_a_heavy_bin_is_a_group_of_its_own() -> None:
    counts = np.array([1, 2, 3, 60, 2, 3, 4, 1])

    assert group_starts(counts).tolist() == [0, 3, 4]


@pytest.mark.parametrize(
    ("counts", "starts"),
    [
        ([0, *[5] * 20, 0], [0, 3, 5, 7, 9, 11, 13, 15, 17, 19]),
        ([0, 100, 0], [0, 1, 2]),
        ([0, 60, *[2] * 20, 0], [0, 1, 2, 7, 12, 17]),
    ],
    ids=["continuous", "constant", "zero-inflated"],
)
def test_rows_outside_join_the_outermost_group_unless_it_is_one_value(
    counts: list[int], starts: list[int]
) -> None:
    assert numeric_starts(np.array(counts)).tolist() == starts


def test_the_49_commonest_categories_the_rest_and_the_new() -> None:
    names = [f"c{i:03}" for i in range(80)]
    reference = np.array([n for i, n in enumerate(names) for _ in range(200 - i)], dtype=object)
    window = np.array(["c000", "c048", "c049", "c079", "never", "never", None], dtype=object)
    for limit in (1000, 60):  # with and without categories beyond the grid's limit
        seen = categories({"c": reference}, {"c": window}, limit)

        assert len(seen.reference) == 51
        assert seen.reference[-2] == sum(200 - i for i in range(49, 80))
        assert [seen.window[0], seen.window[48], *seen.window[-2:]] == [1, 1, 2, 2]


def test_a_far_row_does_not_outweigh_the_others() -> None:
    rng = np.random.default_rng(11)
    x, y = rng.normal(size=1000), rng.normal(size=200)
    a, b = pair(x, np.append(y, 1e30))
    seen = compare(a, b)
    assert seen.places is not None

    assert float(wasserstein(seen.cells.apart, seen.gaps)) < 0.3
