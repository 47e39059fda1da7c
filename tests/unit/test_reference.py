"""Making a reference: grids of odd columns, segments, files of every kind, and its bytes."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from detectors.profile import CategorySummary, NumericSummary, summaries
from monitor.config import Columns, Features
from monitor.core.profiles import Rows
from monitor.core.reference import Baseline, Watched, build, category_grid, numeric_grid
from monitor.core.schema import Schema
from monitor.errors import ReferenceUnusableError
from monitor.references import baseline_of, covers, read_frame, schema_of, watched
from tests.logs import model, reference, schema_for

rng = np.random.default_rng(0)
ODD_COLUMNS: dict[str, Any] = {
    "the largest numbers": [-1.7e308, 1.7e308] * 3,
    "one sentinel": [*rng.normal(size=900).tolist(), 1.797e308],
    "the smallest numbers": [0.0, 5e-324, 5e-324, 1e-310],
    "far from zero": (1e15 + rng.integers(0, 5, 1000)).tolist(),
    "constant": [3.0] * 500,
    "zeros of both signs": [-0.0, 0.0, 1.0],
    "few distinct": rng.integers(0, 7, 1000).astype(float).tolist(),
    "one heavy value": np.where(rng.random(5000) < 0.5, 0.0, rng.normal(size=5000)).tolist(),
    "one value": [7.0],
    "nothing": [None, None],
    "nothing finite": [float("nan"), float("inf"), float("-inf"), None],
    "some missing": [1.0, None, 2.0, float("nan"), 3.0],
}


def made(x: Any, watched_: Watched | None = None, **more: Any) -> Baseline:  # noqa: ANN401 - columns of any kind
    frame = pl.DataFrame({"x": pl.Series(x, dtype=pl.Float64), "version": [""] * len(x), **more})
    rows = Rows(np.zeros(len(x), np.int64), np.arange(len(x)).astype(np.uint64), frame, {})
    return build(rows, watched_ or Watched(("x",), ()), "test", frozenset(frame.columns))


@pytest.mark.parametrize("values", ODD_COLUMNS.values(), ids=ODD_COLUMNS.keys())
def test_a_numeric_grid_is_sound_whatever_the_column_holds(values: Any) -> None:  # noqa: ANN401 - as above
    grid = numeric_grid("x", pl.Series("x", values, dtype=pl.Float64))
    edges = np.array([grid.lo, *grid.edges])
    assert np.isfinite([*edges, grid.hi, grid.centre, grid.unit, grid.sd, *grid.places]).all()
    assert (np.diff(edges[1:]) > 0).all()
    assert not grid.edges or grid.lo <= grid.edges[0] <= grid.edges[-1] < grid.hi
    assert grid.unit > 0
    assert np.isfinite(1 / grid.unit)
    assert len(grid.places) == grid.bins

    baseline = made(values)
    (summary,) = summaries(baseline.grid, baseline.profiles["all"])
    assert isinstance(summary, NumericSummary)
    finite = [v for v in values if v is not None and np.isfinite(v)]
    assert (summary.n, summary.rows) == (len(finite), len(values))
    assert summary.counts[0] == summary.counts[-1] == 0
    assert Baseline.load(baseline.dump()).hash == baseline.hash


def test_a_heavy_value_has_a_bin_of_its_own_and_few_values_have_one_each() -> None:
    heavy = made(ODD_COLUMNS["one heavy value"])
    (summary,) = summaries(heavy.grid, heavy.profiles["all"])
    zeros = sum(v == 0.0 for v in ODD_COLUMNS["one heavy value"])
    assert zeros in summary.counts.tolist()
    few = numeric_grid("x", pl.Series("x", ODD_COLUMNS["few distinct"]))
    assert few.edges == (0.0, 1.0, 2.0, 3.0, 4.0, 5.0)
    assert few.places == pytest.approx([0, 1, 2, 3, 4, 5, 6])


@settings(max_examples=40)
@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=300))
def test_a_grid_has_at_most_a_few_edges_per_bin_and_no_order(values: list[float]) -> None:
    grid = numeric_grid("x", pl.Series("x", values), bins=10)
    assert grid.bins <= 30
    assert grid == numeric_grid("x", pl.Series("x", values[::-1]), bins=10)
    assert sum(grid.lo <= v <= grid.hi for v in values) == len(values)


@pytest.mark.parametrize("name", ["n", "value", "count", "x"])
def test_categories_are_ranked_by_count_and_name_whatever_the_column_is_called(name: str) -> None:
    grid = category_grid(name, pl.Series(name, ["b", "a", "c", "a", "b", None]))
    assert (grid.name, grid.categories, grid.others, grid.closed) == (name, ("a", "b", "c"), (), True)


def test_categories_beyond_the_limits_are_others_or_unknown() -> None:
    many = category_grid("c", pl.Series("c", [f"{i:05}" for i in range(1500)]))
    assert (len(many.categories), len(many.others), many.closed) == (1000, 500, True)
    too_many = category_grid("c", pl.Series("c", [f"{i:05}" for i in range(12_000)]))
    assert (len(too_many.categories), len(too_many.others), too_many.closed) == (1000, 0, False)
    none = category_grid("c", pl.Series("c", [None, None], dtype=pl.String))
    assert (none.categories, none.closed) == ((), True)


def test_a_row_without_a_segment_value_belongs_to_other_alone() -> None:
    place = pl.Series(["north", "north", None, "_other", "south", None])
    baseline = made(range(6), Watched(("x",), (), ("place",)), **{"segment:place": place})
    rows = {label: profile.rows for label, profile in baseline.profiles.items()}
    assert rows == {"all": 6, "place=north": 2, "place=south": 1, "place=_other": 3}
    assert baseline.segments == {"place": ("north", "south")}


def test_at_most_fifty_values_of_a_segment_column_are_watched() -> None:
    place = pl.Series([f"{i % 80:03}" for i in range(400)])
    baseline = made(range(400), Watched(("x",), (), ("place",)), **{"segment:place": place})
    assert len(baseline.segments["place"]) == 50
    assert baseline.profiles["place=_other"].rows == 150
    assert len(baseline.profiles) == 52


def test_a_baseline_comes_back_from_its_bytes() -> None:
    baseline = replace(reference(model()), number=3, since=-5)
    again = Baseline.load(baseline.dump())
    assert again.dump() == baseline.dump()
    assert (again.number, again.since, again.origin, again.hash) == (3, -5, baseline.origin, baseline.hash)
    assert again.grid == baseline.grid
    assert (again.rows, again.columns, again.segments) == (400, baseline.columns, baseline.segments)


def test_the_hash_names_the_content_and_not_the_version() -> None:
    baseline = reference(model())
    assert replace(baseline, number=9, since=7, origin="elsewhere").hash == baseline.hash
    assert reference(model(), seed=1).hash != baseline.hash


FRAME = pl.DataFrame({"x": [1.0, 2.0, 3.0], "colour": ["red", "blue", None]})
WRITERS: dict[str, Callable[[Path], object]] = {
    "r.parquet": FRAME.write_parquet,
    "r.v2.PARQUET": FRAME.write_parquet,
    "r.arrow": FRAME.write_ipc,
    "r.feather": FRAME.write_ipc,
    "r.csv": FRAME.write_csv,
    "r.jsonl": FRAME.write_ndjson,
    "r.json": FRAME.write_ndjson,
}


@pytest.mark.parametrize("name", WRITERS)
def test_a_reference_file_is_read_whatever_its_kind(tmp_path: Path, name: str) -> None:
    WRITERS[name](tmp_path / name)
    assert read_frame(tmp_path / name).equals(FRAME)


@pytest.mark.parametrize("name", ["r.csv", "r.jsonl"])
@pytest.mark.parametrize("packed", ["gz", "zst"])
def test_a_packed_reference_file_is_read(tmp_path: Path, name: str, packed: str) -> None:
    import gzip  # noqa: PLC0415 - only here

    import zstandard  # noqa: PLC0415 - only here

    WRITERS[name](tmp_path / name)
    data = (tmp_path / name).read_bytes()
    path = tmp_path / f"{name}.{packed}"
    path.write_bytes(gzip.compress(data) if packed == "gz" else zstandard.compress(data))
    assert read_frame(path).equals(FRAME)


@pytest.mark.parametrize(
    ("name", "data", "says"),
    [
        ("gone.parquet", None, "cannot be read"),
        ("r.xlsx", b"x", "unknown kind"),
        ("noending", b"x", "unknown kind"),
        ("r.parquet", b"", "cannot be read"),
        ("r.parquet", b"PAR1 and nothing more", "cannot be read"),
        ("r.arrow", b"garbage", "cannot be read"),
        ("r.csv", b"", "cannot be read"),
        ("r.csv", b"x,colour\n", "has no rows"),
        ("r.jsonl", b'{"x": 1}\n{"x": \n', "cannot be read"),
        ("r.csv.gz", b"\x1f\x8b garbage", "cannot be read"),
    ],
)
def test_a_reference_that_cannot_be_used_is_one_line_with_its_path(
    tmp_path: Path, name: str, data: bytes | None, says: str
) -> None:
    if data is not None:
        (tmp_path / name).write_bytes(data)
    with pytest.raises(ReferenceUnusableError) as caught:
        read_frame(tmp_path / name)
    assert str(caught.value).startswith(str(tmp_path / name))
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


def test_without_features_configured_they_are_the_references_other_columns() -> None:
    named = {"id": ["a"], "at": [1], "version": ["v"], "place": ["x"]}
    numbers = {"score_card": [1.0], "prediction_count": [2]}
    others = {"flag": [True], "when": pl.Series(["2026-01-01"]).str.to_date(), "nothing": pl.Series([None])}
    frame = pl.DataFrame({**named, **numbers, **others})
    free = model(features=None)
    schema = schema_of(free, frame)
    assert schema.numeric == ("score_card", "prediction_count")
    assert schema.categorical == ("flag",)
    baseline = baseline_of(schema, frame, "file r")
    again = schema_of(free, None, baseline)
    assert covers(baseline, again)
    assert set(again.watched) == set(schema.watched)


def test_canonical_columns_are_no_features_of_a_stored_reference() -> None:
    columns = Columns(prediction="label", score={"yes": "p1"}, timestamp="at")
    free = model(features=None, columns=columns, task="binary")
    frame = pl.DataFrame({"label": ["a", "b"], "p1": [0.1, 0.9], "score_x": [1.0, 2.0]})
    schema = schema_of(free, frame)
    baseline = baseline_of(schema, frame, "file r")
    again = schema_of(free, None, baseline)
    assert (again.numeric, again.categorical) == (("score_x",), ())
    assert covers(baseline, again)


def test_other_columns_to_watch_are_not_covered() -> None:
    baseline = reference(model())
    assert covers(baseline, schema_for(model()))
    assert not covers(baseline, schema_for(model(features=Features(numeric=("x",)))))
    segments = model().columns.model_copy(update={"segments": ()})
    assert not covers(baseline, schema_for(model(columns=segments)))


def test_a_column_that_the_reference_lacks_counts_as_missing() -> None:
    schema = schema_for(model(features=Features(numeric=("x", "y"), categorical=("colour", "shape"))))
    baseline = baseline_of(schema, FRAME, "file r")
    by_name = {s.grid.name: s for s in summaries(baseline.grid, baseline.profiles["all"])}
    assert [by_name[name].null for name in ("x", "y", "colour", "shape")] == [0, 3, 1, 3]
    assert isinstance(by_name["shape"], CategorySummary)


def test_a_reference_without_a_usable_row_is_refused() -> None:
    schema = Schema(Columns(prediction="label", timestamp="at"), ("x",), (), "regression")
    with pytest.raises(
        ReferenceUnusableError, match=r"r: no row of the reference can be used .no_prediction."
    ):
        baseline_of(schema, pl.DataFrame({"x": [1.0], "label": pl.Series([None], dtype=pl.Float64)}), "r")


def test_rows_of_a_reference_are_told_apart_by_id_where_it_has_one() -> None:
    schema = schema_for(model())
    frame = FRAME.with_columns(id=pl.Series(["a", "b", "c"]))
    with_id, without = baseline_of(schema, frame, "r"), baseline_of(schema, FRAME, "r")
    assert with_id.rows == without.rows == 3
    assert with_id.hash != without.hash
    assert watched(schema).segments == ("place",)
    assert json.dumps(sorted(with_id.columns)) == '["colour", "id", "x"]'
