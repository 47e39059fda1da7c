"""What the budget stands on, and what is spent of it."""

from datetime import timedelta

import pytest
from msgspec.structs import replace

from detectors.seasons import DAY
from monitor.budgeting import NOT_LEARNT, OTHER_DISTANCES, OTHER_WINDOWS, begun, calibration, spent
from monitor.config import Alarms, Monitor
from monitor.core.judging import distances_of
from monitor.core.nulls import Nulls, recipe_of
from monitor.core.state import Book, ModelState
from tests.logs import model, plan_of, reference

MADE = model(
    window=timedelta(days=1),
    alarms=Alarms(budget="2 per 30d"),
    monitors=(Monitor(detector="ks", on=("x",)), Monitor(detector="psi", on=("x",), threshold=0.2)),
)
NOW = 100 * DAY
RECIPE = recipe_of(DAY, distances_of(MADE, reference(MADE).grid))


def state(*alarms: tuple[int, str, str]) -> ModelState:
    book = Book(window=DAY, last_closed=NOW, alarms=alarms)
    return ModelState("m", book=book, baselines=(reference(MADE),))


def test_episodes_of_the_budgets_time_are_counted() -> None:
    one = state((NOW - 31 * DAY, "x", "ks"), (NOW - 29 * DAY, "x", "ks"), (NOW, "_all", "accuracy"))

    assert begun(plan_of(MADE), one) == 2
    assert spent(plan_of(MADE), one) == 1.0


def test_a_monitor_with_a_threshold_of_its_own_is_counted_apart() -> None:
    assert spent(plan_of(MADE), state((NOW, "x", "psi"))) == 0.0


def test_streams_know_no_budget() -> None:
    assert spent(plan_of(MADE), state((NOW, "_error", "e_sr"), (NOW, "x", "adwin"))) == 0.0


def test_nothing_is_spent_before_anything_happened() -> None:
    assert spent(plan_of(MADE), ModelState("m")) == 0.0


@pytest.mark.parametrize(
    ("nulls", "found"),
    [
        ({}, ("resample", NOT_LEARNT)),
        ({1: Nulls(1, DAY, "", "too few windows", {})}, ("resample", "too few windows")),
        ({1: Nulls(1, DAY // 24, "", "many windows", {"all": {}})}, ("resample", OTHER_WINDOWS)),
        ({1: Nulls(1, DAY, "", "many windows", {"all": {}})}, ("resample", OTHER_DISTANCES)),
        ({1: Nulls(1, DAY, RECIPE, "many windows", {"all": {}})}, ("windows", "many windows")),
    ],
)
def test_where_thresholds_come_from_is_told(nulls: dict[int, Nulls], found: tuple[str, str]) -> None:
    one = replace(state(), nulls=nulls)

    assert calibration(plan_of(MADE), one, one.baselines[0]) == found
