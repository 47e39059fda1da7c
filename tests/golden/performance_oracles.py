"""Performance of the same rows by scikit-learn. Rows have y_pred, label, and scores named `score...`."""

from collections.abc import Mapping, Sequence

import numpy as np
import polars as pl
import pytest
from sklearn import metrics

from detectors.class_sums import ClassSums
from detectors.classification import ClassMeasure, bound_of
from detectors.measure import Scored
from monitor.core.labels import Measured
from tests.oracles import decisions

AREAS = ("roc_auc", "average_precision")
NEAR = 1e-9


def binary(rows: pl.DataFrame) -> dict[str, float]:
    """Return the metrics of two classes, 0 and 1, and of their one score."""
    label, predicted, score = (
        rows[name].cast(pl.Float64).to_numpy() for name in ("label", "y_pred", "score")
    )
    chance = np.column_stack([1 - score, score])
    return {
        **decisions(label, predicted),
        "mcc": metrics.matthews_corrcoef(label, predicted),
        "log_loss": metrics.log_loss(label, chance, labels=[0, 1]),
        "brier": metrics.brier_score_loss(label, score),
        "roc_auc": metrics.roc_auc_score(label, score),
        "average_precision": metrics.average_precision_score(label, score),
        "positive_share_predicted": float(predicted.mean()),
    }


def several(rows: pl.DataFrame, classes: Sequence[str]) -> dict[str, float]:
    """Return the metrics of more classes, whose scores are `score_<class>`."""
    label, predicted = rows["label"].to_numpy(), rows["y_pred"].to_numpy()
    ordered = sorted(classes)
    score = rows.select([f"score_{name}" for name in ordered]).to_numpy()
    found = {
        "accuracy": metrics.accuracy_score(label, predicted),
        "balanced_accuracy": metrics.balanced_accuracy_score(label, predicted),
        "mcc": metrics.matthews_corrcoef(label, predicted),
        "log_loss": metrics.log_loss(label, score, labels=ordered),
        "roc_auc": metrics.roc_auc_score(label, score, multi_class="ovr", labels=ordered),
    }
    for place, name in enumerate(("precision", "recall", "f1")):
        for way in ("macro", "weighted"):
            of_all = metrics.precision_recall_fscore_support(label, predicted, average=way)
            found[f"{name}_{way}"] = of_all[place]
        each = metrics.precision_recall_fscore_support(label, predicted, labels=classes)[place]
        found |= {f"{name}:{one}": float(value) for one, value in zip(classes, each, strict=True)}
    return found


def regression(rows: pl.DataFrame) -> dict[str, float]:
    """Return the metrics of numbers."""
    label, predicted = rows["label"].to_numpy(), rows["y_pred"].to_numpy()
    return {
        "mae": metrics.mean_absolute_error(label, predicted),
        "mse": metrics.mean_squared_error(label, predicted),
        "rmse": metrics.root_mean_squared_error(label, predicted),
        "r2": metrics.r2_score(label, predicted),
        "mape": metrics.mean_absolute_percentage_error(label, predicted),
    }


def bounds(rows: pl.DataFrame) -> Mapping[str, float]:
    """Return how far the histogram of the score may take the areas of two classes."""
    label, predicted, score = (
        rows[name].cast(pl.Float64).to_numpy() for name in ("label", "y_pred", "score")
    )
    measure = ClassMeasure(("0", "1"), scored=True)
    sums = measure.sums(Scored(predicted, score[:, None], label), np.zeros(len(label), np.int64), 1)[0]
    return {name: bound or 0.0 for name, bound in bound_of(ClassSums.of(sums, 2)).items()}


def agree(
    measured: Measured, expected: Mapping[str, float], allowed: Mapping[str, float] | None = None
) -> None:
    """Assert that what was measured equals what is expected, within the bounds that are allowed."""
    for name, value in expected.items():
        found = measured.metrics[name].value
        assert found == pytest.approx(value, rel=NEAR, abs=(allowed or {}).get(name, 0.0) + NEAR), name


def agree_binary(measured: Measured, rows: pl.DataFrame) -> None:
    """Assert that every metric of two classes is scikit-learn's, and that there are no others but ece."""
    expected = binary(rows)
    assert measured.metrics.keys() - expected.keys() == {"ece"}
    agree(measured, expected, bounds(rows))
