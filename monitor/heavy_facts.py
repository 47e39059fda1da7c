"""What committed state and configuration say of heavy monitors: for /metrics, status, check and the list."""

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from detectors.multivariate import MULTIVARIATE
from detectors.window_level import LEAST_WINDOWS
from exporters.catalog import Sample
from monitor.alibi_checks import alibi_detector_lines
from monitor.config import Model
from monitor.core.heavy import HeavySpec, heavy_monitors, lane_of
from monitor.core.heavy_null import MOST_WINDOWS, HeavyNull
from monitor.core.judging import BudgetJudge
from monitor.core.leaving import GIVEN_UP, complete
from monitor.core.plan import Plan, targets
from monitor.core.schema import Schema
from monitor.core.state import ModelState
from monitor.heavy_opening import heavy_of
from monitor.quantities import format_duration
from monitor.references import timed_rows
from monitor.replaying import Reference


def heavy_samples(plan: Plan, state: ModelState) -> Iterator[Sample]:
    """Return how much waits and what was given up, of a model that has heavy monitors."""
    monitors = heavy_monitors(plan.model)
    if not monitors:
        return
    waiting = Counter(key.lane for key in complete(plan, state))
    for lane in sorted({lane_of(monitor) for monitor in monitors}):
        yield Sample("driftd_heavy_pending", (plan.name, lane), waiting[lane])
    yield Sample("driftd_heavy_given_up_total", (plan.name,), state.book.counts.get(("", GIVEN_UP, ""), 0))


def heavy_status(plan: Plan, state: ModelState) -> dict[str, Any] | None:
    """Return how many samples wait to be judged, of how many windows, and how many windows were given up.

    unlearnt: monitors that cannot learn what is usual, why not, and how often in a row they have tried.
    """
    if not heavy_monitors(plan.model):
        return None
    waiting = [state.jobs[key] for key in complete(plan, state)]
    baseline = state.newest_baseline
    null = state.heavy_nulls.get(baseline.number) if baseline is not None else None
    return {
        "pending": len(waiting),
        "windows": sum(job.windows for job in waiting),
        "given_up": state.book.counts.get(("", GIVEN_UP, ""), 0),
        "unlearnt": list(_unlearnt(null)) if null is not None else [],
    }


def _unlearnt(null: HeavyNull) -> Iterator[dict[str, Any]]:
    for monitor in sorted(null.troubles):
        detector, line, on, _ = json.loads(monitor)
        trouble = null.given_up(monitor, line)
        if trouble is not None:
            what = {"detector": detector, "on": on if isinstance(on, str) else ", ".join(on)}
            yield {**what, "reason": trouble.reason, "failures": trouble.failures}


def heavy_status_lines(found: Mapping[str, Any] | None) -> Iterator[str]:
    """Say for a person what `heavy_status` returned."""
    if found is None:
        return
    yield "  heavy       {pending:,} samples wait, {given_up:,} windows given up".format(**found)
    for monitor in found["unlearnt"]:
        yield "    NOT LEARNT {detector} on {on}: {reason}, {failures:,} times in a row; tried again".format(
            **monitor
        )


def heavy_lines(
    model: Model, schema: Schema, reference: Reference | None, judge: BudgetJudge
) -> Iterator[str]:
    """Say of each heavy monitor on what it is, when it runs and how often it may breach falsely."""
    plan = Plan.of(model)
    heavy = heavy_of(plan, judge.level)
    if reference is None or not heavy.specs:
        yield from (f"  heavy: {_who(spec)}, {_when(model, spec)}" for spec in heavy.specs)
        return
    baseline, frame = reference
    rows = timed_rows(schema, frame, baseline.origin, plan.window)
    for spec in heavy.specs:
        names = targets(model, baseline.grid, spec.wish)
        what = f"on {len(names)} columns" if len(names) != 1 else f"on {names[0]}"
        what = what if names else "is NOT JUDGED: the reference has no such column"
        rate = f"fires above {spec.wish.threshold}, and spends nothing of the budget"
        if spec.wish.threshold is None:
            level, runs = heavy.level(spec, baseline.grid, len(baseline.profiles)), heavy.runs(spec, rows)
            rate = f"may breach falsely once in {1 / level:,.0f} runs, {_null(runs)}"
        yield f"  heavy: {_who(spec)} {what}, {_when(model, spec)}; {rate}"


def _null(runs: int) -> str:
    if runs < LEAST_WINDOWS:
        return f"IF ROWS ARE INDEPENDENT: the reference has {runs} such runs, not {LEAST_WINDOWS}"
    return f"by {min(runs, MOST_WINDOWS)} of the reference's own {runs} runs"


def _who(spec: HeavySpec) -> str:
    return f"{spec.feature} {spec.detector}"


def _when(model: Model, spec: HeavySpec) -> str:
    if spec.wish.schedule is None:
        return f"after each window of {format_duration(model.window)}"
    return f'by the schedule "{spec.wish.schedule}" in UTC and event time'


def heavy_detector_lines() -> list[str]:
    """Return a line for each heavy detector."""
    own = [f"{name:20} heavy    whole rows of several columns" for name in MULTIVARIATE]
    return own + alibi_detector_lines()
