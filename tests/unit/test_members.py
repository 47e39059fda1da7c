"""Which features have series of their own where a model has more than its limit."""

import tracemalloc
from collections.abc import Iterable

from msgspec.structs import replace

from exporters.catalog import Sample
from monitor.core.members import Claim, Members, Unit, chosen
from monitor.core.policy import Phase, Shown, Trip, TripKey
from monitor.core.state import Book, ModelState, load_model
from monitor.facts import SERIES_PER_TRIP, ModelFacts, model_samples
from tests.logs import EPOCH, MINUTE, model, plan_of
from tests.monitors import features, judged

PLAN = plan_of(model(series_limit=300))


def of(trips: dict[TripKey, Trip]) -> ModelState:
    return ModelState("m", book=Book(last_closed=EPOCH), trips=trips)


def shown(samples: Iterable[Sample]) -> dict[tuple[str, str], str]:
    """Return the state of each feature and segment that has series."""
    return {
        (s.labels[2], s.labels[3]): s.labels[5] for s in samples if s.name == "driftd_drift_state" and s.value
    }


def value(samples: Iterable[Sample], name: str) -> float:
    (found,) = [s.value for s in samples if s.name == name]
    assert isinstance(found, float | int)
    return found


def settled(state: ModelState) -> ModelState:
    """Return the state as the daemon commits it."""
    return replace(state, members=ModelFacts(PLAN).members(state))


def changed(state: ModelState, trips: dict[TripKey, Trip]) -> ModelState:
    return replace(state, trips={**state.trips, **trips})


def test_the_worst_features_have_series_and_the_others_are_one() -> None:
    trips = features(100)
    trips |= {TripKey("v1", "all", f"f{i:04}", "ks"): judged(0.9) for i in (7, 70, 99)}
    found = model_samples(PLAN, of(trips))

    states = shown(found)
    assert {("all", "f0007"), ("all", "f0070"), ("all", "f0099")} < states.keys()
    assert states["all", "_other"] == "ok"
    left = value(found, "driftd_monitors_left_out")
    assert left == 100 - (len(states) - 1) > 70
    assert value(found, "driftd_series_left_out") == left * (SERIES_PER_TRIP - 1)
    (others,) = [s for s in found if s.name == "driftd_drift_quotient" and s.labels[3] == "_other"]
    assert (others.labels, others.value) == (("m", "", "all", "_other", "_other"), 0.5)


def test_who_has_series_keeps_them_unless_another_is_clearly_worse() -> None:
    state = settled(of(features(100)))
    before = shown(model_samples(PLAN, state)).keys()
    out = next(k for k in state.trips if ("all", k.feature) not in before)

    noise = settled(changed(state, {out: judged(0.7)}))
    assert shown(model_samples(PLAN, noise)).keys() == before
    assert noise.members.dropped == state.members.dropped

    worse = settled(changed(state, {out: judged(0.8)}))
    after = shown(model_samples(PLAN, worse)).keys()
    assert ("all", out.feature) in after
    assert len(before - after) == 1

    back = settled(changed(worse, {out: judged(0.5)}))
    assert shown(model_samples(PLAN, back)).keys() == after


def test_a_feature_that_fires_is_never_left_out_for_one_that_does_not() -> None:
    trips = features(100, 0.9) | features(50, 0.1, "place=north")
    last = TripKey("v1", "place=north", "f0049", "ks")
    state = settled(of(trips))
    assert ("place=north", "f0049") not in shown(model_samples(PLAN, state))

    fires = settled(changed(state, {last: judged(0.1, Phase.FIRING)}))
    assert shown(model_samples(PLAN, fires))["place=north", "f0049"] == "firing"


def test_where_more_fire_than_there_is_room_the_rest_fires_as_one() -> None:
    firing = {key: replace(trip, phase=Phase.FIRING) for key, trip in features(100, 2.0).items()}
    found = model_samples(PLAN, of(firing))
    assert set(shown(found).values()) == {"firing"}
    assert shown(found)["all", "_other"] == "firing"
    assert value(found, "driftd_features_firing") == 100


def test_what_is_of_the_whole_model_comes_before_calm_features() -> None:
    trips = features(100, 0.9)
    for feature in ("_all", "_error", "prediction", "score", "score_yes"):
        trips[TripKey("v1", "all", feature, "ks")] = judged(0.0)
    assert shown(model_samples(PLAN, of(trips))).keys() >= {
        ("all", f) for f in ("_all", "_error", "prediction", "score", "score_yes")
    }


def test_stale_monitors_come_last() -> None:
    trips = features(100, 0.5)
    old = TripKey("v0", "all", "f0000", "ks")
    state = of({old: judged(0.9, window=EPOCH - 3 * MINUTE), **trips})
    found = model_samples(PLAN, state)
    assert not [s for s in found if s.name == "driftd_drift_state" and s.labels[1] == "v0"]
    stale = of({key: judged(0.9, Phase.FIRING, EPOCH - 3 * MINUTE) for key in trips})
    assert shown(model_samples(PLAN, stale))["all", "_other"] == str(Shown.STALE)


def test_where_all_fit_nobody_is_chosen() -> None:
    state = of(features(3))
    assert settled(state).members == Members()
    assert value(model_samples(PLAN, state), "driftd_series_dropped_total") == 0
    assert ("all", "_other") not in shown(model_samples(PLAN, state))


def test_the_dropped_are_counted_up_and_never_down() -> None:
    many, few = settled(of(features(100))), features(3)
    dropped = many.members.dropped
    assert dropped == many.members.left_out > 0
    calm = settled(replace(many, trips=few))
    assert (calm.members.dropped, calm.members.left_out) == (dropped, 0)
    again = settled(replace(calm, trips=many.trips))
    assert again.members.dropped == 2 * dropped


def test_the_choice_is_read_back_from_the_store() -> None:
    members = settled(of(features(100))).members
    assert members.units
    assert load_model("m", {("members", "m", ""): members.dump()}).members == members
    assert load_model("m", {}).members == Members()


def test_no_later_one_slips_in_where_an_earlier_one_did_not_fit() -> None:
    claims = [
        Claim(Unit("", "all", f"f{i}"), size, firing=False, rank=1, quotient=1.0 - i / 10)
        for i, size in enumerate([5, 9, 1])
    ]
    assert {unit.feature for unit in chosen(claims, 10, frozenset())} == {"f0"}
    assert chosen(claims, 0, frozenset()) == frozenset()


def test_a_bomb_of_segments_and_features_stays_within_the_limit_and_leaves_the_rest_as_it_was() -> None:
    plan = plan_of(model(series_limit=5000))
    before = of(features(50, 0.9) | {TripKey("v1", "all", "f0001", "ks"): judged(2.0, Phase.FIRING)})
    usual = {(s.name, s.labels): s.value for s in model_samples(plan, before) if "drift_" in s.name}
    bomb = {
        TripKey("v1", f'place="{i}\n\\{j}', f"f{j:04}", "ks"): judged(0.5)
        for i in range(200)
        for j in range(100)
    }
    volumes = {("v1", key.segment): (9,) for key in bomb}
    state = replace(before, trips={**before.trips, **bomb}, volumes=volumes)

    facts = ModelFacts(plan)
    tracemalloc.start()
    parts = facts.parts(state)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    found = [sample for part in parts for sample in part.each()]
    assert len(found) == value(found, "driftd_series_active") <= 5000
    now = {(s.name, s.labels): s.value for s in found}
    assert {key: now[key] for key in usual} == usual
    assert value(found, "driftd_monitors_left_out") > 19_000
    assert value(found, "driftd_series_left_out") > 200_000
    assert peak < 100 * 2**20
