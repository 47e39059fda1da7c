"""What holds of evidence over windows: it does not grow without a change, and e-d-BH flags as it should."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from detectors.dependence import dependence_of
from detectors.readings import Readers, Reading, Source, reader
from detectors.seasons import DAY, MONDAY, Clock
from detectors.sequential import BETS, Wealth, doubtful, limits
from detectors.table import Counts, Floats
from detectors.window_null import WindowNull, learn

HOUR = DAY // 24
scores_of = hnp.arrays(np.float64, st.integers(1, 12), elements=st.floats(0, 1e6))
alphas = st.floats(1e-5, 0.5)
every = np.array([True])


def plainly_flagged(scores: Floats, alpha: float) -> set[int]:
    """E-d-BH as it is written down: the k largest, for the largest k whose k-th exceeds K / (alpha k)."""
    order = sorted(range(len(scores)), key=lambda i: -scores[i])
    enough = [k for k, i in enumerate(order, 1) if scores[i] > len(scores) / (alpha * k)]
    return set(order[: max(enough, default=0)])


@given(scores=scores_of, alpha=alphas)
def test_what_exceeds_its_limit_is_what_e_d_bh_flags(scores: Floats, alpha: float) -> None:
    over = np.flatnonzero(scores > limits(scores, alpha))

    assert set(over.tolist()) == plainly_flagged(scores, alpha)


@given(scores=scores_of, alpha=alphas, data=st.data())
def test_a_limit_is_where_a_score_begins_to_be_flagged(
    scores: Floats, alpha: float, data: st.DataObject
) -> None:
    place = data.draw(st.integers(0, len(scores) - 1))
    at = limits(scores, alpha)[place]
    assert np.isfinite(at)
    for score, flagged in ((np.nextafter(at, np.inf), True), (at, False)):
        moved = scores.copy()
        moved[place] = score
        assert (place in plainly_flagged(moved, alpha)) is flagged


@given(pvalues=hnp.arrays(np.float64, (20, 5), elements=st.floats(0, 1)), data=st.data())
def test_the_order_of_features_does_not_matter(pvalues: Floats, data: st.DataObject) -> None:
    order = data.draw(st.permutations(range(5)))
    one, other = Wealth.none(5), Wealth.none(5)
    for p in pvalues:
        one, other = one.after(p, np.ones(5, bool)), other.after(p[order], np.ones(5, bool))
        one, other = (
            wealth.settled(at, wealth.scores > at)
            for wealth, at in ((one, limits(one.scores, 0.01)), (other, limits(other.scores, 0.01)))
        )

    assert np.array_equal(one.scores[order], other.scores)
    assert np.isfinite(one.scores).all()


def test_no_bet_wins_on_average_without_a_change() -> None:
    p = (np.arange(1_000_000) + 0.5) / 1_000_000
    e = Wealth.none(len(p)).after(p, np.ones(len(p), bool)).money

    assert e.shape[1] == len(BETS)
    assert (e.mean(axis=0) <= 1.0).all()
    assert e.mean() > 0.85


@pytest.mark.parametrize("arl", [20, 100])
def test_alarms_are_as_rare_as_promised(arl: int) -> None:
    rng = np.random.default_rng(7)
    columns, windows, alarms = 2000, 400, 0
    wealth = Wealth.none(columns)
    for _ in range(windows):
        wealth = wealth.after(rng.random(columns), np.ones(columns, bool))
        over = wealth.scores > arl
        alarms += int(over.sum())
        wealth = Wealth(wealth.money * ~over[:, None], wealth.flagged)

    assert 0.1 < alarms * arl / (columns * windows) <= 1.0


def calm(seed: int, windows: int, rows: int, skewed: float = 0.0) -> Counts:
    """Return windows of one feature without a change, counted in 40 cells."""
    weights = np.exp(skewed * np.arange(40))
    return np.random.default_rng(seed).multinomial(rows, weights / weights.sum(), windows)


def taught(counts: Counts) -> WindowNull:
    readers = Readers((reader(Source("x", counts.sum(axis=0), 0, ordered=True)),))
    return learn(readers, read(readers, counts), clock_of(len(counts)))


def clock_of(windows: int) -> Clock:
    return Clock(MONDAY + np.arange(windows) * HOUR, HOUR)


def read(readers: Readers, counts: Counts) -> Reading:
    return readers.read([counts], np.zeros((len(counts), 1), np.int64), counts.sum(axis=1))


def pvalues(null: WindowNull, counts: Counts) -> Floats:
    reading, starts = read(null.readers, counts), clock_of(len(counts)).starts + 400 * DAY
    return np.array(
        [
            doubtful(
                null,
                Reading(reading.values[i : i + 1], reading.sizes[i : i + 1]),
                Clock(starts[i : i + 1], HOUR),
            )[0]
            for i in range(len(counts))
        ]
    )


@pytest.mark.parametrize("rows", [200, 4000])
def test_no_bet_wins_on_average_given_one_reference_however_short(rows: int) -> None:
    """Of one reference the error stays: its windows' mean, and spread, are off for all windows to come.

    Windows of 4,000 rows after a reference of 200 show nothing but that error.
    """
    won = []
    for seed in range(12):
        p = pvalues(taught(calm(seed, 7 * 24, 200)), calm(100 + seed, 400, rows))
        won.append(float(Wealth.none(len(p)).after(p, np.ones(len(p), bool)).money.mean()))

    assert max(won) < 1.2
    assert np.mean(won) < 1.0


def test_a_small_change_that_lasts_is_found() -> None:
    null = taught(calm(1, 15 * 24, 500))
    wealth, scores = Wealth.none(1), []
    for p in pvalues(null, np.concatenate([calm(2, 100, 500), calm(3, 40, 500, skewed=0.012)])):
        wealth = wealth.after(np.array([p]), every)
        scores.append(float(wealth.scores[0]))

    assert max(scores[:100]) < 1000
    assert scores[-1] > 1e6


def test_independent_windows_pass_and_days_that_differ_do_not() -> None:
    counts, tilted = calm(4, 15 * 24, 500), calm(6, 15 * 24, 500, skewed=0.02)
    readers = Readers((reader(Source("x", counts.sum(axis=0), 0, ordered=True)),))
    passed = dependence_of(readers, read(readers, counts), clock_of(len(counts)))
    days = np.where((np.arange(len(counts)) // 24 % 2 == 0)[:, None], counts, tilted)
    failed = dependence_of(readers, read(readers, days), clock_of(len(counts)))

    assert passed.excluded
    assert "show no dependence" in passed.account(readers)
    assert not failed.excluded
    assert failed.account(readers).startswith("the reference's windows depend on each other: correlation")
    assert type(passed).of(passed.array()) == passed


def test_few_windows_do_not_pass() -> None:
    counts = calm(5, 60, 500)
    readers = Readers((reader(Source("x", counts.sum(axis=0), 0, ordered=True)),))
    found = dependence_of(readers, read(readers, counts), clock_of(60))

    assert (found.found, found.excluded) == (False, False)
    assert found.account(readers) == "60 windows are too few to show whether they depend on each other"
