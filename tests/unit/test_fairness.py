"""Group rates and disparities against scikit-learn on the same rows, and their intervals."""

import numpy as np
import pytest
from scipy import stats
from sklearn.metrics import accuracy_score, confusion_matrix, recall_score

from detectors.base import Level
from detectors.fairness import DISPARITIES, RATES, GroupCounts, fairness

SIZES = {"a": 900, "b": 400, "c": 150}
SELECTED = {"a": 0.30, "b": 0.42, "c": 0.35}


def counts(tn: int, fp: int, fn: int, tp: int) -> GroupCounts:
    confusion = np.array([[tn, fp], [fn, tp]])
    return GroupCounts(confusion, confusion.sum(axis=0))


def selected(hits: int, rows: int) -> GroupCounts:
    return counts(rows - hits, hits, 0, 0)


@pytest.fixture(name="rows")
def drawn() -> dict[str, tuple[np.ndarray, np.ndarray]]:
    rng = np.random.default_rng(1)
    predicted = {name: rng.random(size) < SELECTED[name] for name, size in SIZES.items()}
    return {name: (np.where(rng.random(len(p)) < 0.8, p, ~p), p) for name, p in predicted.items()}


@pytest.fixture(name="groups")
def counted(rows: dict[str, tuple[np.ndarray, np.ndarray]]) -> dict[str, GroupCounts]:
    return {
        name: GroupCounts(confusion_matrix(label, predicted), np.bincount(predicted, minlength=2))
        for name, (label, predicted) in rows.items()
    }


def test_the_rates_are_scikit_learns(
    rows: dict[str, tuple[np.ndarray, np.ndarray]], groups: dict[str, GroupCounts]
) -> None:
    found = fairness(groups, 0.05).groups

    for name, (label, predicted) in rows.items():
        expected = (
            predicted.mean(),
            accuracy_score(label, predicted),
            recall_score(label, predicted),
            1 - recall_score(label, predicted, pos_label=0),
        )
        assert [found[name].rates[rate].value for rate in RATES] == pytest.approx(expected)


def test_the_disparities_are_those_of_the_definitions(
    rows: dict[str, tuple[np.ndarray, np.ndarray]], groups: dict[str, GroupCounts]
) -> None:
    selection = [p.mean() for _, p in rows.values()]
    tpr = [recall_score(y, p) for y, p in rows.values()]
    fpr = [1 - recall_score(y, p, pos_label=0) for y, p in rows.values()]
    expected = (
        np.ptp(selection),
        min(selection) / max(selection),
        np.ptp(tpr),
        max(np.ptp(tpr), np.ptp(fpr)),
    )

    found = fairness(groups, 0.05).disparities
    assert list(found) == list(DISPARITIES)
    assert [one.estimate.value for one in found.values()] == pytest.approx(expected)


def test_the_rates_intervals_are_scipys_wilson(groups: dict[str, GroupCounts]) -> None:
    found = fairness(groups, 0.01).groups

    for name, group in groups.items():
        assert group.parts().keys() == found[name].rates.keys() == set(RATES)
        for rate, (hits, size) in group.parts().items():
            exact = stats.binomtest(hits, size).proportion_ci(0.99, method="wilson")
            assert (found[name].rates[rate].low, found[name].rates[rate].high) == pytest.approx(tuple(exact))


def test_the_interval_of_two_groups_is_newcombes() -> None:
    # 56/70 against 48/80, the first example of Newcombe (1998), method 10: .0524 to .3339
    found = fairness({"a": selected(56, 70), "b": selected(48, 80)}, 0.05)
    estimate = found.disparities["demographic_parity_difference"].estimate

    assert (estimate.value, estimate.low, estimate.high) == pytest.approx((0.2, 0.0524, 0.3339), abs=1e-4)


def test_selection_counts_predictions_without_an_outcome_too() -> None:
    group = GroupCounts(np.array([[30, 30], [20, 20]]), np.array([900, 100]))
    rates = fairness({"a": group}, 0.05).groups["a"].rates

    assert rates["selection_rate"].value == pytest.approx(0.1)
    assert rates["accuracy"].value == pytest.approx(0.5)
    assert (rates["selection_rate"].n, rates["accuracy"].n) == (1000, 100)


def test_a_small_group_is_insufficient_data() -> None:
    found = fairness({"a": selected(30, 100), "b": selected(50, 100), "few": selected(49, 49)}, 0.05)

    assert found.groups["few"].level is Level.INSUFFICIENT_DATA
    assert all(rate.value is None for rate in found.groups["few"].rates.values())
    assert found.groups["few"].rates["selection_rate"].n == 49


def test_a_small_group_is_left_out_of_the_disparities_and_named() -> None:
    found = fairness({"a": selected(30, 100), "b": selected(50, 100), "few": selected(49, 49)}, 0.05)
    parity = found.disparities["demographic_parity_difference"]

    assert parity.estimate.value == pytest.approx(0.2)
    assert (parity.lowest, parity.highest, parity.left_out) == ("a", "b", ("few",))
    assert parity.estimate.n == 200


def test_the_minimum_is_the_callers() -> None:
    found = fairness({"a": selected(3, 10), "b": selected(5, 10)}, 0.05, min_rows=10)

    assert found.disparities["demographic_parity_difference"].level is Level.OK


def test_a_rate_rests_on_its_own_rows() -> None:
    groups = {"a": counts(50, 50, 20, 80), "b": counts(60, 40, 40, 9)}
    found = fairness(groups, 0.05)

    assert found.groups["b"].level is Level.OK
    assert found.groups["b"].rates["true_positive_rate"].value is None
    assert found.disparities["demographic_parity_difference"].level is Level.OK
    assert found.disparities["equal_opportunity_difference"].level is Level.INSUFFICIENT_DATA
    assert found.disparities["equalized_odds_difference"].left_out == ("b",)


def test_the_interval_of_a_ratio_is_that_of_its_logarithm_with_half_a_row_added() -> None:
    found = fairness({"a": selected(56, 70), "b": selected(48, 80)}, 0.05)
    estimate = found.disparities["demographic_parity_ratio"].estimate

    middle = np.log(48.5 / 81) - np.log(56.5 / 71)
    reach = stats.norm.isf(0.025) * np.sqrt(1 / 56.5 - 1 / 71 + 1 / 48.5 - 1 / 81)
    wanted = (0.75, np.exp(middle - reach), np.exp(middle + reach))
    assert (estimate.value, estimate.low, estimate.high) == pytest.approx(wanted)


@pytest.mark.parametrize("groups", [{}, {"a": selected(30, 100)}], ids=["none", "one"])
def test_there_is_no_disparity_without_two_groups(groups: dict[str, GroupCounts]) -> None:
    found = fairness(groups, 0.05).disparities

    assert found.keys() == set(DISPARITIES)
    for one in found.values():
        assert one.level is Level.INSUFFICIENT_DATA
        assert one.estimate.value is None


def test_there_is_no_ratio_where_nobody_is_selected() -> None:
    found = fairness({"a": selected(0, 100), "b": selected(0, 80)}, 0.05).disparities

    assert found["demographic_parity_ratio"].estimate.value is None
    assert found["demographic_parity_ratio"].level is Level.OK
    assert found["demographic_parity_difference"].estimate.value == 0.0


def test_a_ratio_of_0_has_an_interval_from_0() -> None:
    estimate = (
        fairness({"a": selected(0, 100), "b": selected(40, 80)}, 0.05).disparities[DISPARITIES[1]].estimate
    )

    assert (estimate.value, estimate.low) == (0.0, 0.0)
    assert estimate.high is not None
    assert 0.0 < estimate.high < 0.2


def test_equalised_odds_takes_the_larger_difference_and_its_groups() -> None:
    groups = {"a": counts(90, 10, 20, 80), "b": counts(50, 50, 30, 70)}
    odds = fairness(groups, 0.05).disparities["equalized_odds_difference"]

    assert odds.estimate.value == pytest.approx(0.4)
    assert (odds.lowest, odds.highest) == ("a", "b")


def test_more_groups_alike_do_not_make_a_difference() -> None:
    rng, false = np.random.default_rng(2), 0
    for _ in range(300):
        hits = rng.binomial(200, 0.3, size=10)
        found = fairness({str(i): selected(int(k), 200) for i, k in enumerate(hits)}, 0.05).disparities
        false += (found[DISPARITIES[0]].estimate.low or 0.0) > 0.0

    assert false <= 300 * 0.05 + 3 * np.sqrt(300 * 0.05)


@pytest.mark.parametrize("rates", [(0.1, 0.3), (0.5, 0.5), (0.99, 0.9), (0.02, 0.05)])
@pytest.mark.parametrize("name", DISPARITIES[:2])
def test_the_intervals_of_two_groups_cover_the_truth(rates: tuple[float, float], name: str) -> None:
    rng, covered = np.random.default_rng(3), 0
    truth = abs(rates[0] - rates[1]) if name == DISPARITIES[0] else min(rates) / max(rates)
    for _ in range(500):
        hits = [int(rng.binomial(n, p)) for n, p in zip((100, 300), rates, strict=True)]
        groups = {"a": selected(hits[0], 100), "b": selected(hits[1], 300)}
        one = fairness(groups, 0.05).disparities[name].estimate
        covered += one.low is None or one.high is None or one.low <= truth <= one.high

    assert covered / 500 >= 0.95 - 3 * np.sqrt(0.05 * 0.95 / 500)


def test_a_value_is_within_its_interval() -> None:
    rng = np.random.default_rng(4)
    for _ in range(200):
        cells = rng.integers(0, rng.choice([2, 20, 1000]), size=(4, 4))
        found = fairness({str(i): counts(*map(int, row)) for i, row in enumerate(cells)}, 0.05, min_rows=1)
        rates = [r for g in found.groups.values() for r in g.rates.values()]
        for one in (*rates, *(d.estimate for d in found.disparities.values())):
            if one.value is not None and one.low is not None and one.high is not None:
                assert 0.0 <= one.low <= one.value <= one.high <= 1.0


@pytest.mark.parametrize(
    ("confusion", "predicted"),
    [(np.zeros((2, 3)), np.zeros(2)), (np.zeros((2, 2)), np.zeros(3)), (np.full((2, 2), -1), np.zeros(2))],
)
def test_counts_that_are_no_counts_are_refused(confusion: np.ndarray, predicted: np.ndarray) -> None:
    with pytest.raises(ValueError, match="count"):
        GroupCounts(confusion, predicted)
