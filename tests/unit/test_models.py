"""Opening a model on a state that another configuration left."""

from dataclasses import replace
from datetime import timedelta

import numpy as np
import polars as pl
import pytest

from monitor.config import Columns, Performance
from monitor.core.assessing import Assessor
from monitor.core.labels import Labels, Record
from monitor.core.ledger import Ledger, hear, remember
from monitor.core.outcomes import Vocabulary
from monitor.core.plan import Plan
from monitor.core.profiles import ALL, GroupKey
from monitor.core.remeasuring import remeasured
from monitor.core.standard import Standard, layout
from monitor.core.state import Book, ModelState, dump_book, load_book
from monitor.errors import ConfigError
from monitor.models import with_layout, with_window
from monitor.store.segments import MemorySegments
from tests.logs import model, reference

HOUR = 3600 * 10**6
HOURLY = Plan.of(model(window=timedelta(hours=1)))
DAILY = Plan.of(model(window=timedelta(days=1)))


def test_the_length_of_windows_is_remembered() -> None:
    state, changes = with_window(HOURLY, ModelState("m"))

    assert (state.book.window, changes) == (HOUR, {})
    assert load_book(dump_book(state.book)) == state.book


def test_another_length_is_taken_on_when_nothing_is_open_and_volumes_are_learnt_anew() -> None:
    state = ModelState("m", book=Book(window=HOUR), volumes={("v1", ALL): (500, 510)})
    after, changes = with_window(DAILY, state)

    assert (after.book.window, after.volumes) == (24 * HOUR, {})
    assert changes == {("volume", "m", '["v1","all"]'): None}
    assert with_window(HOURLY, state)[0].volumes == state.volumes


def test_another_length_is_refused_while_windows_are_open() -> None:
    profile = reference(model()).profiles[ALL]
    state = ModelState("m", book=Book(window=HOUR), windows={GroupKey(0, "v1", ALL): profile})

    with pytest.raises(
        ConfigError, match=r'^models.m.window: the state has open windows of 1h; set "1h" again'
    ):
        with_window(DAILY, state)
    assert with_window(HOURLY, state)[0] == state


def test_another_length_is_refused_while_windows_wait_for_outcomes() -> None:
    record = Record.of(5, 0, np.zeros(1), np.zeros(1))
    labels = Labels(records={GroupKey(0, "v1", ALL): record})
    state = replace(ModelState("m", book=Book(window=HOUR)), labels=labels)

    with pytest.raises(ConfigError, match=r"windows of 1h that wait for outcomes"):
        with_window(DAILY, state)


def judged(**settings: object) -> Plan:
    known = {
        "task": "binary",
        "columns": Columns(prediction_id="id", prediction="y", label="t", segments=("p",)),
    }
    return Plan.of(model(**{**known, **settings}))


def waiting() -> tuple[ModelState, Labels]:
    """Return a state with 60 predictions of one window, 40 of them with outcomes, made without a group."""
    plan = judged()
    assessor = Assessor(plan, Vocabulary.of(plan.model))
    keys = pl.Series(range(60), dtype=pl.UInt64)
    frame = pl.DataFrame({"key": keys, "check": keys, "version": ["v1"] * 60, "prediction": [1.0] * 60})
    frame = frame.with_columns(pl.lit(1_700_000_000_000_000, pl.Int64).alias("time"))
    keep = MemorySegments().keep
    labels = remember(assessor, Labels(layout=layout(plan.model)), Standard(0), frame, keep).labels
    outcome = pl.DataFrame({"key": keys[:40], "check": keys[:40], "label": [1.0] * 30 + [0.0] * 10})
    labels = hear(plan, labels, outcome.with_columns(time=frame["time"][:40]), keep)[0].labels
    tick = (1_700_000_000_000_000 // plan.window + 1) * plan.window
    ledger = Ledger(assessor, labels, tick)
    ledger.apply(tick, lambda _start: Standard(0))
    ledger.finish(tick)
    return ModelState("m", labels=ledger.labels), ledger.labels


def test_sums_made_anew_of_the_rows_are_the_same() -> None:
    state, labels = waiting()
    plan = judged()
    again = remeasured(Assessor(plan, Vocabulary.of(plan.model)), labels, state.standard_at).labels

    assert {k: r.dump() for k, r in again.records.items()} == {k: r.dump() for k, r in labels.records.items()}


def test_a_group_configured_while_rows_wait_counts_those_as_others() -> None:
    state, labels = waiting()
    plan = judged(columns=Columns(prediction_id="id", prediction="y", label="t", groups=("sex",)))
    after, again = with_layout(plan, state)
    standard = Standard(0, {"group:sex": ("F", "M")})
    made = remeasured(Assessor(plan, Vocabulary.of(plan.model)), after.labels, lambda _start: standard).labels

    assert again
    assert {(k.segment, r.rows, r.labelled) for k, r in made.records.items()} == {
        ("all", 60, 40),
        ("group:sex=_other", 60, 40),
    }
    assert made.layout == layout(plan.model) != labels.layout


def test_other_classes_are_refused_while_rows_wait() -> None:
    state, _ = waiting()

    with pytest.raises(
        ConfigError, match=r"^models.m: task, classes or query have changed while windows wait"
    ):
        with_layout(judged(performance=Performance(classes=("1", "0"))), state)
    assert with_layout(judged(), state) == (state, False)


def test_a_standard_of_another_layout_is_no_measure_any_more() -> None:
    old = Standard(1, {"p": ("a",)}, {"all": np.ones(9)}, layout="[]")
    state, again = with_layout(judged(), ModelState("m", labels=Labels(standards=(old,))))

    assert (state.labels.standards[0].sums, state.labels.standards[0].values) == ({}, old.values)
    assert not again
