"""What holds of the tables of a judged window for any rows."""

import json

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from detectors.classification import ClassMeasure
from detectors.measure import Floats, Scored
from monitor.core.details import details_of

few = settings(max_examples=60)


@st.composite
def windows(draw: st.DrawFn) -> tuple[ClassMeasure, Scored]:
    """Draw a measure and rows of which some have no label, no prediction or no score."""
    classes, n = draw(st.integers(2, 4)), draw(st.integers(0, 50))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    scores = rng.random((n, 1 if classes == 2 else classes)).round(draw(st.sampled_from([0, 1, 6])))
    label, prediction = (rng.integers(0, classes, n).astype(np.float64) for _ in range(2))
    for part in (label, prediction, scores[:, 0]):
        part[rng.random(n) < 0.2] = np.nan
    return ClassMeasure(tuple("abcd")[:classes], scored=True), Scored(prediction, scores, label)


def one(measure: ClassMeasure, rows: Scored) -> Floats:
    return np.asarray(measure.sums(rows, np.zeros(len(rows.label), np.int64), 1)[0])


@given(drawn=windows())
@few
def test_the_tables_are_plain_data_without_nan(drawn: tuple[ClassMeasure, Scored]) -> None:
    found = details_of(drawn[0], one(*drawn))
    assert json.loads(json.dumps(found, allow_nan=False)) == found


@given(drawn=windows())
@few
def test_every_labelled_row_is_counted_once(drawn: tuple[ClassMeasure, Scored]) -> None:
    rows = drawn[1]
    known = np.isfinite(rows.label)
    found = details_of(drawn[0], one(*drawn))

    assert np.sum(found["confusion"]["rows"]) == known.sum()
    assert sum(b[2] for b in found["reliability"]) == (known & np.isfinite(rows.scores).all(axis=1)).sum()


@given(drawn=windows(), seed=st.integers(0, 99))
@few
def test_rows_taken_off_again_leave_the_counts_of_the_others(
    drawn: tuple[ClassMeasure, Scored], seed: int
) -> None:
    measure, rows = drawn
    kept = np.random.default_rng(seed).random(len(rows.label)) < 0.5

    left = details_of(measure, one(measure, rows) - one(measure, rows.take(~kept)))
    alone = details_of(measure, one(measure, rows.take(kept)))

    assert left["confusion"] == alone["confusion"]
    assert left["bounds"] == alone["bounds"]
    assert [b[:3] for b in left["reliability"]] == [b[:3] for b in alone["reliability"]]
