"""How sure a mean square is: the closed form against the bootstrap drawn, and where it says nothing."""

import numpy as np
import pytest

from detectors.block_bootstrap import BLOCKS_NEEDED, bootstrap_dof
from detectors.blocks import independent_blocks
from detectors.seasons import DAY, MONDAY, Clock
from detectors.table import Floats

HOUR = DAY // 24
ONE_KIND = np.zeros(1, np.int64)


def hourly(windows: int) -> Clock:
    return Clock(MONDAY + np.arange(windows) * HOUR, HOUR)


def dof_of(z: Floats, scale: int = 1) -> Floats:
    return bootstrap_dof(z, z != 0, np.zeros(z.shape[1], np.int64), hourly(len(z)), scale)


def heavy_days(days: int, columns: int) -> Floats:
    rng = np.random.default_rng(3)
    effect = rng.standard_t(4, (days, columns))
    return np.asarray(np.repeat(effect, 24, axis=0) + 0.3 * rng.normal(size=(24 * days, columns)))


def test_it_is_what_drawing_days_gives() -> None:
    z = heavy_days(60, 1)
    daily = (z * z).reshape(60, 24).mean(axis=1)
    rng = np.random.default_rng(4)
    drawn = daily[rng.integers(60, size=(20_000, 60))].mean(axis=1) / daily.mean()

    assert dof_of(z)[0] == pytest.approx(2.0 / drawn.var(), rel=0.05)


def test_windows_without_rows_weigh_nothing() -> None:
    z = heavy_days(60, 1)
    known = np.random.default_rng(5).random(z.shape) < 0.5
    known[:240] = False
    with_gaps = bootstrap_dof(z * known, known, ONE_KIND, hourly(len(z)), 1)
    days = np.split((z * z * known).ravel(), 60), np.split(known.ravel(), 60)
    squares, windows = (np.array([day.sum() for day in each], np.float64) for each in days)
    rng = np.random.default_rng(6)
    chosen = rng.integers(60, size=(20_000, 60))
    drawn = squares[chosen].sum(axis=1) / windows[chosen].sum(axis=1)

    assert with_gaps[0] == pytest.approx(2.0 * (drawn.mean() / drawn.std()) ** 2, rel=0.1)


def test_it_sees_heavy_days_that_correlations_do_not() -> None:
    z = heavy_days(200, 25)

    assert dof_of(z)[0] < 0.6 * independent_blocks(z, z != 0).mean()


def test_independent_normal_windows_are_as_sure_as_their_number() -> None:
    z = np.random.default_rng(7).normal(size=(60 * 24, 25))

    assert dof_of(z)[0] == pytest.approx(60 * 24, rel=0.15)


def test_blocks_are_as_long_as_the_scale() -> None:
    """Days of one week are alike: blocks of a day take them for independent."""
    weeks = np.random.default_rng(8).normal(size=(20, 25))
    z = np.repeat(weeks, 168, axis=0)

    assert dof_of(z, 168)[0] < 1.5 * 20 < 5 * 20 < dof_of(z, 1)[0]


def test_too_few_blocks_and_columns_that_stand_still_say_nothing() -> None:
    few = heavy_days(BLOCKS_NEEDED - 1, 2)
    still = heavy_days(20, 2) * np.array([1.0, 0.0])
    kinds = np.array([0, 1])

    assert np.isinf(dof_of(few)).all()
    found = bootstrap_dof(still, np.ones(still.shape, np.bool_), kinds, hourly(480), 1)
    assert np.isfinite(found).tolist() == [True, False]


def test_a_column_that_stands_still_lends_nothing_to_its_kind() -> None:
    moving = heavy_days(20, 1)
    still = np.hstack([moving, np.zeros_like(moving)])
    known = np.ones(still.shape, np.bool_)
    found = bootstrap_dof(still, known, np.zeros(2, np.int64), hourly(480), 1)

    assert found == pytest.approx([dof_of(moving)[0]] * 2)
