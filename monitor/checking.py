"""`driftd check` and `driftd detectors`: what a configuration would watch, said before it runs."""

import glob
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from detectors.calibration import Calibrator
from detectors.drift import STATISTICS
from detectors.quality import QUALITY
from monitor.config import Config, Model
from monitor.core.judging import BudgetJudge
from monitor.core.plan import Plan
from monitor.core.reference import Baseline
from monitor.core.schema import Schema
from monitor.facts import SERIES_PER_TRIP
from monitor.quantities import format_duration
from monitor.references import baseline_of, read_frame, schema_of


def describe(config: Config) -> str:
    """Open every reference and source, and say per model what will be watched. Raises DriftdError."""
    lines = [line for model in config.models for line in _model(model)]
    return "\n".join([*lines, "configuration ok"])


def _model(model: Model) -> Iterator[str]:
    window, lateness = format_duration(model.window), format_duration(model.lateness)
    yield f"model {model.name} ({model.task}): windows of {window}, late rows waited for {lateness}"
    path = model.reference.path
    if path is None:
        first = format_duration(model.reference.first or model.window)
        yield f"  reference: the first {first} of the log, once they are over"
        schema = schema_of(model, None)
        yield f"  watched: {', '.join(schema.watched)}"
    else:
        frame = read_frame(Path(path))
        schema = schema_of(model, frame)
        yield from _reference(model, schema, baseline_of(schema, frame, f"file {path}"), set(frame.columns))
    for source in model.sources:
        found = len(glob.glob(source.path, recursive=True))  # noqa: PTH207 - an absolute pattern, as the source reads it
        yield f"  source: {source.role} from {source.path} ({source.format}), {found} files now"
    if not model.columns.prediction_id:
        yield "  no prediction_id: a row sent twice counts twice, and outcomes cannot be joined"
    elif not model.deduplicate:
        yield "  deduplicate = false: a row sent twice counts twice"
    yield from _retraining(model)


def _reference(model: Model, schema: Schema, baseline: Baseline, columns: set[str]) -> Iterator[str]:
    yield f"  reference: {baseline.rows:,} rows, {baseline.hash}, {model.reference.path}"
    wanted = [*schema.wanted.numeric, *schema.wanted.text]
    optional = {model.columns.timestamp, model.columns.prediction_id, model.columns.version}
    absent = sorted(set(wanted) - columns - optional)
    if absent:
        yield f"  NOT IN THE REFERENCE, so never judged: {', '.join(absent)}"
    judge = BudgetJudge(Plan.of(model), Calibrator())
    specs = judge.specs(baseline.grid)
    groups = len(baseline.profiles)
    for detector, n in sorted(Counter(s.detector for s in specs).items()):
        yield f"  monitor: {detector} on {n} feature{'s' if n > 1 else ''}"
    level = judge.level(baseline.grid, groups)
    count = len(specs) * groups
    yield f"  {count:,} monitors over {groups} groups (the whole model and its segment values) per version"
    yield f"  budget {model.alarms.budget}: each may breach falsely once in {1 / level:,.0f} windows"
    if count * SERIES_PER_TRIP > model.series_limit:
        series = f"{count * SERIES_PER_TRIP:,}"
        yield f"  about {series} series per version: more than series_limit = {model.series_limit:,}"


def _retraining(model: Model) -> Iterator[str]:
    for wish in model.retrain:
        kinds = ", ".join(wish.when)
        yield f"  retraining: {kinds} asks webhook {wish.webhook}, at most {wish.max_per_week} times a week"


def detector_lines() -> list[str]:
    """Return a line for each detector: its name and on what it works."""
    lines = [
        f"{name:18} drift    {'numeric features' if row.numeric_only else 'every feature'}"
        for name, row in STATISTICS.items()
    ]
    lines += [f"{name:18} quality" for name in QUALITY]
    return [*lines, f"{'quality':18} all the quality monitors"]
