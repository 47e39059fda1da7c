"""What distances and metrics are by definition: by SciPy and scikit-learn where they have them, on rows."""

from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy import stats
from scipy.spatial.distance import jensenshannon
from sklearn import metrics

from detectors.profile import NumericGrid

Floats = NDArray[np.float64]
Counts = NDArray[np.int64]


def distances(p: Counts, q: Counts) -> dict[str, float]:
    """Return the six distances of shares, by SciPy where it has them, else by their definitions."""
    used = (p + q) > 0
    a, b = p / p.sum(), q / q.sum()
    smooth = (p[used] + 0.5) / (p[used] + 0.5).sum(), (q[used] + 0.5) / (q[used] + 0.5).sum()
    noise = 1 / p.sum() + 1 / q.sum()
    psi = stats.entropy(*smooth) + stats.entropy(*smooth[::-1]) - (used.sum() - 1) * noise
    return {
        "psi": max(float(psi), 0.0),
        "js": float(jensenshannon(a, b, base=2)),
        "chi2": float(stats.chi2_contingency(np.array([p, q])[:, used], correction=False).statistic),
        "hellinger": float(np.linalg.norm(np.sqrt(a) - np.sqrt(b)) / np.sqrt(2)),
        "total_variation": float(np.linalg.norm(a - b, 1) / 2),
        "l_infinity": float(np.linalg.norm(a - b, np.inf)),
    }


def decisions(label: NDArray[Any], predicted: NDArray[Any]) -> dict[str, float]:
    """Return the metrics of two classes, 0 and 1, that ask for no score."""
    return {
        "accuracy": metrics.accuracy_score(label, predicted),
        "precision": metrics.precision_score(label, predicted),
        "recall": metrics.recall_score(label, predicted),
        "f1": metrics.f1_score(label, predicted),
        "specificity": metrics.recall_score(label, predicted, pos_label=0),
        "balanced_accuracy": metrics.balanced_accuracy_score(label, predicted),
        "positive_share_true": float(label.mean()),
    }


def binned(score: Floats, label: Counts, predicted: Counts) -> Counts:
    """Count the rows of two classes: [1, 2 (label), 2 (predicted), 1000 (score)]."""
    bins = np.minimum((score * 1000).astype(np.int64), 999)
    return np.bincount((label * 2 + predicted) * 1000 + bins, minlength=4000).reshape(1, 2, 2, 1000)


def categories(reference: pl.Series, window: pl.Series) -> tuple[Counts, Counts]:
    both = [dict(s.drop_nulls().value_counts().iter_rows()) for s in (reference, window)]
    names = sorted({*both[0], *both[1]}, key=str)
    p, q = (np.array([one.get(name, 0) for name in names]) for one in both)
    return p, q


def cells(grid: NumericGrid, values: Floats) -> Counts:
    """Return how many values are below, in each bin, above: counted by searching the grid's edges."""
    inside = values[(values >= grid.lo) & (values <= grid.hi)]
    bins = np.bincount(np.searchsorted(grid.edges, inside, side="left"), minlength=grid.bins)
    return np.array([(values < grid.lo).sum(), *bins, (values > grid.hi).sum()])


def anderson_darling(old: Floats | Counts, new: Floats | Counts) -> float:
    """Return A^2 by its definition, each of tied rows at the end of its tie."""
    pooled = np.concatenate([old, new])
    difference = stats.ecdf(old).cdf.evaluate(pooled) - stats.ecdf(new).cdf.evaluate(pooled)
    both = stats.ecdf(pooled).cdf.evaluate(pooled)
    inside = both < 1.0
    terms = np.square(difference[inside]) / (both[inside] * (1.0 - both[inside]))
    return float(len(old) * len(new) / len(pooled) ** 2 * terms.sum())


def cramer_von_mises(old: Floats, new: Floats) -> float:
    """Return T by its definition, NM/(N+M) times the mean of (F - G)^2 over the pooled rows."""
    pooled = np.concatenate([old, new])
    difference = stats.ecdf(old).cdf.evaluate(pooled) - stats.ecdf(new).cdf.evaluate(pooled)
    size = len(old) * len(new) / len(pooled)
    return float(size * np.square(difference).mean())
