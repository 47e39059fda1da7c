"""Changes in decoded batches: the rows that are due and no others, the same ones in every run."""

import numpy as np
import polars as pl
import pytest
from msgspec.structs import replace

from monitor.config import Columns
from monitor.core.schema import Schema
from monitor.injection import Change, change_of, parse_injection
from monitor.injector import Injector
from monitor.types import Batch, Decoded, Position
from tests.histories import BEGIN, HOUR, at
from tests.logs import model, reference, schema_for

MADE = model()
SCHEMA = schema_for(MADE)
N = 20_000
COLUMNS = Columns(prediction_id="id", timestamp="at")


def log(columns: Columns = COLUMNS) -> pl.DataFrame:
    """Return a row a second from BEGIN on; two of three are red, one of ten has no x."""
    rng = np.random.default_rng(3)
    x = pl.Series([float(i) for i in range(N)])
    frame = pl.DataFrame(
        {
            "id": [f"i{i}" for i in range(N)],
            "at": BEGIN + np.arange(N) * 10**6,
            "x": x.zip_with(pl.Series(rng.random(N) < 0.9), pl.Series([None] * N, dtype=pl.Float64)),
            "colour": rng.choice(["red", "red", "blue"], N),
        }
    )
    return frame if columns.prediction_id else frame.drop("id")


def changes(*texts: str, begin: float = 1.0, schema: Schema = SCHEMA) -> list[Change]:
    wishes = [replace(parse_injection(f"{text} from=2026-03-01"), start=at(begin)) for text in texts]
    return [change_of(wish, schema, reference(MADE)) for wish in wishes]


def decoded(frame: pl.DataFrame) -> Decoded:
    return Decoded(frame, frame.height, lambda row: (row, ""))


def through(injector: Injector, frame: pl.DataFrame, source: str = "predictions-0") -> pl.DataFrame:
    (found,) = injector.around(lambda _: (decoded(frame),))(Batch(source, Position()))
    return found.frame


def injected(*texts: str, begin: float = 1.0) -> tuple[pl.DataFrame, Injector]:
    injector = Injector(changes(*texts, begin=begin), COLUMNS)
    return through(injector, log()), injector


def test_a_number_is_moved_from_the_time_on_and_not_before() -> None:
    found, injector = injected("feature=x shift=3")

    before, after = log(), found
    moved = (after["x"] - before["x"]).to_numpy()
    late = before["at"].to_numpy() >= BEGIN + HOUR
    assert set(moved[~late & ~np.isnan(moved)]) == {0.0}
    assert set(moved[late & ~np.isnan(moved)]) == {3.0}
    assert injector.rows == [int(late.sum())]


def test_missing_and_odd_values_stay_what_they_are() -> None:
    frame = pl.DataFrame(
        {"id": ["a", "b", "c"], "at": [BEGIN] * 3, "x": [None, float("nan"), float("inf")]},
        schema_overrides={"x": pl.Float64},
    )

    found = through(Injector(changes("feature=x scale=2", begin=0), COLUMNS), frame)

    assert found.equals(frame)


def test_a_number_is_multiplied() -> None:
    found, _ = injected("feature=x scale=1.5", begin=0)

    assert found["x"].equals(log()["x"] * 1.5)


def test_points_of_a_share_are_points_of_all_rows() -> None:
    profile = reference(MADE).profiles["all"]
    categories = reference(MADE).grid.categorical[0].categories
    cells = profile.cells[reference(MADE).grid.slices["colour"]]
    blue = int(cells[categories.index("blue")]) / profile.rows
    more, _ = injected("feature=colour share=red:+5%", begin=0)
    fewer, _ = injected("feature=colour share=blue:-5%", begin=0)

    before = (log()["colour"] == "blue").to_numpy()
    gone = (more["colour"] == "red").to_numpy()[before]
    left = (fewer["colour"] == "red").to_numpy()[before]
    assert gone.mean() == pytest.approx(0.05 / blue, abs=0.01)
    assert left.mean() == pytest.approx(0.05 / blue, abs=0.01)
    assert (more["colour"] == "red").to_numpy()[~before].all()
    assert (fewer["colour"] == "red").to_numpy()[~before].all()


def test_a_share_that_falls_goes_to_the_others_as_the_reference_has_them() -> None:
    (one,) = changes("feature=colour share=red:-5%", begin=0)
    change = replace(one, amount=1.0, others=("blue", "green"), odds=(0.25, 1.0))

    found = through(Injector([change], COLUMNS), log())["colour"]

    before = log()["colour"] == "red"
    assert (found.filter(before) == "blue").mean() == pytest.approx(0.25, abs=0.02)
    assert set(found.filter(before).to_list()) == {"blue", "green"}
    assert (found.filter(~before) == "blue").all()


def test_values_go_missing_in_the_share_that_was_asked_for() -> None:
    numbers, _ = injected("feature=x null=+2%", begin=0)
    texts, _ = injected("feature=colour null=+2%", begin=0)

    assert numbers["x"].null_count() - log()["x"].null_count() == pytest.approx(0.02 * 0.9 * N, rel=0.15)
    assert texts["colour"].null_count() == pytest.approx(0.02 * N, rel=0.15)
    assert texts["colour"].drop_nulls().len() == N - texts["colour"].null_count()


def test_two_injections_choose_their_rows_apart() -> None:
    found, injector = injected("feature=x null=10%", "feature=colour null=10%", begin=0)

    x, colour = found["x"].is_null() & log()["x"].is_not_null(), found["colour"].is_null()
    assert (x & colour).sum() / N == pytest.approx(0.1 * 0.1 * 0.9, rel=0.3)
    assert injector.rows == [N, N]


def test_a_change_ends_where_it_was_told_to() -> None:
    (change,) = changes("feature=x shift=1")
    ended = replace(change, wish=replace(change.wish, end=at(2)))

    found = through(Injector([ended], COLUMNS), log())

    moved = (found["x"] - log()["x"]).fill_null(0).to_numpy() > 0
    times = log()["at"].to_numpy()[moved]
    assert (times.min() - at(1)) // 10**6 < 20
    assert (at(2) - times.max()) // 10**6 < 20
    assert ((times >= at(1)) & (times < at(2))).all()


def test_without_ids_the_rows_content_chooses() -> None:
    columns = COLUMNS.model_copy(update={"prediction_id": ""})
    wanted = changes("feature=x null=10%", begin=0)

    found = through(Injector(wanted, columns), log(columns))
    reordered = through(Injector(wanted, columns), log(columns).reverse()).reverse()

    assert found.equals(reordered)
    assert found["x"].null_count() > log()["x"].null_count()


def test_a_column_that_the_chunk_lacks_is_left_alone() -> None:
    injector = Injector(changes("feature=x shift=1", begin=0), COLUMNS)
    frame = log().drop("x")

    assert through(injector, frame).equals(frame)
    assert injector.rows == [0]


def test_the_unit_of_timestamps_is_found_once_per_source() -> None:
    injector = Injector(changes("feature=x shift=1", begin=0), COLUMNS)
    frame = log().head(3).with_columns(x=pl.lit(0.0))
    seconds = frame.with_columns(at=pl.lit(BEGIN // 10**6))
    unreadable = frame.with_columns(at=pl.lit(7))

    assert through(injector, seconds, "a")["x"].to_list() == [1, 1, 1]
    assert through(injector, unreadable, "a")["x"].to_list() == [0, 0, 0]
    assert through(injector, frame, "b")["x"].to_list() == [1, 1, 1]


def test_stored_booleans_can_change_their_share() -> None:
    change = replace(changes("feature=colour share=red:+5%", begin=0)[0], amount=1.0)
    wish = replace(change.wish, what=replace(change.wish.what, value="true"))
    frame = log().head(4).with_columns(colour=pl.Series([True, False, None, False]))

    found = through(Injector([replace(change, wish=wish)], COLUMNS), frame)

    assert found["colour"].to_list() == ["true", "true", None, "true"]
