"""Opening a model on a state that another configuration left."""

import json
from datetime import timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from msgspec.structs import replace

from detectors.readings import Reading
from detectors.seasons import DAY
from detectors.sequential import Wealth
from monitor.config import Columns, Model, Monitor, Performance, Reference
from monitor.core.assessing import Assessor
from monitor.core.labels import Labels, Record
from monitor.core.ledger import Ledger, hear, remember
from monitor.core.outcomes import Vocabulary
from monitor.core.plan import Plan
from monitor.core.profiles import ALL, GroupKey
from monitor.core.remeasuring import remeasured
from monitor.core.standard import Standard, layout
from monitor.core.state import Book, ModelState, dump_book, load_book
from monitor.core.tracks import followed
from monitor.core.wealth import Held
from monitor.errors import ConfigError
from monitor.models import with_layout, with_window
from monitor.reference_file import ReferenceFile
from monitor.references import baseline_of, schema_of
from monitor.store.segments import MemorySegments
from monitor.teaching import CHANGED, with_nulls
from tests.laws.test_nulls_laws import TIMED
from tests.logs import model, reference

HOUR = 3600 * 10**6
HOURLY = Plan.of(model(window=timedelta(hours=1)))
DAILY = Plan.of(model(window=timedelta(days=1)))


def test_the_length_of_windows_is_remembered() -> None:
    state, changes = with_window(HOURLY, ModelState("m"))

    assert (state.book.window, changes) == (HOUR, {})
    assert load_book(dump_book(state.book)) == state.book


def test_the_book_of_a_release_that_kept_no_alarms_is_read() -> None:
    document = json.loads(dump_book(Book(window=HOUR, alarms=((1, "x", "ks"),))))
    del document["alarms"]

    assert load_book(json.dumps(document).encode()) == Book(window=HOUR)


def test_another_length_is_taken_on_when_nothing_is_open_and_volumes_are_learnt_anew() -> None:
    track = followed(None, 1, 7, Reading(np.zeros((1, 2)), np.ones((1, 2), np.int64)))
    state = ModelState("m", book=Book(window=HOUR), volumes={("v1", ALL): (500, 510)})
    purse = Held(1, Wealth.none(2))
    state = replace(state, tracks={("v1", ALL): track}, wealth={("v1", ALL): purse})
    after, changes = with_window(DAILY, state)

    assert (after.book.window, after.volumes, after.tracks) == (24 * HOUR, {}, {})
    assert after.wealth == {}
    assert changes == {
        ("volume", "m", '["v1","all"]'): None,
        ("track", "m", '["v1","all",7]'): None,
        ("wealth", "m", '["v1","all"]'): None,
    }
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


def taught(folder: Path, frame: pl.DataFrame = TIMED, **settings: object) -> tuple[Plan, ModelState]:
    """Return a model whose reference is this file, and its state before anything was learnt from it."""
    path = folder / "reference.parquet"
    frame.write_parquet(path)
    made = model(**{"window": timedelta(days=1), "reference": Reference(path=path), **settings})
    baseline = replace(baseline_of(schema_of(made, frame), frame, f"file {path}"), number=1)
    return Plan.of(made), ModelState("m", book=Book(window=DAY), baselines=(baseline,))


def learnt(plan: Plan, state: ModelState) -> tuple[ModelState, bool]:
    """Return the state after opening, and whether something was learnt."""
    path = plan.model.reference.path
    assert path is not None
    after, changes = with_nulls(plan, ReferenceFile(plan.model, path, state.newest_baseline), state)
    assert changes.keys() == ({("nulls", "m", "[1]")} if after is not state else set())
    return after, after is not state


def watching(plan: Plan, *detectors: str) -> Plan:
    monitors = tuple(Monitor(detector=name) for name in detectors)
    return Plan.of(Model(**{**dict(plan.model), "monitors": monitors}))


def test_what_windows_show_is_learnt_once(tmp_path: Path) -> None:
    plan, state = taught(tmp_path)
    after, first = learnt(plan, state)

    assert first
    assert after.null_of(after.baselines[0], ALL) is not None
    assert not learnt(plan, after)[1]


def test_other_distances_are_learnt_anew_and_other_quality_is_not(tmp_path: Path) -> None:
    plan, state = taught(tmp_path)
    after, _ = learnt(plan, state)

    assert not learnt(watching(plan, "quality", "shift"), after)[1]
    again, anew = learnt(watching(plan, "psi"), after)
    assert anew
    group = again.null_of(again.baselines[0], ALL)
    assert group is not None
    assert group.scores is not None
    assert group.scores.monitors == (("x", "psi"), ("colour", "psi"))


def test_another_length_of_windows_is_learnt_anew(tmp_path: Path) -> None:
    plan, state = taught(tmp_path)
    after, _ = learnt(plan, state)
    longer = Plan.of(Model(**{**dict(plan.model), "window": timedelta(days=2)}))
    changed = with_window(longer, after)[0]

    assert changed.null_of(changed.baselines[0], ALL) is None
    again, anew = learnt(longer, changed)
    assert anew
    assert again.nulls[1].window == 2 * DAY


def test_a_file_that_is_another_one_by_now_teaches_nothing(tmp_path: Path) -> None:
    plan, state = taught(tmp_path)
    TIMED.tail(1000).write_parquet(tmp_path / "reference.parquet")
    after, _ = learnt(plan, state)

    assert (after.nulls[1].said, after.nulls[1].arrays) == (CHANGED, {})
    assert not learnt(plan, after)[1]


def test_the_right_file_teaches_when_it_is_back(tmp_path: Path) -> None:
    plan, state = taught(tmp_path)
    TIMED.tail(1000).write_parquet(tmp_path / "reference.parquet")
    after, _ = learnt(plan, state)
    TIMED.write_parquet(tmp_path / "reference.parquet")

    again, anew = learnt(plan, after)
    assert anew
    assert again.null_of(again.baselines[0], ALL) is not None


def test_times_that_are_added_to_the_file_teach(tmp_path: Path) -> None:
    plan, state = taught(tmp_path, TIMED.drop("at"))
    after, _ = learnt(plan, state)
    assert after.nulls[1].arrays == {}
    TIMED.write_parquet(tmp_path / "reference.parquet")

    assert learnt(plan, after)[0].nulls[1].arrays


def test_a_reference_of_the_log_keeps_what_it_was_taught(tmp_path: Path) -> None:
    plan, state = taught(tmp_path)
    after, _ = learnt(plan, state)
    mine = replace(after, baselines=(replace(after.baselines[0], origin="log 2024"),))

    assert not learnt(watching(plan, "psi"), mine)[1]
    assert mine.null_of(mine.baselines[0], ALL) is not None
