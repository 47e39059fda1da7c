"""Rows of both logs as numbers: classes as codes, ids as hashes, and what cannot be used."""

from collections.abc import Sequence

import numpy as np
import polars as pl
import pytest

from monitor.config import Columns, Features, Model, Performance, Source
from monitor.core.hashing import check_hashes, hash_text, mix
from monitor.core.outcomes import Limits, Vocabulary, coded, own_outcomes, type_outcomes, waiting
from monitor.core.reasons import Reason
from monitor.core.schema import Schema, type_rows
from monitor.decoders.plain import decode
from monitor.fields import Task
from monitor.types import Chunk, Reject, TypedRows
from tests.logs import columns, model

TIME = 1_700_000_000_000_000
LIMIT = TIME + 1000
LIMITS = Limits(LIMIT, TIME + 7)
COLUMNS = columns(prediction="y", score="score", label="truth", segments=("place",), groups=("place",))


def judged(task: Task = "binary", named: Columns = COLUMNS, classes: Sequence[str] = ()) -> Model:
    return model(
        task=task,
        columns=named,
        features=Features(numeric=("x",)),
        sources=(Source(role="both", type="files", path="/logs/*"),),
        performance=Performance(classes=tuple(classes)),
    )


def vocabulary(task: Task = "binary", classes: Sequence[str] = ()) -> Vocabulary:
    return Vocabulary.of(judged(task, classes=classes))


def typed(words: Vocabulary, frame: pl.DataFrame) -> tuple[pl.DataFrame, list[Reject]]:
    chunk = Chunk("log", 0, frame)
    found, rejects = type_outcomes(words, chunk, decode(chunk, words.wanted, "parquet"), "us", LIMITS)
    return found, list(rejects)


def outcomes(labels: Sequence[object], dtype: type[pl.DataType] | None = None) -> pl.DataFrame:
    ids = [f"i{n}" for n in range(len(labels))]
    return pl.DataFrame({"id": ids, "at": TIME, "truth": pl.Series(labels, dtype=dtype)})


def predictions(made: Model, **columns: object) -> TypedRows:
    schema = Schema(made.columns, ("x",), (), made.task, joined=True, labelled=True)
    known = {"id": ["a", "b"], "at": TIME, "version": "v1", "y": [1, 0], "score": [0.9, 0.2]}
    frame = pl.DataFrame({**known, "x": 0.0, "place": ["north", None], "truth": [1, None], **columns})
    chunk = Chunk("log", 0, frame)
    return type_rows(schema, chunk, decode(chunk, schema.wanted, "parquet"), "us", LIMIT)[0]


def test_the_classes_are_those_configured() -> None:
    assert vocabulary(classes=("good", "bad")).classes == ("good", "bad")


def test_the_classes_are_those_of_the_table_of_scores() -> None:
    named = COLUMNS.model_copy(update={"score": {"a": "p_a", "b": "p_b", "c": "p_c"}})

    words = Vocabulary.of(judged("multiclass", named))

    assert words.classes == ("a", "b", "c")
    assert words.scores == ("score_a", "score_b", "score_c")


def test_the_classes_are_0_and_1_otherwise() -> None:
    assert vocabulary().classes == ("0", "1")


@pytest.mark.parametrize("task", ["regression", "ranking", "none"])
def test_numbers_have_no_classes(task: Task) -> None:
    assert vocabulary(task, classes=("a", "b")).classes == ()


def test_labels_of_classes_are_read_as_text_and_others_as_numbers() -> None:
    assert vocabulary().wanted.text == {"id", "at", "truth"}
    assert vocabulary("regression").wanted.numeric == {"truth"}
    assert vocabulary("regression").wanted.text == {"id", "at"}


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("0", 0),
        ("1", 1),
        ("1.0", 1),
        ("0.0", 0),
        ("true", 1),
        ("False", 0),
        ("TRUE", 1),
        ("2", None),
        ("", None),
    ],
)
def test_binary_labels_are_read_in_all_their_spellings(text: str, code: int | None) -> None:
    found = vocabulary().codes(pl.Series([text]))[0]

    assert np.isnan(found) if code is None else found == code


def test_a_class_is_its_own_name_before_it_is_a_spelling() -> None:
    words = vocabulary("multiclass", classes=("true", "1", "7.0"))

    assert words.codes(pl.Series(["true", "1", "7.0"])).tolist() == [0, 1, 2]


@pytest.mark.parametrize(
    ("labels", "dtype"),
    [([0, 1], pl.Int64), ([0.0, 1.0], pl.Float64), ([False, True], pl.Boolean), (["0", "1"], pl.String)],
)
def test_outcomes_of_any_type_are_read(labels: Sequence[object], dtype: type[pl.DataType]) -> None:
    found, rejects = typed(vocabulary(), outcomes(labels, dtype))

    assert found["label"].to_list() == [0.0, 1.0]
    assert rejects == []


def test_an_outcome_is_known_by_two_hashes_of_its_id() -> None:
    found, _ = typed(vocabulary(), outcomes([1, 0]))

    ids = pl.Series(["i0", "i1"])
    assert found.columns == ["time", "key", "check", "label"]
    assert found["time"].to_list() == [TIME, TIME]
    assert found["key"].to_list() == hash_text(ids).tolist()
    assert found["check"].to_list() == check_hashes(ids).tolist()


def test_a_number_without_a_sign_is_0() -> None:
    found, _ = typed(vocabulary("regression"), outcomes([-0.0, 2.5]))

    assert np.signbit(found["label"].to_numpy()).tolist() == [False, False]


def test_outcomes_that_cannot_be_used_are_rejected_with_their_first_fault() -> None:
    frame = pl.DataFrame(
        {
            "id": ["good", "", None, "late", "never", "odd", "lost", "empty"],
            "at": [TIME, TIME, TIME, LIMIT + 1, 0, TIME, TIME, TIME],
            "truth": ["1", "1", "1", "1", "1", "7", None, ""],
        }
    )

    found, rejects = typed(vocabulary(), frame)

    assert found.height == 1
    assert [(r.offset, r.reason) for r in rejects] == [
        (1, Reason.MISSING_ID),
        (2, Reason.MISSING_ID),
        (3, Reason.FUTURE_TIMESTAMP),
        (4, Reason.BAD_TIMESTAMP),
        (5, Reason.UNKNOWN_LABEL),
        (6, Reason.MISSING_LABEL),
        (7, Reason.MISSING_LABEL),
    ]


def test_a_time_that_cannot_be_read_is_named_before_other_faults() -> None:
    _, rejects = typed(vocabulary(), pl.DataFrame({"id": [""], "at": [0], "truth": [None]}))

    assert [r.reason for r in rejects] == [Reason.BAD_TIMESTAMP]


@pytest.mark.parametrize("number", [float("nan"), float("inf"), -float("inf")])
def test_numbers_that_are_none_are_unknown_labels(number: float) -> None:
    found, rejects = typed(vocabulary("regression"), outcomes([1.5, number]))

    assert found["label"].to_list() == [1.5]
    assert [r.reason for r in rejects] in ([Reason.UNKNOWN_LABEL], [Reason.MISSING_LABEL])


def test_text_where_a_number_should_be_is_an_unknown_label_and_nothing_a_missing_one() -> None:
    words = vocabulary("regression")
    chunk = Chunk("log", 0, b'{"id":"a","at":"2023-11-14","truth":"dear"}\n{"id":"b","at":"2023-11-14"}\n')

    found, rejects = type_outcomes(words, chunk, decode(chunk, words.wanted, "jsonl"), "iso", LIMITS)

    assert found.is_empty()
    assert [r.reason for r in rejects] == [Reason.UNKNOWN_LABEL, Reason.MISSING_LABEL]


def test_a_log_without_a_column_of_labels_has_none() -> None:
    found, rejects = typed(vocabulary(), pl.DataFrame({"id": ["a"], "at": [TIME]}))

    assert found.is_empty()
    assert [r.reason for r in rejects] == [Reason.MISSING_LABEL]


def test_predictions_wait_as_numbers_with_their_version_segments_and_groups() -> None:
    made = judged()

    frame = waiting(Vocabulary.of(made), predictions(made), identified=True)

    ids = pl.Series(["a", "b"])
    assert frame["key"].to_list() == hash_text(ids).tolist()
    assert frame["check"].to_list() == check_hashes(ids).tolist()
    assert frame.drop("key", "check").to_dict(as_series=False) == {
        "time": [TIME, TIME],
        "segment:place": ["north", None],
        "group:place": ["north", None],
        "version": ["v1", "v1"],
        "prediction": [1.0, 0.0],
        "score": [0.9, 0.2],
    }


def test_rows_without_ids_are_known_by_their_content() -> None:
    made = judged(named=COLUMNS.model_copy(update={"prediction_id": ""}))
    rows = predictions(made)

    frame = waiting(Vocabulary.of(made), rows, identified=True)

    assert frame["key"].to_list() == rows.keys.tolist()
    assert frame["check"].to_list() == mix(rows.keys).tolist()


def test_predictions_and_scores_that_are_none_wait_as_nan() -> None:
    made = judged()

    frame = coded(Vocabulary.of(made), predictions(made, y=["1", "who"], score=[None, 0.5]))

    assert np.isnan(frame["prediction"].to_numpy()).tolist() == [False, True]
    assert np.isnan(frame["score"].to_numpy()).tolist() == [True, False]
    assert frame["prediction"].null_count() == frame["score"].null_count() == 0


def test_queries_wait_as_hashes() -> None:
    made = judged("ranking", COLUMNS.model_copy(update={"query": "q"}))

    frame = coded(Vocabulary.of(made), predictions(made, q=["one", "two"]))

    assert frame["query"].to_list() == hash_text(pl.Series(["one", "two"])).tolist()


def test_a_row_s_own_outcome_is_known_when_it_was_made_and_one_without_waits() -> None:
    made = judged()

    found = own_outcomes(Vocabulary.of(made), predictions(made))

    assert found.select("time", "label").rows() == [(TIME, 1.0)]
    assert found["key"].to_list() == hash_text(pl.Series(["a"])).tolist()


def test_waiting_rows_are_measured_by_prediction_scores_and_label() -> None:
    frame = pl.DataFrame({"prediction": [1.0, 0.0], "score": [0.9, 0.2]})

    scored = vocabulary().scored(frame, np.array([1.0, 1.0]))

    assert scored.prediction.tolist() == [1.0, 0.0]
    assert scored.scores.tolist() == [[0.9], [0.2]]
    assert scored.label.tolist() == [1.0, 1.0]
    assert np.isnan(vocabulary().scored(frame).label).all()
