"""What the demo reads from /metrics, and how it tells it."""

import math
from itertools import pairwise

from monitor.scrape import Reading, read_metrics
from monitor.story import MONITORS_TOLD, acts, lesson, news, summary

METRICS = """\
# HELP driftd_drift_state one-hot
# TYPE driftd_drift_state gauge
driftd_events_stored_total{model="m",source="0"} 30000.0
driftd_events_stored_total{model="m",source="1"} 1e+03
driftd_windows_closed_total{model="m"} 42.0
driftd_drift_score{model="m",version="v2",segment="all",feature="x",detector="ks"} 0.31
driftd_drift_threshold{model="m",version="v2",segment="all",feature="x",detector="ks"} 0.07
driftd_drift_state{model="m",version="v2",segment="all",feature="x",detector="ks",state="firing"} 1.0
driftd_drift_state{model="m",version="v2",segment="all",feature="x",detector="ks",state="ok"} 0.0
driftd_drift_state{model="m",version="v1",segment="all",feature="x",detector="ks",state="firing"} 0.0
driftd_drift_state{model="m",version="v1",segment="all",feature="x",detector="ks",state="ok"} 1.0
driftd_drift_state{model="m",version="v2",segment="a\\"}b",feature="y",detector="psi",state="firing"} 1
driftd_performance_value{model="m",version="v1",segment="all",metric="accuracy",basis="realized"} 0.56
driftd_performance_value{model="m",version="v1",segment="all",metric="accuracy",basis="estimated"} 0.72
driftd_performance_threshold{model="m",version="v1",segment="all",metric="accuracy",basis="realized"} 0.71
driftd_performance_state{model="m",version="v1",segment="all",metric="accuracy",basis="realized",state="firing"} 1
driftd_performance_state{model="m",version="v1",segment="all",metric="accuracy",basis="estimated",state="ok"} 1
"""  # noqa: E501 - as it is exposed

REALIZED, ESTIMATED = ("v1", "all", "accuracy", "realized"), ("v1", "all", "accuracy", "estimated")
DRIFT = {("v2", "all", "x", "ks"): (0.31, 0.07)}
BAD = {REALIZED: (0.56, 0.71)}
VALUES = {REALIZED: 0.56, ESTIMATED: 0.72}


def test_metrics_are_read() -> None:
    reading = read_metrics(METRICS)

    assert reading.stored == 31_000
    assert reading.closed == 42
    assert reading.firing["v2", "all", "x", "ks"] == (0.31, 0.07)
    assert reading.firing.keys() == {("v2", "all", "x", "ks"), ("v2", 'a\\"}b', "y", "psi")}


def test_performance_is_read_with_its_basis() -> None:
    reading = read_metrics(METRICS)

    assert reading.performance == VALUES
    assert reading.failing == BAD


def test_an_alarm_without_numbers_is_one_all_the_same() -> None:
    score, threshold = read_metrics(METRICS).firing["v2", 'a\\"}b', "y", "psi"]

    assert math.isnan(score)
    assert math.isnan(threshold)


def test_no_metrics_are_read_as_nothing() -> None:
    assert read_metrics("") == read_metrics("# nothing yet\n") == Reading()


def test_the_acts_follow_each_other_and_only_incidents_change_the_service() -> None:
    story = acts(60.0, 30.0, 40.0)

    assert all(a.begin < b.begin for a, b in pairwise(story))
    assert [act.begin for act in story] == [0.0, 60.0, 90.0, 130.0]
    assert [(act.incident, act.concept) for act in story] == [
        (False, False),
        (True, False),
        (False, False),
        (False, True),
    ]


def test_every_act_but_the_calm_says_what_it_is() -> None:
    calm, *others = acts(1.0, 1.0, 1.0)

    assert not calm.says
    assert all(act.says for act in others)


def test_the_summary_counts_every_alarm_and_tells_realised_accuracy() -> None:
    text = summary(Reading(31_000, 42, DRIFT, VALUES, BAD))

    assert text == "42 windows closed, 2 firing, 31,000 rows stored, accuracy v1 0.560"


def test_the_summary_is_silent_about_accuracy_before_outcomes_are_known() -> None:
    assert "accuracy" not in summary(Reading(1, 1, performance={ESTIMATED: 0.7}))


def test_news_are_what_fires_now_and_did_not_before() -> None:
    before, now = Reading(firing=DRIFT), Reading(firing=DRIFT, failing=BAD)

    ((headline, lines),) = news(before, now)

    assert headline == "FIRING: 1 monitor of performance"
    assert lines == ["    accuracy by outcomes, version v1, segment all: 0.560, limit 0.710"]


def test_news_name_the_feature_of_a_drift() -> None:
    ((headline, lines),) = news(Reading(), Reading(firing=DRIFT))

    assert headline == "FIRING: 1 monitor of inputs and scores"
    assert lines == ["    ks on x, version v2, segment all: score 0.310, threshold 0.070"]


def test_news_tell_what_is_over_and_what_is_left() -> None:
    assert list(news(Reading(firing=DRIFT), Reading())) == [("OVER for 1 monitor, still firing: none", [])]
    assert list(news(Reading(firing=DRIFT, failing=BAD), Reading(failing=BAD))) == [
        ("OVER for 1 monitor, still firing: 1", [])
    ]


def test_nothing_new_is_no_news() -> None:
    assert not list(news(Reading(firing=DRIFT), Reading(firing=DRIFT)))


def test_many_alarms_are_cut_short_with_whole_versions_first() -> None:
    firing = {("v1", f"region={i}", "x", "ks"): (1.0, 0.5) for i in range(9)} | DRIFT

    ((headline, lines),) = news(Reading(), Reading(firing=firing))

    assert "10 monitors" in headline
    assert "segment all" in lines[0]
    assert len(lines) == MONITORS_TOLD + 1
    assert lines[-1] == "    ... and 4 more"


def test_the_lesson_sets_both_accuracies_side_by_side() -> None:
    lines = lesson(Reading(performance=VALUES, failing=BAD))

    assert lines[0].startswith("CONCEPT DRIFT")
    assert lines[1] == "    version v1: accuracy 0.560 by outcomes, 0.720 estimated"


def test_there_is_no_lesson_while_inputs_drift_too() -> None:
    assert not lesson(Reading(firing=DRIFT, performance=VALUES, failing=BAD))


def test_there_is_no_lesson_when_the_estimate_falls_as_well_or_nothing_does() -> None:
    assert not lesson(Reading(performance=VALUES, failing={**BAD, ESTIMATED: (0.6, 0.71)}))
    assert not lesson(Reading(performance=VALUES))


def test_a_version_without_an_estimate_is_left_out_of_the_lesson() -> None:
    lines = lesson(Reading(performance={REALIZED: 0.56}, failing=BAD))

    assert not any("estimated" in line and "version" in line for line in lines)
