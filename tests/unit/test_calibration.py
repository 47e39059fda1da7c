"""Thresholds are exceeded as often as they promise, whatever the feature and the sizes."""

from collections import defaultdict
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from functools import partial

import numpy as np
import pytest
from msgspec.structs import replace

from detectors.budget import level
from detectors.calibration import Asked, Calibrator
from detectors.comparison import Comparison, numeric_starts
from detectors.drift import STATISTICS
from detectors.monitors import known
from detectors.null import null_of
from detectors.profile import Grid, empty
from detectors.recent import Recent
from detectors.standing import References
from detectors.table import Floats
from detectors.tail import upper_quantile

BINS = 200
LEVELS = (0.01, 0.001)
SIZES = pytest.mark.parametrize(("n", "m"), [(10_000, 500), (3000, 2700)], ids=["m<<n", "m~n"])
# The relative error of a threshold from 2,000 draws (about 20 exceedances) and that of counting breaches:
# at most four of their standard errors together.
MOST = {0.01: 1 + 4 * (1 / 20 + 1 / 200) ** 0.5, 0.001: 1 + 4 * (1 / 20 + 1 / 20) ** 0.5}


def rates(pairs: Iterable[Comparison], sizes: tuple[int, int]) -> dict[tuple[str, float], float]:
    """Return for each statistic and level how often windows breach, over that level.

    Each pair is one reference beside many windows.
    """
    calibrator, found = Calibrator(), defaultdict(list)
    for pair in pairs:
        rows = {k: row for k, row in STATISTICS.items() if not (pair.places is None and row.numeric_only)}
        asked = Asked(tuple(rows.values()), null_of(pair), sizes)
        for a in LEVELS:
            thresholds = calibrator.thresholds([asked], a)[0]
            for (name, row), threshold in zip(rows.items(), thresholds, strict=True):
                found[name, a].append(float((row.of(pair) > known(threshold)).mean()) / a)
    return {key: float(np.mean(rate)) for key, rate in found.items()}


def too_high(found: dict[tuple[str, float], float]) -> dict[tuple[str, float], float]:
    return {key: rate for key, rate in found.items() if rate > MOST[key[1]]}


@SIZES
def test_a_continuous_feature_breaches_as_often_as_its_level(n: int, m: int) -> None:
    """Each window stands beside its own reference of n rows, cut at its own quantiles.

    The mass between order statistics k apart is a gamma of shape k over the sum of all of them.
    """
    rng = np.random.default_rng(1)
    reference = np.diff(np.ceil(np.arange(BINS + 1) / BINS * n)).astype(np.int64)
    shape = np.array([1.0, reference[0] - 1.0, *reference[1:], 1.0])
    masses = rng.standard_gamma(shape, (20_000, BINS + 2))
    window = rng.multinomial(m, masses / masses.sum(axis=1, keepdims=True))
    places = np.array([0.0, *((np.arange(BINS) + 0.5) / BINS), 1.0])
    padded = np.pad(reference, 1)

    found = rates([Comparison(padded, window, numeric_starts(padded), places, 12**-0.5)], (n, m))
    assert too_high(found) == {}
    assert all(found[name, 0.01] > 0.4 for name in STATISTICS)


@SIZES
@pytest.mark.parametrize(
    "masses",
    [[0.05, 0.15, 0.22, 0.22, 0.17, 0.1, 0.05, 0.02, 0.02], [0.6, *[0.01] * 40]],
    ids=["discrete", "zero-inflated"],
)
def test_a_feature_of_few_values_breaches_as_often_as_its_level(masses: list[float], n: int, m: int) -> None:
    rng = np.random.default_rng(2)
    cells = np.pad(np.array(masses), 1)
    places = np.array([0.0, *range(len(masses)), len(masses) - 1.0])
    pairs = [
        Comparison(reference, rng.multinomial(m, cells, 500), numeric_starts(reference), places)
        for reference in rng.multinomial(n, cells, 40)
    ]

    found = rates(pairs, (n, m))
    assert too_high(found) == {}
    assert all(found[name, 0.01] > 0.2 for name in STATISTICS)


@SIZES
def test_a_category_breaches_as_often_as_its_level(n: int, m: int) -> None:
    rng = np.random.default_rng(3)
    masses = np.array([0.5, 0.3, 0.1, 0.05, *np.full(10, 0.005), 0.0])
    pairs = [Comparison(p, rng.multinomial(m, masses, 500)) for p in rng.multinomial(n, masses, 40)]

    found = rates(pairs, (n, m))
    assert too_high(found) == {}
    assert all(found[name, 0.01] > 0.2 for name, row in STATISTICS.items() if not row.numeric_only)


def test_categories_that_the_reference_missed_by_chance_are_no_drift() -> None:
    rng = np.random.default_rng(4)
    masses = np.append(np.full(4, 0.225), np.full(50, 0.002))
    pairs = []
    for reference in rng.multinomial(1000, masses, 60):
        seen = reference > 0
        windows = rng.multinomial(500, masses, 300)
        merged = np.column_stack([windows[:, seen], windows[:, ~seen].sum(axis=1)])
        once, twice = float((reference == 1).sum()), float((reference == 2).sum())
        pairs.append(Comparison(np.append(reference[seen], 0), merged, unseen=(once, once + 2 * twice)))

    assert np.mean([pair.window[:, -1].mean() for pair in pairs]) > 5  # there are many of them
    assert too_high(rates(pairs, (1000, 500))) == {}


def ordinary(n: int, places: Floats | None = None) -> Comparison:
    counts = np.pad(np.full(BINS, n // BINS), 1)
    at = np.linspace(0.0, 1.0, BINS + 2) if places is None else places
    return Comparison(counts, counts, numeric_starts(counts), at, 12**-0.5)


@pytest.mark.parametrize("name", STATISTICS)
def test_the_same_question_has_the_same_answer(name: str) -> None:
    row, null = STATISTICS[name], null_of(ordinary(10_000))
    first, second = Calibrator(), Calibrator()
    second.threshold(STATISTICS["psi"], null_of(ordinary(4000)), (4000, 70), 0.01)  # another past

    asked = [first.threshold(row, null, (10_000, m), 1e-4) for m in (500, 700, 500)]
    assert asked[0] == asked[2] == second.threshold(row, null, (10_000, 500), 1e-4)


def test_simulations_side_by_side_have_the_same_answers() -> None:
    null = null_of(ordinary(10_000))
    rows = tuple(STATISTICS.values())
    asked = [Asked(rows, null, (10_000, m)) for m in (500, 70_000)]
    with ThreadPoolExecutor(2) as pool:
        found = Calibrator(pool.map).thresholds(asked, 1e-4)
    assert found == [[Calibrator().threshold(row, null, one.sizes, 1e-4) for row in rows] for one in asked]


def test_a_statistic_that_fails_leaves_the_others_their_thresholds() -> None:
    def broken(*_: object) -> Floats:
        raise ZeroDivisionError

    row, null = STATISTICS["ks"], null_of(ordinary(10_000))
    ((failed, found),) = Calibrator().thresholds(
        [Asked((replace(row, score=broken), row), null, (10_000, 500))], 1e-4
    )
    assert isinstance(failed, ZeroDivisionError)
    assert found == Calibrator().threshold(row, null, (10_000, 500), 1e-4)


def test_larger_windows_have_lower_thresholds() -> None:
    calibrator, null = Calibrator(), null_of(ordinary(100_000))
    found = [
        calibrator.threshold(STATISTICS["ks"], null, (100_000, m), 1e-4)
        for m in (100, 300, 1000, 10_000, 10**5, 10**7, 10**9)
    ]

    assert found == sorted(found, reverse=True)
    assert found[-1] > 0


@pytest.mark.parametrize("a", [0.01, 1e-3, 1e-5])
def test_ks_meets_kolmogorovs_law(a: float) -> None:
    n, m = 50_000, 20_000
    exact = np.sqrt(-np.log(a / 2) / 2 * (1 / n + 1 / m))

    found = Calibrator().threshold(STATISTICS["ks"], null_of(ordinary(n)), (n, m), a)
    assert found == pytest.approx(exact, rel=0.1)


def test_a_constant_has_the_threshold_zero() -> None:
    counts = np.array([0, 5000, 0])
    pair = Comparison(counts, counts, numeric_starts(counts), np.array([-1.0, 0.0, 1.0]))

    found = {
        n: Calibrator().threshold(row, null_of(pair), (5000, 800), 1e-4) for n, row in STATISTICS.items()
    }
    assert set(found.values()) == {0.0}


def test_an_extrapolated_quantile_is_near_the_true_one_and_seldom_below_it() -> None:
    rng = np.random.default_rng(5)
    found = np.array([upper_quantile(rng.exponential(size=2000), 1e-5) for _ in range(200)])

    assert 1.0 <= np.median(found) / -np.log(1e-5) <= 1.3
    assert (found < -np.log(1e-5) * 0.85).mean() < 0.05


def test_ties_do_not_raise_the_rate() -> None:
    scores = np.repeat([0.0, 1.0], [1500, 500])

    assert upper_quantile(scores, 0.1) == 1.0
    assert upper_quantile(scores, 1e-4) == 1.0


def test_what_was_not_asked_for_lately_is_forgotten() -> None:
    recent: Recent[int] = Recent(2)
    made: list[str] = []

    def make(key: str) -> int:
        made.append(key)
        return len(made)

    for key in "abacab":
        recent.get(key, partial(make, key))
    assert made == ["a", "b", "c", "b"]


def test_what_is_made_of_a_reference_is_made_once() -> None:
    grid, references = Grid(()), References()
    segments = [empty(grid) for _ in range(40)]

    first, again = ([references.of(grid, profile) for profile in segments] for _ in range(2))
    assert list(map(id, again)) == list(map(id, first))
    assert len(set(map(id, first))) == 40


def test_the_levels_of_all_monitors_and_windows_add_up_to_the_budget() -> None:
    per_window = level((2.0, timedelta(days=30)), timedelta(hours=6), 40)

    assert per_window * 40 * 30 * 4 == pytest.approx(2.0)
    assert level((1000.0, timedelta(days=1)), timedelta(days=1), 1) == 0.5


@pytest.mark.parametrize(
    ("count", "days", "hours", "monitors"), [(0.0, 1, 1, 1), (1.0, 0, 1, 1), (1.0, 1, 0, 1), (1.0, 1, 1, 0)]
)
def test_a_budget_of_nothing_is_refused(count: float, days: int, hours: int, monitors: int) -> None:
    with pytest.raises(ValueError, match="above zero"):
        level((count, timedelta(days=days)), timedelta(hours=hours), monitors)
