"""Evidence kept from window to window: the same for any batching and after any crash, and gone when due."""

from collections.abc import Iterable
from datetime import timedelta

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from detectors.base import Level
from detectors.calibration import Calibrator
from detectors.series import EVIDENCE
from monitor.config import Alarms, Model, Monitor
from monitor.core.judging import BudgetJudge
from monitor.core.state import ModelState, load_model
from monitor.store.memory import MemoryStore
from tests.laws.test_nulls_laws import DAY, FEW, cuts_of, logs
from tests.lives import Cut, DiedError, Process, lasting
from tests.logs import EPOCH, SECOND, Row, model, plan_of

DAYS, EACH = 120, 40
GATHERING = (Monitor(detector=EVIDENCE), Monitor(detector="shift"), Monitor(detector="e_quality"))
MADE = model(
    window=timedelta(days=1),
    lateness=timedelta(hours=6),
    alarms=Alarms(min_rows=2, budget="1 per 7d"),
    monitors=GATHERING,
)


def reference(wander: float = 0.0) -> pl.DataFrame:
    """Return rows of days before EPOCH; each day's mean goes on from that of the day before."""
    rng = np.random.default_rng(3)
    day = np.repeat(np.arange(DAYS), EACH)
    count = len(day)
    return pl.DataFrame(
        {
            "at": EPOCH - (DAYS - day) * DAY * SECOND,
            "x": rng.normal(np.cumsum(rng.normal(0, wander, DAYS))[day], 1.0),
            "colour": rng.choice(["red", "blue"], count),
            "place": rng.choice(["north", "south"], count),
            "version": ["v0"] * count,
        }
    )


TIMED = reference()


def process(store: MemoryStore, made: Model = MADE, *, dies_after: int | None = None) -> Process:
    return Process(made, store, BudgetJudge(plan_of(made), Calibrator()), dies_after=dies_after, timed=TIMED)


def lived(rows: list[Row], cuts: Iterable[int] = ()) -> MemoryStore:
    store = MemoryStore()
    process(store).run(Cut(rows, cuts), flush=True)
    return store


def state_of(store: MemoryStore) -> ModelState:
    return load_model("m", store.load())


def days(first: int, count: int, x: float, version: str = "v1") -> list[Row]:
    """Return nine rows a day around x."""
    return [
        Row(f"{version}{day}-{i}", day * DAY + i * 3600, x + (i - 4) / 3, version=version)
        for day in range(first, first + count)
        for i in range(9)
    ]


@FEW
@given(logs(), cuts_of)
def test_any_batching_ends_in_the_same_entries(rows: list[Row], cuts: set[int]) -> None:
    assert lasting(lived(rows, cuts)) == lasting(lived(rows))


@FEW
@given(logs(), st.lists(st.tuples(st.integers(1, 4), cuts_of), max_size=4))
def test_crashes_after_any_commit_change_nothing(rows: list[Row], lives: list[tuple[int, set[int]]]) -> None:
    store = MemoryStore()
    for commits, cuts in lives:
        try:
            process(store, dies_after=commits).run(Cut(rows, cuts), flush=False)
        except DiedError:
            continue
    process(store).run(Cut(rows, [10, 20]), flush=True)

    assert lasting(store) == lasting(lived(rows))


def test_a_change_that_lasts_is_one_episode_and_what_was_gathered_is_kept() -> None:
    state = state_of(lived(days(0, 30, 0.0) + days(30, 20, 0.8)))
    trip = next(
        t for k, t in state.trips.items() if (k.segment, k.feature, k.detector) == ("all", "x", EVIDENCE)
    )

    assert trip.verdict is not None
    assert (trip.verdict.level, trip.episodes) == (Level.BREACH, 1)
    assert state.wealth["v1", "all"].wealth.flagged.any()


def test_a_segment_of_its_own_gathers_its_own() -> None:
    assert set(state_of(lived(days(0, 3, 0.0))).wealth) == {("v1", "all"), ("v1", "place=north")}


def test_windows_that_depend_on_each_other_gather_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.laws.test_wealth_laws.TIMED", reference(0.5))
    state = state_of(lived(days(0, 30, 0.0)))
    found = [t.verdict for k, t in state.trips.items() if k.detector == EVIDENCE and k.segment == "all"]

    assert ("v1", "all") not in state.wealth
    assert {v.level for v in found if v} == {Level.NO_REFERENCE}
    assert all("the reference's windows depend on each other" in v.note for v in found if v)


def test_without_the_monitor_what_was_gathered_goes() -> None:
    store = lived(days(0, 3, 0.0))
    assert state_of(store).wealth
    assert state_of(store).faults
    process(store, MADE.model_copy(update={"monitors": GATHERING[1:2]})).run(
        Cut(days(0, 3, 0.0) + days(3, 3, 0.0), ()), flush=True
    )

    assert state_of(store).wealth == state_of(store).faults == {}


def test_versions_without_rows_take_what_they_gathered_with_them() -> None:
    state = state_of(lived(days(0, 3, 0.0, "old") + days(3, 200, 0.0, "new")))

    assert {version for version, _ in state.wealth} == {"new"}
    assert {version for version, _ in state.faults} == {"new"}
