"""What episodes are worth: which are false, how long an incident went unseen, who is called."""

import pytest

from monitor.backtest_score import calls, delay, explains, score
from monitor.truth import Incident
from tests.histories import HOURLY, Alarm, at, incident, replayed


def false(*alarms: Alarm, known: tuple[Incident, ...]) -> list[float]:
    """Return when the false ones of these alarms started, in hours."""
    found = score(replayed(*alarms, known=known)).false
    return [alarm.started for alarm in alarms if alarm.episode in found]


def test_without_incidents_every_episode_is_false() -> None:
    found = score(replayed(Alarm(1, 2), Alarm(5), hours=720))

    assert (len(found.false), found.per_30d) == (2, 2.0)


def test_the_rate_is_that_of_the_time_judged() -> None:
    assert score(replayed(Alarm(1, 2), hours=24)).per_30d == 30
    assert score(replayed(hours=24)).per_30d == 0


def test_of_no_time_there_is_no_rate() -> None:
    assert score(replayed(hours=0)).per_30d is None


def test_an_episode_that_touches_no_incident_is_false() -> None:
    known = (incident(10, 12),)
    alarms = [Alarm(8, 10), Alarm(9, 11), Alarm(10, 11), Alarm(11.5), Alarm(12), Alarm(2)]

    assert false(*alarms, known=known) == [8, 12]


def test_at_an_incident_nothing_is_false_whatever_it_is_of() -> None:
    known = (incident(10, 12, "performance", "y"),)

    assert false(Alarm(11, 12, feature="x"), known=known) == []


def test_performance_has_until_its_outcomes_are_due() -> None:
    known = (incident(10, 12),)
    alarms = [Alarm(14.9, kind="performance"), Alarm(15, kind="performance")]
    others = [Alarm(14.9, kind="estimated_performance"), Alarm(14.8)]

    assert false(*alarms, *others, known=known) == [15, 14.9, 14.8]


def test_while_something_was_injected_only_episodes_of_its_feature_are_explained() -> None:
    injected = Incident("m", at(10), None, "", "x", "inject", exact=True)

    assert false(Alarm(11, feature="x"), Alarm(12, feature="y"), known=(injected,)) == [12]
    assert explains(HOURLY, injected, Alarm(11, kind="quality").episode)


def test_the_same_window_is_a_delay_of_none() -> None:
    alarm = Alarm(10, known=11.25)
    found = delay(HOURLY, incident(10.5), (alarm.episode,))

    assert (found.episode, found.windows) == (alarm.episode, 0)
    assert found.time == at(11.25) - at(10.5)


def test_later_windows_are_counted() -> None:
    assert delay(HOURLY, incident(10), (Alarm(13).episode,)).windows == 3


def test_the_first_to_be_told_finds_it() -> None:
    late, soon = Alarm(10, known=20, kind="performance"), Alarm(12)

    assert delay(HOURLY, incident(10), (late.episode, soon.episode)).episode == soon.episode


def test_of_those_told_together_the_one_of_all_rows_finds_it() -> None:
    part, whole = Alarm(10, segment="a=1"), Alarm(10)

    assert delay(HOURLY, incident(10), (part.episode, whole.episode)).episode == whole.episode


@pytest.mark.parametrize(
    "alarm", [Alarm(12, kind="quality"), Alarm(12, feature="y"), Alarm(9, 10), Alarm(20), Alarm(31)]
)
def test_what_does_not_match_does_not_find_it(alarm: Alarm) -> None:
    known = incident(10, 20, "drift", "x")
    found = delay(HOURLY, known, (alarm.episode,))

    assert (found.episode, found.windows, found.time, found.before) == (None, None, None, None)


def test_performance_may_find_it_until_its_outcomes_are_due() -> None:
    known = incident(10, 12)

    assert delay(HOURLY, known, (Alarm(14.9, kind="performance").episode,)).windows == 4
    assert delay(HOURLY, known, (Alarm(15, kind="performance").episode,)).episode is None


def test_an_alarm_that_was_firing_before_finds_nothing_and_is_named() -> None:
    before = Alarm(3).episode
    found = delay(HOURLY, incident(10), (before,))

    assert (found.episode, found.before) == (None, before)
    assert delay(HOURLY, incident(10), (before, Alarm(11).episode)).windows == 1


@pytest.mark.parametrize(("start", "end"), [(-5, -1), (-5, 0), (24, None), (30, 40)])
def test_an_incident_of_another_time_was_not_watched(start: float, end: float | None) -> None:
    (found,) = score(replayed(known=(incident(start, end),), hours=24)).delays

    assert not found.watched


def test_an_incident_that_reaches_into_the_time_was_watched() -> None:
    found = score(replayed(known=(incident(-5, 1), incident(23), incident(-5)), hours=24)).delays

    assert all(one.watched for one in found)


def test_performance_pages_and_everything_else_makes_a_ticket() -> None:
    alarms = [
        Alarm(1, kind="performance", feature="_all", detector="accuracy"),
        Alarm(2, kind="performance", feature="_all", detector="accuracy"),
        Alarm(3, kind="estimated_performance", feature="_all", detector="estimated_accuracy"),
        Alarm(4),
        Alarm(5, kind="quality", detector="null_share"),
    ]
    episodes = tuple(alarm.episode for alarm in alarms)

    assert calls(episodes, pages=True) == {"accuracy": 2}
    assert calls(episodes, pages=False) == {"estimated_accuracy": 1, "x": 2}
