"""Quality: missing, mistyped, out of range, new, too few or too many, and what chance allows of it."""

from typing import Any

import numpy as np
import pytest
from msgspec.structs import replace
from numpy.typing import NDArray

from detectors.allowance import largest_share
from detectors.base import Level, Verdict
from detectors.contract import Columns
from detectors.monitors import Judgement, MonitorSpec
from detectors.profile import WindowProfile, empty
from detectors.quality import QUALITY, Quality, quality_monitors
from tests.unit.slow_profiles import make_window

ALARMS = Judgement(level=1e-4)


def judge(window: WindowProfile, alarms: Judgement = ALARMS) -> dict[tuple[str, str], Verdict]:
    verdicts = Quality(quality_monitors(window.grid), alarms).close(window)
    return {(v.feature, v.detector): v for v in verdicts}


def numbers(seed: int, n: int, missing: float = 0.0) -> NDArray[Any]:
    rng = np.random.default_rng(seed)
    return np.where(rng.random(n) < missing, np.nan, rng.normal(size=n))


def colours(seed: int, n: int, p: tuple[float, ...] = (0.6, 0.4, 0.0, 0.0)) -> NDArray[Any]:
    names = np.array(["red", "blue", "black", None], dtype=object)
    return names[np.random.default_rng(seed).choice(4, n, p=p)]


def columns(seed: int, n: int) -> Columns:
    return {"x": numbers(seed, n), "c": colours(seed, n)}


def breaches(verdicts: dict[tuple[str, str], Verdict]) -> set[tuple[str, str]]:
    return {key for key, v in verdicts.items() if v.level == Level.BREACH}


def test_a_window_like_the_reference_breaches_nothing() -> None:
    verdicts = judge(make_window(columns(1, 3000), columns(2, 500)))

    assert breaches(verdicts) == set()
    assert verdicts["_all", "row_volume"].level == Level.INSUFFICIENT_DATA
    assert {v.level for k, v in verdicts.items() if k[1] != "row_volume"} == {Level.OK}
    assert {v.kind for v in verdicts.values()} == {"quality"}


@pytest.mark.parametrize("odd", [np.nan, np.inf, -np.inf])
def test_values_that_are_no_numbers_count_as_missing(odd: float) -> None:
    window = numbers(2, 500)
    window[:50] = odd
    verdict = judge(make_window({"x": numbers(1, 3000)}, {"x": window}))["x", "null_share"]

    assert verdict.level == Level.BREACH
    assert verdict.score == pytest.approx(0.1)


def test_as_many_missing_as_in_the_reference_or_fewer_are_no_fault() -> None:
    for missing in (0.3, 0.0):
        window = make_window({"x": numbers(1, 3000, 0.3)}, {"x": numbers(2, 500, missing)})
        verdict = judge(window)["x", "null_share"]

        assert verdict.level == Level.OK


def test_a_column_that_vanished_alarms() -> None:
    verdicts = judge(make_window(columns(1, 3000), {"c": colours(2, 500)}))

    assert breaches(verdicts) == {("x", "null_share")}
    assert verdicts["x", "out_of_range"].level == Level.INSUFFICIENT_DATA


def test_type_failures_are_compared_with_the_reference() -> None:
    window = make_window({"x": numbers(1, 3000)}, {"x": numbers(2, 450)})
    cells = window.window.cells.copy()
    invalid = window.grid.slices["x"].stop - 5
    cells[invalid] = 50
    mistyped = replace(window, window=replace(window.window, rows=500, cells=cells))

    verdict = judge(mistyped)["x", "type_failures"]
    assert (verdict.level, verdict.score) == (Level.BREACH, 0.1)


def test_values_outside_the_references_range() -> None:
    far = np.append(numbers(2, 450), np.full(50, 100.0))
    verdict = judge(make_window({"x": numbers(1, 3000)}, {"x": far}))["x", "out_of_range"]

    assert verdict.level == Level.BREACH
    assert verdict.score == pytest.approx(0.1, abs=0.005)


def test_values_that_the_reference_never_held() -> None:
    window = make_window({"c": colours(1, 3000)}, {"c": colours(2, 500, (0.5, 0.3, 0.1, 0.1))})
    verdict = judge(window)["c", "new_category"]

    assert verdict.level == Level.BREACH
    assert verdict.score == pytest.approx(0.11, abs=0.03)


def test_new_values_are_expected_where_many_occur_once() -> None:
    towns = np.array([f"town {i}" for i in range(5000)], dtype=object)
    rng = np.random.default_rng(3)
    window = make_window({"c": towns[rng.choice(5000, 2000)]}, {"c": towns[rng.choice(5000, 500)]})
    verdict = judge(window)["c", "new_category"]

    assert verdict.level == Level.OK
    assert verdict.score is not None
    assert verdict.score > 0.5


@pytest.mark.parametrize(
    ("rows", "level"), [(500, Level.OK), (150, Level.BREACH), (1500, Level.BREACH), (300, Level.OK)]
)
def test_row_volume_against_the_windows_before(rows: int, level: Level) -> None:
    history = (480, 510, 505, 495, 520, 500, 490, 500, 515, 485)
    window = replace(make_window(columns(1, 1000), columns(2, rows)), history=history)
    verdict = judge(window)["_all", "row_volume"]

    assert verdict.level == level
    assert verdict.score == pytest.approx(abs(np.log2(rows / 500)), abs=0.02)


def test_row_volume_allows_for_a_season() -> None:
    history = (100, 800) * 10
    window = replace(make_window(columns(1, 1000), columns(2, 100)), history=history)

    assert judge(window)["_all", "row_volume"].level == Level.OK


def test_row_volume_judges_a_window_too_small_for_the_rest() -> None:
    window = replace(make_window(columns(1, 1000), columns(2, 5)), history=(500,) * 20)
    verdicts = judge(window)

    assert breaches(verdicts) == {("_all", "row_volume")}
    assert verdicts["x", "null_share"].level == Level.INSUFFICIENT_DATA


@pytest.mark.parametrize("windows", [0, 7])
def test_row_volume_waits_for_eight_windows(windows: int) -> None:
    window = replace(make_window(columns(1, 1000), columns(2, 200)), history=(500,) * windows)
    verdict = judge(window)["_all", "row_volume"]

    assert (verdict.level, verdict.score) == (Level.INSUFFICIENT_DATA, None)


def test_missing_and_unknown_columns_are_counted() -> None:
    window = make_window(columns(1, 1000), columns(2, 200))
    odd = replace(window, columns_missing=frozenset({"y", "z"}), columns_unknown=frozenset({"w"}))
    verdicts = judge(odd)

    assert breaches(verdicts) == {("_all", "missing_columns"), ("_all", "unknown_columns")}
    assert (verdicts["_all", "missing_columns"].score, verdicts["_all", "unknown_columns"].score) == (2, 1)
    assert verdicts["_all", "missing_columns"].threshold == 0.5


def test_the_users_threshold_is_taken() -> None:
    window = make_window({"x": numbers(1, 3000)}, {"x": numbers(2, 500, 0.2)})
    (verdict,) = Quality([MonitorSpec("x", "null_share", "quality", 0.5)], ALARMS).close(window)

    assert (verdict.level, verdict.threshold) == (Level.OK, 0.5)


def test_without_a_reference_nothing_of_a_feature_is_judged() -> None:
    window = make_window(columns(1, 1000), columns(2, 200))
    verdicts = judge(replace(window, reference=empty(window.grid)))

    assert {v.level for k, v in verdicts.items() if k[0] != "_all"} == {Level.NO_REFERENCE}


def test_a_check_that_does_not_fit_or_a_feature_that_is_not_there_is_an_error() -> None:
    window = make_window(columns(1, 1000), columns(2, 200))
    specs = [MonitorSpec(f, d, "quality") for f, d in (("x", "new_category"), ("y", "null_share"))]
    verdicts = Quality([*specs, MonitorSpec("x", "null_share", "quality")], ALARMS).close(window)

    assert [v.level for v in verdicts] == [Level.ERROR, Level.ERROR, Level.OK]
    assert all(v.note for v in verdicts[:2])


def test_an_unknown_check_is_refused() -> None:
    with pytest.raises(ValueError, match="no such quality check: null_shares"):
        Quality([MonitorSpec("x", "null_shares", "quality")], ALARMS)


def test_every_check_is_a_monitor() -> None:
    found = {m.detector for m in quality_monitors(make_window(columns(1, 50), columns(2, 5)).grid)}

    assert found == set(QUALITY)


@pytest.mark.parametrize("share", [0.0, 0.001, 0.05, 0.5, 1.0])
@pytest.mark.parametrize(("n", "m"), [(10_000, 500), (500, 10_000)])
def test_chance_exceeds_the_allowed_share_no_more_often_than_the_level(share: float, n: int, m: int) -> None:
    rng = np.random.default_rng(5)
    found, seen = rng.binomial(n, share, 4000), rng.binomial(m, share, 4000)
    allowed = {int(k): largest_share(int(k), n, m, 0.01) for k in np.unique(found)}
    over = np.mean([s / m > allowed[int(k)] for k, s in zip(found, seen, strict=True)])

    assert over <= 0.01 + 3 * np.sqrt(0.01 / 4000)


def test_out_of_range_by_chance_keeps_its_level() -> None:
    rng = np.random.default_rng(6)
    n, m = 1000, 2000
    mass = rng.beta(2, n - 1, 20_000)  # beyond the extremes of n continuous values
    share = rng.binomial(m, mass) / m

    assert (share > largest_share(2.0, n, m, 0.01)).mean() <= 0.01
