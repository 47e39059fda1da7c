"""Champion against challenger: what is compared, when it speaks, and what it keeps."""

import json

import numpy as np
import pytest
from numpy.typing import NDArray

from detectors.challenger import BLOCK_ROWS, MIN_BLOCKS, Blocks, Contest, Lead, LossSums, Plan
from detectors.measure import Better

PLAN = Plan()
Floats = NDArray[np.float64]


def errors(rng: np.random.Generator, rows: int, rate: float) -> Floats:
    return (rng.random(rows) < rate).astype(np.float64)


def played(
    champion: float, challenger: float, *, windows: int = 50, rows: int = 400, plan: Plan = PLAN
) -> Contest:
    rng, contest = np.random.default_rng(1), Contest()
    for _ in range(windows):
        one, two = errors(rng, rows, champion), errors(rng, rows, challenger)
        contest = contest.add(LossSums.of(one), LossSums.of(two), plan)
    return contest


def test_nothing_is_said_before_the_first_row() -> None:
    standing = Contest().standing(PLAN)

    assert (standing.champion, standing.challenger, standing.difference.value) == (None, None, None)
    assert (standing.pvalue, standing.lead) == (1.0, Lead.UNDECIDED)


def test_a_few_windows_have_a_difference_but_no_interval() -> None:
    standing = played(0.0, 1.0, windows=MIN_BLOCKS - 1).standing(PLAN)

    assert standing.difference.value == 1.0
    assert standing.difference.low is None
    assert standing.lead is Lead.UNDECIDED


def test_all_wrong_against_all_right_is_decided_as_soon_as_anything_is() -> None:
    assert played(0.0, 1.0, windows=MIN_BLOCKS).standing(PLAN).lead is Lead.CHAMPION


def test_the_means_are_those_of_all_rows() -> None:
    rng, contest = np.random.default_rng(2), Contest()
    windows = [(rng.normal(2, 1, 200), rng.normal(3, 1, 90)) for _ in range(8)]
    for one, two in windows:
        contest = contest.add(LossSums.of(one), LossSums.of(two), PLAN)
    standing = contest.standing(PLAN)

    assert standing.champion == pytest.approx(np.concatenate([w[0] for w in windows]).mean())
    assert standing.challenger == pytest.approx(np.concatenate([w[1] for w in windows]).mean())
    assert standing.difference.n == 8 * 290


def test_with_an_even_split_the_difference_is_that_of_the_means() -> None:
    standing = played(0.10, 0.13).standing(PLAN)
    assert standing.champion is not None
    assert standing.challenger is not None

    assert standing.difference.value == pytest.approx(standing.challenger - standing.champion)


def test_the_spread_is_never_below_that_of_the_two_sample_test() -> None:
    rng = np.random.default_rng(3)
    one, two = rng.normal(0, 1, 500), rng.normal(0.1, 3, 300)
    block = Blocks.of(LossSums.of(one), LossSums.of(two))
    textbook = one.var(ddof=1) / 500 + two.var(ddof=1) / 300

    assert block.apart / block.w2 >= textbook
    assert block.apart / block.w2 == pytest.approx(textbook, rel=0.01)


def test_a_split_that_changes_with_the_level_is_no_difference() -> None:
    rng, contest = np.random.default_rng(4), Contest()
    for window in range(60):
        rate = 0.05 + 0.005 * window  # both get worse, while traffic moves to the challenger
        one, two = errors(rng, 620 - 10 * window, rate), errors(rng, 20 + 10 * window, rate)
        contest = contest.add(LossSums.of(one), LossSums.of(two), PLAN)
    standing = contest.standing(PLAN)
    assert standing.champion is not None
    assert standing.challenger is not None

    assert standing.challenger - standing.champion > 0.05
    assert standing.lead is Lead.UNDECIDED


@pytest.mark.parametrize(
    ("better", "lead"),
    [(Better.LOWER, Lead.CHALLENGER), (Better.HIGHER, Lead.CHAMPION), (Better.NEITHER, Lead.UNDECIDED)],
)
def test_who_leads_depends_on_which_way_is_better(better: Better, lead: Lead) -> None:
    plan = Plan(better=better)

    assert played(0.2, 0.1, plan=plan).standing(plan).lead is lead


def test_few_rows_wait_until_they_make_a_block() -> None:
    rows, contest = LossSums.of(np.array([0.0, 1.0, 0.0, 1.0, 0.0])), Contest()
    for _ in range(BLOCK_ROWS // 5 - 1):
        contest = contest.add(rows, rows, PLAN)
    assert (contest.blocks.count, contest.waiting[0].n) == (0, BLOCK_ROWS - 5)

    contest = contest.add(rows, rows, PLAN)
    assert (contest.blocks.count, contest.waiting[0].n) == (1, 0)
    assert contest.champion.n == BLOCK_ROWS


def test_a_window_without_the_challenger_is_not_lost() -> None:
    rng = np.random.default_rng(5)
    one, two = LossSums.of(errors(rng, 100, 0.1)), LossSums.of(errors(rng, 100, 0.1))
    contest = Contest().add(one, LossSums(), PLAN).add(LossSums(), two, PLAN)

    assert contest.blocks == Blocks.of(one, two)


def test_losses_that_never_differ_are_no_evidence() -> None:
    standing = played(0.0, 0.0).standing(PLAN)

    assert (standing.difference.value, standing.difference.low, standing.pvalue) == (0.0, None, 1.0)


def test_a_version_without_errors_in_few_rows_is_not_called_better() -> None:
    rng, contest = np.random.default_rng(6), Contest()
    for _ in range(10):
        contest = contest.add(LossSums.of(errors(rng, 2000, 0.01)), LossSums.of(np.zeros(30)), PLAN)

    assert contest.standing(PLAN).lead is Lead.UNDECIDED


def test_rows_of_a_window_that_go_together_widen_the_interval() -> None:
    def reach(common: float) -> float:
        rng, contest = np.random.default_rng(7), Contest()
        for _ in range(40):
            one, two = (LossSums.of(rng.normal(common * rng.normal(), 1.0, 400)) for _ in range(2))
            contest = contest.add(one, two, PLAN)
        difference = contest.standing(PLAN).difference
        assert difference.low is not None
        assert difference.high is not None
        return difference.high - difference.low

    assert reach(0.5) > 4 * reach(0.0)


def test_the_interval_is_tightest_for_its_level_at_the_planned_rows() -> None:
    def reach(planned: int) -> float:
        difference = played(0.1, 0.1, windows=50).standing(Plan(rows=planned)).difference
        assert difference.low is not None
        assert difference.high is not None
        return difference.high - difference.low

    assert reach(20_000) < min(reach(2000), reach(200_000))


def test_a_look_at_the_level_excludes_0_exactly_when_the_interval_does() -> None:
    contest, level = played(0.10, 0.115), 0.05
    standing = contest.standing(Plan(level=level))
    pvalue = contest.look(Plan(level=level))
    low, high = standing.difference.low, standing.difference.high
    assert low is not None
    assert high is not None

    assert (pvalue <= level) == (low > 0.0 or high < 0.0)


def test_the_state_survives_json() -> None:
    contest = played(0.10, 0.12).add(LossSums(3, 1.0, 1.0), LossSums(), PLAN)

    assert Contest.load(json.loads(json.dumps(contest.dump()))) == contest


@pytest.mark.parametrize("total", [float("nan"), float("inf")])
def test_sums_that_are_no_numbers_are_refused(total: float) -> None:
    with pytest.raises(ValueError, match="no sums"):
        LossSums(3, total, 1.0)
