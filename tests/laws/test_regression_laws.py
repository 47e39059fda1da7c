"""What holds of the sums and values of numbers and rankings for any rows."""

import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from sklearn import metrics

from detectors.measure import Estimate, Floats, Ints, Measure, Scored
from detectors.ranking import RankingMeasure
from detectors.regression import ERROR_QUANTILES, RegressionMeasure, error_edges

few = settings(max_examples=50)
EDGES = tuple(float(x) for x in np.linspace(-40, 40, 33))
MEASURES: list[Measure] = [RegressionMeasure(EDGES, (0.1, 0.9), 1.0), RankingMeasure((1, 3))]

near = st.integers(-80, 80).map(lambda i: i / 8)  # eighths: sums of their powers are exact
anything = st.floats(allow_nan=True, allow_infinity=True)
sizes = st.shared(st.integers(0, 60), key="n")


def rows_with(elements: st.SearchStrategy[float]) -> st.SearchStrategy[Scored]:
    values = hnp.arrays(np.float64, sizes, elements=elements)
    queries = hnp.arrays(np.uint64, sizes, elements=st.integers(0, 9))
    return st.builds(lambda p, s, y, q: Scored(p, s[:, None], y, q), values, values, values, queries)


def total(measure: Measure, rows: Scored) -> Floats:
    zeros = np.zeros(len(rows.label), np.int64)
    return np.asarray(measure.sums(rows, zeros, 1)[0], dtype=np.float64)


def parts_of(rows: Scored, seed: int) -> Ints:
    """Return which of three parts each row goes to, rows of one query together."""
    assert rows.query is not None
    return np.random.default_rng(seed).integers(0, 3, 10)[rows.query.astype(np.int64)]


@pytest.mark.parametrize("measure", MEASURES)
@given(rows=rows_with(near), seed=st.integers(0, 99))
@few
def test_parts_add_up_to_the_whole(measure: Measure, rows: Scored, seed: int) -> None:
    part = parts_of(rows, seed)
    added = sum(total(measure, rows.take(part == i)) for i in range(3))

    assert added == pytest.approx(total(measure, rows), rel=1e-12, abs=1e-12)
    assert measure.sums(rows, part, 3).sum(axis=0) == pytest.approx(added, rel=1e-12, abs=1e-12)
    assert measure.open_sums(rows, part, 3).shape == (3, measure.open_width)


@pytest.mark.parametrize("measure", MEASURES)
@given(rows=rows_with(near), seed=st.integers(0, 99))
@few
def test_rows_counted_can_be_taken_off_again(measure: Measure, rows: Scored, seed: int) -> None:
    gone = parts_of(rows, seed) == 0
    left = total(measure, rows) - total(measure, rows.take(gone))

    assert left == pytest.approx(total(measure, rows.take(~gone)), rel=1e-9, abs=1e-9)


@pytest.mark.parametrize("measure", MEASURES)
@given(rows=rows_with(anything))
@few
def test_no_row_makes_an_estimate_that_is_not_a_number(measure: Measure, rows: Scored) -> None:
    sums = total(measure, rows)

    assert np.isfinite(sums).all()
    for found in measure.values(sums, 0.05).values():
        numbers = (found.value, found.low, found.high)
        assert all(x is None or math.isfinite(x) for x in numbers)


@pytest.mark.parametrize("measure", MEASURES)
@given(rows=st.one_of(rows_with(near), rows_with(anything)), level=st.sampled_from([0.3, 0.05, 1e-6]))
@few
def test_an_interval_holds_its_value(measure: Measure, rows: Scored, level: float) -> None:
    for found in measure.values(total(measure, rows), level).values():
        assert (found.low is None) == (found.high is None) == (not found.method)
        if found.low is not None and found.high is not None:
            assert found.value is not None
            assert found.low <= found.value <= found.high


@given(rows=rows_with(near).filter(lambda r: len(np.unique(r.label)) > 1))
@few
def test_values_are_scikit_learns(rows: Scored) -> None:
    found = MEASURES[0].values(total(MEASURES[0], rows), 0.05)
    wanted = {
        "mae": metrics.mean_absolute_error(rows.label, rows.prediction),
        "mse": metrics.mean_squared_error(rows.label, rows.prediction),
        "r2": metrics.r2_score(rows.label, rows.prediction),
        "pinball:0.1": metrics.mean_pinball_loss(rows.label, rows.prediction, alpha=0.1),
    }

    assert {name: found[name].value for name in wanted} == pytest.approx(wanted, rel=1e-9, abs=1e-9)


@given(errors=hnp.arrays(np.float64, st.integers(1, 80), elements=st.floats(-39, 39)))
@few
def test_an_error_quantile_is_in_its_cell(errors: Floats) -> None:
    rows = Scored(errors, np.empty((len(errors), 0)), np.zeros(len(errors)))
    found = MEASURES[0].values(total(MEASURES[0], rows), 0.05)

    for name, q in ERROR_QUANTILES.items():
        exact = np.sort(errors)[math.ceil(q * len(errors)) - 1]
        cell = int(np.searchsorted(EDGES, exact, side="right"))
        value = found[name].value
        assert value is not None
        assert EDGES[cell - 1] <= value <= EDGES[cell]


def skewed(random: np.random.Generator) -> Scored:
    label = random.gamma(4.0, 5.0, 500) + 5.0
    prediction = label + random.gamma(9.0, 1.0, 500) - 8.0 + 0.05 * label * random.normal(size=500)
    return Scored(prediction, np.empty((500, 0)), label)


def ranked(random: np.random.Generator) -> Scored:
    label = np.maximum(random.integers(-4, 4, 2_000), 0).astype(np.float64)
    score = label + random.normal(scale=3.0, size=2_000)
    return Scored(label, score[:, None], label, np.arange(2_000, dtype=np.uint64) // 10)


def coverage(measure: Measure, draw: Callable[[np.random.Generator], Scored]) -> dict[str, float]:
    """Return how often of 400 times each interval holds what a thousand times the rows give."""
    random = np.random.default_rng(20_240_601)
    large = sum(total(measure, draw(random)) for _ in range(1_000))
    assert isinstance(large, np.ndarray)
    truth = {name: e.value for name, e in measure.values(large, 0.05).items() if e.method}
    runs = [measure.values(total(measure, draw(random)), 0.05) for _ in range(400)]
    return {name: sum(holds(run[name], true) for run in runs) / 400 for name, true in truth.items()}


def holds(found: Estimate, true: float | None) -> bool:
    assert found.low is not None
    assert found.high is not None
    assert true is not None
    return found.low <= true <= found.high


def test_intervals_of_numbers_hold_the_truth_as_often_as_they_say() -> None:
    reference = skewed(np.random.default_rng(1))
    edges = error_edges(reference.prediction - reference.label)
    shares = coverage(RegressionMeasure(edges, (0.1, 0.9), 20.0), skewed)
    wide = {name: share for name, share in shares.items() if name in ERROR_QUANTILES}

    assert len(shares) == 13
    assert all(share >= 0.93 for share in wide.values()), shares  # outwards to the cells' edges
    assert all(0.92 <= share <= 0.98 for name, share in shares.items() if name not in wide), shares


def test_intervals_of_rankings_hold_the_truth_as_often_as_they_say() -> None:
    shares = coverage(RankingMeasure((3,)), ranked)

    assert len(shares) == 5
    assert all(0.92 <= share <= 0.98 for share in shares.values()), shares
