"""Embeddings: lists and numbered columns as vectors, with a norm and a cosine that are watched."""

import json

import numpy as np
import polars as pl
import pytest

from detectors.joint import Comparison
from detectors.profile import Grid, NumericSummary, Profile, empty, merge, summaries
from detectors.sample import SAMPLE_ROWS, vector_rows
from monitor.config import Columns, Monitor
from monitor.core.codec import dump_profile, grid_head, grid_of, load_profile
from monitor.core.heavy import HeavySpec
from monitor.core.joint_rows import joint
from monitor.core.plan import targets
from monitor.core.profiles import Rows, profile_all
from monitor.core.reference import Baseline
from monitor.core.schema import Schema, type_rows
from monitor.core.segments import dump_rows, joined, load_rows, lowest
from monitor.core.vectors import Embedding, embeddings_of, length_of, read_lists
from monitor.decoders.plain import decode
from monitor.references import baseline_of, covers, schema_of
from monitor.types import Chunk, TypedRows
from tests.logs import model

SCHEMA = Schema(Columns(timestamp="t"), embeddings=(Embedding.of("e", 2),))
NUMBERED = Schema(Columns(timestamp="t"), embeddings=(Embedding.of("emb_*", 2),))
HEIGHT = 400


def typed(
    data: bytes | pl.DataFrame, schema: Schema = SCHEMA, form: str = "jsonl", header: bytes = b""
) -> TypedRows:
    chunk = Chunk("log", 0, data, header)
    return type_rows(schema, chunk, decode(chunk, schema.wanted, form), "auto", 2**62)[0]


def lines(values: list[object]) -> bytes:
    return b"".join(b'{"t":"2026-01-01","e":%s}\n' % json.dumps(v).encode() for v in values)


def vectors(rows: TypedRows) -> list[list[float] | None]:
    found = rows.frame["vector:e"].to_list()
    return [None if np.isnan(v[0]) else v for v in found]


GOOD: list[object] = [[3, 4], [0.5, -1e-3], [0, 0]]
BAD: list[object] = [
    *([1], [1, 2, 3], [], [1, None], [1, "x"], [1, "NaN"], [[1], [2]], [1e300, 1]),
    *("abc", {"a": 1}, 5, True),
]


def test_vectors_are_read_and_what_is_none_is_counted() -> None:
    rows = typed(lines([*GOOD, None]))

    assert vectors(rows) == [[3.0, 4.0], [0.5, pytest.approx(-1e-3)], [0.0, 0.0], None]
    assert rows.frame["e.norm"].to_list() == [5.0, pytest.approx(0.500001), 0.0, None]
    assert not rows.invalid["e.norm"].any()


@pytest.mark.parametrize("bad", BAD, ids=json.dumps)
def test_a_bad_vector_costs_no_other(bad: object) -> None:
    rows = typed(lines([GOOD[0], bad, *[GOOD[1]] * HEIGHT, bad]))

    assert vectors(rows)[:2] == [[3.0, 4.0], None]
    assert rows.frame["e.norm"].null_count() == 2
    assert np.flatnonzero(rows.invalid["e.norm"]).tolist() == [1, HEIGHT + 2]
    assert rows.invalid["e.norm"] is rows.invalid["e.cosine"]


def test_a_line_that_is_no_json_leaves_the_vectors_beside_it() -> None:
    rows = typed(lines([[3, 4]]) + b"garbage\n" + b'{"t":"2026-01-01","e":[1,NaN]}\n' + lines([[6, 8]]))

    assert rows.frame["e.norm"].to_list() == [5.0, None, 10.0]
    assert rows.invalid["e.norm"].tolist() == [False, True, False]


@pytest.mark.parametrize(
    "column",
    [
        pl.Series("e", [[3, 4], None, [1, 2, 3]], dtype=pl.List(pl.Int16)),
        pl.Series("e", [[3, 4], None, [1, None]], dtype=pl.Array(pl.Float32, 2)),
        pl.Series("e", ["[3, 4]", None, "none"]),
    ],
)
def test_columnar_lists_and_texts_are_vectors_too(column: pl.Series) -> None:
    rows = typed(pl.DataFrame([pl.Series("t", ["2026-01-01"] * 3), column]), form="parquet")

    assert rows.frame["e.norm"].to_list() == [5.0, None, None]
    assert rows.invalid["e.norm"].tolist() == [False, False, True]


def test_a_vector_in_csv_is_a_quoted_list() -> None:
    rows = typed(b'2026-01-01,"[3, 4]"\n2026-01-01,\n2026-01-01,5\n', form="csv", header=b"t,e\n")

    assert rows.frame["e.norm"].to_list() == [5.0, None, None]
    assert rows.invalid["e.norm"].tolist() == [False, False, True]


def test_numbered_columns_are_one_vector() -> None:
    parts = (b',"emb_0":3,"emb_1":4', b',"emb_0":3,"emb_1":"x"', b"")
    rows = typed(b"".join(b'{"t":"2026-01-01"%s}\n' % part for part in parts), NUMBERED)

    assert rows.frame["emb.norm"].to_list() == [5.0, None, None]
    assert rows.invalid["emb.norm"].tolist() == [False, True, False]
    assert "emb_0" not in rows.frame.columns


def test_rows_without_ids_differ_by_their_vectors() -> None:
    keys = typed(lines([[3, 4], [3, 5], [3, 4]])).keys

    assert keys[0] == keys[2] != keys[1]


def frame(rows: int, angle: float, seed: int = 1, size: int = 16) -> pl.DataFrame:
    """Return vectors about a direction that is turned by `angle` from the first axis."""
    rng = np.random.default_rng(seed)
    centre = np.zeros(size)
    centre[:2] = np.cos(angle), np.sin(angle)
    made = (centre + rng.normal(0, 0.1, (rows, size))).astype(np.float32)
    return pl.DataFrame({"id": [f"{seed}-{n}" for n in range(rows)], "answer": pl.Series(made)})


def built(rows: pl.DataFrame) -> tuple[Schema, Baseline]:
    schema = schema_of(model(features=None), rows.with_columns(at=pl.lit(0)))
    return schema, baseline_of(schema, rows, "test")


def means(grid: Grid, profile: Profile) -> dict[str, float]:
    return {s.grid.name: s.mean for s in summaries(grid, profile) if isinstance(s, NumericSummary)}


def test_a_reference_with_lists_is_watched_by_their_norm_and_cosine_without_being_asked() -> None:
    schema, baseline = built(frame(3000, 0.0))
    found = means(baseline.grid, baseline.profiles["all"])

    assert schema.embeddings == embeddings_of({"answer": 16})
    assert list(found) == ["answer.norm", "answer.cosine"]
    assert found["answer.cosine"] > 0.9
    assert covers(baseline, schema)
    assert covers(Baseline.load(baseline.dump()), schema_of(model(features=None), None, baseline))


def test_a_turn_moves_the_cosine_and_not_the_norm() -> None:
    schema, baseline = built(frame(3000, 0.0))
    turned = frame(500, np.pi / 2, seed=2)
    rows = typed(turned.with_columns(at=pl.lit("2026-01-01")), _logged(schema), "parquet")
    window = profile_all(baseline.grid, Rows(rows.time * 0, rows.keys, rows.frame, rows.invalid))
    before, after = means(baseline.grid, baseline.profiles["all"]), means(baseline.grid, window)

    assert abs(after["answer.norm"] - before["answer.norm"]) < 0.02
    assert after["answer.cosine"] < 0.2


def _logged(schema: Schema) -> Schema:
    columns = Columns(prediction_id="id", timestamp="at")
    return Schema(columns, embeddings=schema.embeddings)


def test_a_sample_holds_vectors_that_merge_in_any_parts_to_the_same_bytes() -> None:
    whole = frame(2500, 0.0, size=768)
    schema, baseline = built(whole)
    sample = baseline.profiles["all"].sample
    assert sample is not None
    (kept,) = sample.vectors

    assert len(sample.keys) == SAMPLE_ROWS
    assert kept.shape == (vector_rows(768), 768)
    assert len(dump_profile(baseline.profiles["all"])) < 1_000_000
    rows = typed(whole.with_columns(at=pl.lit("2026-01-01")), _logged(schema), "parquet")
    merged = empty(baseline.grid)
    for part in np.array_split(np.random.default_rng(3).permutation(2500), 7):
        some = Rows(rows.time * 0, rows.keys, rows.frame, rows.invalid).take(part)
        merged = merge(baseline.grid, load_profile(dump_profile(merged)), profile_all(baseline.grid, some))
    assert dump_profile(merged) == dump_profile(baseline.profiles["all"])


def test_a_detector_of_whole_rows_sees_the_vectors_of_the_rows_that_have_one() -> None:
    rows = frame(300, 0.0)
    some = rows.with_columns(answer=pl.when(pl.int_range(300) % 3 > 0).then("answer"))
    _, baseline = built(some)
    sample = baseline.profiles["all"].sample
    assert sample is not None
    on = Monitor(detector="mmd", on="answer")
    seen = joint(baseline.grid, targets(model(features=None), baseline.grid, on), sample)

    assert seen.columns == tuple(f"answer[{place}]" for place in range(16))
    assert seen.numeric.shape == (200, 16)
    assert np.isfinite(seen.numeric).all()


@pytest.mark.parametrize(("on", "note"), [("answer", ""), ("features", "most of it in answer[0] 100%")])
def test_no_number_of_a_vector_is_said_to_have_changed(on: str, note: str) -> None:
    spec = HeavySpec("_joint:answer", "mmd", "pool", Monitor(detector="mmd", on=on), 1)
    found = Comparison(2.0, 1.0, 0.0, 1.0, (("answer[0]", 1.0),))

    assert spec.judge(300, found).note == note


def test_grids_and_held_rows_keep_their_vectors() -> None:
    _, baseline = built(frame(300, 0.0))
    rows = typed(lines([[3, 4], None, [1, 2]]))
    held = Rows(rows.time, rows.keys, rows.frame, rows.invalid)

    assert grid_of(json.loads(json.dumps(grid_head(baseline.grid)))) == baseline.grid
    again = load_rows(dump_rows(held))
    assert again.frame.equals(held.frame, null_equal=True)
    assert lowest(again, 2).frame.height == 2


def test_lists_of_other_things_are_no_embeddings() -> None:
    lists = pl.DataFrame(
        {"a": [[1.0], [1.0, 2.0]], "b": [[1, 2], [3, 4]], "c": [[1.0, 2.0], None], "d": [1.0, 2.0]}
    )

    assert [length_of(column) for column in lists] == [0, 0, 2, 0]


def test_no_rows_have_no_vectors() -> None:
    found, failed = read_lists(pl.Series("e", [], dtype=pl.String), 3)

    assert (found.shape, failed.shape) == ((0, 3), (0,))


def test_rows_that_were_held_under_another_configuration_have_no_such_vectors() -> None:
    before, after = typed(lines([[3, 4]])), typed(lines([[1, 2, 3]]), _sized(3))
    parts = [Rows(rows.time, rows.keys, rows.frame, rows.invalid) for rows in (before, after)]
    whole = joined(parts).frame

    assert whole.schema == after.frame.schema
    assert np.isnan(whole["vector:e"].to_numpy()).all(axis=1).tolist() == [True, False]
    assert whole["e.norm"].is_null().to_list() == [True, False]
    assert joined(parts[::-1]).frame.schema == before.frame.schema


def _sized(size: int) -> Schema:
    return Schema(Columns(timestamp="t"), embeddings=(Embedding.of("e", size),))
