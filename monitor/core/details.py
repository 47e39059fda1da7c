"""What a judged window of a classifier says beside its metrics, as plain data that is stored and shown."""

from typing import Any

from detectors.class_sums import ClassSums
from detectors.classification import ClassMeasure, bound_of, confusion, reliability
from detectors.measure import Floats, Measure
from monitor.core.profiles import OTHER


def details_of(measure: Measure, sums: Floats) -> dict[str, Any]:
    """Return the tables of labelled rows' sums [width], ready for JSON; {} of a task without classes.

    confusion: classes and rows, rows[i][j] of true class i predicted as j; the last is any other or none.
    With scores also reliability: [low, high, rows, mean score, share of hits] of each of 15 bins of the
    score, the last two None without rows; and bounds: area -> how far it can be from that of the rows,
    None where there is no area.
    """
    if not isinstance(measure, ClassMeasure):
        return {}
    named = ClassSums.of(sums, len(measure.classes))
    told = {"confusion": {"classes": [*measure.classes, OTHER], "rows": confusion(named).tolist()}}
    if "roc_auc" not in measure.better:
        return told
    bins = [[b.low, b.high, b.n, b.mean_score, b.hits] for b in reliability(named)]
    return told | {"reliability": bins, "bounds": bound_of(named)}
