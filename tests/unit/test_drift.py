"""What the drift detector says, when it says nothing, and that one bad column never stops the others."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from msgspec.structs import replace
from numpy.typing import NDArray

from detectors.base import Level, Verdict
from detectors.calibration import Calibrator
from detectors.drift import STATISTICS, Drift, applies
from detectors.monitors import Judgement, MonitorSpec, default_statistic
from detectors.profile import CategoryGrid, Grid, NumericGrid, WindowProfile, empty
from detectors.standing import References
from tests.unit.slow_profiles import make_window

ALARMS = Judgement(level=1e-4)


def judge(window: WindowProfile, alarms: Judgement = ALARMS) -> dict[tuple[str, str], Verdict]:
    specs = [
        MonitorSpec(f.name, n, "drift") for f in window.grid.features for n in STATISTICS if applies(n, f)
    ]
    return {(v.feature, v.detector): v for v in Drift(specs, alarms, Calibrator()).close(window)}


def normal(seed: int, n: int, mean: float = 0.0) -> NDArray[Any]:
    return np.random.default_rng(seed).normal(mean, 1.0, n)


def of(values: NDArray[Any], reference: NDArray[Any] | None = None) -> WindowProfile:
    return make_window({"x": normal(1, 2000) if reference is None else reference}, {"x": values})


def levels(verdicts: dict[tuple[str, str], Verdict]) -> set[Level]:
    return {v.level for v in verdicts.values()}


def test_no_drift_is_ok_and_a_shift_of_one_standard_deviation_a_breach() -> None:
    calm, moved = judge(of(normal(2, 500))), judge(of(normal(2, 500, mean=1.0)))

    assert levels(calm) == {Level.OK}
    assert levels(moved) == {Level.BREACH}
    assert all((v.n, v.kind) == (500, "drift") for v in moved.values())


def test_large_windows_need_an_effect_too() -> None:
    slight = of(normal(2, 20_000, mean=0.05), normal(1, 20_000))
    strict, lenient = judge(slight, Judgement(0.01, min_effect=0.1)), judge(slight, Judgement(0.01, 0.0))

    assert strict["x", "ks"].level == Level.OK
    assert lenient["x", "ks"].level == Level.BREACH
    pvalue = strict["x", "ks"].pvalue
    assert pvalue is not None
    assert pvalue < 0.01


@pytest.mark.parametrize("name", STATISTICS)
@pytest.mark.parametrize("effect", [0.0, 0.05, 0.5])
def test_the_floor_is_the_score_of_the_effect(name: str, effect: float) -> None:
    row = STATISTICS[name]

    assert row.effect(row.floor(effect, 900, 300), 900, 300) == pytest.approx(effect)


def test_the_effect_of_chi2_is_cramers_v_and_does_not_shrink_with_the_reference() -> None:
    window = np.array(["a"] * 80 + ["b"] * 20, dtype=object)
    effects = []
    for n in (100, 10_000):
        seen = make_window({"c": np.array(["a", "b"] * (n // 2), dtype=object)}, {"c": window})
        verdict = judge(seen, replace(ALARMS, min_rows=50))["c", "chi2"]
        effects.append(verdict.effect)
        assert verdict.score is not None

    assert effects[0] == pytest.approx(np.sqrt(18.0 / 0.91 / 200), rel=0.01)  # sqrt(chi2 / n) of 100 and 100
    assert effects[1] == pytest.approx(effects[0], rel=0.1)


def test_the_users_threshold_replaces_both_others() -> None:
    window = of(normal(2, 500, mean=0.5))
    specs = [MonitorSpec("x", "ks", "drift", t) for t in (0.9, 0.001)]
    high, low = Drift(specs, ALARMS, Calibrator()).close(window)

    assert (high.level, high.threshold) == (Level.OK, 0.9)
    assert (low.level, low.threshold) == (Level.BREACH, 0.001)


@pytest.mark.parametrize(
    ("reference", "window"),
    [
        (normal(1, 2000), np.empty(0)),
        (normal(1, 2000), np.array([1.0])),
        (normal(1, 2000), np.full(500, np.nan)),
        (normal(1, 2000), np.append(np.full(500, np.nan), normal(2, 99))),
        (normal(1, 50), normal(2, 500)),
        (np.array([1.0]), normal(2, 500)),
    ],
    ids=["no row", "one row", "all NaN", "few finite", "small reference", "reference of one row"],
)
def test_too_little_data_is_not_judged(reference: NDArray[Any], window: NDArray[Any]) -> None:
    verdicts = judge(of(window, reference))

    assert verdicts.keys() == judge(of(normal(2, 500))).keys() > set()
    for verdict in verdicts.values():
        assert verdict.level == Level.INSUFFICIENT_DATA
        assert verdict.n == np.isfinite(window).sum()
        assert verdict.score is verdict.threshold is verdict.pvalue is verdict.effect is None
        assert verdict.note


def test_without_rows_in_the_reference_there_is_none() -> None:
    window = of(normal(2, 500))

    assert levels(judge(replace(window, reference=empty(window.grid)))) == {Level.NO_REFERENCE}


def test_without_values_in_the_reference_there_is_none() -> None:
    window = of(normal(2, 500))
    nothing = of(np.full(500, np.nan), normal(3, 500)).window  # missing values only, on the window's grid
    verdicts = judge(replace(window, reference=nothing))

    assert levels(verdicts) == {Level.NO_REFERENCE}
    assert {v.note for v in verdicts.values()} == {"the reference has no values of it"}


def test_missing_and_infinite_values_are_no_part_of_the_distance() -> None:
    odd = np.array([np.nan, np.inf, -np.inf] * 100)
    plain, mixed = judge(of(normal(2, 500))), judge(of(np.append(normal(2, 500), odd)))

    assert plain == mixed


def test_a_shift_is_found_behind_not_a_number() -> None:
    assert levels(judge(of(np.append(np.nan, normal(2, 500, mean=3.0))))) == {Level.BREACH}


def test_a_constant_that_stays_is_ok_with_score_zero() -> None:
    verdicts = judge(of(np.full(300, 5.0), np.full(2000, 5.0))).values()

    assert {v.level for v in verdicts} == {Level.OK}
    assert {v.score for v in verdicts} == {0.0}


@pytest.mark.parametrize("to", [5.0001, -1e6])
def test_a_constant_that_moves_is_found_by_every_statistic(to: float) -> None:
    assert levels(judge(of(np.full(300, to), np.full(2000, 5.0)))) == {Level.BREACH}


def test_a_billion_rows_are_judged() -> None:
    window = of(normal(2, 500))
    big = {
        part: replace(profile, rows=profile.rows * 10**6, cells=profile.cells * 10**6)
        for part, profile in (("window", window.window), ("reference", window.reference))
    }

    verdicts = judge(replace(window, window=big["window"], reference=big["reference"]))
    assert levels(verdicts) <= {Level.OK, Level.BREACH}
    assert verdicts["x", "ks"].n == 500 * 10**6


def test_one_row_of_a_new_category_is_no_drift_for_the_default() -> None:
    rng = np.random.default_rng(3)
    names = np.array(["a", "b", "c"], dtype=object)
    reference, window = names[rng.choice(3, 20_000)], names[rng.choice(3, 500)]
    seen = make_window({"c": reference}, {"c": np.append(window, "typo")})

    assert judge(seen)["c", default_statistic(seen.grid.features[0])].level == Level.OK


@pytest.mark.parametrize(
    ("reference", "window"),
    [
        (normal(1, 4000), normal(2, 500, mean=0.5)),
        (normal(1, 4000), normal(2, 500) * 1.5),
        (np.exp(normal(1, 4000)), np.exp(normal(2, 500, mean=0.5))),
        (np.exp(3 * normal(1, 4000)), np.exp(3 * normal(2, 500, mean=0.5))),
        (1.0 * (normal(1, 4000) > 0), 1.0 * (normal(2, 500, mean=0.5) > 0)),
    ],
    ids=["location", "scale", "skewed", "heavy tail", "two values"],
)
def test_the_default_finds_a_plain_change(reference: NDArray[Any], window: NDArray[Any]) -> None:
    seen = of(window, reference)

    assert judge(seen)["x", default_statistic(seen.grid.features[0])].level == Level.BREACH


def broken(grid: NumericGrid) -> NumericGrid:
    return replace(grid, places=(float("nan"), *grid.places[1:]))


def cut(grid: NumericGrid) -> NumericGrid:
    return replace(grid, places=grid.places[1:])


@pytest.mark.parametrize("harm", [broken, cut])
def test_one_bad_column_is_an_error_and_the_others_are_judged(
    harm: Callable[[NumericGrid], NumericGrid],
) -> None:
    reference = {"bad": normal(1, 2000), "good": normal(4, 2000)}
    window = make_window(reference, {"bad": normal(2, 500), "good": normal(5, 500, mean=2.0)})
    grid = Grid((harm(window.grid.numeric[0]), window.grid.numeric[1]))
    specs = [MonitorSpec(name, "wasserstein", "drift") for name in ("bad", "good", "absent")]
    bad, good, absent = Drift(specs, ALARMS, Calibrator()).close(replace(window, grid=grid))

    assert (bad.level, bad.score) == (Level.ERROR, None)
    assert bad.note
    assert good.level == Level.BREACH
    assert absent.level == Level.ERROR


def test_an_unknown_statistic_is_refused() -> None:
    with pytest.raises(ValueError, match="no such statistic: psy"):
        Drift([MonitorSpec("x", "psy", "drift")], ALARMS, Calibrator())


def test_order_statistics_are_not_for_categories() -> None:
    category = CategoryGrid("c", ("a",))

    assert {n for n in STATISTICS if not applies(n, category)} == {
        "ks",
        "wasserstein",
        "energy",
        "cramer_von_mises",
        "anderson_darling",
    }


def test_references_with_equal_counts_on_other_grids_are_told_apart() -> None:
    plain, skewed = of(normal(2, 500)), of(np.exp(normal(2, 500)), np.exp(normal(1, 2000)))
    assert np.array_equal(plain.reference.cells[:200], skewed.reference.cells[:200])
    specs, references = [MonitorSpec("x", "wasserstein", "drift")], References()
    alone, beside = (
        [
            Drift(specs, Judgement(0.01, 0.0), Calibrator(), references=shared).close(window)[0].threshold
            for window in (plain, skewed)
        ]
        for shared in (None, references)
    )

    assert beside == alone
    assert alone[0] != alone[1]
