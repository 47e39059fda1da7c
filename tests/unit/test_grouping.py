"""Monitors with one cause share an episode, and those of another one have another."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from detectors.base import Level, Verdict
from detectors.profile import Grid, NumericGrid
from detectors.sample import Sample
from monitor.core.grouping import grouped
from monitor.core.policy import Phase, Reason, Transition, Trip, TripKey
from monitor.core.profiles import ALL, GroupKey
from monitor.core.scenes import Tick
from monitor.core.state import ModelState
from monitor.core.witness import Auditor
from tests.logs import model, plan_of

ROWS, HOUR = 200, 3600 * 10**6
FEATURES = ("a", "b", "c", "d", "e", "f")
KIND = "quality"


def gone(*shares: tuple[int, int]) -> np.ndarray:
    """Return a sample's columns, each without the rows from one to another."""
    values = np.zeros((ROWS, len(shares)))
    for column, (first, last) in enumerate(shares):
        values[first:last, column] = np.nan
    return values


def began(feature: str) -> Transition:
    key = TripKey("v1", ALL, feature, "null_share")
    verdict = Verdict("null_share", feature, KIND, Level.BREACH, ROWS, 0.5, 0.1)
    phases = Phase.INACTIVE, Phase.FIRING, Reason.ENTERED
    return Transition("m", key, KIND, *phases, f"ep_{feature}", HOUR, 2 * HOUR, verdict)


def tick(values: np.ndarray) -> Any:  # noqa: ANN401 - as much of a tick as grouping sees
    grid = Grid(tuple(NumericGrid(name, 0.0, 1.0, (0.5,), 0.5, 1.0, 1.0, (0.25, 0.75)) for name in FEATURES))
    sample = Sample(np.arange(ROWS, dtype=np.uint64), values, np.zeros((ROWS, 0), np.int32))
    seen = SimpleNamespace(grid=grid, window=SimpleNamespace(sample=sample), columns_missing=frozenset())
    trips = {began(name).key: Trip(KIND, Phase.FIRING) for name in FEATURES}
    state = SimpleNamespace(trips=trips, episodes={})
    return SimpleNamespace(state=state, scenes={GroupKey(HOUR, "v1", ALL): SimpleNamespace(seen=seen)})


PLAN: Any = SimpleNamespace(window=HOUR, model=SimpleNamespace(upstream={}))


def test_two_failures_of_one_window_on_other_rows_are_two_episodes() -> None:
    early, late = (0, 80), (100, 180)
    found = grouped(PLAN, tick(gone(early, early, early, late, late, late)), [began(f) for f in FEATURES])

    told = {record.features: record.cause for record in found.episodes}
    assert told == {
        ("a", "b", "c"): "3 features missing at once on the same rows: a, b, c",
        ("d", "e", "f"): "3 features missing at once on the same rows: d, e, f",
    }
    assert len({record.id for record in found.episodes}) == 2
    assert {key.feature for key, id_ in found.joined.items() if id_ == found.joined[began("a").key]} == {
        "a",
        "b",
        "c",
    }


def test_where_causes_cannot_be_looked_for_each_monitor_stands_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise ValueError("a value")

    monkeypatch.setattr("monitor.core.witness.grouped", broken)
    found = Auditor(plan_of(model()), dict)(Tick(ModelState("m"), {}), [began("a"), began("b")])

    says = "alone, as causes could not be looked for: ValueError"
    assert {record.id: record.cause for record in found.episodes} == {"ep_a": says, "ep_b": says}
    assert found.joined == {}
