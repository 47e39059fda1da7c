"""Worse than it may be: by the whole interval, in the direction of harm."""

import math

import pytest

from detectors.base import Level
from detectors.measure import Better, Estimate
from detectors.performance import DEFAULTS, METRICS, Allowed, Question, judge, limit

RULE = Allowed(tolerance=0.01, relative=0.1, min_rows=100)
ACCURACY = Question("accuracy", Better.HIGHER)
MAE = Question("mae", Better.LOWER)


def exactly(value: float) -> Estimate:
    return Estimate(value, value, value, 10**9)


def seen(value: float, reach: float, n: int = 5000) -> Estimate:
    return Estimate(value, value - reach, value + reach, n)


@pytest.mark.parametrize(
    ("question", "metric", "reference", "level"),
    [
        (ACCURACY, seen(0.90, 0.005), 0.92, Level.BREACH),
        (ACCURACY, seen(0.90, 0.011), 0.92, Level.OK),  # its better end is within the tolerance
        (ACCURACY, seen(0.915, 0.001), 0.92, Level.OK),
        (ACCURACY, seen(0.99, 0.001), 0.92, Level.OK),
        (MAE, seen(940.0, 4.0), 850.0, Level.BREACH),
        (MAE, seen(940.0, 10.0), 850.0, Level.OK),
        (MAE, seen(700.0, 5.0), 850.0, Level.OK),
    ],
)
def test_the_interval_must_lie_beyond_reference_and_tolerance(
    question: Question, metric: Estimate, reference: float, level: Level
) -> None:
    assert judge(question, metric, exactly(reference), RULE).level is level


def test_a_reference_of_few_rows_is_not_taken_as_exact() -> None:
    metric = seen(0.90, 0.008)

    assert judge(ACCURACY, metric, Estimate(0.92, 0.92, 0.92, 10**9), RULE).level is Level.BREACH
    assert judge(ACCURACY, metric, Estimate(0.92, 0.916, 0.924, 9000), RULE).level is Level.BREACH
    assert judge(ACCURACY, metric, Estimate(0.92, 0.91, 0.93, 1000), RULE).level is Level.OK
    assert judge(MAE, seen(940.0, 3.0), Estimate(850.0, 846.0, 854.0, 900), RULE).level is Level.OK


@pytest.mark.parametrize("odd", [math.nan, math.inf, -math.inf])
def test_what_is_not_finite_is_an_error_and_no_number(odd: float) -> None:
    usual, now, unknown = exactly(850.0), seen(940.0, 4.0), seen(940.0, math.nan)
    for metric, reference in [(now, exactly(odd)), (seen(odd, 4.0), usual), (unknown, usual)]:
        verdict = judge(MAE, metric, reference, RULE)

        assert verdict.level is Level.ERROR
        assert (verdict.score, verdict.threshold, verdict.effect) == (None, None, None)
        assert "not finite" in verdict.note


def test_score_and_threshold_are_what_the_alarm_compares() -> None:
    verdict = judge(ACCURACY, seen(0.90, 0.005), exactly(0.92), RULE)

    assert verdict.score == pytest.approx(0.92 - 0.905)
    assert verdict.threshold == 0.01
    assert verdict.effect == pytest.approx(0.01)
    assert (verdict.kind, verdict.feature, verdict.detector) == ("performance", "_all", "accuracy")


@pytest.mark.parametrize(
    ("question", "good", "bad"),
    [
        (Question("accuracy", Better.HIGHER, threshold=0.8), seen(0.81, 0.02), seen(0.78, 0.01)),
        (Question("mae", Better.LOWER, threshold=100.0), seen(99.0, 2.0), seen(105.0, 2.0)),
    ],
)
def test_the_users_own_threshold_needs_no_reference(
    question: Question, good: Estimate, bad: Estimate
) -> None:
    for reference in (None, exactly(0.5), Estimate(300.0, 200.0, 400.0, 50)):
        assert judge(question, good, reference, RULE).level is Level.OK
        assert judge(question, bad, reference, RULE).level is Level.BREACH


def test_without_reference_or_rows_nothing_is_judged() -> None:
    assert judge(ACCURACY, seen(0.5, 0.01), None, RULE).level is Level.NO_REFERENCE
    assert judge(ACCURACY, seen(0.5, 0.01, n=99), exactly(0.9), RULE).level is Level.INSUFFICIENT_DATA
    assert (
        judge(ACCURACY, Estimate(None, None, None, 500), exactly(0.9), RULE).level is Level.INSUFFICIENT_DATA
    )


def test_what_is_estimated_has_a_name_and_a_kind_of_its_own() -> None:
    verdict = judge(Question("accuracy", Better.HIGHER, estimated=True), seen(0.5, 0.01), exactly(0.9), RULE)

    assert (verdict.detector, verdict.kind) == ("estimated_accuracy", "estimated_performance")


def test_the_limit_is_in_the_metrics_unit() -> None:
    assert limit(ACCURACY, 0.92, RULE) == pytest.approx(0.91)
    assert limit(MAE, 850.0, RULE) == pytest.approx(935.0)
    assert limit(MAE, None, RULE) is None
    assert limit(Question("pinball:0.9", Better.LOWER), 10.0, RULE) == pytest.approx(11.0)


def test_what_is_judged_by_default_may_be_judged() -> None:
    assert {name.partition("@")[0] for names in DEFAULTS.values() for name in names} <= METRICS
