"""Why performance is worse: because other inputs came, or because they mean something else now.

What the reference's model would reach on the window's inputs is the estimate that needs no outcomes: its
calibrated scores, or its losses, weighted as the window has them (estimation.py, direct_loss.py); without
either, the reference's outcomes by predicted class. From the reference to that, the inputs moved; from that
to what was realised, the relation of inputs and outcomes changed.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from msgspec.structs import replace

from detectors import estimation
from detectors.class_sums import OpenSums
from detectors.classification import ClassMeasure
from detectors.measure import Better, Estimate
from detectors.performance import ESTIMATED as PREFIX
from monitor.core.assessing import Assessor, Bench
from monitor.core.attributing import DIGITS, since
from monitor.core.labels import ESTIMATED, REALIZED, Labels, Record, SeriesKey
from monitor.core.profiles import ALL, GroupKey
from monitor.core.retrain import rfc3339
from monitor.core.standard import GROUP, Standard

Document = dict[str, Any]
MOVED, CHANGED, BOTH = "inputs moved", "relation changed", "both"
MOST = 0.7
"""Of the loss, for one of the two to be called the reason."""
SEGMENTS = 5
LEVEL = 0.05
"""Of the intervals that tell a loss from chance: numbers to look at, not alarms."""


def of_performance(
    assessor: Assessor, standard: Standard, labels: Labels, group: GroupKey, detector: str
) -> Document:
    """Split what a metric of a window has lost against the reference, also by segment.

    A detector that goes over errors or losses has no metric of its own: the first that is judged stands in.
    """
    bench = assessor.bench(standard)
    metric, guessed = detector.removeprefix(PREFIX), detector.startswith(PREFIX)
    if metric not in bench.measure.better:
        metric = next((q.metric for q in assessor.questions if not q.estimated), metric)
    whole = _parts(bench, labels, group, (metric, guessed))
    others = {
        key.segment: record
        for key, record in labels.records.items()
        if (key.start, key.version) == (group.start, group.version)
        and key.segment not in {ALL, group.segment}
        and not key.segment.startswith(GROUP)
    }
    segments = []
    for label in sorted(others) if group.segment == ALL else ():
        part = _parts(bench, labels, replace(group, segment=label), (metric, guessed))
        segments.append({"label": label, "rows": others[label].labelled, **part})
    segments.sort(key=lambda one: (-_lost(one) * one["rows"], one["label"]))
    return {"metric": metric, **whole, "segments": segments[:SEGMENTS]}


def _lost(part: Mapping[str, Any]) -> float:
    return (part["inputs"] or 0.0) + (part["relation"] or 0.0)


def _parts(bench: Bench, labels: Labels, group: GroupKey, asked: tuple[str, bool]) -> Document:
    """Return the parts of one group's loss. asked: the metric, and whether it was estimated."""
    (metric, guessed), record = asked, labels.records.get(group)
    reference = _value(bench.reference.get(group.segment, bench.reference.get(ALL, {})).get(metric))
    expected = _expected(bench, labels, group, metric) if record is not None else None
    seen = record is not None and record.labelled and not guessed
    values = bench.measure.values(record.sums, LEVEL) if record is not None and seen else {}
    realised = values.get(metric)
    worse = 1.0 if bench.measure.better.get(metric) is Better.HIGHER else -1.0
    moved = _less(reference, _value(expected), worse)
    changed = 0.0 if guessed else _less(_value(expected), _value(realised), worse)
    sure = _apart(reference, expected if guessed else realised)
    return {
        "reference": _short(reference),
        "expected": _short(_value(expected)),
        "realised": _short(_value(realised)),
        "inputs": _short(moved),
        "relation": None if guessed else _short(changed),
        "says": says(moved, changed) if sure else None,
    }


def _less(before: float | None, after: float | None, worse: float) -> float | None:
    """Return what was lost from one value to the other, below 0 for a gain."""
    return None if before is None or after is None else worse * (before - after)


def _apart(reference: float | None, found: Estimate | None) -> bool:
    """Tell whether chance alone does not make the difference from the reference."""
    if reference is None or found is None or found.low is None or found.high is None:
        return False
    return not found.low <= reference <= found.high


def says(moved: float | None, changed: float | None) -> str | None:
    """Name the reason for a loss: what the inputs cost and what the changed relation did, None if unknown.

    >>> says(0.01, 0.2), says(0.2, -0.01), says(0.1, 0.1)
    ('relation changed', 'inputs moved', 'both')
    """
    if moved is None or changed is None or moved + changed <= 0.0:
        return None
    share = changed / (moved + changed)
    return CHANGED if share >= MOST else MOVED if share <= 1.0 - MOST else BOTH


def _value(found: Estimate | None) -> float | None:
    return found.value if found is not None else None


def _short(number: float | None) -> float | None:
    return None if number is None else round(number, DIGITS)


def _expected(bench: Bench, labels: Labels, group: GroupKey, metric: str) -> Estimate | None:
    """Return what the reference's model would reach on the window's inputs."""
    record: Record = labels.records[group]
    if isinstance(bench.measure, ClassMeasure) and bench.calibration is not None:
        classes = bench.measure.classes
        opened = OpenSums.of(record.open, len(classes)).open
        found = estimation.estimate(bench.calibration, opened, LEVEL, classes)
        return found.get(metric)
    if isinstance(bench.measure, ClassMeasure):
        return _by_class(bench, record, group.segment, metric)
    history = labels.history.get(SeriesKey(group.version, group.segment, ESTIMATED), {})
    known = history.get(group.start)
    return known.metrics.get(metric) if known is not None else None


def _by_class(bench: Bench, record: Record, segment: str, metric: str) -> Estimate | None:
    """Weight the reference's outcomes so that its predictions are of each class as often as the window's."""
    sums = bench.standard.sums.get(segment, bench.standard.sums.get(ALL))
    if sums is None or not isinstance(bench.measure, ClassMeasure):
        return None
    size = len(bench.measure.classes) + 1
    table = sums[: size * size].reshape(size, size)
    predicted = OpenSums.of(record.open, size - 1).predicted
    known = table.sum(axis=0)
    weights = np.divide(predicted, known, out=np.zeros(size), where=known > 0)
    found = bench.measure.values(np.concatenate([(table * weights).ravel(), sums[size * size :]]), LEVEL)
    return found.get(metric)


def onset_of(labels: Labels, bench: Bench, group: GroupKey, metric: str) -> str:
    """Return the start of the first window of the loss, as the realised values up to the window show it."""
    history = labels.history.get(SeriesKey(group.version, group.segment, REALIZED), {})
    known = bench.reference.get(group.segment, bench.reference.get(ALL, {}))
    usual = _value(known.get(metric))
    starts, apart = [group.start], [[0.0]]
    for start in sorted(history):
        found = history[start].metrics.get(metric)
        if start > group.start or usual is None or found is None or found.value is None:
            continue
        width = (found.high or found.value) - (found.low or found.value)
        starts.append(start)
        apart.append([(found.value - usual) / max(width, 1e-12)])
    if len(starts) == 1:
        return rfc3339(group.start)
    return rfc3339(starts[1:][since(np.array(apart[1:]))])
