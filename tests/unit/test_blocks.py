"""Several windows taken together, and how far out their evidence may be."""

import numpy as np
import pytest
from scipy import stats

from detectors.adjustment import adjust
from detectors.blocks import independent_blocks, learn_tail, merge_blocks, merge_last
from detectors.evidence import Merged, Tail
from detectors.readings import Reading
from detectors.seasons import DAY, MONDAY, Clock, Season
from detectors.table import Floats

HOUR = DAY // 24


def hourly(windows: int) -> Clock:
    return Clock(MONDAY + np.arange(windows) * HOUR, HOUR)


def tail_of(values: Floats, scale: int = 1, kinds: int = 1) -> Tail:
    """Return the tail of readings of rows of variance 1, one row each."""
    clock = hourly(len(values))
    reading = Reading(values, np.ones(values.shape, np.int64))
    usual, z = adjust(reading, np.ones(values.shape[1]), clock, [Season.NONE])
    precision = 1.0 / usual.variance(reading.sizes)
    merged = merge_blocks(z, precision, reading.sizes, clock, scale)
    return learn_tail(merged, usual, clock, np.arange(values.shape[1]) % kinds, scale, 10.0)


def limits(tail: Tail, level: float) -> Floats:
    """Return the limits of one more window of one row."""
    columns = len(tail.square)
    one = np.ones((1, columns))
    block = Merged(one, one / tail.variance, one, one)
    return np.asarray(tail.limit(block, np.full(columns, level), 0 * one)[0])


def test_blocks_of_equal_windows_are_sums_over_their_root() -> None:
    z = np.random.default_rng(1).normal(size=(50, 3))
    merged = merge_blocks(z, np.full((50, 3), 4.0), np.full((50, 3), 10), hourly(50), 4)

    assert merged.z[10] == pytest.approx(z[7:11].sum(axis=0) / 2)
    assert merged.precision[10].tolist() == [16.0] * 3
    assert merged.rows[[0, 10], 0].tolist() == [10.0, 40.0]


def test_larger_windows_weigh_more() -> None:
    precision = np.array([[9.0], [1.0]])
    merged = merge_blocks(np.array([[1.0], [1.0]]), precision, np.ones((2, 1), np.int64), hourly(2), 4)

    assert merged.z[1, 0] == pytest.approx((3 * 1 + 1 * 1) / 10**0.5)


def test_a_gap_in_time_ends_a_block() -> None:
    clock = Clock(MONDAY + np.array([0, 1, 9]) * HOUR, HOUR)
    merged = merge_blocks(np.ones((3, 1)), np.ones((3, 1)), np.ones((3, 1), np.int64), clock, 4)

    assert merged.windows.ravel().tolist() == [1.0, 2.0, 1.0]


@pytest.mark.parametrize("scale", [1, 4, 24])
def test_the_last_block_is_the_last_of_all(scale: int) -> None:
    rng = np.random.default_rng(2)
    arguments = (rng.normal(size=(40, 5)), rng.random((40, 5)), rng.integers(0, 9, (40, 5)), hourly(40))
    every, last = merge_blocks(*arguments, scale), merge_last(*arguments, scale)

    assert last.z[0] == pytest.approx(every.z[-1])
    assert last.precision[0] == pytest.approx(every.precision[-1])
    assert last.rows[0].tolist() == every.rows[-1].tolist()


def test_independent_values_are_all_counted() -> None:
    z = np.random.default_rng(3).normal(size=(400, 50))
    found = independent_blocks(z, np.ones(z.shape, bool))

    assert 150 < found.mean() < 400


def test_days_count_once() -> None:
    days = np.repeat(np.random.default_rng(4).normal(size=(15, 50)), 24, axis=0)

    assert 8 < independent_blocks(days, np.ones(days.shape, bool)).mean() < 20


def test_the_limit_of_independent_windows_is_the_normal_quantile() -> None:
    tail = tail_of(np.random.default_rng(5).normal(size=(2000, 60)))

    assert tail.square == pytest.approx(np.ones(60), abs=0.1)
    assert np.median(limits(tail, 1e-4)) == pytest.approx(stats.norm.isf(5e-5), rel=0.06)


def test_a_limit_is_exceeded_as_often_as_it_says() -> None:
    rng = np.random.default_rng(6)
    days = rng.normal(0.0, 3.0, (15 + 400, 100)).repeat(24, axis=0)
    values = days + rng.normal(size=days.shape)
    clock = hourly(len(values))
    past = Clock(clock.starts[:360], HOUR)
    sizes = np.ones(values.shape, np.int64)
    usual, z = adjust(Reading(values[:360], sizes[:360]), np.ones(100), past, [Season.NONE])
    merged = merge_blocks(z, 1.0 / usual.variance(sizes[:360]), sizes[:360], past, 1)
    tail = learn_tail(merged, usual, past, np.arange(100), 1, 10.0)  # no column lends to another
    later, _ = usual.standardise(Reading(values[360:], sizes[360:]), Clock(clock.starts[360:], HOUR))

    over = np.abs(later) > limits(tail, 0.01)
    assert 0.0005 < over.mean() < 0.01


def test_columns_that_agree_lend_each_other_certainty() -> None:
    values = np.random.default_rng(7).normal(size=(24, 40)).repeat(10, axis=0)

    alone, together = tail_of(values, kinds=40), tail_of(values, kinds=1)
    assert np.median(together.dof) > 3 * np.median(alone.dof)
    assert (together.square >= alone.square - 1e-9).all()


def test_columns_that_are_one_and_the_same_lend_nothing() -> None:
    values = np.tile(np.random.default_rng(8).normal(size=(24, 1)).repeat(10, axis=0), 40)

    alone, together = tail_of(values, kinds=40), tail_of(values, kinds=1)
    assert np.median(together.dof) < 1.5 * np.median(alone.dof)


def test_heavy_tails_widen_the_limit() -> None:
    rng = np.random.default_rng(9)
    light, heavy = tail_of(rng.normal(size=(500, 40))), tail_of(rng.standard_t(3, size=(500, 40)))
    far = [limits(t, 1e-6) / np.sqrt(t.square) for t in (light, heavy)]

    assert (far[1] > 2 * np.median(far[0])).all()


def test_no_limit_is_below_what_the_reference_reached() -> None:
    values = np.random.default_rng(10).normal(size=(300, 40))
    values[150, 3] = 50.0
    tail = tail_of(values)

    assert limits(tail, 0.1)[3] >= tail.top[3] > 10


def test_a_scale_with_too_few_blocks_is_not_used() -> None:
    values = np.random.default_rng(13).normal(size=(200, 1))

    assert tail_of(values, 1).used.tolist() == [1.0]
    assert tail_of(values, 48).used.tolist() == [0.0]


def test_a_series_that_never_moves_has_a_limit() -> None:
    tail = tail_of(np.zeros((100, 8)))

    assert np.isfinite(limits(tail, 1e-5)).all()
