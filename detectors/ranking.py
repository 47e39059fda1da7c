"""How well items were ranked, query by query, from sums that merge.

Each query's rows are ranked by score, highest first, and equal scores in the order in which the rows are
given. An item is relevant if its label is above 0; only ndcg asks how much. Rows without a finite score and
label are no items: they are left out before ranking, and counted in `unusable`.
"""

from collections.abc import Iterator, Mapping
from types import MappingProxyType

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from detectors.intervals import exact
from detectors.means import mean_estimate, within
from detectors.measure import Better, Estimate, Floats, Ints, Scored

COUNTS = ("queries", "queries_without_relevant", "unusable")
AT_K = ("ndcg", "map", "recall", "hit_rate")


class RankingMeasure:
    """Measures rankings: means over queries of what each query's first k items hold.

    ndcg@k: the sum of label / log2(place + 1) over the first k, divided by that of the best order. Gains are
    linear, as in scikit-learn's `ndcg_score`; labels below 0 gain nothing. map@k: the mean of the precision
    at each relevant item among the first k, over min(k, relevant items). recall@k: the share of the relevant
    items among the first k. mrr: 1 / place of the first relevant item, wherever it is. hit_rate@k: the share
    of queries with a relevant item among the first k.

    A query without any relevant item has no ndcg, map, recall or mrr: it is left out of those and counted in
    `queries_without_relevant`. For hit_rate it is a query without a hit. The rows of one query must come
    together in one call of `sums` (and of `open_sums`), in any order, and be subtracted together: in two
    calls they are two queries. A query is of the group of its first row that is an item.

    Intervals: by the sample variance over queries ("normal"), within [0, 1], none for one query; of hit_rate,
    a share of the queries, the exact one (Clopper and Pearson).

    Parameters
    ----------
    ks
        How many items count, 1 or more each.

    Examples
    --------
    >>> random = np.random.default_rng(0)
    >>> label = random.integers(0, 2, 1_000).astype(float)
    >>> scores = (label + random.normal(size=1_000))[:, None]
    >>> rows = Scored(label, scores, label, np.arange(1_000, dtype=np.uint64) // 20)
    >>> measure = RankingMeasure((5,))
    >>> values = measure.values(measure.sums(rows, np.zeros(1_000, np.int64), 1)[0], 0.05)
    >>> [round(values[name].value, 2) for name in ("ndcg@5", "map@5", "mrr", "recall@5")]
    [0.84, 0.76, 0.97, 0.38]

    References
    ----------
    Jarvelin, K., Kekalainen, J. (2002). Cumulated gain-based evaluation of IR techniques. ACM Transactions on
    Information Systems 20(4).

    """

    def __init__(self, ks: tuple[int, ...] = (10,)) -> None:
        if len(set(ks)) < len(ks) or not all(k >= 1 for k in ks):
            raise ValueError(f"each k must be 1 or more, and be named once: {ks}")
        self._ks = tuple(ks)
        self._names = ("mrr", *(f"{name}@{k}" for k in ks for name in AT_K))
        self.width = len(COUNTS) + 2 * len(self._names)
        self.open_width = 2
        self.better: Mapping[str, Better] = MappingProxyType(
            dict.fromkeys(self._names, Better.HIGHER) | dict.fromkeys(COUNTS, Better.NEITHER)
        )

    def sums(self, rows: Scored, groups: Ints, count: int) -> Floats:
        """Sum up rows with labels: float64 [count, width]; groups [n] names each row's group, 0..count-1.

        ValueError: rows without queries, or without one score each.
        """
        usable = np.isfinite(_score(rows)) & np.isfinite(rows.label)
        unusable = np.bincount(groups[~usable], minlength=count)
        if not usable.all():
            rows, groups = rows.take(usable), groups[usable]
        ranked = _ranked(rows, groups)
        columns = [np.bincount(ranked.group, minlength=count)]
        columns += [np.bincount(ranked.group[ranked.found == 0], minlength=count), unusable]
        for term in (_reciprocal(ranked), *(term for k in self._ks for term in _at(ranked, k))):
            columns += [np.bincount(ranked.group, x, count) for x in (term, term * term)]
        return np.stack(columns, axis=1).astype(np.float64)

    def open_sums(self, rows: Scored, groups: Ints, count: int) -> Floats:
        """Return the number of rows and of queries, float64 [count, 2]; a query is of its first row's group.

        ValueError: rows without queries.
        """
        first = np.unique(_query(rows), return_index=True)[1]
        counts = [np.bincount(g, minlength=count) for g in (groups, groups[first])]
        return np.stack(counts, axis=1).astype(np.float64)

    def values(self, sums: Floats, level: float) -> Mapping[str, Estimate]:
        """Return every metric of `better` of sums [width], each with its interval of confidence 1 - level."""
        queries, without, unusable = (round(float(c)) for c in sums[: len(COUNTS)])
        found: dict[str, Estimate] = {}
        pairs = sums[len(COUNTS) :].reshape(-1, 2).tolist()
        for name, (total, squares) in zip(self._names, pairs, strict=True):
            if name.startswith("hit_rate"):
                found[name] = _share(round(total), queries, level)
            else:
                found[name] = within(mean_estimate(queries - without, total, squares, level), 0.0, 1.0)
        counts = zip(COUNTS, (queries, without, unusable), strict=True)
        return found | {name: Estimate(float(c), None, None, queries) for name, c in counts}

    def losses(self, sums: Floats) -> tuple[int, float, float]:
        """Return queries with a relevant item, sum and sum of squares of 1 - the reciprocal rank."""
        queries, without, _, total, squares = (float(c) for c in sums[: len(COUNTS) + 2])
        n = queries - without
        return round(n), n - total, n - 2.0 * total + squares


def _share(hits: int, queries: int, level: float) -> Estimate:
    if queries < 1:
        return Estimate(None, None, None, 0)
    low, high = exact(np.array([float(hits)]), np.array([float(queries)]), level)
    return Estimate(hits / queries, float(low[0]), float(high[0]), queries, "exact")


class _Ranked(Struct, frozen=True, eq=False):
    """Q queries and their H relevant items, those of one query together and in the order of their places.

    group, found: [Q] the query's group and how many relevant items it has. query: [H] which query an item is
    of. place, nth: [H] how many items, and how many relevant ones, come before it. gain: [H] its label over
    the query's largest; best: [H] the same in the best order.
    """

    group: Ints
    found: Ints
    query: Ints
    place: Ints
    nth: Ints
    gain: Floats
    best: Floats


def _query(rows: Scored) -> NDArray[np.uint64]:
    if rows.query is None:
        raise ValueError("a ranking needs each row's query")
    return rows.query


def _score(rows: Scored) -> Floats:
    if rows.scores.shape[1] != 1:
        raise ValueError(f"a ranking needs one score per row, not {rows.scores.shape[1]}")
    return rows.scores[:, 0]


def _ranked(rows: Scored, groups: Ints) -> _Ranked:
    order = np.lexsort((-_score(rows), _query(rows)))  # stable: equal scores stay as they were given
    query = _query(rows)[order]
    begins = np.ones(len(query), dtype=np.bool_)
    begins[1:] = query[1:] != query[:-1]
    starts, number = np.flatnonzero(begins), np.cumsum(begins) - 1
    label = rows.label[order]
    item = np.flatnonzero(label > 0)
    of, gain = number[item], label[item]
    found = np.bincount(of, minlength=len(starts))
    before = (np.cumsum(found) - found)[of]
    best = gain[np.lexsort((-gain, of))]
    largest = best[before]  # shares of it neither overflow nor vanish, and ndcg is the same
    group = groups[np.minimum.reduceat(order, starts)] if len(starts) else groups[:0]
    place, nth = item - starts[of], np.arange(len(item)) - before
    return _Ranked(group, found, of, place, nth, gain / largest, best / largest)


def _reciprocal(ranked: _Ranked) -> Floats:
    first = ranked.nth == 0
    return _total(ranked, first, np.asarray(1.0 / (ranked.place + 1.0)))


def _at(ranked: _Ranked, k: int) -> Iterator[Floats]:
    """Yield each metric of AT_K, [Q]; 0 for a query without relevant items."""
    top, some = ranked.place < k, np.maximum(ranked.found, 1)
    reached = _total(ranked, top, ranked.gain / np.log2(ranked.place + 2.0))
    possible = _total(ranked, ranked.nth < k, ranked.best / np.log2(ranked.nth + 2.0))
    hits = _total(ranked, top, np.ones(len(top)))
    yield reached / np.where(ranked.found > 0, possible, 1.0)
    yield _total(ranked, top, (ranked.nth + 1.0) / (ranked.place + 1.0)) / np.minimum(some, k)
    yield hits / some
    yield np.minimum(hits, 1.0)


def _total(ranked: _Ranked, chosen: NDArray[np.bool_], terms: Floats) -> Floats:
    """Add up the chosen items' terms by query, [Q]."""
    return np.asarray(np.bincount(ranked.query[chosen], terms[chosen], len(ranked.found)), dtype=np.float64)
