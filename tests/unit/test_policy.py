"""From verdicts to episodes: when a monitor fires, how long, and what its episodes are called."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from detectors.base import Level, Verdict
from monitor.core.policy import Phase, Reason, Rule, Shown, Trip, TripKey, episode_id, step

WINDOW = 60
EAGER = Rule(enter=1, keep_firing=1, cooldown=0)
LEVELS = {
    "B": Level.BREACH,
    "o": Level.OK,
    "?": Level.INSUFFICIENT_DATA,
    "n": Level.NO_REFERENCE,
    "e": Level.ERROR,
}
PHASES = {Phase.INACTIVE: ".", Phase.PENDING: "p", Phase.FIRING: "F"}


def verdict(letter: str) -> Verdict:
    level = LEVELS[letter]
    score = {"B": 0.9, "o": 0.1}.get(letter)
    return Verdict("ks", "x", "drift", level, 100, score, None if score is None else 0.5)


def played(rule: Rule, letters: str) -> tuple[str, Trip, list[Reason]]:
    trip, phases, reasons = Trip("drift"), "", []
    for place, letter in enumerate(letters):
        before = trip.phase
        trip, was, reason = step(rule, trip, verdict(letter), (place * WINDOW, (place + 1) * WINDOW))
        assert was is before
        assert (reason is not None) == (was is not trip.phase)
        phases += PHASES[trip.phase]
        reasons += [reason] if reason else []
    return phases, trip, reasons


@pytest.mark.parametrize(
    ("rule", "letters", "phases"),
    [
        (EAGER, "oBoBBo", ".F.FF."),
        (Rule(3, 1, 0), "BBBB", "ppFF"),
        (Rule(3, 1, 0), "BBoBBB", "pp.ppF"),
        (Rule(1, 3, 0), "BooBooo", "FFFFFF."),
        (Rule(2, 2, 0), "B?B?o?o", "ppFFFF."),
        (Rule(2, 2, 0), "Bn?eB", "ppppF"),
        (Rule(1, 1, 0), "?ne", "..."),
        (Rule(1, 1, 180), "BoBBBBo", "F.pppF."),  # the cooldown counts from the end of the calm window
        (Rule(1, 1, 180), "BoBoooB", "F.p...F"),
        (Rule(2, 1, 120), "BBoBBB", "pF.ppF"),
    ],
)
def test_phases_follow_the_verdicts(rule: Rule, letters: str, phases: str) -> None:
    assert played(rule, letters)[0] == phases


def test_reasons_and_numbers() -> None:
    _, trip, reasons = played(Rule(2, 2, 0), "BoBBBoo")
    assert reasons == [Reason.BREACH, Reason.FALSE_START, Reason.BREACH, Reason.ENTERED, Reason.CALM]
    assert (trip.episodes, trip.ended, trip.since, trip.calm, trip.breaches, trip.episode) == (
        1,
        420,
        360,
        2,
        0,
        "",
    )


def test_what_is_shown() -> None:
    assert Trip("drift").shown is Shown.INSUFFICIENT_DATA
    for letters, shown in [("o", Shown.OK), ("B", Shown.PENDING), ("BB", Shown.FIRING), ("BB?", Shown.FIRING),
                           ("?", Shown.INSUFFICIENT_DATA), ("n", Shown.NO_REFERENCE), ("e", Shown.ERROR),
                           ("B?", Shown.INSUFFICIENT_DATA), ("B?B", Shown.FIRING)]:  # fmt: skip
        assert played(Rule(2, 1, 0), letters)[1].shown is shown, letters


def test_the_last_score_is_remembered_through_windows_that_cannot_be_judged() -> None:
    _, trip, _ = played(EAGER, "B??")
    assert trip.verdict is not None
    assert trip.verdict.score is None
    assert trip.judged is not None
    assert trip.judged.score == 0.9


@given(st.text("Bo?ne", max_size=60), st.integers(1, 4), st.integers(1, 4), st.integers(0, 600))
def test_laws_of_every_sequence(letters: str, enter: int, keep_firing: int, cooldown: int) -> None:
    rule = Rule(enter, keep_firing, cooldown)
    phases, trip, reasons = played(rule, letters)
    starts = [i for i, (a, b) in enumerate(pairwise("." + phases)) if b == "F" and a != "F"]
    ends = [i for i, (a, b) in enumerate(pairwise("." + phases)) if a == "F" and b != "F"]
    assert trip.episodes == len(starts) == reasons.count(Reason.ENTERED)
    assert all(letters[i] == "B" for i in starts)
    assert all(letters[i] == "o" for i in ends)
    assert all((start - (end + 1)) * WINDOW >= cooldown for end, start in zip(ends, starts[1:], strict=False))
    judged = [i for i, letter in enumerate(letters) if letter in "Bo"]
    for start in starts:
        assert all(letters[i] == "B" for i in [i for i in judged if i <= start][-enter:])
    for end in ends:
        assert all(letters[i] == "o" for i in [i for i in judged if i <= end][-keep_firing:])
    kept = "".join(letter for letter in letters if letter in "Bo")
    if cooldown == 0:
        assert played(rule, kept)[1].phase is trip.phase


def test_an_episodes_name_follows_from_the_trip_and_its_first_window_alone() -> None:
    key = TripKey("v1", "all", "x", "ks")
    assert episode_id("m", key, 60) == episode_id("m", TripKey("v1", "all", "x", "ks"), 60)
    parts = [("v1", "all", "xks", ""), ("v", "1all", "x", "ks"), ("v2", "all", "x", "ks")]
    others = [episode_id("n", key, 60), episode_id("m", key, 61)]
    others += [episode_id("m", TripKey(*names), 60) for names in parts]
    assert len({episode_id("m", key, 60), *others}) == 6
    assert episode_id("m", key, 60).startswith("ep_")


def at(trip: Trip, letter: str, place: int, rule: Rule = EAGER) -> tuple[Trip, Reason | None]:
    after, _, reason = step(rule, trip, verdict(letter), (place * WINDOW, (place + 1) * WINDOW))
    return after, reason


def test_a_breach_of_an_older_window_that_was_judged_late_fires() -> None:
    trip, _ = at(Trip("performance"), "o", 5)
    late, reason = at(trip, "B", 2)

    assert (late.phase, reason, late.since, late.window) == (Phase.FIRING, Reason.ENTERED, 120, 300)


def test_an_older_window_without_a_breach_changes_nothing() -> None:
    trip, _ = at(Trip("performance"), "B", 5)

    for letter in "o?n":
        assert at(trip, letter, 2) == (trip, None)


def test_an_older_breach_that_an_episode_has_covered_starts_none() -> None:
    firing, _ = at(Trip("performance"), "B", 5)
    ended, _ = at(firing, "o", 6)

    assert at(firing, "B", 4) == (firing, None)
    assert at(ended, "B", 4) == (ended, None)
