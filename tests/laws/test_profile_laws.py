"""A profile is a commutative monoid, and its cells are what a plain count gives."""

import itertools
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from detectors.profile import Grid, Profile, empty, merge, summaries
from detectors.sample import SAMPLE_ROWS
from monitor.core.codec import dump_profile, load_profile
from monitor.core.kernels import BIG_GROUP, Groups, numeric_cells
from monitor.core.profiles import ALL, GroupKey, Profiling, Rows, profile_all, profile_rows
from monitor.core.reference import category_grid, numeric_grid

pytestmark = pytest.mark.usefixtures("kernels")
HOUR = 3_600_000_000
ODD = [0.0, -0.0, 1e-300, 1e300, -1e12, float("nan"), float("inf"), float("-inf"), 5.0, 5.000001]
numbers = st.one_of(st.none(), st.sampled_from(ODD), st.floats(-10, 10))
words = st.one_of(st.none(), st.sampled_from(["a", "b", "c", "rare", "unseen"]))
row = st.tuples(numbers, numbers, words, st.integers(0, 2), st.sampled_from(["", "v2"]))
rows_lists = st.lists(row, max_size=60)


def reference_grid() -> Grid:
    rng = np.random.default_rng(7)
    skewed = pl.Series("x", np.where(rng.random(3000) < 0.3, 0.0, rng.lognormal(size=3000)))
    small = pl.Series("y", rng.integers(0, 7, 3000).astype(float))
    return Grid(
        (
            numeric_grid("x", skewed),
            numeric_grid("y", small),
            category_grid("c", pl.Series("c", ["a", "a", "b"])),
        )
    )


GRID = reference_grid()


def as_rows(data: Sequence[tuple[float | None, float | None, str | None, int, str]], first: int = 0) -> Rows:
    frame = pl.DataFrame(
        {
            "x": [r[0] for r in data],
            "y": [r[1] for r in data],
            "c": [r[2] for r in data],
            "version": [r[4] for r in data],
            "segment:c": [r[2] for r in data],
        },
        schema={
            "x": pl.Float64,
            "y": pl.Float64,
            "c": pl.String,
            "version": pl.String,
            "segment:c": pl.String,
        },
    )
    keys = (np.arange(len(data), dtype=np.uint64) + np.uint64(first)) * np.uint64(0x9E3779B97F4A7C15)
    starts = np.array([r[3] * HOUR for r in data], np.int64)
    return Rows(starts, keys, frame, {})


def pooled(parts: Sequence[Rows]) -> dict[GroupKey, bytes]:
    total: dict[GroupKey, Profile] = {}
    for part in parts:
        for key, profile in profile_rows(GRID, part, {"c": ("a", "b")}).items():
            total[key] = merge(GRID, total.get(key) or empty(GRID, sample=key.segment == ALL), profile)
    return {key: dump_profile(profile) for key, profile in total.items()}


@settings(max_examples=60)
@given(data=rows_lists, cuts=st.lists(st.integers(0, 60), max_size=5), seed=st.integers(0, 99))
def test_any_batching_and_any_order_give_the_same_bytes(
    data: list[tuple[float | None, float | None, str | None, int, str]], cuts: list[int], seed: int
) -> None:
    whole = as_rows(data)
    bounds = sorted({0, len(data), *(min(c, len(data)) for c in cuts)})
    order = np.random.default_rng(seed).permutation(len(data))
    parts = [whole.take(order[a:b]) for a, b in itertools.pairwise(bounds)]
    np.random.default_rng(seed + 1).shuffle(parts)

    assert pooled(parts) == pooled([whole])


@settings(max_examples=40)
@given(a=rows_lists, b=rows_lists, c=rows_lists)
def test_merging_is_associative_commutative_and_has_an_identity(
    a: list[tuple[float | None, float | None, str | None, int, str]],
    b: list[tuple[float | None, float | None, str | None, int, str]],
    c: list[tuple[float | None, float | None, str | None, int, str]],
) -> None:
    p, q, r = (profile_all(GRID, as_rows(data, i * 100)) for i, data in enumerate((a, b, c)))

    assert dump_profile(merge(GRID, p, q)) == dump_profile(merge(GRID, q, p))
    assert dump_profile(merge(GRID, merge(GRID, p, q), r)) == dump_profile(merge(GRID, p, merge(GRID, q, r)))
    assert dump_profile(merge(GRID, p, empty(GRID))) == dump_profile(p)
    assert dump_profile(load_profile(dump_profile(p))) == dump_profile(p)


@settings(max_examples=40)
@given(seed=st.integers(0, 1000), wild=st.booleans())
def test_sorting_and_binning_count_the_same(seed: int, wild: bool) -> None:  # noqa: FBT001 - hypothesis draws it
    rng = np.random.default_rng(seed)
    values = rng.normal(size=2 * BIG_GROUP) * (1e9 if wild else 1.0)
    values[rng.integers(0, len(values), 50)] = rng.choice(np.array(ODD), 50)
    column = pl.Series("x", values).set(pl.Series(rng.random(len(values)) < 0.02), None)
    codes = np.sort(rng.integers(0, 2, len(values)))
    few = Groups.of(codes)
    assert few.big

    sorted_way = numeric_cells(GRID.numeric[0], column, None, few)
    one_by_one = [
        numeric_cells(GRID.numeric[0], column.slice(a, b - a), None, Groups.of(np.zeros(b - a, np.int64)))
        for a, b in zip(few.starts, few.stops, strict=True)
    ]
    pieces = [
        numeric_cells(
            GRID.numeric[0],
            column.slice(a, 1000),
            None,
            Groups.of(np.zeros(min(1000, len(column) - a), np.int64)),
        )
        for a in range(0, len(column), 1000)
    ]
    total = np.sum([p.cells for p in pieces], axis=0)[0]
    both = sorted_way.cells.sum(axis=0)
    profile = Profile(
        len(column), np.concatenate([both, np.zeros(GRID.width - len(both), np.int64)]), *(np.zeros(2),) * 2
    )
    other = Profile(
        len(column), np.concatenate([total, np.zeros(GRID.width - len(total), np.int64)]), *(np.zeros(2),) * 2
    )

    assert dump_profile(merge(GRID, profile, empty(GRID, sample=False))) == dump_profile(
        merge(GRID, other, empty(GRID, sample=False))
    )
    assert [x.low[0] for x in one_by_one] == sorted_way.low.tolist()


@settings(max_examples=60)
@given(data=rows_lists)
def test_cells_are_what_plain_counting_gives(
    data: list[tuple[float | None, float | None, str | None, int, str]],
) -> None:
    profile = profile_all(GRID, as_rows(data))
    x, y, c = summaries(GRID, profile)
    for place, summary in ((0, x), (1, y)):
        values = [r[place] for r in data]
        finite = np.array([v for v in values if v is not None and np.isfinite(v)])
        grid = GRID.numeric[place]
        bounds = [grid.lo, *grid.edges, grid.hi]
        plain = [int((finite < grid.lo).sum())]
        plain += [
            int(((finite > a) & (finite <= b)).sum()) + (int((finite == a).sum()) if i == 0 else 0)
            for i, (a, b) in enumerate(itertools.pairwise(bounds))
        ]
        plain.append(int((finite > grid.hi).sum()))
        assert summary.counts.tolist() == plain
        assert summary.null == sum(v is None for v in values)
    assert c.counts.tolist() == [sum(r[2] == w for r in data) for w in ("a", "b")] + [
        0,
        sum(r[2] in {"c", "rare", "unseen"} for r in data),
    ]


@settings(max_examples=60)
@given(st.lists(st.floats(-1e4, 1e4), min_size=1, max_size=200))
def test_moments_agree_with_numpy(values: list[float]) -> None:
    column = pl.Series("x", values)
    grid = Grid((numeric_grid("x", column),))
    frame = pl.DataFrame({"x": column, "version": [""] * len(values)})
    keys = np.arange(len(values), dtype=np.uint64)
    (summary,) = summaries(grid, profile_all(grid, Rows(np.zeros(len(values), np.int64), keys, frame, {})))
    reach = max(abs(v - grid.numeric[0].centre) for v in values)

    assert abs(summary.mean - np.mean(values)) <= 1e-9 * max(reach, 1e-9)  # type: ignore[union-attr]  # numeric by construction
    assert abs(summary.variance - np.var(values)) <= 1e-4 * reach**2 + 1e-18  # type: ignore[union-attr]  # same


@pytest.mark.parametrize("spread", [64, 63, 40, 8])
def test_the_sample_has_the_smallest_keys_however_they_are_spread(spread: int) -> None:
    size = 3 * SAMPLE_ROWS
    rows = as_rows([(1.0, 2.0, "a", 0, "")] * size)
    for keys in (rows.keys >> np.uint64(64 - spread), ~(rows.keys >> np.uint64(64 - spread))):
        sample = profile_all(GRID, replace(rows, keys=keys)).sample
        assert sample is not None
        assert sample.keys.tolist() == sorted(keys.tolist())[:SAMPLE_ROWS]


def test_a_pool_counts_the_same_while_the_caller_waits() -> None:
    rng = np.random.default_rng(3)
    data = [
        (float(x), None, "abc"[i % 3], i // 400, "v2" * (i % 2)) for i, x in enumerate(rng.normal(size=900))
    ]
    with ThreadPoolExecutor(2) as pool:
        begun = Profiling(GRID, as_rows(data), {"c": ("a", "b")}, pool.map).result()
    alone = profile_rows(GRID, as_rows(data), {"c": ("a", "b")})
    assert {key: dump_profile(p) for key, p in begun.items()} == {
        k: dump_profile(p) for k, p in alone.items()
    }
    assert reference_grid() == GRID
    assert hash(reference_grid()) == hash(GRID), "which is remembered"
