"""Verdicts on gathered evidence: what they say, and what becomes of the wealth after them."""

import numpy as np
import pytest
from msgspec.structs import replace

from detectors.base import Level, Verdict
from detectors.calibration import Calibrator
from detectors.dependence import Dependence
from detectors.gathered import judge_evidence, settle
from detectors.monitors import MonitorSpec
from detectors.sequential import HELD, Wealth
from detectors.series import EVIDENCE, Series
from monitor.config import Monitor
from monitor.core.judging import BudgetJudge
from tests.logs import model, plan_of, reference
from tests.unit.test_series import ALARMS, series

ALPHA = 1e-3
FREE = Dependence(0.4, 0, 2, 0.05, 240)
SPECS = [MonitorSpec("x", EVIDENCE, "drift")]


def rich(one: Series, money: float) -> Series:
    return replace(one, dependence=FREE, wealth=Wealth(np.full((1, 3), money), np.array([False])))


def verdict(one: Series, *, specs: list[MonitorSpec] = SPECS, min_effect: float = 0.1) -> Verdict:
    return judge_evidence(specs, replace(ALARMS, min_effect=min_effect), ALPHA, one)[0]


def test_much_evidence_of_a_large_change_is_a_breach() -> None:
    found = verdict(rich(series(shift=4), 1001.0))

    assert (found.level, found.score) == (Level.BREACH, 1001.0)
    assert found.threshold == pytest.approx(1000.0)
    assert found.effect is not None
    assert found.effect > 0.1
    assert "from its usual" in found.note


def test_little_evidence_is_none() -> None:
    found = verdict(rich(series(shift=4), 999.0))

    assert (found.level, found.score) == (Level.OK, 999.0)


def test_a_change_too_small_to_matter_is_no_breach() -> None:
    calm = rich(series(), 1e9)
    found = verdict(calm, min_effect=1.0)

    assert (found.level, found.score) == (Level.OK, found.threshold)
    assert found.note.endswith("less than min_effect")
    assert verdict(calm, min_effect=0.0).level is Level.BREACH


def test_a_threshold_of_the_user_counts() -> None:
    own = [MonitorSpec("x", EVIDENCE, "drift", 5.0)]

    assert verdict(rich(series(shift=4), 6.0), specs=own).level is Level.BREACH
    assert verdict(rich(series(shift=4), 4.0), specs=own).level is Level.OK


def test_few_rows_are_not_judged_and_add_nothing() -> None:
    few = rich(series(rows=50), 1e9)

    assert verdict(few).level is Level.INSUFFICIENT_DATA
    assert few.gathered(few.wealth, ALARMS.min_rows).scores.tolist() == [1e9]


@pytest.mark.parametrize(
    ("dependence", "why"),
    [
        (
            replace(FREE, pvalue=1e-9),
            "depend on each other: correlation +0.05 at a lag of 2 in the location of x",
        ),
        (replace(FREE, windows=50), "50 windows are too few"),
        (None, "is not known"),
    ],
)
def test_without_a_passing_test_there_is_no_verdict_but_a_reason(
    dependence: Dependence | None, why: str
) -> None:
    found = verdict(replace(series(), dependence=dependence))

    assert (found.level, found.score) == (Level.NO_REFERENCE, None)
    assert why in found.note


def test_a_feature_that_the_reference_lacks_is_an_error() -> None:
    found = verdict(rich(series(), 1.0), specs=[MonitorSpec("y", EVIDENCE, "drift")])

    assert (found.level, found.note) == (Level.ERROR, "the reference has no such feature")


def test_wealth_is_held_while_flagged_and_begins_anew_after() -> None:
    much = verdict(rich(series(shift=4), 1e6))
    held = settle(Wealth(np.full((1, 3), 1e6), np.array([False])), ["x"], [much])
    waiting = settle(held, ["x"], [verdict(rich(series(rows=50), 1e6))])
    ended = settle(replace(waiting, money=np.ones((1, 3))), ["x"], [verdict(rich(series(), 1.0))])

    assert held.scores.tolist() == pytest.approx([HELD * 1000.0])
    assert (held.flagged.tolist(), waiting.flagged.tolist()) == ([True], [True])
    assert waiting.scores.tolist() == held.scores.tolist()
    assert (ended.scores.tolist(), ended.flagged.tolist()) == ([0.0], [False])


def test_verdicts_of_others_leave_the_wealth_alone() -> None:
    other = Verdict("shift", "x", "drift", Level.BREACH, 10, 2.0, 1.0)
    wealth = Wealth(np.full((1, 3), 7.0), np.array([False]))

    assert settle(wealth, ["x"], [other]).scores.tolist() == [7.0]


def judge_of(*detectors: str, threshold: float | None = None) -> BudgetJudge:
    wished = tuple(Monitor(detector=name) for name in detectors)
    own = (Monitor(detector=EVIDENCE, threshold=threshold),) if threshold is not None else ()
    return BudgetJudge(plan_of(model(monitors=(*wished, *own))), Calibrator())


def test_a_quarter_of_the_budget_goes_to_evidence() -> None:
    grid = reference(model()).grid
    alone, beside, only = judge_of("shift"), judge_of("shift", EVIDENCE), judge_of(EVIDENCE)

    assert beside.level(grid, 3) == pytest.approx(0.75 * alone.level(grid, 3))
    assert beside.sequential_level(grid, 3) == pytest.approx(0.25 * 2 * alone.level(grid, 3))
    assert only.sequential_level(grid, 3) == pytest.approx(2 * alone.level(grid, 3))


def test_evidence_with_a_threshold_of_its_own_spends_nothing() -> None:
    grid = reference(model()).grid

    assert judge_of("shift", threshold=50.0).level(grid, 3) == judge_of("shift").level(grid, 3)
