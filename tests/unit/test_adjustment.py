"""What is usual at a time, and how readings vary about it."""

import numpy as np
import pytest
from numpy.typing import ArrayLike

from detectors.adjustment import adjust, parts
from detectors.readings import Reading
from detectors.seasons import DAY, MONDAY, Clock, Ints, Season

HOUR = DAY // 24


def hourly(days: int) -> Clock:
    return Clock(MONDAY + np.arange(24 * days) * HOUR, HOUR)


def noisy(clock: Clock, means: ArrayLike, sizes: Ints, between: float = 0.0, seed: int = 1) -> Reading:
    """Draw readings of rows of variance 1; `between` is the variance of the windows' own means."""
    rng = np.random.default_rng(seed)
    shape = (len(clock.starts), 40)
    n = np.broadcast_to(sizes[:, None], shape)
    values = np.asarray(means)[:, None] + rng.normal(0.0, np.sqrt(between + 1.0 / n), shape)
    return Reading(values, n.astype(np.int64))


def test_without_a_season_all_windows_are_alike() -> None:
    clock = hourly(15)
    usual, _ = adjust(noisy(clock, np.zeros(360), np.full(360, 500)), np.ones(40), clock)

    assert (usual.season == Season.NONE).mean() >= 0.9
    assert usual.means[0] == pytest.approx(np.zeros(40), abs=5 / np.sqrt(360 * 500))


def test_a_season_of_the_day_is_found_and_taken_off() -> None:
    clock = hourly(15)
    wave = 0.2 * np.sin(np.arange(360) * 2 * np.pi / 24)
    usual, z = adjust(noisy(clock, wave, np.full(360, 500)), np.ones(40), clock)

    assert (usual.season == Season.DAILY).all()
    assert usual.means[:24].mean(axis=1) == pytest.approx(wave[:24], abs=0.01)
    assert z.std() == pytest.approx(1.0, abs=0.03)


def test_free_days_are_found_before_a_whole_week_is() -> None:
    clock = hourly(28)
    free = np.arange(672) // 24 % 7 >= 5
    usual, _ = adjust(noisy(clock, 0.2 * free, np.full(672, 500)), np.ones(40), clock)

    assert (usual.season == Season.WORKWEEK).all()


def test_days_that_differ_by_chance_are_no_season() -> None:
    clock = hourly(28)
    days = np.random.default_rng(3).normal(0.0, 0.1, 28)[np.arange(672) // 24]
    usual, _ = adjust(noisy(clock, days, np.full(672, 500)), np.ones(40), clock)

    assert (usual.season <= Season.WORKWEEK).all()


@pytest.mark.parametrize("between", [0.0, 0.005])
def test_windows_to_come_are_spread_like_the_deviations(between: float) -> None:
    clock = hourly(75)
    past = Clock(clock.starts[:1080], HOUR)
    every = noisy(clock, np.sin(np.arange(1800) * 2 * np.pi / 24), np.full(1800, 500), between)
    usual, z = adjust(Reading(every.values[:1080], every.sizes[:1080]), np.ones(40), past)
    later, _ = usual.standardise(
        Reading(every.values[1080:], every.sizes[1080:]), Clock(clock.starts[1080:], HOUR)
    )

    assert z.std() == pytest.approx(1.0, abs=0.02)
    assert later.std() == pytest.approx(1.0, abs=0.02)


@pytest.mark.parametrize("between", [0.0, 0.005])
def test_both_parts_of_the_variance_are_found_when_the_sizes_change(between: float) -> None:
    clock = hourly(60)
    sizes = np.exp(np.random.default_rng(5).uniform(np.log(50), np.log(5000), 1440)).astype(np.int64)
    usual, z = adjust(noisy(clock, np.zeros(1440), sizes, between), np.ones(40), clock, [Season.NONE])

    assert usual.between.mean() == pytest.approx(between, abs=2e-4 + 0.03 * between)
    assert usual.design.mean() == pytest.approx(1.0, abs=0.08)
    small, large = sizes < 200, sizes > 2000
    assert z[small].std() == pytest.approx(z[large].std(), rel=0.05)


def test_rows_that_come_in_clumps_raise_the_design() -> None:
    clock = hourly(60)
    sizes = np.exp(np.random.default_rng(6).uniform(np.log(50), np.log(5000), 1440)).astype(np.int64)
    clumped = noisy(clock, np.zeros(1440), sizes // 4)
    reading = Reading(clumped.values, np.broadcast_to(sizes[:, None], (1440, 40)))
    usual, _ = adjust(reading, np.ones(40), clock, [Season.NONE])

    assert usual.design.mean() == pytest.approx(4.0, rel=0.1)


def test_the_parts_are_never_below_what_rows_make() -> None:
    squares = np.random.default_rng(7).chisquare(1, (300, 5)) * 0.5 / 100
    between, design = parts(squares, np.full((300, 5), 0.01), np.ones((300, 5), bool))

    assert between.tolist() == [0.0] * 5
    assert design.tolist() == [1.0] * 5


def test_a_window_without_rows_says_nothing() -> None:
    clock = hourly(15)
    sizes = np.full(360, 500)
    sizes[100:105] = 0
    full = noisy(clock, np.zeros(360), np.maximum(sizes, 1))
    reading = Reading(
        np.where(sizes[:, None] > 0, full.values, 1e6), np.broadcast_to(sizes[:, None], (360, 40))
    )
    usual, z = adjust(reading, np.ones(40), clock)
    again, precision = usual.standardise(reading, clock)

    assert np.abs(usual.means).max() < 1
    assert not z[100:105].any()
    assert not again[100:105].any()
    assert not precision[100:105].any()


def test_many_columns_are_fitted_like_few() -> None:
    clock = hourly(10)
    values = np.random.default_rng(8).normal(size=(240, 600))
    sizes = np.full((240, 600), 1)
    usual, z = adjust(Reading(values, sizes), np.ones(600), clock)
    alone, z_alone = adjust(Reading(values[:, 500:501], sizes[:, 500:501]), np.ones(1), clock)

    assert z[:, 500:501] == pytest.approx(z_alone)
    assert usual.between[500] == pytest.approx(alone.between[0])


def test_no_season_is_an_error() -> None:
    clock = hourly(10)
    with pytest.raises(ValueError, match="no season"):
        adjust(noisy(clock, np.zeros(240), np.full(240, 5)), np.ones(40), clock, [])
