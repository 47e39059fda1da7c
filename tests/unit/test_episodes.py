"""Verdicts to episodes: their begin and end, their worst window, and the features that may be why."""

import pytest
from msgspec.structs import replace

from detectors.base import Level, Verdict
from monitor.core.closing import close_until
from monitor.core.pipeline import Context, take_in
from monitor.core.policy import Phase, Rule, Trip, TripKey, step
from monitor.core.state import Book, ModelState
from monitor.episodes import CAUSES, Episode, Recorder, ranked
from tests.histories import BEGIN, HOUR, HOURLY, at
from tests.logs import EPOCH, FAR, MINUTE, Row, feed, mean_judge, model, plan_of, reference

RULE = Rule(enter=1, keep_firing=1, cooldown=0)
KEY = TripKey("v1", "all", "x", "ks")


class Life:
    """One model's verdicts, an hour each, through the policy into a recorder."""

    def __init__(self, rule: Rule = RULE) -> None:
        self.recorder = Recorder(HOURLY)
        self.trips: dict[TripKey, Trip] = {}
        self._rule = rule

    def judge(
        self,
        hour: int,
        score: float | None,
        key: TripKey = KEY,
        *,
        kind: str = "drift",
        late: int = 0,
        threshold: float = 0.5,
    ) -> None:
        """Judge a window; late: hours after its end at which the verdict came."""
        level = Level.INSUFFICIENT_DATA
        if score is not None:
            level = Level.BREACH if score > threshold else Level.OK
        verdict = Verdict(
            key.detector, key.feature, kind, level, 9, score, None if score is None else threshold
        )
        old = self.trips.get(key) or Trip(kind)
        trip, _, _ = step(self._rule, old, verdict, (at(hour), at(hour + 1)))
        if trip.phase is Phase.FIRING and old.phase is not Phase.FIRING:
            trip = replace(trip, episode=f"ep_{key.feature}_{key.detector}_{hour}")
        self.trips[key] = trip
        self.recorder.watch(at(hour + 1 + late), key, trip)

    def episodes(self, last: int = 0) -> tuple[Episode, ...]:
        return self.recorder.episodes(ModelState("m", trips=self.trips, book=Book(last_closed=at(last))))


def test_an_episode_begins_with_the_window_that_fired_and_ends_with_the_one_that_ended_it() -> None:
    life = Life(Rule(enter=2, keep_firing=2, cooldown=0))
    for hour, score in enumerate([0.1, 0.9, 0.9, 0.9, 0.1, 0.1, 0.1]):
        life.judge(hour, score)

    (found,) = life.episodes(6)

    assert (found.id, found.key, found.kind) == ("ep_x_ks_2", KEY, "drift")
    assert (found.started, found.ended) == (at(2), at(6))


def test_one_that_still_fires_has_no_end() -> None:
    life = Life()
    life.judge(0, 0.9)

    assert [e.ended for e in life.episodes()] == [None]


def test_one_whose_segment_has_no_more_rows_is_over_with_its_last_window() -> None:
    life = Life()
    life.judge(0, 0.9)
    life.judge(1, 0.9)

    assert [e.ended for e in life.episodes(3)] == [None]
    assert [e.ended for e in life.episodes(4)] == [at(2)]


def test_one_whose_version_was_forgotten_is_over() -> None:
    life = Life()
    life.judge(0, 0.9)
    life.trips.clear()

    assert [e.ended for e in life.episodes()] == [at(1)]


def test_a_version_that_comes_back_begins_another_one() -> None:
    life = Life()
    life.judge(0, 0.9)
    life.trips.clear()
    life.judge(9, 0.9)

    assert [(e.started, e.ended) for e in life.episodes(9)] == [(at(0), at(9)), (at(9), None)]


def test_a_monitor_may_fire_again() -> None:
    life = Life()
    for hour, score in enumerate([0.9, 0.1, 0.1, 0.9]):
        life.judge(hour, score)

    assert [(e.started, e.ended) for e in life.episodes(3)] == [(at(0), at(2)), (at(3), None)]


def test_the_worst_window_is_the_one_with_the_largest_share_of_its_threshold() -> None:
    life = Life()
    life.judge(0, 0.6)
    life.judge(1, 0.9, threshold=0.8)
    life.judge(2, 0.7)
    life.judge(3, None)

    (found,) = life.episodes(3)

    assert (found.score, found.threshold) == (0.7, 0.5)


def test_any_excess_over_a_threshold_of_nothing_is_the_worst() -> None:
    life = Life()
    life.judge(0, 0.9)
    life.judge(1, 0.1, threshold=0.0)

    assert [(e.score, e.threshold) for e in life.episodes(1)] == [(0.1, 0.0)]


def test_an_alarm_is_told_when_the_verdict_came_and_the_late_rows_were_waited_for() -> None:
    recorder = Recorder(replace(HOURLY, lateness=HOUR))
    life = Life()
    life.recorder = recorder
    life.judge(0, 0.9, TripKey("v1", "all", "_all", "accuracy"), kind="performance", late=5)

    assert [(e.started, e.known) for e in life.episodes()] == [(BEGIN, at(7))]


def test_causes_are_the_features_whose_drift_is_nearest_to_its_threshold_or_beyond() -> None:
    life = Life()
    life.judge(0, 0.4, TripKey("v1", "all", "b", "psi"))
    life.judge(0, 0.2, TripKey("v1", "all", "b", "ks"))
    life.judge(0, 0.9, TripKey("v1", "all", "_all", "row_volume"), kind="quality")
    life.judge(0, 0.3, TripKey("v1", "all", "c", "ks"))
    life.judge(0, None, TripKey("v1", "all", "d", "ks"))
    life.judge(0, 0.8, TripKey("v1", "all", "score", "ks"), kind="prediction_drift")
    life.judge(0, 0.9, TripKey("v2", "all", "e", "ks"))
    life.judge(0, 0.9, TripKey("v1", "place=north", "f", "ks"))
    life.judge(0, 0.7)

    causes = {e.key.feature: e.causes for e in life.episodes()}

    assert causes["_all"] == causes["score"] == causes["x"] == ("x", "b", "c")
    assert (causes["e"], causes["f"]) == (("e",), ("f",))


def test_causes_of_a_fall_of_performance_are_those_of_the_window_that_fell() -> None:
    life = Life()
    accuracy = TripKey("v1", "all", "_all", "accuracy")
    for hour, scores in enumerate([(0.1, 0.2), (0.3, 0.2), (0.1, 0.2), (0.1, 0.2)]):
        for feature, score in zip("ab", scores, strict=True):
            life.judge(hour, score, TripKey("v1", "all", feature, "ks"))
    life.judge(1, 0.9, accuracy, kind="performance", late=2)

    assert [e.causes for e in life.episodes(3)] == [("a", "b")]


def test_causes_of_windows_whose_outcomes_are_due_no_more_are_forgotten() -> None:
    life = Life()
    for hour in range(50):
        life.judge(hour, 0.1)

    assert len(life.recorder._drift) < 10  # noqa: SLF001 - memory is what this is about


def test_at_most_ten_causes_are_named_and_names_settle_a_tie() -> None:
    drift = {f"f{i:02}": 0.5 for i in range(20)} | {"z": 0.6}

    assert ranked(drift) == ("z", *(f"f{i:02}" for i in range(CAUSES - 1)))


def test_windows_without_a_reference_count_for_nothing() -> None:
    recorder = Recorder(HOURLY)
    nothing = Verdict("reference", "_all", "quality", Level.NO_REFERENCE, 0)
    recorder.watch(at(1), TripKey("v1", "all", "_all", "reference"), Trip("quality", verdict=nothing))

    assert (recorder.monitors, recorder.first, recorder.last) == (set(), None, None)


def test_the_time_that_was_judged_spans_the_windows() -> None:
    life = Life()
    life.judge(2, 0.1)
    life.judge(7, None)

    assert (life.recorder.first, life.recorder.last) == (at(2), at(8))
    assert life.recorder.monitors == {KEY}


@pytest.mark.parametrize("windows", [1, 3])
def test_every_verdict_of_every_window_is_told_with_its_tick(windows: int) -> None:
    made = model()
    fed = feed(made, [Row(f"{i}", 60 * i) for i in range(windows)], [])
    state = ModelState(made.name, baselines=(reference(made),))
    state = take_in(Context(plan_of(made), fed.schema, FAR), state, fed.batches[0], fed.decoded[0]).state
    told: list[tuple[int, TripKey, Trip]] = []

    closed = close_until(plan_of(made), mean_judge(), state, FAR, watch=lambda *verdict: told.append(verdict))

    ends = [EPOCH + (i + 1) * MINUTE for i in range(windows) for _ in range(4)]  # two features, two groups
    assert [tick for tick, _, _ in told] == ends
    assert [trip.window for _, _, trip in told] == [end - MINUTE for end in ends]
    assert {key: trip for _, key, trip in told} == closed.state.trips
    assert close_until(plan_of(made), mean_judge(), state, FAR).changes == closed.changes
