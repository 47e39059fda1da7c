"""The e-detector: the plain recursion as oracle, its guarantee, and the real data's changes."""

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from scipy import stats

from detectors.bets import LARGEST_BET, Bets, Plan, bets_of
from detectors.e_sr import ESR
from detectors.mean_bound import Moments, moments_of, upper_mean
from detectors.measure import Floats

TENTH = Moments(50_000, 5_000.0, 5_000.0)
UNIFORM = Moments(50_000, 25_000.0, 50_000 / 3)


def errors(seed: int, rows: int, rate: float) -> Floats:
    return (np.random.default_rng(seed).random(rows) < rate).astype(float)


def by_recursion(bets: Bets, plan: Plan, rows: Floats) -> tuple[list[int], list[float]]:
    """Return rows and scores of the alarms of M = factor (M + block), block after block."""
    money, found, scores = np.zeros(len(bets.base)), [], []
    for end in range(plan.block, len(rows) + 1, plan.block):
        block = rows[end - plan.block : end]
        values = block.mean(keepdims=True) if plan.means else block
        money = (money + plan.block) * np.prod(bets.base + bets.slope * values[:, None], axis=0)
        if money.mean() > plan.arl:
            found.append(end - 1)
            scores.append(float(money.mean()))
            money = np.zeros(len(bets.base))
    return found, scores


@pytest.mark.parametrize("block", [1, 2, 7, 40])
@pytest.mark.parametrize("side", ["up", "down", "both"])
def test_errors_give_the_alarms_of_the_recursion(block: int, side: Any) -> None:  # noqa: ANN401
    plan = Plan(arl=2_000, side=side, block=block)
    rows = np.concatenate([errors(1, 6_000, 0.1), errors(2, 2_000, 0.2), errors(3, 2_000, 0.03)])

    alarms = ESR(TENTH, plan).feed(rows)

    found, scores = by_recursion(bets_of(TENTH, plan), plan, rows)
    assert found
    assert alarms.rows.tolist() == found
    assert alarms.scores == pytest.approx(scores, rel=1e-9)


@pytest.mark.parametrize("means", [False, True])
def test_numbers_give_the_alarms_of_the_recursion(*, means: bool) -> None:
    plan = Plan(arl=2_000, side="both", block=5, means=means)
    rng = np.random.default_rng(4)
    rows = np.concatenate([rng.random(3_000), rng.random(2_000) ** 0.7])

    alarms = ESR(UNIFORM, plan).feed(rows)

    found, scores = by_recursion(bets_of(UNIFORM, plan), plan, rows)
    assert found
    assert alarms.rows.tolist() == found
    assert alarms.scores == pytest.approx(scores, rel=1e-9)


@pytest.mark.parametrize("side", ["up", "down"])
def test_no_bet_gains_on_average_while_the_mean_is_at_its_bound(side: Any) -> None:  # noqa: ANN401
    bets = bets_of(UNIFORM, Plan(side=side))
    low = upper_mean(UNIFORM, 0.05) if side == "up" else 1 - upper_mean(UNIFORM.mirrored(), 0.05)

    assert bets.base + bets.slope * low == pytest.approx(np.ones(len(bets.base)))


@pytest.mark.parametrize("reference", [TENTH, UNIFORM, Moments(100, 0.0, 0.0), Moments(10**6, 5.0, 5.0)])
def test_no_factor_is_negative(reference: Moments) -> None:
    bets = bets_of(reference, Plan(side="both"))

    assert min(bets.base.min(), (bets.base + bets.slope).min()) >= 1 - LARGEST_BET


def test_false_alarms_are_rarer_than_promised() -> None:
    rows = errors(5, 1_000_000, 0.1)

    alarms = ESR(Moments(10**9, 1e8, 1e8), Plan(arl=1e4)).feed(rows).rows

    assert 20 <= len(alarms) <= 100


def test_false_alarms_on_both_sides_of_numbers_are_rarer_than_promised() -> None:
    rows = np.random.default_rng(6).random(400_000)

    alarms = ESR(Moments(10**9, 5e8, 1e9 / 3), Plan(arl=1e4, side="both")).feed(rows).rows

    assert len(alarms) <= 40


def test_a_fall_is_found_on_the_lower_side_only() -> None:
    rows = np.concatenate([errors(7, 3_000, 0.1), errors(8, 3_000, 0.03)])

    up, down, both = (ESR(TENTH, Plan(side=side)).feed(rows).rows for side in ("up", "down", "both"))

    assert not len(up)
    assert 3_000 < down[0] <= both[0]


def test_a_change_within_the_tolerance_is_no_alarm() -> None:
    rows = errors(9, 20_000, 0.14)

    assert len(ESR(TENTH, Plan()).feed(rows).rows)
    assert not len(ESR(TENTH, Plan(tolerance=0.05)).feed(rows).rows)


def test_it_is_calm_for_a_million_rows_without_errors() -> None:
    stream = ESR(TENTH, Plan(side="up"))

    assert not len(stream.feed(np.zeros(1_000_000)).rows)
    assert 0 < stream.score < stream.threshold


def test_rows_that_are_all_wrong_alarm_again_and_again_with_finite_scores() -> None:
    alarms = ESR(TENTH, Plan(arl=1e12, block=500)).feed(np.ones(100_000))

    assert alarms.rows[0] == 499
    assert np.isfinite(alarms.scores).all()


def test_after_an_alarm_it_begins_anew() -> None:
    stream = ESR(TENTH, Plan(block=1))
    first = stream.feed(np.ones(1000)).rows

    assert len(set(np.diff(first).tolist())) == 1


def test_the_score_is_0_after_an_alarm() -> None:
    stream = ESR(TENTH, Plan(block=1))
    end = int(stream.feed(np.ones(100)).rows[0])
    again = ESR(TENTH, Plan(block=1))
    again.feed(np.ones(end + 1))

    assert again.score == 0


def test_errors_in_bursts_need_means_of_blocks() -> None:
    rng = np.random.default_rng(10)
    rate = np.repeat(rng.choice([0.02, 0.18], 4_000), 50)
    rows = (rng.random(200_000) < rate).astype(float)
    reference, later = rows[:100_000], rows[100_000:]

    each = ESR(moments_of(reference), Plan(arl=1e5)).feed(later).rows
    means = ESR(moments_of(reference, 1_000), Plan(arl=1e5, block=1_000, means=True)).feed(later).rows

    assert len(each) > 10
    assert len(means) <= 1


def test_a_constant_feature_is_calm_until_it_moves() -> None:
    stream = ESR(Moments(1_000, 500.0, 250.0), Plan(side="both"))

    assert not len(stream.feed(np.full(10_000, 0.5)).rows)
    assert stream.feed(np.full(1_000, 1.0)).rows[0] < 10_100


def test_where_everything_was_wrong_only_a_fall_can_show() -> None:
    reference = Moments(1_000, 1_000.0, 1_000.0)

    assert len(ESR(reference, Plan(side="both")).feed(np.zeros(500)).rows)
    with pytest.raises(ValueError, match="with 1000 rows of reference the mean may be anything"):
        ESR(reference, Plan(side="up"))


@pytest.mark.parametrize(
    ("moments", "complaint"),
    [
        (Moments(1, 0.0, 0.0), "at least 2 rows"),
        (Moments(5, 1.5, 1.0), "no change could show"),
        (Moments(100, 120.0, 120.0), "values from 0 to 1"),
        (Moments(100, 50.0, 60.0), "values from 0 to 1"),
        (Moments(100, -1.0, 1.0), "values from 0 to 1"),
    ],
)
def test_a_reference_that_cannot_serve_is_refused(moments: Moments, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        ESR(moments, Plan())


@pytest.mark.parametrize(
    "given",
    [
        {"side": "left"},
        {"arl": 2.0},
        {"block": 0},
        {"risk": 0.0},
        {"tolerance": -0.1},
        {"arl": float("nan")},
        {"arl": float("inf")},
    ],
)
def test_a_plan_that_makes_no_sense_is_refused(given: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(given))):
        Plan(**given)


@pytest.mark.parametrize("value", [-1e-9, 1.0000001, 5.0])
def test_a_value_outside_of_0_to_1_is_refused_and_nothing_of_the_chunk_taken(value: float) -> None:
    stream = ESR(UNIFORM, Plan())
    before = stream.dump()

    with pytest.raises(ValueError, match="from 0 to 1"):
        stream.feed(np.array([0.5, value]))

    assert stream.dump() == before


def test_a_state_of_another_reference_or_plan_begins_anew() -> None:
    stream = ESR(TENTH, Plan())
    stream.feed(errors(1, 999, 0.1))

    for other in (ESR(UNIFORM, Plan()), ESR(TENTH, Plan(arl=1e5))):
        assert other.load(stream.dump()) == "the state is of other parameters"
        assert (other.rows, other.score) == (0, 0)


@pytest.mark.parametrize(("k", "n"), [(0, 10), (3, 10), (10, 10), (5_000, 50_000)])
def test_the_bound_of_a_share_is_scipys(k: int, n: int) -> None:
    expected = stats.binomtest(k, n, alternative="less").proportion_ci(0.95, method="exact").high

    assert upper_mean(Moments(n, float(k), float(k)), 0.05) == pytest.approx(expected, abs=1e-12)


def test_the_bound_of_numbers_holds_as_often_as_it_says() -> None:
    rng = np.random.default_rng(12)
    means = [upper_mean(moments_of(rng.beta(0.5, 4.0, 200)), 0.2) for _ in range(500)]

    assert np.mean(np.array(means) < 0.5 / 4.5) <= 0.2


def test_moments_of_blocks_are_those_of_their_means() -> None:
    rows = np.random.default_rng(13).random(1_003)
    means = rows[:1_000].reshape(-1, 10).mean(axis=1)

    found = moments_of(rows, 10)

    assert found.n == 100
    assert found.mean == pytest.approx(means.mean())
    assert found.variance == pytest.approx(means.var(ddof=1))


def test_moments_of_too_few_rows_for_a_block_are_none() -> None:
    assert moments_of(np.ones(5), 10) == Moments(0, 0.0, 0.0)


def test_mirrored_moments_are_those_of_what_is_left_to_1() -> None:
    rows = np.random.default_rng(14).random(100)
    mirrored, expected = moments_of(rows).mirrored(), moments_of(1 - rows)

    assert (mirrored.n, mirrored.total, mirrored.squares) == pytest.approx(
        (expected.n, expected.total, expected.squares)
    )


def test_car_loans_change_is_found_within_1700_rows_and_nothing_before(car_loans: pl.DataFrame) -> None:
    rows = (car_loans["y_pred"] != car_loans["repaid"]).cast(pl.Float64).to_numpy()

    alarms = ESR(moments_of(rows[:50_000]), Plan(arl=1e5)).feed(rows[50_000:]).rows + 50_000

    assert 75_000 <= alarms[0] < 76_700


def test_credit_cards_change_is_found_within_79_rows_and_nothing_before(data: Path) -> None:
    log = pl.read_parquet(data / "credit_card" / "credit_card_multiclass_synthetic.parquet")
    rows = (log["y_pred"] != log["y_true"]).cast(pl.Float64).to_numpy()

    alarms = ESR(moments_of(rows[:60_000]), Plan(arl=1e5)).feed(rows[60_000:]).rows + 60_000

    assert 90_000 <= alarms[0] < 90_079
