"""Windows mature: judged once, when enough outcomes are known or none can come any more; then renewed."""

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from detectors.base import Level
from detectors.measure import Scored
from monitor.config import Columns, Compare, Model, Performance, Reference, Source
from monitor.core.assessing import Assessor
from monitor.core.labels import DETAILED, REALIZED, Labels, Measured, SeriesKey, label_changes
from monitor.core.ledger import Ledger, hear, remember
from monitor.core.maturing import Judged, Maturing
from monitor.core.outcomes import Vocabulary
from monitor.core.plan import Plan
from monitor.core.profiles import ALL
from monitor.core.standard import Standard
from monitor.store.segments import MemorySegments

HOUR = 3600 * 10**6
MINUTE = HOUR // 60
EMPTY = Standard(1)
ALL_ROWS = SeriesKey("v1", ALL, REALIZED)


class Desk:
    """Labels of a model of one-hour windows with a horizon of four hours, fed by hand."""

    def __init__(self, standard: Standard = EMPTY, **settings: Any) -> None:  # noqa: ANN401 - fields of Model
        known: dict[str, Any] = {
            "name": "m",
            "task": "binary",
            "window": timedelta(hours=1),
            "label_horizon": timedelta(hours=4),
            "columns": Columns(prediction_id="id", prediction="y", label="t", version="v"),
            "reference": Reference(path=Path("reference.parquet")),
            "sources": (Source(role="predictions", type="files", path="/logs/*.jsonl"),),
        }
        made = Model(**{**known, **settings})
        self.plan = Plan.of(made)
        self.assessor = Assessor(self.plan, Vocabulary.of(made))
        self.labels = Labels()
        self.standard = standard
        self._keep = MemorySegments().keep

    def predict(self, keys: range, minute: int, version: str = "v1", **columns: Any) -> None:  # noqa: ANN401
        n = len(keys)
        frame = pl.DataFrame(
            {"key": keys, "check": keys, "time": [minute * MINUTE] * n, "version": [version] * n}
        )
        frame = frame.cast({"key": pl.UInt64, "check": pl.UInt64, "time": pl.Int64})
        more = {"prediction": [1.0] * n, **columns}
        frame = frame.with_columns(**{name: pl.Series(values) for name, values in more.items()})
        self.labels = remember(self.assessor, self.labels, self.standard, frame, self._keep).labels

    def learn(self, keys: range, minute: int, label: float = 1.0, labels: list[float] | None = None) -> int:
        n = len(keys)
        frame = pl.DataFrame({"key": keys, "check": keys, "time": [minute * MINUTE] * n})
        frame = frame.cast({"key": pl.UInt64, "check": pl.UInt64, "time": pl.Int64})
        frame = frame.with_columns(label=pl.Series(labels or [label] * n))
        kept, late = hear(self.plan, self.labels, frame, self._keep)
        self.labels = kept.labels
        return late

    def reach(self, hours: int) -> list[Judged]:
        """Apply every tick up to an hour's end."""
        first = self.labels.applied // HOUR if self.labels.applied > 0 else 0
        found: list[Judged] = []
        pass_ = Maturing(
            self.assessor, Ledger(self.assessor, self.labels, hours * HOUR), self._at, hours * HOUR
        )
        for hour in range(first + 1, hours + 1):
            found += pass_.settle(hour * HOUR)
        pass_.ledger.finish(hours * HOUR)
        self.labels = pass_.ledger.labels
        return found

    def _at(self, _start: int) -> Standard:
        return self.standard

    def shown(self, start: int = 0, version: str = "v1") -> Measured:
        return self.labels.history[SeriesKey(version, ALL, REALIZED)][start]


def test_early_outcomes_judge_nothing() -> None:
    desk = Desk()
    desk.predict(range(100), minute=5)
    desk.learn(range(80), minute=30, label=0.0)  # all wrong, but 80 of 100

    assert desk.reach(3) == []
    assert desk.labels.history == {}


def test_a_window_is_judged_when_the_share_is_there() -> None:
    desk = Desk()
    desk.predict(range(100), minute=5)
    desk.learn(range(80), minute=30)
    desk.learn(range(80, 95), minute=100)

    assert desk.reach(1) == []
    assert {(key.start, verdict.detector) for key, verdict in desk.reach(2)} == {(0, "accuracy")}
    assert desk.shown().coverage == 0.95
    assert desk.reach(3) == []


def test_the_share_is_the_users() -> None:
    desk = Desk(performance=Performance(matured=0.5))
    desk.predict(range(100), minute=5)
    desk.learn(range(50), minute=30)

    assert len(desk.reach(1)) == 1


def test_after_the_horizon_a_window_is_judged_by_what_is_known() -> None:
    desk = Desk()
    desk.predict(range(100), minute=5)
    desk.learn(range(40), minute=30)

    assert desk.reach(4) == []
    found = desk.reach(5)
    assert len(found) == 1
    assert found[0][1].n == 40
    assert desk.shown().coverage == 0.4
    assert desk.labels.counts["expired"] == 60
    assert not desk.labels.records


def test_without_any_outcome_there_is_nothing_to_say_and_that_is_said() -> None:
    desk = Desk()
    desk.predict(range(100), minute=5)

    assert [verdict.level for _, verdict in desk.reach(5)] == [Level.INSUFFICIENT_DATA]
    assert desk.shown().coverage == 0.0


def test_an_outcome_after_the_judgement_renews_what_is_shown_and_judges_nothing() -> None:
    desk = Desk()
    desk.predict(range(100), minute=5)
    desk.learn(range(95), minute=30)
    desk.reach(1)
    desk.learn(range(95, 100), minute=90, label=0.0)

    assert desk.reach(2) == []
    assert desk.shown().metrics["accuracy"].value == pytest.approx(0.95)
    assert desk.shown().coverage == 1.0


def test_a_judged_window_of_all_rows_has_tables_and_its_segments_have_none() -> None:
    columns = Columns(prediction_id="id", prediction="y", label="t", version="v", segments=("place",))
    desk = Desk(Standard(1, {"place": ("north",)}), columns=columns)
    desk.predict(range(100), minute=5, version="v1", **{"segment:place": ["north"] * 100})
    desk.learn(range(95), minute=30)
    desk.reach(1)

    assert desk.shown().detail["confusion"]["rows"] == [[0, 0, 0], [0, 95, 0], [0, 0, 0]]
    assert desk.labels.history[SeriesKey("v1", "place=north", REALIZED)][0].detail == {}


def test_tables_follow_the_outcomes_that_come_later() -> None:
    desk = Desk()
    desk.predict(range(100), minute=5)
    desk.learn(range(95), minute=30)
    desk.reach(1)
    desk.learn(range(95, 100), minute=90, label=0.0)
    desk.reach(2)

    assert desk.shown().detail["confusion"]["rows"][0] == [0, 5, 0]


def test_tables_of_older_windows_are_dropped_in_the_store_too() -> None:
    desk = Desk()
    for hour in range(DETAILED + 2):
        keys = range(100 * hour, 100 * hour + 100)
        desk.predict(keys, minute=60 * hour + 5)
        desk.learn(keys, minute=60 * hour + 30)
    desk.reach(DETAILED + 1)
    before = desk.labels
    desk.reach(DETAILED + 2)

    told = {at // HOUR: bool(one.detail) for at, one in desk.labels.history[ALL_ROWS].items()}
    assert told == {hour: hour >= 2 for hour in range(DETAILED + 2)}
    changed = [k for k in label_changes("m", before, desk.labels) if k[0] == "history"]
    assert {json.loads(key)[-1] // HOUR for _, _, key in changed} == {1, DETAILED + 1}


def test_a_corrected_outcome_replaces_the_first_in_the_sums() -> None:
    desk = Desk()
    desk.predict(range(100), minute=5)
    desk.learn(range(100), minute=30)
    desk.reach(1)
    desk.learn(range(20), minute=70, label=0.0)
    desk.reach(2)

    assert desk.shown().metrics["accuracy"].value == pytest.approx(0.8)
    assert desk.shown().metrics["accuracy"].n == 100
    assert desk.labels.counts["conflicting"] == 20


def test_of_two_outcomes_the_first_stays_if_the_user_wants_that() -> None:
    desk = Desk(performance=Performance(conflict="first"))
    desk.predict(range(100), minute=5)
    desk.learn(range(100), minute=30)
    desk.reach(1)
    desk.learn(range(20), minute=70, label=0.0)
    desk.reach(2)

    assert desk.shown().metrics["accuracy"].value == 1.0
    assert desk.labels.counts["conflicting"] == 20


def test_an_outcome_beyond_every_horizon_is_late() -> None:
    desk = Desk()
    desk.predict(range(100), minute=5)
    desk.reach(10)

    assert desk.learn(range(100), minute=30) == 100
    assert desk.learn(range(100), minute=9 * 60) == 0


def test_versions_mature_apart_and_meet_in_the_contest() -> None:
    desk = Desk(compare=Compare(champion="v1", challenger="v2"))
    desk.predict(range(100), minute=5)
    desk.predict(range(100, 200), minute=6, version="v2")
    desk.learn(range(100), minute=30)

    assert {key.version for key, _ in desk.reach(1)} == {"v1"}
    assert desk.labels.contest == ""
    desk.learn(range(100, 200), minute=70, label=0.0)
    assert {key.version for key, _ in desk.reach(2)} == {"v2"}
    assert desk.labels.contest != ""
    once = desk.labels.contest
    desk.reach(5)
    assert desk.labels.contest == once


@pytest.fixture
def ranking() -> Desk:
    return Desk(
        task="ranking",
        columns=Columns(prediction_id="id", score="s", label="t", query="q", version="v"),
        performance=Performance(k=(3,), matured=1.0),
    )


def test_a_query_is_measured_whole_though_its_outcomes_come_at_several_ticks(ranking: Desk) -> None:
    rng = np.random.default_rng(0)
    query, score, label = np.repeat(np.arange(50), 6), rng.normal(size=300), rng.integers(0, 2, 300)
    queries = pl.Series(query, dtype=pl.UInt64)
    ranking.predict(range(300), minute=5, score=score, query=queries)
    for hour in range(3):
        for item in range(hour, 6, 3):
            for key in np.flatnonzero(np.arange(300) % 6 == item).tolist():
                ranking.learn(range(key, key + 1), minute=60 * hour + 30, label=float(label[key]))
        ranking.reach(hour + 1)

    measure = ranking.assessor.bench(EMPTY).measure
    rows = Scored(np.full(300, np.nan), score[:, None], label.astype(float), query.astype(np.uint64))
    expected = measure.values(measure.sums(rows, np.zeros(300, np.int64), 1)[0], 0.05)
    shown = ranking.shown().metrics
    assert shown["queries"].value == 50
    for name in ("ndcg@3", "map@3", "mrr", "recall@3", "hit_rate@3"):
        assert shown[name].value == pytest.approx(expected[name].value)


def test_a_corrected_relevance_measures_its_query_anew(ranking: Desk) -> None:
    queries = pl.Series([1] * 4, dtype=pl.UInt64)
    ranking.predict(range(4), minute=5, score=[4.0, 3.0, 2.0, 1.0], query=queries)
    ranking.learn(range(4), minute=30, labels=[1.0, 0.0, 0.0, 0.0])
    ranking.reach(1)
    assert ranking.shown().metrics["mrr"].value == 1.0

    ranking.learn(range(2), minute=70, labels=[0.0, 1.0])
    ranking.reach(2)
    assert ranking.shown().metrics["mrr"].value == 0.5


@pytest.fixture
def pricing() -> Desk:
    return Desk(
        task="regression", columns=Columns(prediction_id="id", prediction="y", label="t", version="v")
    )


@pytest.mark.parametrize("typo", [1e12, 1e20])
def test_a_corrected_typo_leaves_no_trace_in_the_sums(pricing: Desk, typo: float) -> None:
    pricing.predict(range(100), minute=5, prediction=[float(i) for i in range(100)])
    pricing.learn(range(100), minute=30, labels=[*(i + 2.0 for i in range(99)), typo])
    pricing.reach(1)
    pricing.learn(range(99, 100), minute=70, label=101.0)
    pricing.reach(2)

    shown = pricing.shown().metrics
    assert shown["mae"].value == pytest.approx(2.0)
    assert shown["mse"].value == pytest.approx(4.0)
    assert shown["r2"].value is not None
    assert shown["r2"].value > 0.99


def test_an_outcome_that_came_before_its_prediction_is_not_counted_twice() -> None:
    desk = Desk()
    desk.learn(range(100), minute=10)
    desk.reach(2)
    desk.predict(range(100), minute=200)
    desk.reach(5)
    desk.learn(range(100), minute=430)
    desk.reach(8)

    assert (desk.labels.counts["joined"], desk.labels.counts["repeated"]) == (100, 100)
    assert desk.shown(3 * HOUR).metrics["accuracy"].n == 100


def test_a_prediction_that_comes_after_its_tick_meets_its_outcome_at_the_next() -> None:
    desk = Desk()
    desk.predict(range(50), minute=5)
    desk.learn(range(100), minute=30)
    desk.reach(2)
    desk.predict(range(50, 100), minute=6)
    desk.reach(3)

    assert desk.labels.counts["joined"] == 100
