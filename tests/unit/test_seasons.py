"""Which windows are compared with which."""

from datetime import UTC, datetime

import numpy as np
import pytest

from detectors.seasons import DAY, MONDAY, WEEK, Clock, Season

HOUR = DAY // 24


def hours(count: int, start: int = MONDAY) -> Clock:
    return Clock(start + np.arange(count) * HOUR, HOUR)


def test_the_first_monday_is_a_monday_at_midnight() -> None:
    first = datetime.fromtimestamp(MONDAY / 1e6, tz=UTC)

    assert (first.weekday(), first.hour) == (0, 0)


def test_the_same_hour_of_two_days_is_alike() -> None:
    cells = hours(48).cells(Season.DAILY)

    assert cells[:24].tolist() == cells[24:].tolist() == list(range(24))


def test_free_days_have_cells_of_their_own() -> None:
    cells = hours(7 * 24).cells(Season.WORKWEEK)

    assert cells[: 5 * 24].max() == 23
    assert cells[5 * 24 :].min() == 24
    assert len(np.unique(cells)) == 48


def test_the_hours_of_a_week_are_all_different() -> None:
    cells = hours(2 * 168).cells(Season.WEEKLY)

    assert cells[:168].tolist() == cells[168:].tolist() == list(range(168))


@pytest.mark.parametrize(
    ("days", "expected"),
    [
        (2, [Season.NONE]),
        (4, [Season.NONE, Season.DAILY]),
        (15, [Season.NONE, Season.DAILY, Season.WORKWEEK]),
        (28, list(Season)),
    ],
)
def test_a_season_needs_three_of_each(days: int, expected: list[Season]) -> None:
    assert list(hours(24 * days).possible()) == expected


def test_windows_of_a_day_have_a_week_but_no_day() -> None:
    days = Clock(MONDAY + np.arange(60) * DAY, DAY)

    assert days.possible() == (Season.NONE, Season.WORKWEEK, Season.WEEKLY)
    assert days.cells(Season.WEEKLY)[:8].tolist() == [0, 1, 2, 3, 4, 5, 6, 0]
    assert days.cells(Season.WORKWEEK)[:7].tolist() == [0, 0, 0, 0, 0, 1, 1]


@pytest.mark.parametrize("length", [7 * HOUR, WEEK, 2 * DAY])
def test_windows_that_do_not_fit_into_a_day_have_no_season(length: int) -> None:
    clock = Clock(MONDAY + np.arange(200) * length, length)

    assert clock.possible() == (Season.NONE,)


def test_windows_of_a_day_belong_together() -> None:
    clock = hours(50)

    assert np.bincount(clock.periods(Season.DAILY)).tolist() == [24, 24, 2]
    assert clock.per_period(Season.DAILY) == 24
    assert clock.per_period(Season.WEEKLY) == 168


def test_a_window_longer_than_a_day_stands_alone() -> None:
    clock = Clock(MONDAY + np.arange(10) * 3 * DAY, 3 * DAY)

    assert clock.periods(Season.NONE).tolist() == list(range(10))
    assert clock.per_period(Season.NONE) == 1
