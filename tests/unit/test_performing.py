"""The limits that judged metrics are held against: in the metric's unit, from the reference of the window."""

import math

import pytest
from msgspec.structs import replace

from monitor.config import Model, Monitor, Performance
from monitor.core.plan import Plan
from monitor.core.state import ModelState
from monitor.performing import judged
from tests.performances import MADE, STATE, TRIPS, binary, key, standard, trip, with_labels


def limits(state: ModelState, made: Model = MADE) -> dict[tuple[str, ...], float]:
    found = judged(Plan.of(made), state)
    return {
        (p.version, p.segment, p.metric, p.basis): j.limit for p, j in found.items() if j.limit is not None
    }


def test_the_limit_is_the_references_value_less_the_tolerance() -> None:
    found = limits(STATE)
    assert found["v1", "all", "accuracy", "realized"] == pytest.approx(0.9 - 0.01)
    assert found["v1", "all", "accuracy", "estimated"] == pytest.approx(0.9 - 0.01)


def test_a_segment_is_held_against_the_reference_of_its_own() -> None:
    assert limits(STATE)["v1", "place=north", "accuracy", "realized"] == 1.0 - 0.01


def test_a_segment_that_the_reference_does_not_know_is_held_against_all() -> None:
    state = replace(STATE, trips={key("accuracy", segment="place=east"): TRIPS[key("accuracy")]})
    assert limits(state)["v1", "place=east", "accuracy", "realized"] == pytest.approx(0.89)


def test_a_limit_of_ones_own_is_the_limit() -> None:
    made = binary(monitors=(Monitor(detector="accuracy", threshold=0.7),))
    assert limits(STATE, made) == {
        ("v1", "all", "accuracy", "realized"): 0.7,
        ("v1", "place=north", "accuracy", "realized"): 0.7,
    }


def test_the_limit_of_a_loss_is_above_the_reference() -> None:
    wishes = Performance(relative_tolerance=0.5)
    made = binary(monitors=(Monitor(detector="log_loss"),), performance=wishes)
    state = replace(STATE, trips={key("log_loss"): trip("log_loss", 0.0)})
    (limit,) = limits(state, made).values()
    assert limit == pytest.approx(1.5 * math.log(2.0), rel=0.01)


def test_without_outcomes_in_the_reference_there_is_no_limit() -> None:
    assert limits(with_labels(standards=())) == {}


def test_the_limit_follows_another_reference_of_the_same_number() -> None:
    other = replace(standard(MADE), sums={"all": standard(MADE).sums["place=north"]})
    assert limits(STATE)["v1", "all", "accuracy", "realized"] == pytest.approx(0.89)
    changed = limits(with_labels(standards=(other,)))
    assert changed["v1", "all", "accuracy", "realized"] == 0.99
