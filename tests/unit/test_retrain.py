"""When a retraining is asked for, and what the request says."""

import json
from itertools import pairwise
from pathlib import Path

import pytest
from msgspec.structs import replace

from monitor.core.retrain import (
    BODY_BYTES,
    ClosedWindow,
    Decision,
    Firing,
    Outcome,
    RetrainState,
    Rule,
    request,
)
from tests.json_schema import faults

HOUR = 3600 * 10**6
DAY = 24 * HOUR
START = 1_772_323_200_000_000  # 2026-03-01T00:00:00Z
RULE = Rule("car-loan", "training", frozenset({"drift"}), cooldown=DAY, max_per_week=2)
INCOME = Firing("drift", "ks", "income", "all", "v2", 0.6, 0.2, "ep-income")
AGE = replace(INCOME, feature="age", score=0.3, episode="ep-age")
LATER = replace(AGE, feature="score", episode="ep-score")
QUALITY = replace(INCOME, kind="quality", detector="null_share", episode="ep-null")
EMPTY = RetrainState()
REQUESTED = Decision(Outcome.REQUESTED, 1)
NOTHING = Decision(Outcome.NOTHING, 0)
SCHEMA = Path(__file__).parents[2] / "docs" / "webhook.schema.json"


def window(end: int) -> ClosedWindow:
    return ClosedWindow(end - HOUR, end, "sha256:abc")


def test_a_new_episode_asks_once() -> None:
    state, note, decision = request(RULE, EMPTY, [INCOME], window(START))
    assert decision == REQUESTED
    assert note is not None
    assert (note.endpoint, note.model, note.created, note.attempts) == ("training", "car-loan", START, 0)
    assert note.id.startswith("msg_")
    assert len(note.id) == 28
    for days in range(1, 30):
        state, again, decision = request(RULE, state, [INCOME], window(START + days * DAY))
        assert (again, decision) == (None, NOTHING)


def test_nothing_and_unwanted_kinds_ask_nothing() -> None:
    assert request(RULE, EMPTY, [], window(START)) == (EMPTY, None, NOTHING)
    assert request(RULE, EMPTY, [QUALITY], window(START)) == (EMPTY, None, NOTHING)


def test_an_episode_held_by_the_cooldown_is_counted_once_and_sent_later() -> None:
    state, _, _ = request(RULE, EMPTY, [INCOME], window(START))
    state, note, decision = request(RULE, state, [INCOME, AGE], window(START + HOUR))
    assert (note, decision) == (None, Decision(Outcome.COOLDOWN, 1))
    state, note, decision = request(RULE, state, [INCOME, AGE], window(START + 2 * HOUR))
    assert (note, decision) == (None, Decision(Outcome.COOLDOWN, 0))
    _, note, decision = request(RULE, state, [INCOME, AGE], window(START + DAY))
    assert decision == REQUESTED
    assert note is not None
    assert [m["feature"] for m in json.loads(note.body)["data"]["monitors"]] == ["income", "age"]


def test_an_episode_that_ends_during_the_cooldown_is_never_sent() -> None:
    state, _, _ = request(RULE, EMPTY, [INCOME], window(START))
    state, _, _ = request(RULE, state, [INCOME, AGE], window(START + HOUR))
    state, note, decision = request(RULE, state, [INCOME], window(START + 2 * DAY))
    assert (note, decision) == (None, NOTHING)
    assert state.held == frozenset()


def test_no_more_than_the_weekly_number_of_requests() -> None:
    state, outcomes = EMPTY, []
    for day in range(10):
        episode = replace(INCOME, episode=f"ep-{day}")
        state, _, decision = request(RULE, state, [episode], window(START + day * DAY))
        outcomes.append(decision)
    asked, capped = REQUESTED, Decision(Outcome.WEEKLY_CAP, 1)
    assert outcomes == [asked, asked, capped, capped, capped, capped, capped, asked, asked, capped]


def test_an_ended_episode_is_forgotten_and_a_new_one_asks_again() -> None:
    state, _, _ = request(RULE, EMPTY, [INCOME], window(START))
    state, _, _ = request(RULE, state, [], window(START + DAY))
    assert state.announced == frozenset()
    again = replace(INCOME, episode="ep-income-2")
    _, note, decision = request(RULE, state, [again], window(START + 2 * DAY))
    assert decision == REQUESTED
    assert note is not None


def test_a_cooldown_longer_than_a_week_holds() -> None:
    rule = replace(RULE, cooldown=30 * DAY)
    state, _, _ = request(rule, EMPTY, [INCOME], window(START))
    for days, outcome in [(8, Outcome.COOLDOWN), (29, Outcome.COOLDOWN), (30, Outcome.REQUESTED)]:
        state, _, decision = request(rule, state, [AGE], window(START + days * DAY))
        assert decision.outcome is outcome


def test_five_hundred_features_at_once_are_one_request() -> None:
    storm = [replace(INCOME, feature=f"f{i}", score=float(i), episode=f"ep-{i}") for i in range(500)]
    state, note, _ = request(RULE, EMPTY, storm, window(START))
    assert note is not None
    data = json.loads(note.body)["data"]
    assert [m["feature"] for m in data["monitors"]] == [f"f{i}" for i in range(499, 449, -1)]
    assert data["omitted"] == 450
    assert len(state.announced) == 500
    assert request(RULE, state, storm, window(START + DAY))[2] == NOTHING


def test_flapping_asks_no_more_than_the_cooldown_allows() -> None:
    rule, state, sent = replace(RULE, max_per_week=100), EMPTY, []
    for hour in range(7 * 24):
        firing = [replace(INCOME, episode=f"ep-{hour}")] if hour % 2 else []
        state, note, _ = request(rule, state, firing, window(START + hour * HOUR))
        sent += [note.created] if note else []
    assert len(sent) == 7
    assert all(later - earlier >= DAY for earlier, later in pairwise(sent))


def test_the_id_names_what_was_asked_and_nothing_else() -> None:
    def name(rule: Rule = RULE, end: int = START, firing: tuple[Firing, ...] = (INCOME,)) -> str:
        note = request(rule, EMPTY, firing, window(end))[1]
        assert note is not None
        return note.id

    moved = replace(INCOME, score=0.9, threshold=0.1)
    assert name(firing=(moved,)) == name()
    others = [
        name(end=START + 1),
        name(firing=(INCOME, AGE)),
        name(rule=replace(RULE, model="other")),
        name(rule=replace(RULE, webhook="other")),
        name(firing=(replace(INCOME, episode="ep-2"),)),
    ]
    assert len({name(), *others}) == 6


def test_the_body_says_what_the_schema_promises() -> None:
    other = replace(AGE, version="v1", segment="low", threshold=None, score=None)
    _, note, _ = request(RULE, EMPTY, [other, INCOME, QUALITY], window(START))
    assert note is not None
    body = json.loads(note.body)
    assert faults(json.loads(SCHEMA.read_text()), body) == []
    assert body == {
        "type": "driftd.retrain.requested",
        "timestamp": "2026-03-01T00:00:00Z",
        "data": {
            "schema_version": 1,
            "model": "car-loan",
            "versions": ["v1", "v2"],
            "window": {"start": "2026-02-28T23:00:00Z", "end": "2026-03-01T00:00:00Z"},
            "reference": "sha256:abc",
            "monitors": [as_json(INCOME), as_json(other)],
            "omitted": 0,
        },
    }


def as_json(firing: Firing) -> dict[str, object]:
    return {name: getattr(firing, name) for name in Firing.__struct_fields__ if name != "why"}


def test_numbers_that_json_does_not_have_become_null() -> None:
    wild = [
        replace(INCOME, score=float("nan"), episode="a"),
        replace(INCOME, score=float("inf"), episode="b"),
    ]
    _, note, _ = request(RULE, EMPTY, wild, window(START))
    assert note is not None
    assert [m["score"] for m in json.loads(note.body)["data"]["monitors"]] == [None, None]


@pytest.mark.parametrize("sign", ["x", "é", "\0", "😀", "\ud800", '"'])
def test_a_body_is_small_whatever_the_names_are(sign: str) -> None:
    long = sign * 5_000
    many = [Firing(long, long, long, long, f"{i}{long}", 1.0, 0.5, f"{i}{long}") for i in range(60)]
    rule = replace(RULE, model=long, kinds=frozenset({long}))
    _, note, _ = request(rule, EMPTY, many, ClosedWindow(START - HOUR, START, long))
    assert note is not None
    assert len(note.body.encode()) < BODY_BYTES
    body = json.loads(note.body)
    assert faults(json.loads(SCHEMA.read_text()), body) == []
    assert len(body["data"]["monitors"]) + body["data"]["omitted"] == 60


def test_the_state_comes_back_from_json() -> None:
    state, _, _ = request(RULE, EMPTY, [INCOME], window(START))
    state, _, _ = request(RULE, state, [INCOME, AGE], window(START + HOUR))
    assert RetrainState.load(state.dump()) == state
    assert RetrainState.load(EMPTY.dump()) == EMPTY


WORSE = Rule("car-loan", "training", frozenset({"performance", "estimated_performance"}), DAY, 2)
ACCURACY = Firing("performance", "accuracy", "_all", "all", "v2", 0.02, 0.01, "ep-accuracy")
AREA = replace(ACCURACY, detector="roc_auc", episode="ep-area")
REGION = replace(ACCURACY, segment="region=north", episode="ep-region")
GUESSED = replace(ACCURACY, kind="estimated_performance", detector="estimated_accuracy", episode="ep-guess")


@pytest.mark.parametrize("other", [AREA, REGION, GUESSED], ids=lambda f: f.episode)
def test_performance_that_has_asked_and_still_fires_asks_no_second_time(other: Firing) -> None:
    state, note, _ = request(WORSE, EMPTY, [ACCURACY], window(START))
    assert note is not None

    for days in range(1, 30):
        state, again, decision = request(WORSE, state, [ACCURACY, other], window(START + days * DAY))
        assert (again, decision) == (None, NOTHING)
    assert request(WORSE, state, [other], window(START + 30 * DAY))[1] is None


def test_a_new_fall_of_performance_asks_again() -> None:
    state, _, _ = request(WORSE, EMPTY, [ACCURACY], window(START))
    state, _, _ = request(WORSE, state, [], window(START + 2 * DAY))

    assert request(WORSE, state, [AREA], window(START + 3 * DAY))[1] is not None


def test_each_version_asks_for_itself() -> None:
    state, _, _ = request(WORSE, EMPTY, [ACCURACY], window(START))
    other = replace(ACCURACY, version="v3", episode="ep-v3")

    assert request(WORSE, state, [ACCURACY, other], window(START + 2 * DAY))[1] is not None


def test_drift_asks_for_itself_beside_performance() -> None:
    rule = replace(WORSE, kinds=frozenset({"performance", "drift"}))
    state, _, _ = request(rule, EMPTY, [ACCURACY], window(START))

    assert request(rule, state, [ACCURACY, INCOME], window(START + 2 * DAY))[1] is not None


def test_a_version_that_came_after_the_last_request_ends_the_cooldown() -> None:
    state, _, _ = request(RULE, EMPTY, [INCOME], window(START), START)
    other = replace(AGE, version="v3")
    held = request(RULE, state, [INCOME, other], window(START + HOUR), START)
    assert held[2] == Decision(Outcome.COOLDOWN, 1)
    state, note, decision = request(RULE, held[0], [INCOME, other], window(START + 2 * HOUR), START + 1)
    assert (decision, note is not None) == (REQUESTED, True)
    again = request(RULE, state, [INCOME, other, LATER], window(START + 3 * HOUR), START + 1)
    assert again[2] == Decision(Outcome.COOLDOWN, 1)


def test_a_version_that_came_since_does_not_end_the_cooldown_of_an_older_window() -> None:
    state, _, _ = request(RULE, EMPTY, [INCOME], window(START + HOUR))
    late, note, decision = request(RULE, state, [INCOME, AGE], window(START), START + 2 * HOUR)
    assert (note, decision) == (None, Decision(Outcome.COOLDOWN, 1))
    assert request(RULE, late, [INCOME, AGE], window(START + 2 * HOUR), START + 2 * HOUR)[2] == REQUESTED


def test_a_new_version_does_not_open_a_full_week() -> None:
    rule, state = replace(RULE, max_per_week=1), EMPTY
    state, _, _ = request(rule, state, [INCOME], window(START))
    _, note, decision = request(rule, state, [INCOME, AGE], window(START + HOUR), START + HOUR)
    assert (note, decision.outcome) == (None, Outcome.WEEKLY_CAP)


def test_a_new_version_alone_asks_nothing() -> None:
    state, _, _ = request(RULE, EMPTY, [INCOME], window(START))
    _, note, decision = request(RULE, state, [INCOME], window(START + HOUR), START + HOUR)
    assert (note, decision) == (None, NOTHING)


def test_the_new_versions_performance_asks_within_the_cooldown_of_the_old_ones() -> None:
    state, _, _ = request(WORSE, EMPTY, [ACCURACY], window(START))
    other = replace(ACCURACY, version="v3", episode="ep-v3")
    firing = [ACCURACY, other]
    assert request(WORSE, state, firing, window(START + HOUR), START - HOUR)[2].outcome is Outcome.COOLDOWN
    state, note, _ = request(WORSE, state, firing, window(START + 2 * HOUR), START + 2 * HOUR)
    assert note is not None
    assert json.loads(note.body)["data"]["versions"] == ["v2", "v3"]
