"""What holds of every estimate, whatever was counted."""

import math

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from detectors.estimation import estimate
from detectors.score_calibration import BINS, covered, fit, known

Counts = NDArray[np.int64]
CLASSES = st.sampled_from([1, 2, 3])
LEVELS = st.floats(1e-9, 0.5)


@st.composite
def references(draw: st.DrawFn, classes: int) -> Counts:
    """Return a few cells with rows: int64 [K, 2, 2, BINS], at least one row in each class."""
    table = np.zeros((classes, 2, 2, BINS), dtype=np.int64)
    for k in range(classes):
        cell = st.tuples(st.integers(0, 1), st.integers(0, 1), st.integers(0, BINS - 1))
        for (label, predicted, place), n in draw(
            st.dictionaries(cell, st.integers(1, 500), min_size=1, max_size=12)
        ).items():
            table[k, label, predicted, place] = n
    return table


@st.composite
def pairs(draw: st.DrawFn) -> tuple[Counts, Counts]:
    classes = draw(CLASSES)
    return draw(references(classes)), draw(references(classes)).sum(axis=1)


@given(pairs(), LEVELS)
def test_a_value_is_in_its_band_and_the_band_in_the_unit_interval(
    pair: tuple[Counts, Counts], level: float
) -> None:
    for found in estimate(fit(pair[0]), pair[1], level).values():
        if found.value is not None:
            assert found.low is not None
            assert found.high is not None
            assert 0.0 <= found.low <= found.value + 1e-9
            assert found.value - 1e-9 <= found.high <= 1.0
            assert math.isfinite(found.value)
        else:
            assert (found.low, found.high) == (None, None)


@given(CLASSES.flatmap(references))
def test_probabilities_rise_with_the_score_within_the_unit_interval(reference: Counts) -> None:
    learnt = fit(reference).probability

    assert ((learnt >= 0.0) & (learnt <= 1.0)).all()
    assert (np.diff(learnt, axis=1) >= -1e-12).all()


@given(pairs())
def test_coverage_is_a_share_and_grows_with_the_reference(pair: tuple[Counts, Counts]) -> None:
    reference, window = pair
    rows, opened = reference.sum(axis=(1, 2)).astype(np.float64), window.astype(np.float64)
    found, more = covered(known(rows), opened), covered(known(rows * 5), opened)

    assert found is not None
    assert more is not None
    assert 0.0 <= found <= more <= 1.0


@given(references(1), LEVELS)
def test_more_rows_of_the_same_kind_move_no_value(reference: Counts, level: float) -> None:
    learnt, window = fit(reference), reference.sum(axis=1)
    one, many = estimate(learnt, window, level), estimate(learnt, window * 9, level)

    for name, found in one.items():
        again = many[name].value
        if found.value is None or again is None:
            assert found.value is again is None
        else:
            assert math.isclose(found.value, again, abs_tol=1e-9)


@given(pairs(), LEVELS)
def test_a_class_without_a_metric_leaves_its_part_of_the_mean_open(
    pair: tuple[Counts, Counts], level: float
) -> None:
    found = estimate(fit(pair[0]), pair[1], level)
    classes = len(pair[0])
    for name in ("precision", "recall", "f1") if classes > 1 else ():
        open_ = sum(found[f"{name}:{k}"].value is None for k in range(classes))
        mean = found[f"{name}_macro"]
        if mean.low is not None and mean.high is not None:
            assert mean.high - mean.low >= open_ / classes - 1e-9
