"""Audit records of verdicts on performance: the sums that were judged, and how to make metrics of them."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from detectors import estimation
from detectors.base import Verdict
from detectors.class_sums import ClassSums, OpenSums
from detectors.classification import ClassMeasure
from detectors.direct_loss import estimate_sums, loss_sums
from detectors.intervals import normal_quantile
from detectors.measure import Better, Estimate, Measure
from detectors.performance import Allowed, Question, judge
from detectors.profile import WindowProfile
from detectors.ranking import RankingMeasure
from detectors.regression import RegressionMeasure
from detectors.score_calibration import fit
from monitor.core.assessing import REFERENCE_LEVEL, Assessor, loss_inputs, stretched
from monitor.core.labels import Record
from monitor.core.profiles import ALL
from monitor.core.records import AuditRecord, Evidence
from monitor.core.sparse import Sparse
from monitor.core.standard import Standard

Arrays = dict[str, NDArray[Any]]
Scene = tuple[Assessor, Standard, Record | None, int]
"""What measures, by what, the sums of the group's rows, and how many groups share the budget."""


def measured_evidence(
    scene: Scene, segment: str, detector: str, seen: WindowProfile | None
) -> Evidence | None:
    """Return what a verdict on performance was computed from; seen: the window, of an estimate."""
    assessor, standard, record, groups = scene
    question = next((q for q in assessor.questions if q.detector == detector), None)
    if question is None or record is None:
        return None
    model = assessor.plan.model
    level = assessor.level(groups)
    head: dict[str, Any] = {
        "level": level,
        "groups": groups,
        "threshold": question.threshold,
        "rows": [record.rows, record.labelled],
        "question": {"metric": question.metric, "better": str(question.better)},
        "task": model.task,
        "classes": assessor.vocabulary.classes,
        "scored": bool(assessor.vocabulary.scores),
        "centre": standard.centre,
        "costs": model.performance.costs,
        "reference": {"number": standard.number, "layout": standard.layout},
    }
    arrays: Arrays = {"edges": np.array(standard.edges, np.float64)}
    known = standard.sums.get(segment, standard.sums.get(ALL))
    if known is not None:
        arrays |= _sparse("reference/", known)
    if not question.estimated:
        return Evidence("realised", head, arrays | _sparse("window/", record.sums))
    whole = standard.sums.get(ALL)
    if isinstance(assessor.bench(standard).measure, ClassMeasure):
        arrays |= _sparse("calibration/", whole) if whole is not None else {}
        return Evidence("estimate", head, arrays | _sparse("open/", record.open))
    loss = assessor.bench(standard).loss
    if loss is None or seen is None or seen.window.sample is None:
        return None
    features, prediction = loss_inputs(seen.grid, seen.window.sample)
    usable = np.isfinite(prediction)
    arrays["losses"] = loss_sums(loss.predict(features[usable], prediction[usable]))
    return Evidence("estimate", {**head, "loss": {"kurtosis": loss.kurtosis, "rows": loss.rows}}, arrays)


def _sparse(prefix: str, sums: NDArray[np.float64]) -> Arrays:
    held = Sparse.of(sums)
    found = {name: np.asarray(a) for name, a in held.arrays(prefix).items()}
    return {**found, f"{prefix}size": np.array([held.size])}


def _dense(record: AuditRecord, prefix: str) -> NDArray[np.float64]:
    if f"{prefix}size" not in record.arrays:
        return np.zeros(0)
    size = int(record.arrays[f"{prefix}size"][0])
    return Sparse.load(size, record.arrays, prefix).dense()


def measure_in(record: AuditRecord) -> Measure:
    """Return the measure of a record's task."""
    head, wishes = record.head, record.head["config"]["performance"]
    if head["task"] == "regression":
        edges = tuple(record.arrays["edges"].tolist())
        return RegressionMeasure(edges, tuple(wishes["quantiles"]), head["centre"])
    if head["task"] == "ranking":
        return RankingMeasure(tuple(wishes["k"]))
    costs = np.array(head["costs"]) if head["costs"] else None
    return ClassMeasure(
        tuple(head["classes"]), scored=head["scored"], threshold=wishes["threshold"], costs=costs
    )


def realised(record: AuditRecord) -> Verdict:
    """Judge a record's realised performance again."""
    found = measure_in(record).values(_dense(record, "window/"), record.head["level"])
    return _judged(record, found)


def estimated(record: AuditRecord) -> Verdict:
    """Judge a record's estimated performance again."""
    head, level = record.head, record.head["level"]
    if "losses" in record.arrays:
        loss = head["loss"]
        found = estimate_sums(record.arrays["losses"], level, loss["kurtosis"], loss["rows"])
        return _judged(record, found)
    classes = tuple(head["classes"])
    calibration = fit(ClassSums.of(_dense(record, "calibration/"), len(classes)).labelled)
    opened = OpenSums.of(_dense(record, "open/"), len(classes)).open
    return _judged(record, estimation.estimate(calibration, opened, level, classes))


def _judged(record: AuditRecord, found: Mapping[str, Estimate]) -> Verdict:
    head, asked = record.head, record.head["question"]
    estimated_ = record.head["how"] == "estimate"
    question = Question(asked["metric"], Better(asked["better"]), estimated_, head["threshold"])
    wishes, alarms = head["config"]["performance"], head["config"]["alarms"]
    allowed = Allowed(wishes["tolerance"], wishes["relative_tolerance"], alarms["min_rows"])
    reference = _dense(record, "reference/")
    known = measure_in(record).values(reference, REFERENCE_LEVEL) if len(reference) else {}
    stretch = normal_quantile(head["level"]) / normal_quantile(REFERENCE_LEVEL)
    usual = stretched(known.get(question.metric), stretch)
    return judge(question, found[question.metric], usual, allowed)
