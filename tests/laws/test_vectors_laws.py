"""Embeddings through the pipeline: the same for any batching and after any crash, with a learnt reference."""

from datetime import timedelta

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.config import Features, Model, Monitor, Reference
from monitor.core.state import load_model
from monitor.store.memory import MemoryStore
from tests.lives import DiedError, Process, Sheet, lasting, metrics
from tests.logs import Row, frame_of, mean_judge, model

FEW = settings(max_examples=15)
vector = st.none() | st.lists(st.none() | st.floats(width=32), min_size=1, max_size=3)
cut_places = st.sets(st.integers(1, 40), max_size=6)


@st.composite
def frames(draw: st.DrawFn) -> pl.DataFrame:
    """Return rows of some ten minutes; some vectors are missing, too long, too short or not finite."""
    shape = st.tuples(st.integers(0, 40), st.integers(-40, 60), st.sampled_from(["v1", "v1", "v2"]), vector)
    rows, vectors, now = [], [], 0
    for id_, step, version, found in draw(st.lists(shape, min_size=1, max_size=40)):
        now = max(now + step, 0)
        rows.append(Row(f"id{id_}", now, version=version))
        vectors.append(found)
    return frame_of(rows).with_columns(pl.Series("e", vectors, dtype=pl.List(pl.Float64)))


def watched() -> Model:
    return model(
        features=Features(embeddings={"e": 2}),
        reference=Reference(first=timedelta(minutes=3)),
        monitors=(Monitor(detector="adwin", on=("e.cosine", "e.norm")),),
    )


def lived(frame: pl.DataFrame, cuts: set[int]) -> MemoryStore:
    store = MemoryStore()
    Process(watched(), store, mean_judge()).run(Sheet(frame, cuts), flush=True)
    return store


@FEW
@given(frames(), cut_places)
def test_any_batching_counts_each_row_once_with_or_without_its_vector(
    frame: pl.DataFrame, cuts: set[int]
) -> None:
    whole, pieces = lived(frame, set()), lived(frame, cuts)

    assert lasting(pieces) == lasting(whole)
    assert metrics(watched(), pieces) == metrics(watched(), whole)
    for learnt in load_model("m", whole.load()).baselines:
        profile = learnt.profiles["all"]
        assert profile.cells[learnt.grid.slices["e.norm"]][:-4].sum() == learnt.rows
        assert profile.sample is not None
        assert profile.sample.vectors[0].shape == (learnt.rows, 2)


@FEW
@given(frames(), st.lists(st.tuples(st.integers(1, 4), cut_places), max_size=4))
def test_crashes_after_any_commit_change_nothing(
    frame: pl.DataFrame, lives: list[tuple[int, set[int]]]
) -> None:
    store = MemoryStore()
    for commits, cuts in lives:
        try:
            Process(watched(), store, mean_judge(), dies_after=commits).run(Sheet(frame, cuts), flush=False)
        except DiedError:
            continue
    Process(watched(), store, mean_judge()).run(Sheet(frame, {10, 20}), flush=True)

    assert lasting(store) == lasting(lived(frame, set()))
