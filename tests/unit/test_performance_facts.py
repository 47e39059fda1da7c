"""What is exported of performance: the newest window, limits in its unit, within the series limit."""

import math
from collections import Counter
from collections.abc import Iterable

import pytest
from msgspec.structs import replace
from prometheus_client.parser import text_string_to_metric_families

from exporters.catalog import BY_NAME, Histogram, Sample
from exporters.prometheus import render
from exporters.rows import series
from monitor.config import Columns, Model, Monitor
from monitor.core.labels import LAG_BOUNDS, SeriesKey
from monitor.core.plan import Plan
from monitor.core.policy import Shown
from monitor.core.profiles import GroupKey
from monitor.core.state import ModelState
from monitor.facts import model_samples
from monitor.performance_facts import outcome_samples, performance_blocks
from tests.logs import MINUTE
from tests.performances import (
    CLOSED,
    HISTORY,
    JUDGED,
    MADE,
    OPEN,
    SOURCES,
    STATE,
    TRIPS,
    binary,
    key,
    measured,
    record,
    trip,
    with_labels,
)

Labelled = dict[tuple[str, ...], float]
SECOND = 10**6


def numbers(samples: Iterable[Sample], name: str) -> Labelled:
    """Return the values of one metric by its labels, without the model's."""
    return {s.labels[1:]: s.value for s in samples if s.name == name and not isinstance(s.value, Histogram)}


def of(state: ModelState, name: str, made: Model = MADE) -> Labelled:
    return numbers(model_samples(Plan.of(made), state), f"driftd_{name}")


@pytest.mark.parametrize("limit", [100, 150, 5000])
def test_every_sample_is_catalogued_once_with_its_labels_and_a_finite_number(limit: int) -> None:
    samples = model_samples(Plan.of(binary(series_limit=limit)), STATE)
    for sample in samples:
        assert len(sample.labels) == len(BY_NAME[sample.name].labels), sample
        assert isinstance(sample.value, Histogram) or math.isfinite(sample.value), sample
    assert max(Counter((s.name, s.labels) for s in samples).values()) == 1


def test_the_newest_window_of_each_basis_is_shown_with_its_interval() -> None:
    assert of(STATE, "performance_value")["v1", "all", "accuracy", "realized"] == 0.86
    assert of(STATE, "performance_lower")["v1", "all", "accuracy", "realized"] == 0.85
    assert of(STATE, "performance_upper")["v1", "all", "accuracy", "realized"] == 0.87
    assert of(STATE, "performance_value")["v1", "all", "accuracy", "estimated"] == 0.92


def test_metrics_that_are_not_judged_are_shown_too() -> None:
    assert of(STATE, "performance_value")["v1", "all", "roc_auc", "estimated"] == pytest.approx(0.97)
    assert ("v1", "all", "roc_auc", "estimated") not in of(STATE, "performance_quotient")


def test_a_metric_without_a_value_has_no_series() -> None:
    assert not [labels for labels in of(STATE, "performance_value") if "f1" in labels]


def test_groups_are_no_segments() -> None:
    segments = {labels[1] for labels in of(STATE, "performance_value")}
    assert segments == {"all", "place=north"}


def test_the_window_is_told_by_its_end() -> None:
    ends = of(STATE, "performance_window_timestamp_seconds")
    assert ends["v1", "all", "realized"] == (JUDGED + MINUTE) / SECOND
    assert ends["v1", "all", "estimated"] == (CLOSED + MINUTE) / SECOND
    assert of(STATE, "performance_rows")["v1", "all", "realized"] == 500


def test_quotient_state_and_episodes_are_those_of_the_judgement() -> None:
    firing = ("v1", "all", "accuracy", "realized")
    assert of(STATE, "performance_quotient")[firing] == pytest.approx(3.0)
    assert of(STATE, "performance_episodes_total")[firing] == 1
    assert of(STATE, "performance_state")[*firing, "firing"] == 1
    assert of(STATE, "performance_state")["v1", "all", "roc_auc", "realized", "insufficient_data"] == 1
    assert ("v1", "all", "roc_auc", "realized") not in of(STATE, "performance_quotient")


def test_each_judged_metric_is_in_exactly_one_state() -> None:
    states = of(STATE, "performance_state")
    assert len(states) == len(TRIPS) * len(Shown)
    assert sum(states.values()) == len(TRIPS)


def test_a_metric_that_is_no_longer_asked_for_has_a_state_and_no_limit() -> None:
    made = binary(monitors=(Monitor(detector="roc_auc"),))
    assert of(STATE, "performance_threshold", made).keys() == {("v1", "all", "roc_auc", "realized")}
    assert of(STATE, "performance_state", made)["v1", "all", "accuracy", "realized", "firing"] == 1


def test_performance_is_no_drift() -> None:
    assert not {s.name for s in model_samples(Plan.of(MADE), STATE) if s.name.startswith("driftd_drift_")}
    assert set(of(STATE, "features_firing").values()) == {0}
    assert set(of(STATE, "features_monitored").values()) == {0}


def test_a_version_without_rows_for_long_is_stale_and_its_numbers_are_gone() -> None:
    later = replace(STATE, book=replace(STATE.book, last_closed=CLOSED + 60 * MINUTE))
    for name in ("value", "quotient", "threshold", "window_timestamp_seconds"):
        assert of(later, f"performance_{name}") == {}
    states = of(later, "performance_state")
    assert {labels[-1] for labels, one in states.items() if one} == {"stale"}
    assert of(later, "fairness_value") == of(later, "worst_segment_gap") == {}


def test_realised_numbers_wait_for_the_horizon_before_they_are_stale() -> None:
    later = replace(STATE, book=replace(STATE.book, last_closed=JUDGED + 8 * MINUTE))
    bases = {labels[-1] for labels in of(later, "performance_value")}
    assert bases == {"realized"}


def test_coverage_is_that_of_the_window_shown() -> None:
    assert of(STATE, "label_coverage_ratio")["v1", "all"] == 0.95
    assert of(STATE, "estimation_coverage_ratio") == {("v1", "all"): 0.7}


def test_before_a_window_was_judged_coverage_is_that_of_the_oldest() -> None:
    ratios = of(STATE, "label_coverage_ratio")
    assert ratios["v2", "all"] == ratios["v2", "place=north"] == 0.25
    assert ("v2", "group:sex=F") not in ratios


def test_outcomes_are_counted_where_they_are_read() -> None:
    found = {what: of(STATE, f"labels_{what}_total")[()] for what in STATE.labels.counts}
    assert found == STATE.labels.counts
    assert of(STATE, "labels_pending")[()] == 25 + 300 + 30 + 30 + 20


def test_without_outcomes_nothing_is_said_of_them() -> None:
    estimated = {place: windows for place, windows in HISTORY.items() if place.basis == "estimated"}
    state = with_labels(history=estimated)
    names = {s.name for s in model_samples(Plan.of(binary(sources=SOURCES[:1])), state)}
    assert not {name for name in names if name.startswith("driftd_label")}
    assert "driftd_performance_value" in names


def test_lags_are_a_cumulative_histogram_that_prometheus_reads() -> None:
    samples = list(outcome_samples(Plan.of(MADE), STATE))
    (family,) = [
        f
        for f in text_string_to_metric_families(render(samples)[0].decode())
        if f.name == "driftd_label_lag_seconds"
    ]
    buckets = [s.value for s in family.samples if s.name.endswith("_bucket")]
    assert buckets == [1.0, 3.0, *[3.0] * 7, 7.0]
    assert {s.name.rsplit("_", 1)[1]: s.value for s in family.samples}["sum"] == 123.5
    bounds = [s.labels["le"] for s in family.samples if s.name.endswith("_bucket")]
    assert [float(b) for b in bounds] == [*LAG_BOUNDS, math.inf]


def test_rates_and_differences_of_groups_are_shown_with_their_intervals() -> None:
    assert of(STATE, "fairness_value") == {
        ("v1", "demographic_parity_difference", "sex"): 0.2,
        ("v1", "selection_rate", "sex=F"): 0.3,
    }
    assert of(STATE, "fairness_lower")["v1", "selection_rate", "sex=F"] == pytest.approx(0.29)
    assert of(STATE, "fairness_upper")["v1", "selection_rate", "sex=F"] == pytest.approx(0.31)


def test_groups_of_a_column_that_is_configured_no_more_are_not_shown() -> None:
    made = binary(columns=Columns(label="y", groups=("age",)))
    assert of(STATE, "fairness_value", made) == {}


def test_a_worst_segment_is_named_only_if_it_is_proven() -> None:
    assert of(STATE, "worst_segment_gap") == {("v1", "accuracy", "place=north"): -0.1}
    place = SeriesKey("v1", "segment:place", "worst")
    unproven = {**HISTORY, place: {JUDGED: replace(HISTORY[place][JUDGED], note="")}}
    assert of(with_labels(history=unproven), "worst_segment_gap") == {}


def test_the_challenger_is_compared_with_the_champion() -> None:
    arms = ("v1", "v2")
    difference = of(STATE, "compare_difference")[arms]
    assert difference == pytest.approx(0.2)
    assert of(STATE, "compare_lower")[arms] < difference < of(STATE, "compare_upper")[arms]
    assert of(STATE, "compare_lower")[arms] > 0
    assert 0 <= of(STATE, "compare_pvalue")[arms] < 0.001


@pytest.mark.parametrize("state", [with_labels(contest=""), ModelState("m")], ids=["no rows", "new"])
def test_a_contest_without_rows_is_not_shown(state: ModelState) -> None:
    assert of(state, "compare_pvalue") == of(state, "compare_difference") == {}


def test_no_contest_is_shown_that_was_not_asked_for() -> None:
    assert of(STATE, "compare_pvalue", binary(compare=None)) == {}


def test_a_model_without_a_task_has_no_performance() -> None:
    made = binary(task="none", sources=SOURCES[:1], compare=None)
    names = {s.name for s in model_samples(Plan.of(made), ModelState("m"))}
    assert not {n for n in names if n.startswith(("driftd_performance", "driftd_label", "driftd_fair"))}


def many(segments: int) -> ModelState:
    history = {
        SeriesKey(version, label, basis): {JUDGED: measured(0.9), CLOSED: measured(0.9)}
        for version in ("v1", "v2")
        for label in ("all", *(f"place={i:03}" for i in range(segments)))
        for basis in ("realized", "estimated")
    }
    trips = {
        key(name, place.version, place.label): trip(name, 0.0)
        for place in history
        for name in ("accuracy", "estimated_accuracy")
    }
    state = with_labels(history=history, records={GroupKey(OPEN, "v1"): record(5, 0)})
    return replace(state, trips=trips)


@pytest.mark.parametrize("limit", [100, 400, 2000])
def test_no_more_series_than_the_limit_and_the_rest_is_counted(limit: int) -> None:
    state = many(50)
    every = series(model_samples(Plan.of(binary(series_limit=10**6)), state))
    found = model_samples(Plan.of(binary(series_limit=limit)), state)
    assert numbers(found, "driftd_series_dropped_total")[()] == every - series(found) > 0
    assert numbers(found, "driftd_series_active")[()] == series(found) <= limit


def test_the_whole_model_comes_before_segments_and_judged_metrics_before_others() -> None:
    blocks = performance_blocks(Plan.of(MADE), many(5))
    values = [s.labels for b in blocks for s in b.samples if s.name == "driftd_performance_value"]
    assert [(v[2] != "all", v[3] != "accuracy") for v in values] == sorted(
        (v[2] != "all", v[3] != "accuracy") for v in values
    )
    assert {v[2] for v in values[:8]} == {"all"}


def test_what_is_left_out_does_not_depend_on_what_is_said() -> None:
    def chosen(state: ModelState) -> set[tuple[str, ...]]:
        return {labels[:4] for labels in of(state, "performance_state", binary(series_limit=300))}

    quiet = {place: replace(one, verdict=None, judged=None) for place, one in many(50).trips.items()}
    assert chosen(many(50)) == chosen(replace(many(50), trips=quiet))
    assert 0 < len(chosen(many(50))) < len(quiet)


def test_the_order_does_not_depend_on_how_the_state_was_filled() -> None:
    state = many(4)
    turned = replace(
        state,
        trips=dict(reversed(list(state.trips.items()))),
        labels=replace(state.labels, history=dict(reversed(list(state.labels.history.items())))),
    )
    plan = Plan.of(MADE)
    assert performance_blocks(plan, state) == performance_blocks(plan, turned)
