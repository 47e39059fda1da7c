"""Metrics of rankings: scikit-learn's ndcg, a slow oracle for the others, and what is left out."""

import math

import numpy as np
import pytest
from scipy import stats
from sklearn import metrics

from detectors.measure import Better, Estimate, Floats, Scored
from detectors.ranking import RankingMeasure

LEVEL = 0.05
COUNTS = {"queries", "queries_without_relevant", "unusable"}


def rows_of(query: list[int], score: list[float], label: list[float]) -> Scored:
    scores = np.array(score, dtype=np.float64)[:, None]
    labels = np.array(label, dtype=np.float64)
    return Scored(np.full(len(labels), math.nan), scores, labels, np.array(query, dtype=np.uint64))


def drawn(seed: int, n: int, queries: int) -> Scored:
    """Return rows of queries of many sizes, mixed up; some relevant, in grades; scores are distinct."""
    random = np.random.default_rng(seed)
    query = np.square(random.random(n)) * queries
    label = np.maximum(random.integers(-4, 4, n), 0).astype(np.float64)
    score = label + random.normal(scale=3.0, size=n)
    return Scored(label, score[:, None], label, query.astype(np.uint64) + np.uint64(2**63))


def measured(rows: Scored, *ks: int) -> dict[str, Estimate]:
    measure = RankingMeasure(ks)
    sums = measure.sums(rows, np.zeros(len(rows.label), np.int64), 1)
    return dict(measure.values(sums[0], LEVEL))


def by_query(rows: Scored) -> list[Floats]:
    """Return each query's labels in the order of their scores."""
    assert rows.query is not None
    found = []
    for query in np.unique(rows.query):
        mine = np.flatnonzero(rows.query == query)
        found.append(rows.label[mine[np.argsort(-rows.scores[mine, 0], kind="stable")]])
    return found


def slowly(name: str, labels: Floats, k: int) -> float:
    relevant = [label > 0 for label in labels]
    top = relevant[:k]
    if name == "recall":
        return float(sum(top) / sum(relevant))
    if name == "hit_rate":
        return float(any(top))
    if name == "mrr":
        return 1 / (relevant.index(True) + 1)
    precisions = [sum(relevant[: i + 1]) / (i + 1) for i, hit in enumerate(top) if hit]
    return float(sum(precisions) / min(k, sum(relevant)))


@pytest.mark.parametrize("k", [1, 3, 10, 1000])
def test_ndcg_is_scikit_learns(k: int) -> None:
    rows = drawn(1, 600, 40)
    per_query = [
        metrics.ndcg_score([labels], [-np.arange(len(labels))], k=k)
        for labels in by_query(rows)
        if len(labels) > 1 and labels.any()
    ]
    per_query += [1.0 for labels in by_query(rows) if len(labels) == 1 and labels.any()]

    assert measured(rows, k)[f"ndcg@{k}"].value == pytest.approx(np.mean(per_query), rel=1e-12)


@pytest.mark.parametrize("k", [1, 3, 10, 1000])
@pytest.mark.parametrize("name", ["map", "recall", "mrr", "hit_rate"])
def test_a_metric_is_the_mean_over_queries(name: str, k: int) -> None:
    rows = drawn(2, 600, 60)
    some = [labels for labels in by_query(rows) if labels.any() or name == "hit_rate"]
    found = measured(rows, k)["mrr" if name == "mrr" else f"{name}@{k}"]

    assert found.value == pytest.approx(np.mean([slowly(name, labels, k) for labels in some]), rel=1e-12)
    assert found.n == len(some)


def test_every_metric_comes_in_the_order_of_the_directions() -> None:
    found = measured(drawn(3, 100, 10), 5, 20)

    assert list(found) == list(RankingMeasure((5, 20)).better)
    assert RankingMeasure().better["ndcg@10"] is Better.HIGHER
    assert {n for n, better in RankingMeasure().better.items() if better is Better.NEITHER} == COUNTS


def test_equal_scores_keep_the_order_of_the_rows() -> None:
    first = measured(rows_of([7, 7, 7], [0.5, 0.5, 0.5], [1, 0, 0]), 1)
    last = measured(rows_of([7, 7, 7], [0.5, 0.5, 0.5], [0, 0, 1]), 1)

    assert (first["mrr"].value, first["hit_rate@1"].value) == (1.0, 1.0)
    assert (last["mrr"].value, last["hit_rate@1"].value) == pytest.approx((1 / 3, 0.0))


def test_a_query_without_relevant_items_is_left_out_and_counted() -> None:
    found = measured(rows_of([1, 1, 2, 2], [2, 1, 2, 1], [1, 0, 0, 0]), 1)

    assert found["queries_without_relevant"].value == 1.0
    assert found["queries"].value == 2.0
    assert all(found[name] == Estimate(1.0, None, None, 1) for name in ("ndcg@1", "map@1", "mrr", "recall@1"))


def test_a_query_without_relevant_items_has_no_hit() -> None:
    found = measured(rows_of([1, 1, 2, 2], [2, 1, 2, 1], [1, 0, 0, 0]), 1)["hit_rate@1"]

    assert (found.value, found.n) == (0.5, 2)


@pytest.mark.parametrize("odd", [math.nan, math.inf, -math.inf])
def test_rows_that_are_no_items_are_left_out_and_counted(odd: float) -> None:
    found = measured(rows_of([1, 1, 1, 2], [odd, 3, 2, 1], [1, odd, 1, odd]), 1)

    assert found["unusable"].value == 3.0
    assert found["mrr"] == Estimate(1.0, None, None, 1)


def test_labels_below_zero_are_not_relevant() -> None:
    found = measured(rows_of([1, 1, 1], [3, 2, 1], [-2, 1, -1]), 2)

    assert found["recall@2"].value == 1.0
    assert found["ndcg@2"].value == pytest.approx(1 / math.log2(3))


@pytest.mark.parametrize("unit", [1e-320, 1e-200, 1e300])
def test_the_unit_of_relevance_does_not_matter(unit: float) -> None:
    plain = measured(rows_of([1] * 4, [4, 3, 2, 1], [1, 3, 0, 2]), 3)
    scaled = measured(rows_of([1] * 4, [4, 3, 2, 1], [unit, 3 * unit, 0, 2 * unit]), 3)

    assert scaled["ndcg@3"].value == pytest.approx(plain["ndcg@3"].value, rel=1e-3)


def test_a_query_is_of_the_group_of_its_first_item() -> None:
    rows = rows_of([5, 5, 5], [1, 2, 3], [math.nan, 1, 1])
    found = RankingMeasure((1,)).sums(rows, np.array([0, 1, 2]), 3)

    assert found[:, 0].tolist() == [0.0, 1.0, 0.0]
    assert found[:, 2].tolist() == [1.0, 0.0, 0.0]


def test_groups_are_summed_apart() -> None:
    rows = drawn(4, 400, 30)
    assert rows.query is not None
    groups = (rows.query % np.uint64(3)).astype(np.int64)
    together = RankingMeasure((2, 5)).sums(rows, groups, 4)

    for g in range(3):
        part = rows.take(groups == g)
        alone = RankingMeasure((2, 5)).sums(part, np.zeros(len(part.label), np.int64), 1)[0]
        assert together[g] == pytest.approx(alone, rel=1e-12)
    assert not together[3].any()


def test_open_sums_count_rows_and_queries() -> None:
    rows = rows_of([1, 1, 2, 3, 3], [1, 2, 3, 4, 5], [math.nan] * 5)

    found = RankingMeasure().open_sums(rows, np.array([0, 0, 0, 1, 0]), 2)
    assert found.tolist() == [[4.0, 2.0], [1.0, 1.0]]


def test_no_rows_give_no_values_but_counts() -> None:
    found = measured(rows_of([], [], []), 10)

    assert {e for name, e in found.items() if name not in COUNTS} == {Estimate(None, None, None, 0)}
    assert {found[name].value for name in COUNTS} == {0.0}


def test_intervals_are_by_the_spread_over_queries() -> None:
    rows = drawn(5, 1_000, 80)
    each = np.array([slowly("map", labels, 5) for labels in by_query(rows) if labels.any()])
    found = measured(rows, 5)["map@5"]

    reach = 1.959964 * each.std(ddof=1) / math.sqrt(len(each))
    assert found.method == "normal"
    assert (found.low, found.high) == pytest.approx((each.mean() - reach, each.mean() + reach), rel=1e-6)


def test_hits_are_a_share_of_the_queries() -> None:
    found = measured(rows_of([1, 2, 3, 3], [1, 1, 2, 1], [1, 1, 1, 0]), 1)["hit_rate@1"]
    wanted = stats.binomtest(3, 3).proportion_ci(0.95, method="exact")

    assert found.method == "exact"
    assert (found.value, found.low, found.high) == pytest.approx((1.0, wanted.low, wanted.high))


def test_an_interval_stays_within_0_and_1() -> None:
    found = measured(rows_of([1, 1, 2, 3], [2, 1, 1, 1], [0, 1, 1, 1]), 5)["mrr"]

    assert found.high == 1.0


def test_rows_need_queries() -> None:
    rows = Scored(np.zeros(1), np.zeros((1, 1)), np.zeros(1))

    with pytest.raises(ValueError, match="query"):
        RankingMeasure().sums(rows, np.zeros(1, np.int64), 1)


@pytest.mark.parametrize("width", [0, 2])
def test_rows_need_one_score(width: int) -> None:
    rows = Scored(np.zeros(1), np.zeros((1, width)), np.zeros(1), np.zeros(1, np.uint64))

    with pytest.raises(ValueError, match="one score per row"):
        RankingMeasure().sums(rows, np.zeros(1, np.int64), 1)


@pytest.mark.parametrize("ks", [(0,), (5, 5), (-1, 3)])
def test_each_k_is_1_or_more_and_named_once(ks: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="1 or more"):
        RankingMeasure(ks)
