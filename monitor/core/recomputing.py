"""A verdict computed again from its audit record alone; verifying.py compares it with what was said."""

import math
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from detectors.base import Level, Verdict
from detectors.beside import Classes
from detectors.calibration import Calibrator
from detectors.class_shift import PREDICTION, LabelShift
from detectors.drift import Drift
from detectors.monitors import Judgement, MonitorSpec, judged
from detectors.profile import Grid, Profile, WindowProfile, empty, summaries
from detectors.quality import Quality
from detectors.readings import Readers, Reading, Source, reader
from detectors.score_null import ScoreNull
from detectors.seasons import Clock
from detectors.sequential import limits, strongest
from detectors.series import Series, judge_series
from detectors.window_null import WindowNull
from monitor.core.gathered_records import faults_again, regathered
from monitor.core.measured_records import estimated, realised
from monitor.core.recording import feature_grid
from monitor.core.records import AuditRecord
from monitor.core.wealth_marks import Mark

NEAR = 1e-9
"""Relative: two releases of a library may differ in a number's last digits."""


def spec_of(record: AuditRecord) -> MonitorSpec:
    """Return the monitor."""
    m = record.head["monitor"]
    return MonitorSpec(m["feature"], m["detector"], m["kind"], record.head["threshold"])


def judgement_of(record: AuditRecord) -> Judgement:
    """Return how strict it was."""
    alarms = record.head["config"]["alarms"]
    return Judgement(record.head["level"], alarms["min_effect"], alarms["min_rows"])


def beside(record: AuditRecord) -> WindowProfile:
    """Return the feature's window beside the reference."""
    grid = feature_grid(record.head["grid"], record.head["monitor"]["feature"], record.arrays)
    rows, reference = record.head["rows"]
    return WindowProfile(
        grid,
        _profile(grid, rows, record.arrays["window"]),
        _profile(grid, reference, record.arrays["reference"]),
    )


def _profile(grid: Grid, rows: int, cells: NDArray[Any]) -> Profile:
    nothing = empty(grid, sample=False)
    if len(cells) != grid.width:
        raise ValueError(f"{len(cells)} cells for a grid of {grid.width}")
    return Profile(rows, cells, nothing.low, nothing.high)


def _distance(record: AuditRecord) -> Verdict:
    spec, level = spec_of(record), record.head["level"]
    limit = record.head.get("limit", 0.0)
    if "sizes" in record.arrays:
        start, length = record.head["clock"]
        null = ScoreNull.load(_under(record.arrays, "null/"))
        again = float(null.thresholds(record.arrays["sizes"], Clock(np.array([start]), length), level)[0, 0])
        if not math.isclose(again, limit, rel_tol=NEAR):
            raise ValueError(f"the null model's limit is {again!r}, and {limit!r} is recorded")
    drift = Drift([spec], judgement_of(record), Calibrator())
    cluster = tuple(record.head["cluster"])
    limits_ = {(spec.feature, spec.detector): limit}
    return drift.close(beside(record), limits_, {spec.feature: cluster})[0]


def _quality(record: AuditRecord) -> Verdict:
    spec = spec_of(record)
    cluster = {spec.feature: tuple(record.head["cluster"])}
    return Quality([spec], judgement_of(record)).close(beside(record), cluster)[0]


def _whole(record: AuditRecord) -> Verdict:
    spec, grid = spec_of(record), Grid(())
    rows, reference = record.head["rows"]
    columns, nulls = frozenset(record.head["columns"]), record.arrays["nulls"]
    if spec.detector == "missing_columns":
        gone = (nulls[:, 0] == nulls[:, 1]) & (nulls[:, 2] < nulls[:, 3])
        columns = frozenset(np.array(record.head["features"])[gone].tolist())
    window = WindowProfile(
        grid,
        _profile(grid, rows, np.zeros(0, np.int64)),
        _profile(grid, reference, np.zeros(0, np.int64)),
        columns,
        columns,
        tuple(record.arrays["history"].tolist()),
        record.head["complete"],
    )
    return Quality([spec], judgement_of(record)).close(window)[0]


def _labels(record: AuditRecord) -> Verdict:
    spec, nothing = spec_of(record), empty(Grid(()), sample=False)
    counts = record.arrays["confusion"], record.arrays["predicted"]
    classes = Classes(tuple(record.head["classes"]), (PREDICTION,), *counts)
    window = WindowProfile(Grid(()), nothing, nothing, classes=classes)
    cluster = {PREDICTION: tuple(record.head["cluster"])}
    return LabelShift([spec], judgement_of(record)).close(window, cluster)[0]


def series_of(record: AuditRecord) -> Series:
    """Return the group's last windows of one feature, and what is usual in them."""
    seen = beside(record)
    summary = next(iter(summaries(seen.grid, seen.reference)))
    missing = summary.rows - summary.n - summary.invalid
    ordered = record.head["grid"]["kind"] == "numeric"
    readers = Readers((reader(Source(summary.grid.name, summary.counts, missing, ordered)),))
    null = WindowNull.load(_under(record.arrays, "null/"), readers)
    reading = Reading(record.arrays["values"], record.arrays["sizes"])
    _refuse_other_window(seen, reading, readers)
    return Series(null, reading, Clock(record.arrays["starts"], record.head["clock"][0]))


def _refuse_other_window(seen: WindowProfile, reading: Reading, readers: Readers) -> None:
    """Read the window's cells again: the last of the readings must be theirs."""
    summary = next(iter(summaries(seen.grid, seen.window)))
    missing = summary.rows - summary.n - summary.invalid
    again = readers.read([summary.counts[None]], np.array([[missing]]), np.array([summary.rows]))
    if not np.allclose(again.values[0], reading.values[-1], rtol=NEAR, atol=1e-12):
        raise ValueError("the window's cells do not give the readings that were judged")
    if not np.array_equal(again.sizes[0], reading.sizes[-1]):
        raise ValueError("the window's cells do not give the numbers of rows that were judged")


def _windows(record: AuditRecord) -> Verdict:
    return judge_series([spec_of(record)], judgement_of(record), series_of(record))[0]


def _gathered(record: AuditRecord) -> Verdict:
    spec, series, head = spec_of(record), series_of(record), record.head
    score, threshold = _gathered_score(record, series), spec.threshold
    if threshold is None:
        scores = record.arrays["scores"].copy()
        scores[head["place"]] = score
        threshold = float(limits(scores, head["alpha"])[head["place"]])
    effect = float(strongest(series.null, series.reading, series.clock).effect[0])
    small = score > threshold and effect < judgement_of(record).min_effect
    return judged(spec, int(series.sizes[0]), (min(score, threshold) if small else score, threshold), effect)


def _gathered_score(record: AuditRecord, series: Series) -> float:
    """Gather a feature's evidence again, over the windows since its mark."""
    mark, own = Mark.of(record.arrays), float(record.head["own"])
    if mark is None:
        return own
    score = float(regathered(series, mark, judgement_of(record).min_rows).scores[0])
    if not math.isclose(score, own, rel_tol=NEAR):
        raise ValueError(f"what was gathered comes to {score!r}, and {own!r} is recorded")
    return score


def _faults(record: AuditRecord) -> Verdict:
    return faults_again(record, beside(record), (spec_of(record), judgement_of(record)))


def taken(record: AuditRecord) -> Verdict:
    """Return the verdict that follows from the score and the threshold that are recorded."""
    said, spec = record.head["verdict"], spec_of(record)
    score, threshold = said["score"], said["threshold"]
    level = Level.BREACH if score > threshold else Level.OK
    numbers = (score, threshold, said["pvalue"], said["effect"])
    return Verdict(spec.detector, spec.feature, spec.kind, level, said["n"], *numbers)


def _under(arrays: Mapping[str, NDArray[Any]], prefix: str) -> dict[str, NDArray[Any]]:
    return {name.removeprefix(prefix): a for name, a in arrays.items() if name.startswith(prefix)}


WAYS: Mapping[str, Callable[[AuditRecord], Verdict]] = MappingProxyType(
    {
        "distance": _distance,
        "quality": _quality,
        "whole": _whole,
        "labels": _labels,
        "windows": _windows,
        "gathered": _gathered,
        "faults": _faults,
        "realised": realised,
        "estimate": estimated,
    }
)
"""By how a verdict was come to: what computes it again."""
