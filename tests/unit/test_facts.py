"""What is exported: catalogued names and labels, finite numbers, a fixed choice within the limit."""

import math
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from datetime import timedelta
from typing import Any

import pytest
from msgspec.structs import replace
from prometheus_client.openmetrics.parser import text_string_to_metric_families as read_openmetrics
from prometheus_client.parser import text_string_to_metric_families

from detectors.base import Level, Verdict
from exporters.catalog import BY_NAME, Histogram, Sample
from exporters.prometheus import render
from monitor.config import Model, Monitor
from monitor.core.annotations import ENDPOINT
from monitor.core.judging import BudgetJudge
from monitor.core.outbox import Note, NoteState
from monitor.core.policy import Phase, Shown, Trip, TripKey
from monitor.core.state import Book, ModelState, load_model
from monitor.core.windows import Progress
from monitor.facts import SERIES_OF_OTHERS, SERIES_PER_TRIP, all_samples, model_samples, outbox_samples
from monitor.outgoing import Outbox, Queued
from monitor.store.memory import MemoryStore
from tests.lives import Cut, Process
from tests.logs import EPOCH, MINUTE, Row, model, plan_of, reference

OPENMETRICS = "application/openmetrics-text; version=1.0.0"
ODD = 'a"b\\c\nd\u2028é'


def lived(made: Model) -> ModelState:
    """Return the state after a log with two versions, bad rows, late rows, a window that cannot be judged."""
    from detectors.calibration import Calibrator  # noqa: PLC0415 - only here

    rows = [
        Row(f"{w}/{i}", w * 60 + i, float(i), version=f"v{i % 2}{ODD}") for w in range(10) for i in range(40)
    ]
    rows += [Row("bad", None), Row("late", 0), Row("0/1", 595), Row("0/1", 596), Row("few", 660)]
    store = MemoryStore()
    Process(made, store, BudgetJudge(plan_of(made), Calibrator())).run(Cut(rows, [100, 300]), flush=True)
    return load_model(made.name, store.load())


MADE = model(
    monitors=(
        Monitor(detector="quality"),
        Monitor(detector="psi", threshold=0.2),
        Monitor(detector="ks", threshold=0.0),
    )
)


@pytest.fixture(scope="module")
def state() -> ModelState:
    return lived(MADE)


def by_name(samples: Iterable[Sample]) -> dict[str, list[Sample]]:
    found: defaultdict[str, list[Sample]] = defaultdict(list)
    for sample in samples:
        found[sample.name].append(sample)
    return dict(found)


def samples_of(state: ModelState, **settings: Any) -> list[Sample]:  # noqa: ANN401 - fields of Model
    return model_samples(plan_of(MADE.model_copy(update=settings)), state)


def test_every_sample_is_catalogued_with_its_labels_and_a_finite_number(state: ModelState) -> None:
    samples = all_samples([plan_of(MADE)], {"m": state}, {"m": b"[10, 3]"}, Outbox(), 0)
    for sample in samples:
        assert len(sample.labels) == len(BY_NAME[sample.name].labels), sample
        assert isinstance(sample.value, Histogram) or math.isfinite(sample.value), sample
    assert max(Counter((s.name, s.labels) for s in samples).values()) == 1
    assert by_name(samples)["driftd_rejects_unkept_total"][0].value == 3


def test_each_monitor_is_in_exactly_one_state(state: ModelState) -> None:
    states: defaultdict[tuple[str, ...], dict[str, float]] = defaultdict(dict)
    for sample in by_name(samples_of(state))["driftd_drift_state"]:
        assert isinstance(sample.value, float)
        states[sample.labels[:-1]][sample.labels[-1]] = sample.value
    assert len(states) == len(state.trips)
    for one in states.values():
        assert set(one) == {str(shown) for shown in Shown}
        assert sorted(one.values()) == [0.0] * (len(Shown) - 1) + [1.0]


@pytest.mark.parametrize("accept", ["", OPENMETRICS])
def test_the_text_can_be_read_back_with_odd_label_values(state: ModelState, accept: str) -> None:
    samples = all_samples([plan_of(MADE)], {"m": state}, {}, Outbox(), 0)
    text = render(samples, accept)[0].decode()
    reader: Callable[[str], Iterable[Any]] = read_openmetrics if accept else text_string_to_metric_families
    found = {
        (s.name, tuple(sorted(s.labels.items()))): s.value for family in reader(text) for s in family.samples
    }
    for sample in samples:
        labels = tuple(sorted(zip(BY_NAME[sample.name].labels, sample.labels, strict=True)))
        if BY_NAME[sample.name].kind != "info":
            assert found[sample.name, labels] == sample.value
    assert any(ODD in value for _, labels in found for _, value in labels)


def test_the_loss_account_is_exported_per_source(state: ModelState) -> None:
    found = by_name(samples_of(state))
    numbers = {
        what: sum(s.value for s in found[f"driftd_events_{what}_total"] if isinstance(s.value, int))
        for what in ("received", "stored", "rejected", "duplicate", "late")
    }
    assert numbers == {"received": 405, "stored": 402, "rejected": 1, "duplicate": 1, "late": 1}
    assert {s.labels[1] for s in found["driftd_events_rejected_total"]} == {"predictions-0"}


def test_numbers_of_a_window_that_could_not_be_judged_are_absent_and_not_zero() -> None:
    key = TripKey("v", "all", "x", "ks")
    unjudged = Verdict("ks", "x", "drift", Level.INSUFFICIENT_DATA, 3)
    judged = Verdict("ks", "x", "drift", Level.BREACH, 3, 2.0, 0.5, 0.01)
    book = Book(last_closed=EPOCH)
    for verdict, names in [
        (unjudged, set()),
        (judged, {"score", "threshold", "quotient", "pvalue"}),
        (replace(judged, threshold=0.0, pvalue=None), {"score", "threshold"}),
    ]:
        trip = Trip("drift", verdict=verdict, window=EPOCH)
        found = by_name(samples_of(ModelState("m", book=book, trips={key: trip})))
        assert {n.removeprefix("driftd_drift_") for n in found if n.startswith("driftd_drift_")} == {
            *names, "state", "episodes_total"
        }  # fmt: skip
    stale = Trip("drift", verdict=judged, window=EPOCH - 3 * MINUTE, phase=Phase.FIRING)
    found = by_name(samples_of(ModelState("m", book=book, trips={key: stale})))
    assert "driftd_drift_score" not in found
    assert [s.labels[-1] for s in found["driftd_drift_state"] if s.value] == ["stale"]
    assert found["driftd_features_firing"][0].value == 0


def evaluated(*kinds: str) -> dict[tuple[str, ...], float]:
    """Return the last evaluations of a model whose trips judged older and older windows.

    Two versions and two segments; v0 had its last rows two windows before v1.
    """
    trips = {
        TripKey(version, segment, "_all", kind): Trip(kind, window=EPOCH - (1 + age) * MINUTE)
        for age, kind in enumerate(kinds)
        for version, segment in (("v1", "all"), ("v1", "place=north"))
    }
    volumes = dict.fromkeys((("v0", "all"), ("v1", "all"), ("v1", "place=north")), (5,))
    book = Book(last_closed=EPOCH, versions={"v0": EPOCH - 2 * MINUTE, "v1": EPOCH})
    found = by_name(samples_of(ModelState("m", book=book, trips=trips, volumes=volumes)))
    ends = found["driftd_last_evaluation_timestamp_seconds"]
    return {s.labels[1:]: (s.value - EPOCH / 10**6) / 60 for s in ends if isinstance(s.value, float)}


def test_the_last_evaluation_of_realised_performance_is_the_last_closed_window_of_the_version() -> None:
    assert evaluated("performance") == {("v0", "all"): -1.0, ("v1", "all"): 1.0, ("v1", "place=north"): 1.0}


def test_the_last_evaluation_of_a_segment_that_was_judged_when_it_closed_is_its_own() -> None:
    assert evaluated("drift", "performance")["v1", "place=north"] == 0.0
    assert evaluated("performance", "estimated_performance")["v1", "place=north"] == -1.0


def test_a_quotient_by_the_smallest_threshold_is_a_number() -> None:
    verdict = Verdict("ks", "x", "drift", Level.BREACH, 3, 1e300, 5e-324)
    state = ModelState("m", trips={TripKey("v", "all", "x", "ks"): Trip("drift", verdict=verdict)})
    assert math.isfinite(by_name(samples_of(state))["driftd_drift_quotient"][0].value)  # type: ignore[arg-type]  # no histogram


def many(trips: int) -> ModelState:
    verdict = Verdict("ks", "x", "drift", Level.OK, 3, 0.1, 0.5, 0.3)
    keys = [TripKey(f"v{i % 3}", "all" if i % 2 else "place=north", f"f{i:04}", "ks") for i in range(trips)]
    volumes = {(f"v{i % 3}", f"place={i}"): (5,) for i in range(trips)}
    return ModelState("m", trips={key: Trip("drift", verdict=verdict) for key in keys}, volumes=volumes)


@pytest.mark.parametrize("limit", [100, 500, 5000])
def test_no_more_series_than_the_limit_and_the_rest_is_counted(limit: int) -> None:
    whole = samples_of(many(2000), series_limit=10**6)
    found = samples_of(many(2000), series_limit=limit)
    numbers = by_name(found)
    own = [sample for sample in found if "_other" not in sample.labels]
    assert len(found) - len(own) == SERIES_OF_OTHERS
    for name in ("driftd_series_dropped_total", "driftd_series_left_out"):
        assert numbers[name][0].value == len(whole) - len(own)
    assert numbers["driftd_series_active"][0].value == len(found) <= limit
    assert len(found) > limit - SERIES_PER_TRIP - 2
    assert {s.labels[2] for s in numbers["driftd_drift_score"]} == {"all"}


def test_the_limit_keeps_the_same_monitors_whatever_they_say() -> None:
    state = many(200)
    quiet = replace(state, trips={key: replace(trip, verdict=None) for key, trip in state.trips.items()})

    def chosen(of: ModelState) -> set[tuple[str, ...]]:
        return {s.labels[:5] for s in by_name(samples_of(of, series_limit=400))["driftd_drift_state"]}

    assert chosen(state) == chosen(quiet)
    assert 10 < len(chosen(state)) < 200


def test_a_model_that_saw_nothing_says_so() -> None:
    found = by_name(samples_of(ModelState("m")))
    assert "driftd_watermark_timestamp_seconds" not in found
    assert found["driftd_events_received_total"][0].value == 0
    assert found["driftd_windows_closed_total"][0].value == 0
    seen = ModelState("m", book=Book(progress=Progress(EPOCH, EPOCH)), baselines=(reference(MADE),))
    found = by_name(samples_of(seen))
    assert found["driftd_last_row_timestamp_seconds"][0].value == EPOCH / 10**6
    assert found["driftd_watermark_timestamp_seconds"][0].value == EPOCH / 10**6 - 30
    assert {s.labels[1]: s.value for s in found["driftd_reference_rows"]}["all"] == 400


def test_the_outbox_is_counted() -> None:
    def note(id_: str, state: NoteState, since: int, endpoint: str = "hook") -> Queued:
        return Queued(Note(id_, endpoint, "m", "{}", 0, state=state), since)

    queued = [
        note("a", NoteState.PENDING, 40),
        note("b", NoteState.PENDING, 10),
        note("c", NoteState.DEAD, 0),
        note("d", NoteState.PENDING, 0, ENDPOINT),
        note("e", NoteState.DELIVERED, 0, ENDPOINT),
    ]
    outbox = Outbox({q.note.id: q for q in queued})
    at = 10 + 5 * 10**6
    assert [s.value for s in outbox_samples(outbox, at)] == [2, 5.0, 1, 1, 0]
    assert [s.value for s in outbox_samples(outbox, 0)] == [
        2,
        0,
        1,
        1,
        0,
    ]  # a clock put back
    assert [s.value for s in outbox_samples(Outbox(), at)] == [0, 0, 0, 0, 0]


def test_changing_the_configuration_changes_its_hash() -> None:
    def info(made: Model) -> tuple[str, ...]:
        return by_name(model_samples(plan_of(made), ModelState("m")))["driftd_model_info"][0].labels

    assert info(MADE) == info(MADE)
    assert info(MADE) != info(MADE.model_copy(update={"lateness": timedelta(seconds=31)}))


def test_a_histogram_counts_what_is_within_each_of_its_bounds() -> None:
    found = Histogram((0, 0), bounds=(1.0, 60.0)).observed(60.0).observed(0.5).observed(61.0)
    assert found == Histogram((1, 2), 121.5, 3, (1.0, 60.0))


def test_monitors_of_performance_are_no_features() -> None:
    verdict = Verdict("accuracy", "_all", "performance", Level.BREACH, 9, 0.02, 0.01)
    trip = Trip("performance", Phase.FIRING, verdict=verdict, judged=verdict, window=EPOCH)
    state = ModelState(
        "m", book=Book(last_closed=EPOCH), trips={TripKey("v", "all", "_all", "accuracy"): trip}
    )
    found = by_name(samples_of(state))
    assert not {name for name in found if name.startswith("driftd_drift_")}
    assert found["driftd_features_monitored"][0].value == found["driftd_features_firing"][0].value == 0
    assert [s.labels[-1] for s in found["driftd_performance_state"] if s.value] == ["firing"]
