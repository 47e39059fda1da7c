"""One model's performance: rows to sums, sums to metrics, metrics to verdicts."""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import polars as pl
from msgspec import Struct
from msgspec.structs import replace
from numpy.typing import NDArray

from detectors import estimation
from detectors.base import Verdict
from detectors.budget import level
from detectors.class_sums import ClassSums, OpenSums
from detectors.classification import ClassMeasure
from detectors.direct_loss import LossModel, estimate_regression
from detectors.intervals import normal_quantile
from detectors.measure import Better, Estimate, Measure
from detectors.performance import DEFAULTS, ESTIMATED, Allowed, Question, judge
from detectors.profile import Grid
from detectors.sample import Sample
from detectors.score_calibration import LEAST_COVERAGE, Calibration, coverage_note, covered, fit
from monitor.core.details import details_of
from monitor.core.labels import ESTIMATED as BASIS
from monitor.core.labels import Measured, Record
from monitor.core.outcomes import Vocabulary
from monitor.core.plan import Plan
from monitor.core.profiles import ALL, GroupKey, coded_versions
from monitor.core.standard import GROUP, Standard, label_codes, measure_of

REFERENCE_LEVEL = 0.05
SPARSE = 4
"""A table of keys may have so many places per row."""
LOOSEST = 0.05
"""Of rare windows the budget would allow more, but an interval is also read: it holds 95 % at least."""
Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


class Bench(Struct, frozen=True, eq=False):
    """What one reference gives to measure by. calibration, loss: None where it cannot be estimated."""

    standard: Standard
    measure: Measure
    calibration: Calibration | None
    loss: LossModel | None
    reference: Mapping[str, Mapping[str, Estimate]]


class Assessor:
    """Measures and judges; without state of its own."""

    def __init__(self, plan: Plan, vocabulary: Vocabulary) -> None:
        self.plan = plan
        self.vocabulary = vocabulary
        self._made: dict[int, Bench] = {}
        self.questions = _questions(plan, measure_of(plan.model, vocabulary, Standard(0)))

    def bench(self, standard: Standard) -> Bench:
        """Return what the reference gives, made once."""
        found = self._made.get(standard.number)
        if found is None or found.standard is not standard:
            found = self._made[standard.number] = self._bench(standard)
        return found

    def _bench(self, standard: Standard) -> Bench:
        measure = measure_of(self.plan.model, self.vocabulary, standard)
        calibration = None
        whole = standard.sums.get(ALL)
        if isinstance(measure, ClassMeasure) and self.vocabulary.scores and whole is not None:
            labelled = ClassSums.of(whole, len(measure.classes)).labelled
            if (labelled.sum(axis=(1, 2, 3)) > 0).all():
                calibration = fit(labelled)
        reference = {label: measure.values(s, REFERENCE_LEVEL) for label, s in standard.sums.items()}
        return Bench(standard, measure, calibration, standard.loss_model(), reference)

    def grouped(
        self, standard: Standard, frame: pl.DataFrame, starts: Ints
    ) -> Iterator[tuple[list[GroupKey], Ints]]:
        """Yield the groups of rows and each row's group: for all, and by each segment and group column."""
        versions, version = coded_versions(frame["version"])
        first, window = int(starts.min()) if len(starts) else 0, self.plan.window
        for labels, codes in label_codes(frame, standard.values):
            step = len(versions) * len(labels)
            keys = (starts - first) // window * step + version * len(labels) + codes
            found, places = _distinct(keys)
            parts = [(key // step, *divmod(key % step, len(labels))) for key in found.tolist()]
            names = [GroupKey(first + s * window, versions[v], labels[place]) for s, v, place in parts]
            yield names, places

    def realised(
        self, standard: Standard, record: Record, groups: int, *, detailed: bool = False
    ) -> Measured:
        """Return the metrics of the rows whose outcome is known, with intervals at the budget's level."""
        measure, sums = self.bench(standard).measure, record.sums
        metrics = measure.values(sums, self.level(groups))
        detail = details_of(measure, sums) if detailed else {}
        return Measured(record.rows, record.coverage, metrics, detail=detail)

    def estimated(
        self, standard: Standard, record: Record, grid: Grid, sample: Sample | None, groups: int
    ) -> Measured | None:
        """Return the metrics that the rows will probably have; None where nothing can be said."""
        bench = self.bench(standard)
        if bench.calibration is not None and isinstance(bench.measure, ClassMeasure):
            opened = OpenSums.of(record.open, len(bench.measure.classes)).open
            found = estimation.estimate(bench.calibration, opened, self.level(groups), bench.measure.classes)
            share = covered(bench.calibration.known, opened)
            return Measured(record.rows, share if share is not None else 0.0, found, coverage_note(share))
        if bench.loss is not None and sample is not None:
            return self._direct(bench.loss, record, grid, sample, groups)
        return None

    def _direct(
        self, loss: LossModel, record: Record, grid: Grid, sample: Sample, groups: int
    ) -> Measured | None:
        features, prediction = loss_inputs(grid, sample)
        usable = np.isfinite(prediction)
        if not usable.any():
            return None
        features, prediction = features[usable], prediction[usable]
        losses = loss.predict(features, prediction)
        found = estimate_regression(losses, self.level(groups), loss.kurtosis, loss.rows)
        share = loss.coverage(features) or 0.0
        note = coverage_note(share) if share < LEAST_COVERAGE else ""
        return Measured(record.rows, share, found, note)

    def level(self, groups: int) -> float:
        """Return the level of each interval: the share of one question of one group, at most 0.05."""
        questions = max(len(self.questions), 1)
        spend = level(self.plan.performance_rate, self.plan.model.window, questions * max(groups, 1))
        return min(spend, LOOSEST)

    def verdicts(
        self, standard: Standard, series: tuple[str, str], measured: Measured, groups: int = 1
    ) -> Sequence[Verdict]:
        """Judge the metrics of a series (label, basis) against the reference's of that label, else of all."""
        label, basis = series
        if label.startswith(GROUP):
            return []
        alarms, wishes = self.plan.model.alarms, self.plan.model.performance
        allowed = Allowed(wishes.tolerance, wishes.relative_tolerance, alarms.min_rows)
        reference = self.bench(standard).reference
        known = reference.get(label, reference.get(ALL, {}))
        stretch = normal_quantile(self.level(groups)) / normal_quantile(REFERENCE_LEVEL)
        found = []
        for question in self.questions:
            if question.estimated is not (basis == BASIS) or question.metric not in measured.metrics:
                continue
            usual = stretched(known.get(question.metric), stretch)
            found.append(judge(question, measured.metrics[question.metric], usual, allowed))
        return found


def _distinct(keys: Ints) -> tuple[Ints, Ints]:
    """Return the distinct keys in order, and each key's place among them; by a table where keys are dense."""
    if not len(keys) or int(keys.max()) > SPARSE * len(keys):
        found, places = np.unique(keys, return_inverse=True)
        return found, places.astype(np.int64)
    table = np.bincount(keys)
    found = np.flatnonzero(table)
    table[found] = np.arange(len(found))
    return found, table[keys]


def stretched(known: Estimate | None, stretch: float) -> Estimate | None:
    """Return an interval at another level, as a normal's would be."""
    if known is None or known.value is None or known.low is None or known.high is None:
        return known
    low, high = (known.value + (end - known.value) * stretch for end in (known.low, known.high))
    return replace(known, low=low, high=high)


def _questions(plan: Plan, measure: Measure) -> tuple[Question, ...]:
    model = plan.model
    known = {n: b for n, b in measure.better.items() if b is not Better.NEITHER}
    wished = [
        (m.detector.removeprefix(ESTIMATED), m.detector.startswith(ESTIMATED), m.threshold)
        for m in model.monitors
        if m.detector.removeprefix(ESTIMATED) in known
    ]
    if not model.monitors:
        wished = [(n, e, None) for n in DEFAULTS.get(model.task, ()) if n in known for e in (False, True)]
    return tuple(Question(name, known[name], estimated, at) for name, estimated, at in wished)


def loss_inputs(grid: Grid, sample: Sample) -> tuple[Floats, Floats]:
    """Return features [k, F] and prediction [k] of sampled rows, as the model of losses takes them."""
    names = [f.name for f in grid.numeric]
    at = names.index("prediction") if "prediction" in names else -1
    prediction = sample.numeric[:, at] if at >= 0 else np.full(len(sample.keys), np.nan)
    numeric = np.delete(sample.numeric, at, axis=1) if at >= 0 else sample.numeric
    return np.concatenate([numeric, sample.codes.astype(np.float64)], axis=1), prediction
