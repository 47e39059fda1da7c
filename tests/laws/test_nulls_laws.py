"""Windows judged beside those before them: the same for any batching and after any crash."""

from datetime import timedelta

import numpy as np
import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from detectors.calibration import Calibrator
from monitor.config import Alarms, Monitor
from monitor.core.judging import BudgetJudge
from monitor.core.state import load_model
from monitor.store.memory import MemoryStore
from tests.lives import Cut, DiedError, Process, lasting, metrics
from tests.logs import EPOCH, SECOND, Row, model, plan_of

FEW = settings(max_examples=25)
DAY = 86_400
MADE = model(window=timedelta(days=1), lateness=timedelta(hours=6), alarms=Alarms(min_rows=2))
DISTANCES = MADE.model_copy(update={"monitors": (Monitor(detector="psi"), Monitor(detector="shift"))})


def timed_reference(days: int = 40, each: int = 30, seed: int = 3) -> pl.DataFrame:
    """Return rows of forty days before EPOCH, each with a mean of its own."""
    rng = np.random.default_rng(seed)
    day = np.repeat(np.arange(days), each)
    return pl.DataFrame(
        {
            "at": EPOCH - (days - day) * DAY * SECOND,
            "x": rng.normal(rng.normal(0, 0.3, days)[day], 1.0),
            "colour": rng.choice(["red", "blue"], days * each),
            "place": rng.choice(["north", "south", "west"], days * each),
            "version": ["v0"] * (days * each),
        }
    )


TIMED = timed_reference()


@st.composite
def logs(draw: st.DrawFn) -> list[Row]:
    shape = st.tuples(
        st.integers(-20_000, 60_000),
        st.floats(-4, 9),
        st.sampled_from(["red", "blue", "new", None]),
        st.sampled_from(["v1", "v1", "v2"]),
        st.sampled_from(["north", "south", "mars", None]),
    )
    rows: list[Row] = []
    now = 0
    for step, x, colour, version, place in draw(st.lists(shape, max_size=60)):
        now = max(now + step, 0)
        rows.append(Row(f"id{len(rows)}", now, x, colour, version, place))
    return rows


cuts_of = st.sets(st.integers(1, 60), max_size=8)


def process(store: MemoryStore, dies_after: int | None = None, *, distances: bool = False) -> Process:
    made = DISTANCES if distances else MADE
    judge = BudgetJudge(plan_of(made), Calibrator())
    return Process(made, store, judge, dies_after=dies_after, timed=TIMED)


def lived(rows: list[Row], cuts: set[int], *, distances: bool = False) -> MemoryStore:
    store = MemoryStore()
    process(store, distances=distances).run(Cut(rows, cuts), flush=True)
    return store


@FEW
@given(logs(), cuts_of, st.booleans())
def test_any_batching_ends_in_the_same_entries(rows: list[Row], cuts: set[int], distances: bool) -> None:  # noqa: FBT001
    whole, pieces = lived(rows, set(), distances=distances), lived(rows, cuts, distances=distances)

    assert lasting(pieces) == lasting(whole)
    assert metrics(MADE, pieces) == metrics(MADE, whole)


@FEW
@given(logs(), st.lists(st.tuples(st.integers(1, 4), cuts_of), max_size=4))
def test_crashes_after_any_commit_change_nothing(rows: list[Row], lives: list[tuple[int, set[int]]]) -> None:
    store = MemoryStore()
    for commits, cuts in lives:
        one = process(store, dies_after=commits)
        try:
            one.run(Cut(rows, cuts), flush=False)
        except DiedError:
            continue
    process(store).run(Cut(rows, [10, 20]), flush=True)

    assert lasting(store) == lasting(lived(rows, set()))


def test_a_track_holds_the_newest_windows_of_each_group_and_no_more() -> None:
    rows = [Row(f"a{i}", i * DAY // 3, 0.0) for i in range(3 * 200)]
    store = lived(rows, set())
    state = load_model("m", store.load())

    assert {k: len(t.starts) for k, t in state.tracks.items() if k[1] == "all"} == {("v1", "all"): 168}
    assert all((np.diff(t.starts) > 0).all() for t in state.tracks.values())
    assert {t.kind for k, t in state.trips.items() if k.detector == "shift"} == {"drift"}


def test_versions_without_rows_take_their_tracks_with_them() -> None:
    old = [Row(f"o{i}", i * DAY // 3, 0.0, version="old") for i in range(30)]
    new = [Row(f"n{i}", 10 * DAY + i * DAY, 0.0, version="new") for i in range(300)]
    state = load_model("m", lived(old + new, set()).load())

    assert {version for version, _ in state.tracks} == {"new"}
