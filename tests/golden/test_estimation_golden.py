"""Real predictions: what was estimated before the labels came against what scikit-learn then says of them."""

from collections.abc import Callable

import numpy as np
import polars as pl
import pytest
from numpy.typing import NDArray
from sklearn import metrics

from detectors.estimation import estimate
from detectors.score_calibration import covered, fit
from tests.oracles import binned

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Rows = tuple[Floats, Ints, Ints]
REFERENCE, WINDOW = 50_000, 5_000
TRUTH: dict[str, Callable[[Floats, Ints, Ints], float]] = {
    "roc_auc": lambda score, label, _: float(metrics.roc_auc_score(label, score)),
    "accuracy": lambda _, label, predicted: float(metrics.accuracy_score(label, predicted)),
    "average_precision": lambda score, label, _: float(metrics.average_precision_score(label, score)),
    "f1": lambda _, label, predicted: float(metrics.f1_score(label, predicted)),
}
BASELINE = {"roc_auc": 0.0021, "accuracy": 0.0031}
"""Mean absolute error over the ten windows after the reference, measured elsewhere: four decimals."""


@pytest.fixture(scope="module")
def rows(car_loans: pl.DataFrame) -> Rows:
    label = car_loans["repaid"].cast(pl.Int64).to_numpy()
    return car_loans["y_pred_proba"].to_numpy(), label, car_loans["y_pred"].to_numpy()


def part(rows: Rows, start: int, size: int) -> Rows:
    score, label, predicted = rows
    chosen = slice(start, start + size)
    return score[chosen], label[chosen], predicted[chosen]


@pytest.fixture(scope="module")
def compared(rows: Rows) -> dict[str, tuple[Floats, Floats]]:
    """Return of each metric the estimate [10, 3 (value, low, high)] and the realised value [10]."""
    learnt = fit(binned(*part(rows, 0, REFERENCE)))
    windows = [part(rows, start, WINDOW) for start in range(REFERENCE, 100_000, WINDOW)]
    found = [estimate(learnt, binned(*one).sum(axis=1), 0.05) for one in windows]
    return {
        name: (
            np.array([(one[name].value, one[name].low, one[name].high) for one in found], dtype=np.float64),
            np.array([realised(*one) for one in windows]),
        )
        for name, realised in TRUTH.items()
    }


@pytest.mark.parametrize("name", BASELINE)
def test_the_estimate_is_as_near_as_the_measured_baseline(
    name: str, compared: dict[str, tuple[Floats, Floats]]
) -> None:
    estimated, realised = compared[name]

    off = float(np.abs(estimated[:, 0] - realised).mean())

    print(f"car_loan: mean absolute error of the estimated {name} {off:.5f} (baseline {BASELINE[name]})")  # noqa: T201
    assert round(off, 4) <= BASELINE[name]


@pytest.mark.parametrize("name", TRUTH)
def test_the_realised_value_is_in_the_band(name: str, compared: dict[str, tuple[Floats, Floats]]) -> None:
    estimated, realised = compared[name]

    assert ((estimated[:, 1] <= realised) & (realised <= estimated[:, 2])).all()


@pytest.mark.parametrize("name", BASELINE)
def test_the_fall_at_row_75_000_is_seen_before_the_labels(
    name: str, compared: dict[str, tuple[Floats, Floats]]
) -> None:
    estimated, _ = compared[name]

    assert estimated[5:, 0].max() < estimated[:5, 0].min()


def test_the_reference_knows_every_score(rows: Rows) -> None:
    reference = fit(binned(*part(rows, 0, REFERENCE)))
    window = binned(*part(rows, REFERENCE, REFERENCE)).sum(axis=1).astype(np.float64)

    assert covered(reference.known, window) == 1.0
