"""A window judged beside those before it: verdicts of shifts and missing values."""

import numpy as np
import pytest

from detectors.base import Level
from detectors.monitors import Judgement, MonitorSpec
from detectors.readings import Readers, Reading, Source, reader
from detectors.seasons import DAY, MONDAY, Clock
from detectors.series import MISSING, SHIFT, Series, judge_series
from detectors.window_null import learn

HOUR = DAY // 24
ROWS, CELLS, WINDOWS = 400, 20, 24 * 10
ALARMS = Judgement(level=1e-4)


def series(shift: int = 0, missing: int = 0, rows: int = ROWS, past: float = 0.0) -> Series:
    """Ten days of one calm feature, of which some days differ by `past`, and one more hour of it."""
    rng = np.random.default_rng(3)
    day = np.exp(np.outer(np.repeat(rng.normal(0, past, 10), 24), np.linspace(-1, 1, CELLS)))
    counts = np.stack([rng.multinomial(ROWS, p) for p in day / day.sum(axis=1, keepdims=True)])
    lost = rng.binomial(ROWS, 0.02, (WINDOWS, 1))
    readers = Readers((reader(Source("x", counts.sum(axis=0), int(lost.sum()), ordered=True)),))
    clock = Clock(MONDAY + np.arange(WINDOWS) * HOUR, HOUR)
    null = learn(readers, readers.read([counts], lost, counts.sum(axis=1) + lost[:, 0]), clock)
    last = np.roll(rng.multinomial(rows, np.full(CELLS, 1 / CELLS)), shift)
    last[:shift] = 0
    one = readers.read([last[None]], np.array([[missing]]), np.array([last.sum() + missing]))
    return Series(null, one, Clock(clock.starts[-1:] + HOUR, HOUR))


def specs(threshold: float | None = None) -> list[MonitorSpec]:
    return [MonitorSpec("x", SHIFT, "drift", threshold), MonitorSpec("x", MISSING, "quality")]


def test_calm_is_ok() -> None:
    shift, missing = judge_series(specs(), ALARMS, series(missing=8))

    assert (shift.level, shift.threshold, shift.n) == (Level.OK, 1.0, ROWS)
    assert (missing.level, missing.n) == (Level.OK, ROWS + 8)
    assert missing.score == pytest.approx(0.0, abs=0.02)


def test_a_shift_breaches_and_says_how() -> None:
    shift, missing = judge_series(specs(), ALARMS, series(shift=4, missing=8))

    assert (shift.level, shift.kind, shift.detector) == (Level.BREACH, "drift", SHIFT)
    assert shift.pvalue is not None
    assert shift.pvalue < 1e-4
    assert "from its usual" in shift.note
    assert missing.level is Level.OK


def test_missing_values_breach_by_their_excess() -> None:
    shift, missing = judge_series(specs(), ALARMS, series(missing=80))

    assert (missing.level, missing.detector, missing.kind) == (Level.BREACH, "null_share", "quality")
    assert missing.score == pytest.approx(80 / 480 - 0.02, abs=0.01)
    assert shift.level is Level.OK


def test_fewer_missing_values_than_usual_are_no_fault() -> None:
    assert judge_series(specs(), ALARMS, series(missing=0))[1].score == 0.0


def test_a_threshold_of_the_user_counts() -> None:
    breach = judge_series(specs(), ALARMS, series(shift=4))[0]
    wished = judge_series(specs(threshold=1e6), ALARMS, series(shift=4))[0]

    assert (breach.level, wished.level, wished.threshold) == (Level.BREACH, Level.OK, 1e6)
    assert wished.score == breach.score


def test_few_rows_are_not_judged() -> None:
    found = judge_series(specs(), ALARMS, series(rows=50))

    assert [(v.level, v.score) for v in found] == [(Level.INSUFFICIENT_DATA, None)] * 2


def test_a_feature_that_the_reference_lacks_is_an_error() -> None:
    (found,) = judge_series([MonitorSpec("y", SHIFT, "drift")], ALARMS, series())

    assert (found.level, found.note) == (Level.ERROR, "the reference has no such feature")


def test_rows_of_days_that_differ_count_as_fewer() -> None:
    alone, together = series().clustering()["x"], series(past=0.5, rows=4 * ROWS).clustering()["x"]

    assert 1.0 <= alone[0] < 3.0
    assert alone[0] == pytest.approx(alone[1], rel=0.05)
    assert together[1] > 10.0
    assert together[0] == pytest.approx(4 * together[1], rel=0.1)


def test_the_readings_of_a_series_decide_nothing_twice() -> None:
    one = series(shift=4)
    twice = Series(
        one.null,
        Reading(np.repeat(one.reading.values, 2, axis=0), np.repeat(one.reading.sizes, 2, axis=0)),
        Clock(one.clock.starts[0] + np.array([-400 * HOUR, 0]), HOUR),
    )

    assert judge_series(specs(), ALARMS, twice) == judge_series(specs(), ALARMS, one)
