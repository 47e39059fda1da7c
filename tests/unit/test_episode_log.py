"""Episodes as they are remembered: begun, ended, forgotten in order, whatever a commit closed."""

import pytest
from msgspec.structs import replace

from detectors.base import Level, Verdict
from monitor.core import episode_log
from monitor.core.episode_log import EpisodeRecord, episode_changes, fires, followed, load_episodes
from monitor.core.policy import Phase, Reason, Transition, Trip, TripKey
from monitor.core.state import load_model
from tests.lives import lived
from tests.logs import EPOCH, MINUTE, Row, model

KEY = TripKey("v1", "all", "x", "ks")
VERDICT = Verdict("ks", "x", "drift", Level.BREACH, 9, 2.0, 1.0)


def change(episode: str, before: Phase, after: Phase, at: int = EPOCH, key: TripKey = KEY) -> Transition:
    reason = Reason.ENTERED if after is Phase.FIRING else Reason.CALM
    return Transition("m", key, "drift", before, after, reason, episode, at, at + MINUTE, VERDICT)


def begins(episode: str, at: int = EPOCH, key: TripKey = KEY) -> Transition:
    return change(episode, Phase.PENDING, Phase.FIRING, at, key)


def ends(episode: str, at: int = EPOCH, key: TripKey = KEY) -> Transition:
    return change(episode, Phase.FIRING, Phase.INACTIVE, at, key)


def trip(episode: str) -> dict[TripKey, Trip]:
    return {KEY: Trip("drift", Phase.FIRING, episode=episode)}


def test_an_episode_begins_and_ends() -> None:
    begun = followed({}, trip("ep_1"), [begins("ep_1")])
    record = begun["ep_1"]
    assert record == EpisodeRecord("ep_1", "v1", "all", "x", "ks", "drift", EPOCH, None, 2.0, 1.0)
    assert record.key == KEY
    assert fires(record, trip("ep_1"))
    over = followed(begun, {KEY: Trip("drift")}, [ends("ep_1", EPOCH + MINUTE)])
    assert over["ep_1"] == replace(record, ended=EPOCH + 2 * MINUTE)
    assert not fires(over["ep_1"], trip("ep_1"))


def test_what_was_only_pending_is_no_episode() -> None:
    assert followed({}, {}, [change("", Phase.INACTIVE, Phase.PENDING)]) == {}
    assert followed({}, {}, [change("", Phase.PENDING, Phase.INACTIVE)]) == {}


def test_an_episode_of_a_forgotten_version_fires_no_more() -> None:
    record = followed({}, trip("ep_1"), [begins("ep_1")])["ep_1"]
    assert not fires(record, {})
    assert not fires(record, trip("ep_2"))


def test_only_the_newest_that_are_over_are_kept_and_all_that_fire(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(episode_log, "KEPT", 3)
    keys = [TripKey("v1", "all", f"x{i}", "ks") for i in range(6)]
    told = [t for i, key in enumerate(keys) for t in (begins(f"ep_{i}", i, key), ends(f"ep_{i}", i, key))]

    at_once = followed({}, trip("ep_0f"), [begins("ep_0f", -5), *told])
    one_by_one = followed({}, trip("ep_0f"), [begins("ep_0f", -5)])
    for transition in told:
        trips = trip("ep_0f") | {transition.key: Trip("drift", transition.after, episode=transition.episode)}
        one_by_one = followed(one_by_one, trips, [transition])

    assert set(at_once) == {"ep_0f", "ep_3", "ep_4", "ep_5"}
    assert one_by_one == at_once


def test_entries_are_what_changed_and_are_read_back() -> None:
    begun = followed({}, trip("ep_1"), [begins("ep_1")])
    changes = episode_changes("m", {}, begun)
    assert load_episodes({key[2]: value for key, value in changes.items() if value}) == begun
    assert episode_changes("m", begun, dict(begun)) == {}
    assert episode_changes("m", begun, {}) == {
        ("episode", "m", "ep_1"): None,
        ("audit_record", "m", "ep_1"): None,
    }


def test_a_log_with_drift_leaves_its_episodes_in_the_store() -> None:
    rows = [Row(f"{i}", i * 6, 30.0 if i > 40 else 0.0) for i in range(90)]
    whole, cut = (lived(model(), rows, cuts, flush=True) for cuts in ([], [10, 41, 45, 60]))

    state = load_model("m", whole.load())

    assert state.episodes == load_model("m", cut.load()).episodes
    open_ = {r.id for r in state.episodes.values() if fires(r, state.trips)}
    assert open_ == {t.episode for t in state.trips.values() if t.phase is Phase.FIRING}
    assert open_
