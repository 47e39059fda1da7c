"""`driftd check` and `driftd detectors`: what a configuration would watch, said before it runs."""

import glob
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import polars as pl

from detectors.calibration import Calibrator
from detectors.class_shift import LABEL_SHIFT
from detectors.classification import ClassMeasure
from detectors.drift import STATISTICS
from detectors.faults import E_QUALITY, FAULTS
from detectors.measure import Better, Measure
from detectors.performance import Allowed, Question, limit
from detectors.quality import QUALITY
from detectors.ranking import RankingMeasure
from detectors.regression import RegressionMeasure
from detectors.seasons import Clock
from detectors.series import EVIDENCE, SERIES, SHIFT
from detectors.stream_choice import STREAMS
from detectors.window_null import shortage
from monitor.alibi_checks import alibi_lines
from monitor.config import Config, Model
from monitor.core.assessing import Assessor
from monitor.core.class_shares import PRIOR_DRIFT, label_shift_line, wants_classes
from monitor.core.heavy import heavy_monitors
from monitor.core.judging import BudgetJudge, null_models
from monitor.core.nulls import Nulls
from monitor.core.outcomes import Vocabulary
from monitor.core.plan import Plan, joins
from monitor.core.profiles import ALL
from monitor.core.reference import Baseline
from monitor.core.schema import Schema
from monitor.core.standard import Standard
from monitor.core.streaming import Streaming
from monitor.facts import SERIES_PER_TRIP
from monitor.heavy_facts import heavy_detector_lines, heavy_lines
from monitor.native.library import found
from monitor.outcome_checks import judgeable
from monitor.performance_facts import expected_series
from monitor.quantities import format_duration
from monitor.references import baseline_of, read_frame, schema_of, standard_of, timed_rows
from monitor.replaying import Reference, stream_lines

TAKEN = {
    "errors": "the error",
    "unit": "error, loss, score and numbers",
    "numbers": "error, loss, score and numbers",
}


def describe(config: Config) -> str:
    """Open every reference and source, and say per model what will be watched. Raises DriftdError."""
    lines = [line for model in config.models for line in _model(model)]
    lines += [f"webhook {name}: {hook.format}, auth {hook.auth}" for name, hook in config.webhooks.items()]
    return "\n".join([*lines, *alibi_lines(config), f"kernels: {found()}", "configuration ok"])


def _model(model: Model) -> Iterator[str]:
    window, lateness = format_duration(model.window), format_duration(model.lateness)
    yield f"model {model.name} ({model.task}): windows of {window}, late rows waited for {lateness}"
    path, standard = model.reference.path, Standard(0)
    baseline: Baseline | None = None
    replay: Reference | None = None
    if path is None:
        first = format_duration(model.reference.first or model.window)
        yield f"  reference: the first {first} of the log, once they are over"
        schema = schema_of(model, None)
        made = (name for embedding in schema.embeddings for name in embedding.features)
        yield f"  watched: {', '.join((*schema.watched, *made))}"
        yield from _too_short(Plan.of(model))
    else:
        frame = read_frame(Path(path))
        schema = schema_of(model, frame)
        baseline = baseline_of(schema, frame, f"file {path}")
        nulls = _nulls(model, schema, frame, baseline)
        replay = baseline, frame
        yield from _reference(model, schema, baseline, set(frame.columns))
        yield from _thresholds(model, baseline, nulls)
        if judgeable(model) and (joins(model) or model.columns.label in frame.columns):
            standard = standard_of(model, schema, frame, baseline)
    for source in model.sources:
        found = len(glob.glob(source.path, recursive=True))  # noqa: PTH207 - an absolute pattern, as the source reads it
        yield f"  source: {source.role} from {source.path} ({source.format}), {found} files now"
    if not model.columns.prediction_id:
        yield "  no prediction_id: a row sent twice counts twice, and outcomes cannot be joined"
    elif not model.deduplicate:
        yield "  deduplicate = false: a row sent twice counts twice"
    yield from _performance(model, standard)
    if wants_classes(model):
        yield label_shift_line(model, standard)
    yield from stream_lines(model, schema, replay, standard)
    yield from heavy_lines(model, schema, replay, BudgetJudge(Plan.of(model), Calibrator()))
    if baseline is not None:
        yield from _room(model, baseline, standard)
    yield from _retraining(model)


def _reference(model: Model, schema: Schema, baseline: Baseline, columns: set[str]) -> Iterator[str]:
    yield f"  reference: {baseline.rows:,} rows, {baseline.hash}, {model.reference.path}"
    wanted = [*schema.wanted.numeric, *schema.wanted.text, *schema.wanted.vectors]
    optional = {model.columns.timestamp, model.columns.prediction_id, model.columns.version}
    absent = sorted(set(wanted) - columns - optional)
    if absent:
        yield f"  NOT IN THE REFERENCE, so never judged: {', '.join(absent)}"


def _too_short(plan: Plan) -> Iterator[str]:
    """Say so if the log's first part will hold too few windows to learn from."""
    lacking = shortage(Clock(np.arange(plan.first // plan.window) * plan.window, plan.window))
    if lacking is not None:
        yield f"  thresholds: by resampling rows, as if they were independent: {lacking}"


def _nulls(model: Model, schema: Schema, frame: pl.DataFrame, baseline: Baseline) -> Nulls:
    """Learn from the reference's own windows, as the daemon will."""
    plan = Plan.of(model)
    return null_models(plan, baseline, timed_rows(schema, frame, baseline.origin, plan.window))


def _thresholds(model: Model, baseline: Baseline, nulls: Nulls) -> Iterator[str]:
    """Say what is watched, and where the thresholds come from."""
    judge = BudgetJudge(Plan.of(model), Calibrator())
    specs = judge.specs(baseline.grid, windows=bool(nulls.arrays))
    groups = len(baseline.profiles)
    for detector, n in sorted(Counter(s.detector for s in specs).items()):
        yield f"  monitor: {detector} on {n} feature{'s' if n > 1 else ''}"
    level = judge.level(baseline.grid, groups)
    count = len(specs) * groups
    yield f"  {count:,} monitors over {groups} groups (the whole model and its segment values) per version"
    own = sum(spec.threshold is not None for spec in specs) * groups
    apart = f"; {own:,} of them with thresholds of their own spend nothing" if own else ""
    yield f"  budget {model.alarms.budget}: each may breach falsely once in {1 / level:,.0f} windows{apart}"
    if not nulls.arrays:
        yield f"  thresholds: by resampling rows, as if they were independent: {nulls.said}"
        yield f"  THE BUDGET {model.alarms.budget} HOLDS ONLY IF THEY ARE, with no day unlike another"
        for detector in sorted({s.detector for s in specs} & SERIES):
            yield f"  {detector} is NOT JUDGED: only the reference's own windows can tell"
        return
    yield f"  thresholds: from {nulls.said}"
    without = [label for label in baseline.profiles if label not in nulls.arrays]
    if without:
        yield f"  thresholds of {len(without)} segments: by resampling rows, as they are too many"
    if any(spec.detector == EVIDENCE and spec.threshold is None for spec in specs):
        yield _evidence(baseline, nulls, judge.sequential_level(baseline.grid, groups))


def _evidence(baseline: Baseline, nulls: Nulls, alpha: float) -> str:
    """Say for which groups evidence is gathered over windows, and what it may spend."""
    models = [nulls.of(baseline, label) for label in baseline.profiles]
    able = sum(m is not None and m.dependence is not None and m.dependence.excluded for m in models)
    if not able:
        return f"  {EVIDENCE}: NOT GATHERED: no group's windows are shown to be independent"
    rest = f"{able} of {len(models)} groups, those whose windows are shown to be independent"
    return f"  {EVIDENCE}: gathered in {rest}; in each one false finding in {1 / alpha:,.0f} windows"


def _room(model: Model, baseline: Baseline, standard: Standard) -> Iterator[str]:
    """Say so if the series of one version alone are beyond the limit."""
    plan = Plan.of(model)
    specs = BudgetJudge(plan, Calibrator()).specs(baseline.grid, windows=True)
    streaming = Streaming(model)
    heavy = len(heavy_monitors(model))
    streams = len(streaming.of_rows(baseline)) + len(streaming.of_outcomes(standard))
    monitors = (len(specs) * len(baseline.profiles) + streams + heavy) * SERIES_PER_TRIP
    measured = judgeable(model) and (joins(model) or bool(standard.sums))
    performance = expected_series(Assessor(plan, Vocabulary.of(model)), standard) if measured else 0
    if monitors + performance > model.series_limit:
        parts = f"{monitors:,} of drift and quality, {performance:,} of performance"
        found = f"about {monitors + performance:,} series per version ({parts})"
        yield f"  {found}: more than series_limit = {model.series_limit:,}"


def _performance(model: Model, standard: Standard) -> Iterator[str]:
    joined, wishes = joins(model), model.performance
    if joined:
        horizon = format_duration(model.label_horizon)
        yield f"  outcomes: joined within {horizon}; of two that differ the {wishes.conflict} counts"
        yield f"  judged: once {wishes.matured:.0%} of a window's outcomes are known, or {horizon} after it"
    if judgeable(model) and (joined or standard.sums):
        yield from _questions(model, standard)
    if model.columns.groups:
        yield f"  groups {', '.join(model.columns.groups)}: {_groups(model, standard)}"
    if model.compare is not None:
        wish = model.compare
        yield f"  compared: {wish.challenger} with {wish.champion}, wrong in {wish.level:.1%} at most"


def _questions(model: Model, standard: Standard) -> Iterator[str]:
    """Say what each metric is judged against, as the daemon will."""
    assessor = Assessor(Plan.of(model), Vocabulary.of(model))
    bench = assessor.bench(standard)
    can_estimate = bench.calibration is not None or bench.loss is not None
    whole = bench.reference.get(ALL, {})
    wishes, least = model.performance, model.alarms.min_rows
    allowed = Allowed(wishes.tolerance, wishes.relative_tolerance, least)
    if not assessor.questions:
        yield "  performance: measured and not judged: no [[models.monitors]] names a metric of this task"
    for question in assessor.questions:
        if not (can_estimate if question.estimated else joins(model)):
            if model.monitors:
                yield f"  performance: {question.detector} is NOT JUDGED: the reference has no outcomes"
            continue
        known = whole[question.metric].value if question.metric in whole else None
        yield f"  performance: {question.detector} {_judged(question, known, allowed)}"


def _judged(question: Question, known: float | None, allowed: Allowed) -> str:
    edge = limit(question, known, allowed)
    if edge is None:
        return "is NOT JUDGED: the reference has no outcomes, and no threshold is configured"
    side = "below" if question.better is Better.HIGHER else "above"
    why = f"reference {known:.4g} and tolerance {abs(known - edge):.4g}" if known is not None else "threshold"
    if question.threshold is not None:
        why = "threshold" if known is None else f"threshold; reference {known:.4g}"
    return f"fires when its whole interval is {side} {edge:.4g} ({why})"


def _groups(model: Model, standard: Standard) -> str:
    if not joins(model):
        return "not compared, since no outcomes are read"
    if not standard.values:
        return "not compared, since the reference is no file"
    if model.task != "binary":
        return f"metrics of each, but no rates compared: these are for binary tasks, not {model.task}"
    return f"rates compared, on {model.performance.min_group} rows of a group or more"


def _retraining(model: Model) -> Iterator[str]:
    for wish in model.retrain:
        kinds = ", ".join(wish.when)
        yield f"  retraining: {kinds} asks webhook {wish.webhook}, at most {wish.max_per_week} times a week"


def detector_lines() -> list[str]:
    """Return a line for each detector: its name and on what it works."""
    lines = [
        f"{name:20} drift    {'numeric features' if row.numeric_only else 'every feature'}"
        for name, row in STATISTICS.items()
    ]
    lines.insert(0, f"{SHIFT:20} drift    every feature, where the reference spans enough windows")
    lines.insert(1, f"{EVIDENCE:20} drift    every feature, where the reference's windows are independent")
    lines += [f"{name:20} quality" for name in QUALITY]
    lines.append(f"{'quality':20} all the quality monitors")
    lines += [f"{name:20} quality  gathered over windows" for name in FAULTS]
    lines.append(f"{E_QUALITY:20} all of these")
    lines.append(f"{LABEL_SHIFT:20} drift    the predicted class, where the reference has outcomes")
    lines.append(f"{PRIOR_DRIFT:20} drift    the predicted class: chi2 on prediction")
    lines += heavy_detector_lines()
    lines += [f"{name:20} stream   {TAKEN[kind.takes]}" for name, kind in STREAMS.items()]
    return lines + [f"{name:20} performance  {', '.join(tasks)}" for name, tasks in _tasks().items()]


def _tasks() -> dict[str, list[str]]:
    """Return the tasks of each metric, `<class>` and `<k>` standing for what its name ends with."""
    measures: dict[str, Measure] = {
        "binary": ClassMeasure(("0", "1"), scored=True, costs=np.zeros((2, 2))),
        "multiclass": ClassMeasure(("<class>", "-", "--"), scored=True, costs=np.zeros((3, 3))),
        "regression": RegressionMeasure(),
        "ranking": RankingMeasure(),
    }
    found: dict[str, list[str]] = {}
    for task, measure in measures.items():
        for name, better in measure.better.items():
            if better is not Better.NEITHER and not name.endswith("-"):
                found.setdefault(name.replace("@10", "@<k>").replace(":0.5", ":<q>"), []).append(task)
    return found
