"""Hand-made states of a model whose outcomes are known: what the exporters and status are shown."""

import json
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import numpy as np
from msgspec.structs import replace

from detectors.base import Level, Verdict
from detectors.challenger import Contest, LossSums
from detectors.measure import Estimate, Scored
from monitor.config import Compare, Model, Source
from monitor.core.comparing import plan_of as rule_of
from monitor.core.labels import Labels, Measured, Record, SeriesKey
from monitor.core.outcomes import Vocabulary
from monitor.core.policy import Phase, Trip, TripKey
from monitor.core.profiles import GroupKey
from monitor.core.standard import Standard, measure_of
from monitor.core.state import Book, ModelState
from tests.logs import EPOCH, MINUTE, columns, model, reference

SOURCES = tuple(
    Source(role=role, type="files", path=f"/logs/{role}-*.jsonl") for role in ("predictions", "outcomes")
)
COLUMNS = columns(prediction="p", score="s", label="y", segments=("place",), groups=("sex",))
COMPARE = Compare(champion="v1", challenger="v2")
JUDGED, CLOSED, OPEN = EPOCH, EPOCH + 2 * MINUTE, EPOCH + 3 * MINUTE
"""Starts of the newest window that was judged, that has closed, and that is still open."""


def binary(**settings: Any) -> Model:  # noqa: ANN401 - the fields of Model
    """Return a binary model of one-minute windows whose outcomes come within five minutes."""
    known: dict[str, Any] = {
        "task": "binary",
        "columns": COLUMNS,
        "sources": SOURCES,
        "label_horizon": timedelta(minutes=5),
        "compare": COMPARE,
    }
    return model(**{**known, **settings})


MADE = binary()


def near(value: float, n: int = 500) -> Estimate:
    """Return an estimate of +- 0.01."""
    return Estimate(value, value - 0.01, value + 0.01, n, "wilson")


def measured(value: float, coverage: float = 0.95, note: str = "") -> Measured:
    """Return a window of 500 rows: an accuracy, an AUC, and a metric that cannot be told."""
    unknown = Estimate(None, None, None, 0)
    return Measured(
        500, coverage, {"accuracy": near(value), "roc_auc": near(value + 0.05), "f1": unknown}, note
    )


def standard(made: Model, rows: int = 1000) -> Standard:
    """Return a reference of which 9 in 10 predictions were right: of all rows, and of those of the north."""
    label = np.arange(rows, dtype=np.float64) % 2.0
    wrong = np.arange(rows) % 10 == 0
    scored = Scored(np.where(wrong, 1 - label, label), np.full((rows, 1), 0.5), label)
    measure = measure_of(made, Vocabulary.of(made), Standard(1))
    sums = measure.sums(scored, np.zeros(rows, np.int64), 1)[0]
    half = measure.sums(scored.take(~wrong), np.zeros(int((~wrong).sum()), np.int64), 1)[0]
    return Standard(1, sums={"all": sums, "place=north": half, "group:sex=F": half})


def record(rows: int, labelled: int, *, judged: bool = False) -> Record:
    """Return a window's rows as they wait."""
    return Record.of(rows, labelled, np.zeros(1), np.zeros(1), judged=judged)


def key(detector: str, version: str = "v1", segment: str = "all") -> TripKey:
    """Return the trip of a judged metric."""
    return TripKey(version, segment, "_all", detector)


def trip(detector: str, score: float | None, start: int = JUDGED, *, firing: bool = False) -> Trip:
    """Return a trip of performance after a window with that score; 0.01 is allowed."""
    kind = "estimated_performance" if detector.startswith("estimated_") else "performance"
    if score is None:
        verdict = Verdict(detector, "_all", kind, Level.INSUFFICIENT_DATA, 3)
    else:
        level = Level.BREACH if score > 0.01 else Level.OK
        verdict = Verdict(detector, "_all", kind, level, 500, score, 0.01)
    phase = Phase.FIRING if firing else Phase.INACTIVE
    known = verdict if score is not None else None
    return Trip(kind, phase, int(firing), 0, "ep_1", start, None, int(firing), start, verdict, known)


def contest() -> str:
    """Return a contest that the champion won: errors of 10 % against 30 %."""
    found, rule = Contest(), rule_of(COMPARE)
    for _ in range(20):
        found = found.add(LossSums(200, 20.0, 20.0), LossSums(200, 60.0, 60.0), rule)
    return json.dumps(found.dump())


HISTORY: Mapping[SeriesKey, Mapping[int, Measured]] = {
    SeriesKey("v1", "all", "realized"): {JUDGED - MINUTE: measured(0.9), JUDGED: measured(0.86)},
    SeriesKey("v1", "all", "estimated"): {JUDGED: measured(0.91), CLOSED: measured(0.92, 0.7, "few alike")},
    SeriesKey("v1", "place=north", "realized"): {JUDGED: measured(0.8)},
    SeriesKey("v1", "group:sex=F", "realized"): {JUDGED: measured(0.8)},
    SeriesKey("v1", "group:sex", "fairness"): {
        JUDGED: Measured(
            500,
            0.95,
            {
                "demographic_parity_difference": near(0.2),
                "equal_opportunity_difference": Estimate(None, None, None, 9),
            },
        )
    },
    SeriesKey("v1", "group:sex=F", "fairness"): {JUDGED: Measured(250, 0.95, {"selection_rate": near(0.3)})},
    SeriesKey("v1", "group:sex=M", "fairness"): {
        JUDGED - MINUTE: Measured(250, 0.95, {"selection_rate": near(0.5)})
    },
    SeriesKey("v1", "segment:place", "worst"): {
        JUDGED: Measured(500, 0.95, {"accuracy": near(-0.1)}, "place=north")
    },
}
RECORDS = {
    GroupKey(JUDGED, "v1"): record(500, 475, judged=True),
    GroupKey(CLOSED, "v1"): record(400, 100),
    GroupKey(OPEN, "v1"): record(30, 0),
    GroupKey(CLOSED, "v2"): record(40, 10),
    GroupKey(OPEN, "v2"): record(20, 0),
    GroupKey(CLOSED, "v2", "place=north"): record(40, 10),
    GroupKey(CLOSED, "v2", "group:sex=F"): record(40, 10),
}
TRIPS = {
    key("accuracy"): trip("accuracy", 0.03, firing=True),
    key("estimated_accuracy"): trip("estimated_accuracy", 0.0, CLOSED),
    key("roc_auc"): trip("roc_auc", None),
    key("accuracy", segment="place=north"): trip("accuracy", 0.005),
}
LABELS = Labels(
    records=RECORDS,
    history=HISTORY,
    standards=(standard(MADE),),
    lags=(1, 2, 0, 0, 0, 0, 0, 0, 0, 4),
    lag=123.5,
    counts={"joined": 7, "repeated": 1, "conflicting": 2, "orphaned": 3, "expired": 4},
    contest=contest(),
)
STATE = ModelState(
    "m",
    book=Book(last_closed=CLOSED, windows_closed=3),
    trips=TRIPS,
    baselines=(reference(model()),),
    labels=LABELS,
)


def with_labels(**changes: Any) -> ModelState:  # noqa: ANN401 - the fields of Labels
    """Return the state with other labels."""
    return replace(STATE, labels=replace(LABELS, **changes))
