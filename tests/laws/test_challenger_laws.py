"""The promises of the contest: the level under any number of looks, the power, and what any sums give."""

from collections.abc import Callable, Iterator

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from detectors.challenger import Blocks, Contest, LossSums, Plan

Floats = NDArray[np.float64]
Draw = Callable[[np.random.Generator, int], tuple[Floats, Floats]]

RUNS, WINDOWS, PLAN = 400, 100, Plan()
few = settings(max_examples=60)


def errors(rng: np.random.Generator, rows: int, rate: float) -> Floats:
    return (rng.random(rows) < rate).astype(np.float64)


def both(draw: Callable[[], Floats]) -> tuple[Floats, Floats]:
    return draw(), draw()


def common_day(rng: np.random.Generator) -> tuple[Floats, Floats]:
    day = rng.normal(0.0, 2.0)
    return both(lambda: rng.normal(day, 1.0, 200))


EQUAL: dict[str, Draw] = {
    "errors": lambda rng, _: both(lambda: errors(rng, 200, 0.1)),
    "rare errors, little traffic": lambda rng, _: (errors(rng, 200, 0.01), errors(rng, 10, 0.01)),
    "a split and a level that change": lambda rng, t: (
        errors(rng, 400 - 2 * t, 0.05 + 0.003 * t),
        errors(rng, 20 + 3 * t, 0.05 + 0.003 * t),
    ),
    "heavy tails": lambda rng, _: (rng.lognormal(0, 1.5, 200), rng.lognormal(0, 1.5, 40)),
    "other spreads": lambda rng, _: (rng.normal(0, 1, 300), rng.normal(0, 5, 30)),
    "a day's effect on both": lambda rng, _: common_day(rng),
    "rows that go together": lambda rng, _: both(lambda: rng.normal(0.3 * rng.normal(), 1.0, 200)),
}


def contest(draw: Draw, rng: np.random.Generator) -> Iterator[Contest]:
    """Yield the contest after each window."""
    state = Contest()
    for window in range(WINDOWS):
        champion, challenger = draw(rng, window)
        state = state.add(LossSums.of(champion), LossSums.of(challenger), PLAN)
        yield state


@pytest.mark.parametrize("case", EQUAL)
def test_under_equality_a_look_after_each_of_100_windows_keeps_the_level(case: str) -> None:
    rng = np.random.default_rng(0)
    false = sum(any(c.pvalue <= PLAN.level for c in contest(EQUAL[case], rng)) for _ in range(RUNS))

    assert false / RUNS <= PLAN.level + 2 * np.sqrt(PLAN.level * (1 - PLAN.level) / RUNS)


def test_the_usual_test_would_not_keep_it() -> None:
    rng = np.random.default_rng(0)

    def at_any_look() -> bool:
        looks = (c.blocks for c in contest(EQUAL["errors"], rng) if c.begun)
        return any(abs(b.difference) > 1.96 * np.sqrt(b.noise()) for b in looks)

    assert np.mean([at_any_look() for _ in range(100)]) > 0.15


def test_two_points_of_accuracy_are_found_in_20_000_rows_of_each() -> None:
    rng = np.random.default_rng(1)

    def draw(rng: np.random.Generator, _: int) -> tuple[Floats, Floats]:
        return errors(rng, 200, 0.12), errors(rng, 200, 0.10)

    found = sum(any(c.pvalue <= PLAN.level for c in contest(draw, rng)) for _ in range(100))
    assert found >= 97


def test_the_interval_holds_the_truth_at_all_looks_together() -> None:
    rng, truth, missed, runs = np.random.default_rng(2), 0.05, 0, 200

    def draw(rng: np.random.Generator, _: int) -> tuple[Floats, Floats]:
        return rng.normal(1.0, 1.0, 200), rng.normal(1.0 + truth, 2.0, 50)

    def misses(state: Contest) -> bool:
        difference = state.standing(PLAN).difference
        if difference.low is None or difference.high is None:
            return False
        return not difference.low <= truth <= difference.high

    for _ in range(runs):
        missed += any(misses(state) for state in contest(draw, rng))
    assert missed / runs <= PLAN.level + 2 * np.sqrt(PLAN.level / runs)


losses = st.lists(st.floats(-1e6, 1e6), min_size=0, max_size=60).map(lambda x: np.array(x, dtype=np.float64))
windows = st.lists(st.tuples(losses, losses), min_size=1, max_size=12)


def played(rows: list[tuple[Floats, Floats]]) -> list[Contest]:
    states = [Contest()]
    for one, two in rows:
        states.append(states[-1].add(LossSums.of(one), LossSums.of(two), PLAN))
    return states


@given(rows=windows)
@few
def test_whatever_comes_the_pvalue_is_one_and_never_rises(rows: list[tuple[Floats, Floats]]) -> None:
    found = [state.pvalue for state in played(rows)]

    assert all(0.0 <= p <= 1.0 for p in found)
    assert found == sorted(found, reverse=True)


@given(rows=windows)
@few
def test_whatever_comes_the_difference_is_a_number_within_its_interval(
    rows: list[tuple[Floats, Floats]],
) -> None:
    for state in played(rows):
        difference = state.standing(PLAN).difference
        numbers = [difference.value, difference.low, difference.high]
        assert all(v is None or np.isfinite(v) for v in numbers)
        if difference.value is not None and difference.low is not None and difference.high is not None:
            assert difference.low <= difference.value <= difference.high


@given(rows=windows)
@few
def test_no_row_is_lost(rows: list[tuple[Floats, Floats]]) -> None:
    last = played(rows)[-1]

    assert last.champion.n == sum(len(one) for one, _ in rows)
    assert last.challenger.n == sum(len(two) for _, two in rows)
    assert Contest.load(last.dump()) == last


@given(seed=st.integers(0, 10**6), scale=st.sampled_from([1e-6, 0.5, 1e6]))
@few
def test_neither_the_unit_nor_the_names_matter(seed: int, scale: float) -> None:
    rng = np.random.default_rng(seed)
    rows = [(rng.exponential(1.0, 50), rng.exponential(1.2, 40)) for _ in range(10)]
    plain = played(rows)[-1]
    scaled = played([(one * scale, two * scale) for one, two in rows])[-1]
    swapped = played([(two, one) for one, two in rows])[-1]

    assert scaled.pvalue == pytest.approx(plain.pvalue, rel=1e-6)
    assert swapped.pvalue == pytest.approx(plain.pvalue, rel=1e-9)
    assert swapped.blocks.difference == pytest.approx(-plain.blocks.difference)


@given(first=losses, second=losses)
@few
def test_sums_merge_by_addition(first: Floats, second: Floats) -> None:
    parts = LossSums.of(first) + LossSums.of(second)
    whole = LossSums.of(np.concatenate([first, second]))

    assert parts.n == whole.n
    assert parts.total == pytest.approx(whole.total, abs=1e-6)
    assert parts.squares == pytest.approx(whole.squares)


@given(seed=st.integers(0, 10**6), cut=st.integers(1, 9))
@few
def test_blocks_merge_by_addition(seed: int, cut: int) -> None:
    rng = np.random.default_rng(seed)
    blocks = [Blocks.of(*(LossSums.of(rng.normal(size=40)) for _ in range(2))) for _ in range(10)]
    left, right = sum(blocks[:cut], Blocks()), sum(blocks[cut:], Blocks())
    whole = sum(blocks, Blocks())
    assume(whole.count == 10)

    assert (left + right).noise() == pytest.approx(whole.noise())
    assert (left + right).difference == pytest.approx(whole.difference)
