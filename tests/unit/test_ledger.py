"""What the ledger counts: what met, what came again, what never met, and sums as if counted afresh."""

from datetime import timedelta
from functools import cache

import numpy as np
import polars as pl
import pytest
from msgspec.structs import replace

from detectors.class_sums import ClassSums
from monitor.config import Model, Performance
from monitor.core.labels import Labels, Record
from monitor.core.ledger import bucket_of
from monitor.core.profiles import ALL, GroupKey
from monitor.core.state import load_model
from monitor.store.memory import MemoryStore
from monitor.types import EntryKey
from tests.lives import (
    BEGIN,
    HOUR,
    SHELF,
    Answer,
    Guess,
    Process,
    Sheet,
    answered,
    answers,
    guesses,
    judged_model,
    minute,
)
from tests.logs import mean_judge, plan_of

FIRST = GroupKey(BEGIN, "v1", ALL)
FAR = 10_000
"""Minutes after which nothing waits any more."""


@cache
def begun() -> dict[EntryKey, bytes]:
    store = MemoryStore()
    Process(judged_model(), store, mean_judge(), answered=answered())
    return store.load()


class Life:
    """A daemon's core that is fed by hand."""

    def __init__(self, made: Model | None = None) -> None:
        self.store = MemoryStore()
        self.store.commit(begun())
        self.process = Process(made or judged_model(), self.store, mean_judge())
        self._logs: dict[str, pl.DataFrame] = {}

    def predict(self, *rows: Guess) -> "Life":
        return self._feed("predictions-0", guesses(rows))

    def learn(self, *rows: Answer) -> "Life":
        return self._feed("outcomes-1", answers(rows))

    def until(self, at: float) -> "Life":
        """Let the log get so far that all windows that end until then are over."""
        return self.predict(Guess(f"clock{at}", at + 10, version="clock"))

    def _feed(self, name: str, frame: pl.DataFrame) -> "Life":
        log = self._logs[name] = pl.concat([self._logs.get(name, frame.clear()), frame])
        self.process.step(Sheet(log, name=name))
        return self

    @property
    def labels(self) -> Labels:
        return load_model("m", self.store.load(), SHELF.reopen).labels

    def count(self, what: str) -> int:
        return self.labels.counts.get(what, 0)

    def record(self, key: GroupKey = FIRST) -> Record:
        return self.labels.records[key]

    @property
    def confusion(self) -> list[list[float]]:
        """Rows of the first window, by label and prediction."""
        found: list[list[float]] = ClassSums.of(self.record().sums, 2).confusion[:2, :2].tolist()
        return found


def test_an_outcome_waits_for_the_end_of_its_window() -> None:
    life = Life().predict(Guess("a", 5), Guess("b", 6)).learn(Answer("a", 70))

    assert life.until(110).record().labelled == 0
    assert life.until(120).record().labelled == 1
    assert life.confusion == [[0, 0], [0, 1]]


def test_an_outcome_before_its_prediction_counts() -> None:
    life = Life().until(60).learn(Answer("a", 65)).predict(Guess("a", 130)).until(180)

    assert life.record(GroupKey(BEGIN + 2 * HOUR, "v1")).labelled == 1
    assert life.count("joined") == 1


def test_an_outcome_read_after_its_tick_counts_at_the_next() -> None:
    life = Life().predict(Guess("a", 5)).until(120).learn(Answer("a", 20))

    assert life.record().labelled == 0
    assert life.until(180).record().labelled == 1


def test_an_outcome_read_when_no_prediction_can_wait_for_it_is_late() -> None:
    life = Life().predict(Guess("a", 5)).until(600).learn(Answer("a", 20), Answer("b", 590))

    counts = life.process.worker.state.book.counts
    assert counts["outcomes-1", "late", ""] == 1
    assert counts["outcomes-1", "stored", ""] == 1


def test_an_outcome_within_the_horizon_of_nothing_that_waits_is_not_joined() -> None:
    life = Life().predict(Guess("a", 5)).until(240).learn(Answer("a", 100)).until(300)

    assert life.count("joined") == 0
    assert life.count("expired") == 1


@pytest.mark.parametrize("policy", ["last", "first"])
def test_a_second_value_is_counted_and_wins_by_policy(policy: str) -> None:
    made = judged_model(performance=Performance.model_validate({"conflict": policy}))
    life = Life(made).predict(Guess("a", 5)).learn(Answer("a", 20, 1), Answer("a", 70, 0)).until(120)

    assert life.confusion == ([[0, 1], [0, 0]] if policy == "last" else [[0, 0], [0, 1]])
    assert life.record().labelled == 1
    assert [life.count(what) for what in ("joined", "repeated", "conflicting")] == [1, 0, 1]


def test_the_same_value_again_leaves_the_record_as_it_is() -> None:
    life = Life().predict(Guess("a", 5)).learn(Answer("a", 20)).until(60)
    before = life.record().dump()

    life.learn(Answer("a", 70), Answer("a", 80)).until(120)

    assert life.record().dump() == before
    assert [life.count(what) for what in ("joined", "repeated", "conflicting")] == [1, 2, 0]


def test_subtracting_a_replaced_outcome_equals_a_fresh_count() -> None:
    made = [Guess(f"p{i}", i, (i * 37 % 100) / 100, place=("north", "mars")[i % 2]) for i in range(50)]
    wrong = [Answer(row.id, row.at, i % 2) for i, row in enumerate(made)]
    right = [Answer(row.id, 70 + row.at, int(i % 3 == 0)) for i, row in enumerate(made)]

    life = Life().predict(*made).learn(*wrong).until(60).learn(*right).until(120)
    fresh = Life().predict(*made).learn(*right).until(120)

    assert life.count("conflicting") > 10
    for key, record in fresh.labels.records.items():
        assert life.record(key).labelled == record.labelled
        np.testing.assert_allclose(life.record(key).sums, record.sums, atol=1e-9)


def test_a_prediction_without_an_outcome_expires_with_its_horizon() -> None:
    life = Life().predict(Guess("a", 5), Guess("b", 6)).learn(Answer("a", 20)).until(180)

    assert life.until(230).count("expired") == 0
    assert life.until(240).count("expired") == 1
    assert FIRST not in life.labels.records
    assert life.count("joined") == 1


def test_an_outcome_of_an_unknown_id_is_orphaned_once_its_horizon_is_over() -> None:
    life = Life().predict(Guess("a", 5)).learn(Answer("a", 20), Answer("nobody", 21)).until(120)

    assert life.count("orphaned") == 0
    assert life.until(FAR).count("orphaned") == 1
    assert life.labels.outcomes.rows == 0
    assert life.labels.matched == {}


def test_an_outcome_that_met_is_no_orphan_when_its_prediction_has_another_one_later() -> None:
    life = Life().predict(Guess("a", 5)).learn(Answer("a", 20), Answer("nobody", 21)).until(60)

    life.learn(Answer("a", 70)).until(FAR)

    assert life.count("orphaned") == 1


def test_rows_that_wait_go_with_their_horizon() -> None:
    life = Life().predict(*(Guess(f"p{i}", i * 10) for i in range(100))).until(FAR)

    assert life.labels.predictions.rows == 1  # the clock's own
    assert not [key for key in life.store.load() if key[0] == "pending"][1:]


def test_every_prediction_is_joined_expired_or_still_waiting() -> None:
    made = [Guess(f"p{i}", i * 7) for i in range(80)]
    known = [Answer(f"p{i}", i * 7 + 40) for i in range(0, 80, 3)]
    life = Life().predict(*made[:40]).learn(*known).predict(*made[40:])

    open_ = [r for key, r in life.labels.records.items() if key.segment == ALL]
    waiting = sum(record.rows - record.labelled for record in open_)
    assert life.count("joined") + life.count("expired") + waiting == len(made)


def test_segments_and_groups_are_counted_beside_the_whole() -> None:
    made = [Guess("a", 5, place="north"), Guess("b", 6, place="mars"), Guess("c", 7, place="south")]
    life = Life().predict(*made).learn(*(Answer(row.id, 20) for row in made[:2])).until(60)

    labelled = {key.segment: r.labelled for key, r in life.labels.records.items() if key.version == "v1"}
    assert labelled == {
        "all": 2,
        "place=north": 1,
        "place=_other": 1,
        "place=south": 0,
        "group:place=north": 1,
        "group:place=_other": 1,
        "group:place=south": 0,
    }


def test_lags_are_those_of_the_first_outcome_and_never_negative() -> None:
    life = Life().predict(Guess("a", 5), Guess("b", 50), Guess("c", 51))
    life.learn(Answer("a", 6), Answer("b", 40), Answer("a", 70, 0)).until(120)

    assert life.labels.lag == 60.0
    assert life.labels.lags[:2] == (2, 0)
    assert sum(life.labels.lags) == 2


def test_a_window_matures_by_coverage_and_is_judged_once() -> None:
    made = judged_model(performance=Performance(matured=0.5))
    life = Life(made).predict(Guess("a", 5), Guess("b", 6), Guess("c", 7)).learn(Answer("a", 20)).until(60)

    assert not life.record().judged
    assert life.learn(Answer("b", 70)).until(120).record().judged


def test_a_log_cut_short_counts_outcomes_whenever_they_became_known() -> None:
    life = Life().predict(Guess("a", 5)).learn(Answer("a", 170))

    life.process.run(flush=True)

    assert life.record().labelled == 1
    assert life.labels.applied == minute(180)


@pytest.mark.parametrize(("window", "bucket"), [("1m", "1h"), ("1h", "1h"), ("1d", "1d")])
def test_rows_wait_by_the_hour_or_by_the_window_where_that_is_longer(window: str, bucket: str) -> None:
    spans = {"1m": timedelta(minutes=1), "1h": timedelta(hours=1), "1d": timedelta(days=1)}

    plan = plan_of(judged_model(window=spans[window]))

    assert bucket_of(plan) == spans[bucket] // timedelta(microseconds=1)


def test_a_record_is_loaded_as_it_was_dumped() -> None:
    life = Life().predict(Guess("a", 5)).learn(Answer("a", 20)).until(60)
    record = replace(life.record(), judged=True)

    loaded = Record.load(record.dump())

    assert (loaded.rows, loaded.labelled, loaded.judged, loaded.coverage) == (1, 1, True, 1.0)
    np.testing.assert_array_equal(loaded.sums, record.sums)
    np.testing.assert_array_equal(loaded.open, record.open)
