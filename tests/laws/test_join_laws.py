"""Outcomes meet predictions the same however both logs are cut and interleaved, and as plain Python says."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detectors.class_sums import ClassSums
from monitor.config import Model, Performance
from monitor.core.labels import LAG_BOUNDS, REALIZED, Labels, SeriesKey
from monitor.core.profiles import ALL, GroupKey
from monitor.core.state import ModelState, load_model
from monitor.store.memory import MemoryStore
from monitor.types import EntryKey
from tests.lives import (
    BEGIN,
    HOUR,
    SHELF,
    Answer,
    DiedError,
    Guess,
    Process,
    answered,
    judged_model,
    lasting,
    metrics,
    minute,
)
from tests.logs import MINUTE, mean_judge
from tests.plain_join import Case, Met, Policy, naive

MANY = settings(max_examples=200)
LATENESS = 10
"""Minutes by which rows of a log may be out of order."""
LONG = 60_000
"""Minutes of a horizon within which all outcomes come, however late they are read."""


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """Draw predictions, and outcomes at any distance: also early, conflicting, of unknown ids, too late."""
    scale = draw(st.sampled_from([1, 10, 40]))
    shape = st.tuples(
        st.integers(0, 20), st.sampled_from([0.2, 0.4, 0.6, 0.9]), st.sampled_from(["v1", "v1", "v2"])
    )
    drawn = draw(st.lists(shape, min_size=1, max_size=25))
    times = np.cumsum([step * scale for step, _, _ in drawn])
    places = st.sampled_from(["north", "south", "mars"])
    made = [
        Guess(f"p{i}", float(at), score, version, draw(places))
        for i, (at, (_, score, version)) in enumerate(zip(times, drawn, strict=True))
    ]
    lags = st.sampled_from([-200.0, -180.0, -70.0, -1.0, 0.0, 0.5, 30.0, 61.0, 179.0, 180.0, 181.0, 400.0])
    picks = st.tuples(st.integers(0, len(made) + 2), lags, st.booleans())
    known = [
        Answer(f"p{i}", (made[i].at if i < len(made) else 90.0) + lag, int(label))
        for i, lag, label in draw(st.lists(picks, max_size=40))
    ]
    jitter = st.integers(0, LATENESS - 1)
    return Case(
        tuple(sorted(made, key=lambda row: row.at + draw(jitter))),
        tuple(sorted(known, key=lambda row: row.at + draw(jitter))),
    )


cut_places = st.sets(st.integers(1, 40), max_size=8)
policies = st.sampled_from(["last", "first"])


def made_for(policy: Policy, horizon: int = 180) -> Model:
    return judged_model(
        label_horizon=timedelta(minutes=horizon), performance=Performance(conflict=policy, min_group=2)
    )


@cache
def begun() -> Mapping[EntryKey, bytes]:
    """Return what a store holds once the reference is measured; it does not follow the policy."""
    store = MemoryStore()
    Process(made_for("last"), store, mean_judge(), answered=answered())
    return store.load()


def fresh() -> MemoryStore:
    store = MemoryStore()
    store.commit(begun())
    return store


def process(made: Model, store: MemoryStore, dies_after: int | None = None) -> Process:
    return Process(made, store, mean_judge(), dies_after=dies_after)


def lived(made: Model, case: Case, cuts: Iterable[int] = (), others: Iterable[int] = ()) -> MemoryStore:
    store = fresh()
    process(made, store).run(*case.sheets(cuts, others), flush=True)
    return store


def state_of(store: MemoryStore) -> ModelState:
    return load_model("m", store.load(), SHELF.reopen)


def waiting(state: ModelState) -> tuple[list[str], ...]:
    """Return what waits for a partner, in an order that does not follow the batches."""
    piles = state.labels.predictions, state.labels.outcomes
    return tuple(sorted(str(row) for frame in pile.frames() for row in frame.rows()) for pile in piles)


@MANY
@given(cases(), policies, cut_places, cut_places)
def test_any_batches_of_both_logs_end_in_the_same_entries(
    case: Case, policy: Policy, cuts: set[int], others: set[int]
) -> None:
    made = made_for(policy)

    whole, pieces = lived(made, case), lived(made, case, cuts, others)

    assert lasting(pieces) == lasting(whole)
    assert metrics(made, pieces) == metrics(made, whole)
    assert waiting(state_of(pieces)) == waiting(state_of(whole))


@settings(max_examples=40)
@given(cases(), policies, st.lists(st.tuples(st.integers(1, 4), cut_places, cut_places), max_size=5))
def test_a_state_dumped_and_loaded_between_batches_changes_nothing(
    case: Case, policy: Policy, lives: list[tuple[int, set[int], set[int]]]
) -> None:
    made = made_for(policy)
    store = fresh()
    for commits, cuts, others in lives:
        try:
            process(made, store, dies_after=commits).run(*case.sheets(cuts, others), flush=False)
        except DiedError:
            continue
    process(made, store).run(*case.sheets([10], [20]), flush=True)

    whole = lived(made, case)
    assert lasting(store) == lasting(whole)
    assert metrics(made, store) == metrics(made, whole)


def by_window(met: Iterable[Met]) -> Mapping[tuple[int, str], list[Met]]:
    found: dict[tuple[int, str], list[Met]] = {}
    for each in met:
        place = minute(each.guess.at) // HOUR * HOUR, each.guess.version
        found.setdefault(place, []).append(each)
    return found


def is_right(met: Met) -> bool:
    return met.winner is not None and (met.guess.score >= 0.5) == (met.winner.label == 1)


@settings(max_examples=100)
@given(cases(), policies, cut_places, cut_places)
def test_the_join_is_what_plain_python_makes_of_both_logs(
    case: Case, policy: Policy, cuts: set[int], others: set[int]
) -> None:
    horizon = 180

    labels = state_of(lived(made_for(policy, horizon), case, cuts, others)).labels

    met = naive(case, policy, horizon)
    again = sum((each.again for each in met), Counter())
    assert labels.counts.get("joined", 0) == sum(1 for each in met if each.outcomes)
    assert labels.counts.get("repeated", 0) == again["repeated"]
    assert labels.counts.get("conflicting", 0) == again["conflicting"]
    lags = [each.lag for each in met if each.outcomes]
    assert labels.lag == pytest.approx(sum(lags))
    assert labels.lags == tuple(np.bincount(np.searchsorted(LAG_BOUNDS, lags), minlength=len(labels.lags)))
    assert_expired(labels, case, met, horizon)
    for place, rows in by_window(met).items():
        assert_window(labels, place, rows)


def assert_expired(labels: Labels, case: Case, met: Sequence[Met], horizon: int) -> None:
    """Predictions are forgotten after their horizon, outcomes after two, and what never met is counted."""
    over = labels.applied - horizon * MINUTE
    ended = [e for e in met if (minute(e.guess.at) // HOUR + 1) * HOUR <= over]
    assert labels.counts.get("expired", 0) == sum(1 for each in ended if not each.outcomes)
    used = {(o.id, o.at, o.label) for each in met for o in each.outcomes}
    gone = [o for o in case.answers if minute(o.at) // HOUR * HOUR < over - horizon * MINUTE - HOUR]
    lost = sum(1 for o in gone if (o.id, o.at, o.label) not in used)
    assert labels.counts.get("orphaned", 0) == lost
    assert labels.outcomes.rows == len(case.answers) - len(gone)


def assert_window(labels: Labels, place: tuple[int, str], rows: Sequence[Met]) -> None:
    """Compare a window's numbers with its winners, whether it is still open to outcomes or history."""
    record = labels.records.get(GroupKey(*place, ALL))
    right = sum(map(is_right, rows))
    known = sum(each.winner is not None for each in rows)
    if record is not None:
        confusion = ClassSums.of(record.sums, 2).confusion
        assert (record.rows, record.labelled) == (len(rows), known)
        assert confusion.sum() == known
        assert np.trace(confusion) == right
    history = labels.history.get(SeriesKey(place[1], ALL, REALIZED), {}).get(place[0])
    assert history is not None or record is not None
    if history is not None:
        accuracy = history.metrics["accuracy"]
        assert (history.rows, round(history.coverage * history.rows)) == (len(rows), known)
        assert accuracy.n == known
        assert accuracy.value == (pytest.approx(right / known) if known else None)


@settings(max_examples=40)
@given(cases(), policies, st.lists(st.booleans(), max_size=16), cut_places, cut_places)
def test_outcomes_read_long_after_their_time_change_what_was_judged_to_the_same(
    case: Case, policy: Policy, turns: list[bool], cuts: set[int], others: set[int]
) -> None:
    made, store = made_for(policy, LONG), fresh()
    late = process(made, store)
    sheets = case.sheets(cuts, others)
    for turn in turns:
        late.step(sheets[turn])  # one log runs ahead of the other
    late.run(*sheets, flush=True)
    labels, whole = state_of(store).labels, state_of(lived(made, case)).labels

    met = naive(case, policy, LONG)
    assert labels.counts.get("joined", 0) == sum(1 for each in met if each.outcomes)
    again = labels.counts.get("repeated", 0) + labels.counts.get("conflicting", 0)
    assert again == sum(max(len(each.outcomes) - 1, 0) for each in met)
    for place, rows in by_window(met).items():
        assert_window(labels, place, rows)
    assert labels.records.keys() == whole.records.keys()
    for key, record in labels.records.items():
        np.testing.assert_allclose(record.sums, whole.records[key].sums, atol=1e-9)
    assert rounded(labels) == rounded(whole)


def rounded(labels: Labels) -> Mapping[tuple[SeriesKey, int, str], Sequence[object]]:
    """Return the realised performance with numbers that do not show in which order floats were added."""
    return {
        (series, start, name): [
            e.n,
            *(None if number is None else round(number, 6) for number in (e.value, e.low, e.high)),
        ]
        for series, windows in labels.history.items()
        if series.basis == REALIZED
        for start, measured in windows.items()
        for name, e in measured.metrics.items()
    }


def test_the_logs_drawn_begin_on_the_hour() -> None:
    assert minute(0) == BEGIN
    assert BEGIN % HOUR == 0
