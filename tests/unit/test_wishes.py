"""Asking for a retraining by the rules of a configuration."""

from datetime import timedelta

from msgspec.structs import replace

from detectors.base import Level, Verdict
from monitor.config import Retrain
from monitor.core.policy import STALE_WINDOWS, Phase, Trip, TripKey
from monitor.core.state import ModelState
from monitor.core.wishes import ask_for_retraining
from tests.logs import MINUTE, model, plan_of

START = 1_772_323_200_000_000
KEY = TripKey("v1", "all", "age", "ks")
BREACH = Verdict("ks", "age", "drift", Level.BREACH, 500, 0.5, 0.2)
TRIP = Trip("drift", Phase.FIRING, episode="ep_1", since=START, window=START, judged=BREACH)
OPS = Retrain(webhook="ops", when=("quality",))
TRAINING = Retrain(webhook="training", when=("drift",), cooldown=timedelta(days=7), max_per_week=1)


def notes(state: ModelState, *rules: Retrain, start: int = START) -> tuple[ModelState, list[str]]:
    """Judge a window in which age drifts; returns the state after it and which webhooks are asked."""
    asked = ask_for_retraining(plan_of(model(retrain=rules)), state, {KEY: TRIP}, ["v1"], start)
    return asked.state, [note.endpoint for note in asked.notes]


def test_a_rule_that_moves_in_the_file_has_not_forgotten_what_it_asked_for() -> None:
    state, first = notes(ModelState("m"), OPS, TRAINING)
    _, moved = notes(state, TRAINING, start=START + MINUTE)

    assert first == ["training"]
    assert moved == []


def test_another_rule_on_the_same_webhook_has_a_memory_of_its_own() -> None:
    both = TRAINING.model_copy(update={"when": ("performance",)})
    state, _ = notes(ModelState("m"), TRAINING)
    _, asked = notes(state, both, start=START + MINUTE)
    _, again = notes(state, both, TRAINING, start=START + MINUTE)

    assert asked == again == []
    assert len(notes(state, both, TRAINING, start=START + MINUTE)[0].retrain) == 2


def test_what_was_remembered_by_its_place_is_still_known() -> None:
    state, _ = notes(ModelState("m"), OPS, TRAINING)
    (text,) = (text for name, text in state.retrain.items() if name.startswith("training"))
    before = replace(state, retrain={"1/training": text})

    assert notes(before, OPS, TRAINING, start=START + MINUTE)[1] == []


def test_one_episode_asks_once_though_its_monitor_had_no_rows_meanwhile_or_a_verdict_comes_late() -> None:
    rule = TRAINING.model_copy(update={"cooldown": timedelta(0), "max_per_week": 9})
    plan, state, found = plan_of(model(retrain=(rule,))), ModelState("m"), []
    silent = START + STALE_WINDOWS * MINUTE
    for start in (START, silent, START + MINUTE, silent + MINUTE):
        asked = ask_for_retraining(plan, state, {KEY: TRIP}, ["v1"], start)
        state = asked.state
        found.append(len(asked.notes))
    other = ask_for_retraining(plan, state, {KEY: replace(TRIP, episode="ep_2")}, ["v1"], START + MINUTE)

    assert found == [1, 0, 0, 0]
    assert other.state.retrain != state.retrain
