"""What outcomes do to predictions at a tick: new pairs, other winners, and nothing where nothing changes."""

from collections.abc import Mapping, Sequence
from typing import Literal

import polars as pl
import pytest
from msgspec.structs import replace

from monitor.core.join import Joined, Span, join, tick_of, turn_of
from monitor.core.windows import NEVER

Policy = Literal["last", "first"]
WINDOW, HORIZON = 10, 100
SPAN = Span(NEVER, 1000, WINDOW, HORIZON, WINDOW)
KEYS = {"key": pl.UInt64, "check": pl.UInt64, "time": pl.Int64}


def made(*rows: tuple[int, int], check: int | None = None) -> pl.DataFrame:
    """Return predictions of (key, time); the check is the key's double unless given."""
    found = [(key, 2 * key if check is None else check, time, f"p{key}") for key, time in rows]
    frame = pl.DataFrame(found, {**KEYS, "name": pl.String}, orient="row")
    return frame.with_columns(turn_of(NEVER, WINDOW))


def known(*rows: tuple[int, int, float], tick: int | None = None) -> pl.DataFrame:
    """Return outcomes of (key, time, label), counted from the end of their window or a later tick."""
    found = [
        (key, 2 * key, time, time // WINDOW * WINDOW + WINDOW if tick is None else tick, label)
        for key, time, label in rows
    ]
    return pl.DataFrame(found, {**KEYS, "tick": pl.Int64, "label": pl.Float64}, orient="row")


def at_once(predictions: pl.DataFrame, outcomes: pl.DataFrame, span: Span = SPAN) -> Joined:
    return join([], [predictions], [outcomes], span)


def after(tick: int, predictions: pl.DataFrame, outcomes: pl.DataFrame, span: Span = SPAN) -> Joined:
    """Join what comes after a tick; the predictions were there before."""
    return join([predictions], [predictions], [outcomes], replace(span, applied=tick))


def pairs(joined: Joined) -> list[tuple[int, int, float, float | None]]:
    """Return key, tick, label and the label before it."""
    return joined.pairs.select("key", "tick", "label", "old_label").rows()


def test_an_outcome_counts_from_the_end_of_the_window_in_which_it_became_known() -> None:
    joined = at_once(made((1, 3)), known((1, 27, 1.0)))

    assert pairs(joined) == [(1, 30, 1.0, None)]
    assert joined.matched == {20: 1}
    assert (joined.repeated, joined.conflicting) == (0, 0)


@pytest.mark.parametrize(("upto", "found"), [(20, []), (30, [(1, 30, 1.0, None)])])
def test_a_span_ends_with_its_last_tick(upto: int, found: list[tuple[int, int, float, float | None]]) -> None:
    assert pairs(at_once(made((1, 3)), known((1, 27, 1.0)), replace(SPAN, upto=upto))) == found


def test_a_pair_has_all_columns_of_its_prediction_and_when_the_outcome_became_known() -> None:
    joined = at_once(made((1, 3)), known((1, 27, 1.0)))

    assert joined.pairs.to_dicts() == [
        {
            "key": 1,
            "check": 2,
            "time": 3,
            "name": "p1",
            "tick": 30,
            "label": 1.0,
            "known": 27,
            "old_label": None,
            "old_known": None,
        }
    ]


def test_an_outcome_before_its_prediction_counts_from_the_end_of_the_prediction_s_window() -> None:
    assert pairs(at_once(made((1, 73)), known((1, 5, 1.0)))) == [(1, 80, 1.0, None)]


def test_an_outcome_that_waited_is_joined_when_the_prediction_comes() -> None:
    joined = join([], [made((1, 73))], [known((1, 5, 1.0))], replace(SPAN, applied=50))

    assert pairs(joined) == [(1, 80, 1.0, None)]
    assert joined.matched == {0: 1}


def test_a_negative_lag_counts_for_the_horizon_as_well() -> None:
    assert pairs(at_once(made((1, 105)), known((1, 5, 1.0)))) == [(1, 110, 1.0, None)]
    assert pairs(at_once(made((1, 106)), known((1, 5, 1.0)))) == []


@pytest.mark.parametrize(("time", "count"), [(103, 1), (104, 0)])
def test_an_outcome_beyond_the_horizon_makes_no_pair(time: int, count: int) -> None:
    joined = at_once(made((1, 3)), known((1, time, 1.0)))

    assert joined.pairs.height == count
    assert sum(joined.matched.values()) == count


def test_an_outcome_of_an_unknown_id_makes_no_pair() -> None:
    joined = at_once(made((1, 3)), known((7, 27, 1.0)))

    assert joined.pairs.is_empty()
    assert joined.matched == {}


def test_a_prediction_without_an_outcome_makes_no_pair() -> None:
    assert at_once(made((1, 3), (2, 4)), known((2, 27, 1.0))).pairs["key"].to_list() == [2]


@pytest.mark.parametrize("policy", ["last", "first"])
def test_the_same_value_again_is_counted_and_changes_nothing(policy: Policy) -> None:
    span = replace(SPAN, policy=policy)
    joined = at_once(made((1, 3)), known((1, 27, 1.0), (1, 48, 1.0)), span)

    assert pairs(joined) == [(1, 30, 1.0, None)]
    assert (joined.repeated, joined.conflicting) == (1, 0)
    assert joined.matched == {20: 1, 40: 1}


CONFLICT = known((1, 27, 1.0), (1, 48, 0.0))
EXPECTED: Mapping[str, Sequence[tuple[int, int, float, float | None]]] = {
    "last": [(1, 30, 1.0, None), (1, 50, 0.0, 1.0)],
    "first": [(1, 30, 1.0, None)],
}


@pytest.mark.parametrize("policy", ["last", "first"])
def test_another_value_wins_by_policy_and_is_counted(policy: Policy) -> None:
    joined = at_once(made((1, 3)), CONFLICT, replace(SPAN, policy=policy))

    assert pairs(joined) == EXPECTED[policy]
    assert (joined.repeated, joined.conflicting) == (0, 1)


@pytest.mark.parametrize("policy", ["last", "first"])
def test_another_value_at_a_later_join_replaces_the_one_that_was_counted(policy: Policy) -> None:
    span = replace(SPAN, policy=policy)
    joined = after(30, made((1, 3)), CONFLICT, span)

    assert pairs(joined) == EXPECTED[policy][1:]
    assert (joined.repeated, joined.conflicting) == (0, 1)
    assert joined.matched == {40: 1}


@pytest.mark.parametrize(("policy", "label"), [("last", 0.0), ("first", 1.0)])
def test_of_several_values_at_one_tick_only_the_winner_comes_out(policy: Policy, label: float) -> None:
    joined = at_once(made((1, 3)), known((1, 21, 1.0), (1, 27, 0.0)), replace(SPAN, policy=policy))

    assert pairs(joined) == [(1, 30, label, None)]
    assert joined.conflicting == 1


@pytest.mark.parametrize(("policy", "label"), [("last", 1.0), ("first", 0.0)])
def test_of_two_values_of_the_same_time_the_larger_is_the_later(policy: Policy, label: float) -> None:
    joined = at_once(made((1, 3)), known((1, 27, 1.0), (1, 27, 0.0)), replace(SPAN, policy=policy))

    assert pairs(joined) == [(1, 30, label, None)]


@pytest.mark.parametrize(("policy", "expected"), [("last", []), ("first", [(1, 60, 1.0, 0.0)])])
def test_an_older_outcome_read_late_contends_by_its_own_time(
    policy: Policy, expected: list[tuple[int, int, float, float]]
) -> None:
    outcomes = pl.concat([known((1, 48, 0.0)), known((1, 27, 1.0), tick=60)])

    assert pairs(after(50, made((1, 3)), outcomes, replace(SPAN, policy=policy))) == expected


def test_outcomes_that_waited_for_their_prediction_contend_too() -> None:
    outcomes = known((1, 5, 1.0), (1, 8, 0.0), (1, 9, 0.0))
    joined = join([], [made((1, 73))], [outcomes], replace(SPAN, applied=50))

    assert pairs(joined) == [(1, 80, 0.0, None)]
    assert (joined.repeated, joined.conflicting) == (1, 1)
    assert joined.matched == {0: 3}


def test_what_was_joined_before_is_not_counted_again() -> None:
    outcomes = known((1, 12, 1.0), (1, 27, 1.0), (1, 48, 1.0))
    joined = after(30, made((1, 3)), outcomes)

    assert joined.pairs.is_empty()
    assert joined.repeated == 1
    assert joined.matched == {40: 1}


def test_ids_of_equal_hash_are_told_apart_by_their_check() -> None:
    predictions = pl.concat([made((1, 3)), made((1, 4), check=99)])
    joined = at_once(predictions, known((1, 27, 1.0)))

    assert joined.pairs.select("time", "check").rows() == [(3, 2)]
    assert joined.matched == {20: 1}


def test_a_prediction_made_again_with_the_same_id_has_the_outcome_too() -> None:
    joined = at_once(made((1, 3), (1, 44)), known((1, 27, 1.0)))

    assert joined.pairs.select("time", "tick").rows() == [(3, 30), (44, 50)]


def test_what_is_known_after_the_span_waits() -> None:
    predictions, outcomes = made((1, 3)), known((1, 27, 1.0))

    assert at_once(predictions, outcomes, replace(SPAN, upto=20)).pairs.is_empty()
    assert pairs(after(20, predictions, outcomes)) == [(1, 30, 1.0, None)]


def test_a_prediction_whose_horizon_is_over_meets_nothing_that_is_read_late() -> None:
    predictions, outcomes = made((1, 3), (2, 10)), known((1, 95, 1.0), (2, 95, 1.0), tick=120)

    assert after(110, predictions, outcomes).pairs["key"].to_list() == [2]


def test_pairs_come_in_one_order_whatever_that_of_the_logs() -> None:
    predictions = made((3, 1), (1, 2), (2, 31))
    outcomes = known((1, 27, 1.0), (2, 28, 1.0), (3, 25, 1.0))

    joined = at_once(predictions.reverse(), outcomes.reverse())

    assert joined.pairs.select("tick", "key").rows() == [(30, 1), (30, 3), (40, 2)]
    assert joined.pairs.equals(at_once(predictions, outcomes).pairs)


def test_without_predictions_or_outcomes_there_are_no_pairs() -> None:
    some = made((1, 3)), known((1, 27, 1.0))

    for old, new, held in [([], [], []), ([], [some[0]], []), ([some[0]], [], []), ([], [], [some[1]])]:
        joined = join(old, new, held, SPAN)
        assert joined.pairs.is_empty()
        assert joined.pairs["tick"].dtype == pl.Int64
        assert (joined.matched, joined.repeated, joined.conflicting) == ({}, 0, 0)


def test_many_keys_are_found_among_more() -> None:
    predictions = made(*((key * 2**40 + key, key % 50) for key in range(5000)))
    wanted = [int(key) for key in predictions["key"][::7]]

    joined = at_once(predictions, known(*((key, 60, 1.0) for key in wanted)))

    assert joined.pairs["key"].sort().to_list() == wanted
    assert joined.pairs.height == sum(joined.matched.values())


@pytest.mark.parametrize(("time", "tick"), [(0, 10), (9, 10), (10, 20), (-1, 0), (-10, 0), (-11, -10)])
def test_a_tick_is_the_end_of_the_window(time: int, tick: int) -> None:
    assert pl.DataFrame({"t": [time]}).select(tick_of("t", WINDOW)).item() == tick
