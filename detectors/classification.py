"""How good a classifier's predictions were: the measure of two and of more classes, and its tables."""

from collections.abc import Mapping
from types import MappingProxyType

import numpy as np
from msgspec import Struct

from detectors.class_curves import mean_area
from detectors.class_metrics import NOTHING, Table, area_estimate, areas, brier, ece, log_loss
from detectors.class_ratios import RATIOS
from detectors.class_sums import BINARY, ClassSums, Counting, labelled_width, open_width
from detectors.measure import Better, Estimate, Floats, Ints, Scored

OF_SCORES = MappingProxyType(
    {
        "log_loss": Better.LOWER,
        "brier": Better.LOWER,
        "roc_auc": Better.HIGHER,
        "average_precision": Better.HIGHER,
        "ece": Better.LOWER,
    }
)


class ClassMeasure:
    """Metrics of a classifier, from confusion counts, histograms of the scores and sums of losses.

    Two classes: the second one is the positive one, and precision, recall, f1 and specificity are of it.
    More classes: each of these is given as `<metric>_macro`, `<metric>_weighted` (by how many rows are of
    a class) and `<metric>:<class>`; areas under curves are means of one class against the rest over the
    classes that occur. Values are scikit-learn's with zero_division=0; the areas, which rest on a
    histogram of 1,000 bins, are within `bound_of`. What is undefined is None.

    Parameters
    ----------
    classes
        Names of the classes by code, two or more.
    scored
        Whether rows have scores; without, the metrics that need them are left out.
    threshold
        Two classes only: class 1 is predicted where the score is at least this, whatever the row's own
        prediction. By default that holds at 0.5 for rows without a prediction. With more classes, the one
        of the highest score is predicted where a row has no prediction.
    costs
        float64 [C, C]: what a row costs that is of class i and was predicted j; adds the metric `cost`, of
        the rows of which both are known.

    Examples
    --------
    >>> rng = np.random.default_rng(1)
    >>> scores = rng.random((1000, 1))
    >>> label = (rng.random(1000) < scores[:, 0]).astype(np.float64)
    >>> measure = ClassMeasure(("no", "yes"), scored=True)
    >>> rows = Scored(np.full(1000, np.nan), scores, label)
    >>> sums = measure.sums(rows, np.zeros(1000, dtype=np.int64), 1)[0]
    >>> found = measure.values(sums, 0.05)
    >>> accuracy, auc = found["accuracy"], found["roc_auc"]
    >>> accuracy.value, accuracy.method, auc.method
    (0.748, 'exact', 'delong')
    >>> round(auc.low, 3), round(auc.value, 3), round(auc.high, 3)
    (0.823, 0.848, 0.870)

    """

    def __init__(
        self,
        classes: tuple[str, ...],
        *,
        scored: bool,
        threshold: float | None = None,
        costs: Floats | None = None,
    ) -> None:
        size = len(classes)
        _check(classes, scored=scored, threshold=threshold, costs=costs)
        self.classes = classes
        self.width = labelled_width(size, scored=scored)
        self.open_width = open_width(size, scored=scored)
        self._counting = Counting(size, scored, threshold)
        self._costs = costs
        names = _binary_names() if size == BINARY else _multiclass_names(classes)
        names |= OF_SCORES if scored else {}
        names |= _share_names(classes)
        names |= {} if costs is None else {"cost": Better.LOWER}
        self.better: Mapping[str, Better] = MappingProxyType(names)

    def sums(self, rows: Scored, groups: Ints, count: int) -> Floats:
        """Sum up rows with labels: float64 [count, width]. Rows without a label are left out."""
        return self._counting.labelled(rows, groups, count)

    def open_sums(self, rows: Scored, groups: Ints, count: int) -> Floats:
        """Sum up predictions whatever their labels: float64 [count, open_width]."""
        return self._counting.open(rows, groups, count)

    def values(self, sums: Floats, level: float) -> Mapping[str, Estimate]:
        """Return every metric of `better` from sums [width], each with its interval of confidence 1 - level.

        Intervals of areas do not hold the error of the histogram (`bound_of`).
        """
        named = ClassSums.of(sums, len(self.classes))
        table = Table(named.confusion, level)
        if table.n <= 0:
            return dict.fromkeys(self.better, NOTHING)
        found = {"accuracy": table.accuracy(), "mcc": table.mcc()}
        found["balanced_accuracy"] = table.balanced_accuracy()
        found |= self._of_classes(table)
        found |= _of_scores(named, level)
        if self._costs is not None:
            found["cost"] = table.cost(self._costs)
        return {name: found[name] for name in self.better}

    def losses(self, sums: Floats) -> tuple[int, float, float]:
        """Return rows, sum and sum of squares of their losses: 1 for a wrong class, or its cost."""
        table = ClassSums.of(sums, len(self.classes)).confusion
        if self._costs is None:
            wrong = float(table.sum() - np.trace(table))
            return round(float(table.sum())), wrong, wrong
        told = table[: len(self.classes), : len(self.classes)]
        total, squares = float((told * self._costs).sum()), float((told * self._costs**2).sum())
        return round(float(told.sum())), total, squares

    def _of_classes(self, table: Table) -> dict[str, Estimate]:
        if len(self.classes) == BINARY:
            found = {name: table.of_class(name, 1) for name in RATIOS}
            shares = {"true": table.true_share(1), "predicted": table.predicted_share(1)}
            return found | {f"positive_share_{side}": share for side, share in shares.items()}
        found = {f"{name}_macro": table.macro(name) for name in RATIOS}
        found |= {f"{name}_weighted": table.weighted(name) for name in RATIOS}
        for k, label in enumerate(self.classes):
            found |= {f"{name}:{label}": table.of_class(name, k) for name in RATIOS}
            found |= {f"true_share:{label}": table.true_share(k)}
            found |= {f"predicted_share:{label}": table.predicted_share(k)}
        return found


def _check(classes: tuple[str, ...], *, scored: bool, threshold: float | None, costs: Floats | None) -> None:
    size = len(classes)
    if size < BINARY or len(set(classes)) < size:
        raise ValueError(f"two or more different classes are needed, not {classes}")
    if threshold is not None and not (size == BINARY and scored and 0 <= threshold <= 1):
        raise ValueError("a threshold in [0, 1] belongs to two classes with scores")
    if costs is not None and (costs.shape != (size, size) or not np.isfinite(costs).all()):
        raise ValueError(f"costs are {size} by {size} finite numbers")


def _binary_names() -> dict[str, Better]:
    return dict.fromkeys(("accuracy", *RATIOS, "balanced_accuracy", "mcc"), Better.HIGHER)


def _multiclass_names(classes: tuple[str, ...]) -> dict[str, Better]:
    kinds = ("_macro", "_weighted", *(f":{label}" for label in classes))
    of_classes = [f"{name}{kind}" for name in RATIOS for kind in kinds]
    return dict.fromkeys(("accuracy", *of_classes, "balanced_accuracy", "mcc"), Better.HIGHER)


def _share_names(classes: tuple[str, ...]) -> dict[str, Better]:
    if len(classes) == BINARY:
        return dict.fromkeys(("positive_share_true", "positive_share_predicted"), Better.NEITHER)
    sides = ("true", "predicted")
    return {f"{side}_share:{label}": Better.NEITHER for side in sides for label in classes}


def _of_scores(sums: ClassSums, level: float) -> dict[str, Estimate]:
    found = {name: area_estimate(each, sums.scored, level) for name, each in areas(sums).items()}
    return found | {"log_loss": log_loss(sums, level), "brier": brier(sums, level), "ece": ece(sums, level)}


class ReliabilityBin(Struct, frozen=True):
    """Rows whose top score (two classes: score of class 1) is in one of 15 equal bins, in [low, high).

    hits: the share of them whose class was that (two classes: that are of class 1). None without rows.
    """

    low: float
    high: float
    n: int
    mean_score: float | None
    hits: float | None


def reliability(sums: ClassSums) -> tuple[ReliabilityBin, ...]:
    """Return what the scores promised and what happened, by bin of the score, lowest first."""
    rows = sums.top_counts.sum(axis=1)
    ends = np.linspace(0.0, 1.0, len(rows) + 1)
    return tuple(
        ReliabilityBin(low, high, round(n), total / n if n > 0 else None, hits / n if n > 0 else None)
        for low, high, n, total, hits in zip(
            ends[:-1].tolist(),
            ends[1:].tolist(),
            rows.tolist(),
            sums.top_scores.tolist(),
            sums.top_counts[:, 1].tolist(),
            strict=True,
        )
    )


def confusion(sums: ClassSums) -> Ints:
    """Return rows by true and predicted class, int64 [C + 1, C + 1]; last is any other class or none."""
    return np.rint(sums.confusion).astype(np.int64)


def bound_of(sums: ClassSums) -> dict[str, float | None]:
    """Return how far roc_auc and average_precision can be from those of the rows; None where they are None.

    Of roc_auc, half of the probability that a row of the class and one of the others share a bin; of
    average_precision, the farther of the best and the worst order within the bins. Of more than two
    classes, the means.
    """
    means = {name: mean_area(each) for name, each in areas(sums).items()}
    return {name: None if area is None else area.bound for name, area in means.items()}
