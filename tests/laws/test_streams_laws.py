"""Streams that the daemon runs: the same entries for any batching, and after any crash or full disk."""

from datetime import timedelta
from functools import cache
from typing import Any

import numpy as np
import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.config import Model, Monitor, Performance, Reference
from monitor.core.join import Span, join
from monitor.core.labels import Labels
from monitor.core.ledger import span_of
from monitor.core.queries import labelled_until
from monitor.core.state import load_model
from monitor.core.windows import NEVER
from monitor.store.memory import MemoryStore
from tests.lives import (
    Answer,
    Cut,
    DiedError,
    Guess,
    Process,
    Sheet,
    answered,
    answers,
    guesses,
    judged_model,
    lasting,
    lived,
    metrics,
)
from tests.logs import MINUTE, Row, mean_judge, model

LEARN: dict[str, Any] = {"reference": Reference(first=timedelta(minutes=3))}
OF_ROWS = (
    Monitor(detector="e_sr", on=("x",), parameters={"arl": 20.0, "side": "both"}),
    Monitor(detector="adwin", on=("x",), parameters={"clock": 1, "grace_period": 1, "delta": 0.5}),
    Monitor(detector="page_hinkley", on=("x",), parameters={"min_instances": 5, "threshold": 0.5}),
)
OF_OUTCOMES = (
    Monitor(detector="e_sr", on="error", parameters={"arl": 20.0, "tolerance": 0.0}),
    Monitor(detector="e_sr", on="loss", parameters={"arl": 20.0}),
    Monitor(detector="ddm", parameters={"warm_start": 5}),
    Monitor(detector="adwin", on="score", parameters={"clock": 1, "grace_period": 1}),
)
cut_places = st.sets(st.integers(1, 400), max_size=8)


def rows_of(seed: int = 1, windows: int = 10, each: int = 40) -> list[Row]:
    """Return a log that shifts after six windows, of two versions, now and then out of order."""
    rng = np.random.default_rng(seed)
    found = []
    for window in range(windows):
        for i in range(each):
            at = window * 60 + i * 60 // each - int(rng.integers(0, 20))
            x = None if rng.random() < 0.05 else float(rng.normal() + 3.0 * (window >= 6))
            found.append(Row(f"{window}/{i}", max(at, 0), x, "red", f"v{i % 3 == 0:d}", "north"))
    return found


def model_of_rows(**how: Any) -> Model:  # noqa: ANN401 - the fields of Model
    return model(monitors=OF_ROWS, **how)


@settings(max_examples=20)
@given(cut_places, st.sampled_from([{}, LEARN]), st.integers(0, 3))
def test_any_batching_of_rows_ends_in_the_same_entries(
    cuts: set[int], how: dict[str, Any], seed: int
) -> None:
    made, rows = model_of_rows(**how), rows_of(seed)

    whole, pieces = lived(made, rows, flush=True), lived(made, rows, cuts, flush=True)

    assert any(key[0] == "stream" for key in lasting(whole))
    assert lasting(pieces) == lasting(whole)
    assert metrics(made, pieces) == metrics(made, whole)


@settings(max_examples=10)
@given(st.lists(st.tuples(st.integers(1, 4), cut_places), max_size=4), st.sampled_from([{}, LEARN]))
def test_crashes_change_nothing(lives: list[tuple[int, set[int]]], how: dict[str, Any]) -> None:
    made, rows = model_of_rows(**how), rows_of()

    store = MemoryStore()
    for commits, cuts in lives:
        process = Process(made, store, mean_judge(), dies_after=commits)
        try:
            process.run(Cut(rows, cuts), flush=False)
        except DiedError:
            continue
    Process(made, store, mean_judge()).run(Cut(rows, [100, 200]), flush=True)

    assert lasting(store) == lasting(lived(made, rows, flush=True))


@settings(max_examples=10)
@given(cut_places, st.sets(st.integers(1, 8), max_size=5))
def test_commits_that_fail_are_made_again(cuts: set[int], full: set[int]) -> None:
    made, rows = model_of_rows(), rows_of()
    store = MemoryStore()

    Process(made, store, mean_judge(), full_at=frozenset(full)).run(Cut(rows, cuts), flush=True)

    assert lasting(store) == lasting(lived(made, rows, flush=True))


def logs_of(seed: int, rows: int = 240) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return predictions of six hours that are wrong more often from the middle on, and their outcomes."""
    rng = np.random.default_rng(seed)
    made, known = [], []
    for i in range(rows):
        at, score = i * 360 / rows, float(rng.random())
        hit = rng.random() < (score if at < 180 else 1 - score)
        made.append(Guess(str(i), at, score, f"v{i % 2}"))
        if rng.random() < 0.95:
            known.append(Answer(str(i), at + float(rng.uniform(0, 150)), int(hit)))
    return guesses(made), answers(sorted(known, key=lambda a: a.at))


def settled(seed: int, cuts: set[int], lives: int | None = None) -> MemoryStore:
    made = judged_model(monitors=OF_OUTCOMES)
    predictions, outcomes = logs_of(seed)
    store = MemoryStore()
    for dies_after in (*([lives] * 6 if lives else ()), None):
        process = Process(made, store, mean_judge(), dies_after=dies_after, answered=answered())
        try:
            process.run(
                Sheet(predictions, cuts), Sheet(outcomes, cuts, "outcomes-1"), flush=dies_after is None
            )
        except DiedError:
            continue
    return store


@cache
def settled_at_once(seed: int) -> MemoryStore:
    """Return what comes of both logs read whole; nobody writes into it."""
    return settled(seed, set())


@settings(max_examples=8)
@given(cut_places, st.integers(0, 3), st.sampled_from([None, 1, 3]))
def test_outcomes_are_fed_alike_however_they_come(cuts: set[int], seed: int, lives: int | None) -> None:
    whole, pieces = settled_at_once(seed), settled(seed, cuts, lives)

    trips = load_model("m", whole.load()).trips
    assert {(k.feature, k.detector) for k in trips if k.feature != "_all"} >= {
        ("_error", "e_sr"),
        ("_loss", "e_sr"),
        ("_error", "ddm"),
        ("score", "adwin"),
    }
    assert lasting(pieces) == lasting(whole)


IDENTITY = ("key", "check", "time")


def joined_until(labels: Labels, span: Span, starts: frozenset[int], tick: int) -> pl.DataFrame:
    """Find the same by the join itself: all pairs as they came and were replaced, the last of each row."""
    window = pl.col("time") // span.window * span.window
    wanted = window.is_in(sorted(starts))
    first, last = min(starts) - span.bucket, max(starts) + span.window
    predictions = [frame.filter(wanted) for frame in labels.predictions.frames(first, last)]
    whole = Span(NEVER, tick, span.window, span.horizon, span.bucket, span.policy)
    pairs = join([], predictions, labels.outcomes.frames(), whole).pairs
    return pairs.unique(IDENTITY, keep="last", maintain_order=True).sort("time", "key", "check")


@settings(max_examples=10)
@given(st.integers(0, 1000), st.sampled_from(["last", "first"]), st.sampled_from([None, 30]))
def test_what_is_known_of_windows_is_what_the_join_says(seed: int, policy: str, cut: int | None) -> None:
    made = judged_model(monitors=OF_OUTCOMES, performance=Performance(conflict=policy))  # type: ignore[arg-type]
    predictions, outcomes = logs_of(seed)
    again = outcomes.sample(fraction=0.3, seed=seed).with_columns(
        pl.col("at") + 20 * MINUTE * (seed % 3), label=1 - pl.col("label")
    )
    process = Process(made, MemoryStore(), mean_judge(), answered=answered())
    log = Sheet(pl.concat([outcomes, again]).sort("at"), (), "outcomes-1")
    process.run(Sheet(predictions, () if cut is None else range(0, 240, cut)), log, flush=False)
    labels, plan = process.worker.state.labels, process.worker.plan
    starts = sorted({key.start for key in labels.records})

    for tick in range(starts[0] + plan.window, starts[-1] + 5 * plan.window, plan.window):
        for some in (frozenset(starts[:1]), frozenset(starts[1:])):
            span = span_of(plan, labels.applied, tick)
            slow = joined_until(labels, span, some, tick).select("key", "check", "time", "label")
            assert labelled_until(labels, span, some, tick).select(slow.columns).equals(slow)
