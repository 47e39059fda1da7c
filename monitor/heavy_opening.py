"""Heavy monitors taken up at the start: their schedules, and the jobs that somebody still judges."""

from collections.abc import Callable

from msgspec.structs import replace

from detectors.profile import Grid
from monitor.core.heavy import Heavy, heavy_monitors
from monitor.core.heavy_null import HeavyNull
from monitor.core.jobs import job_changes
from monitor.core.plan import Plan
from monitor.core.state import ModelState
from monitor.cron import cron
from monitor.logs import logger
from monitor.reference_file import ReferenceFile
from monitor.types import Changes


def heavy_of(plan: Plan, level: Callable[[Grid, int], float]) -> Heavy:
    """Return a model's heavy monitors; level: what one may spend on a window, by grid and groups."""
    schedules = {m.schedule for m in heavy_monitors(plan.model) if m.schedule}
    return Heavy(plan, {line: cron(line) for line in schedules}, level)


def with_jobs(heavy: Heavy, state: ModelState) -> tuple[ModelState, Changes]:
    """Let go of jobs that no monitor is there for any more."""
    jobs = {key: job for key, job in state.jobs.items() if heavy.of(key, job)}
    gone = len(state.jobs) - len(jobs)
    if gone:
        says = "samples forgotten, no heavy monitor asks for them"
        logger("heavy", model=state.model).info(says, samples=gone)
    return replace(state, jobs=jobs), job_changes(state.model, state.jobs, jobs)


def with_samples(
    plan: Plan, heavy: Heavy, file: ReferenceFile | None, state: ModelState
) -> tuple[ModelState, Changes]:
    """Leave samples of the newest reference's own windows, unless that was done for these monitors.

    Of a reference that was made of the log they are left when it is made. One whose file has changed since
    teaches nothing.
    """
    state, rested = _rested(heavy, state)
    state, left = _left(plan, heavy, file, state)
    return state, rested | left


def _rested(heavy: Heavy, state: ModelState) -> tuple[ModelState, Changes]:
    """Have monitors that were given up tried at once, as whoever starts the daemon may have helped them."""
    changes: Changes = {}
    for null in state.heavy_nulls.values():
        rested = null.rested()
        if rested is not null:
            state, changed = heavy.learnt(state, rested)
            changes |= changed
    return state, changes


def _left(
    plan: Plan, heavy: Heavy, file: ReferenceFile | None, state: ModelState
) -> tuple[ModelState, Changes]:
    baseline = state.newest_baseline
    if baseline is None or file is None or baseline.origin != file.origin or not heavy.specs:
        return state, {}
    known = state.heavy_nulls.get(baseline.number)
    lacks = known is None or any(known.lacks(spec.id, spec.line) for spec in heavy.learners)
    if known is not None and known.recipe == heavy.recipe and not lacks:
        return state, {}
    if not file.made(baseline):
        return heavy.learnt(state, HeavyNull(baseline.number, heavy.recipe))
    return heavy.taught(state, file.rows(plan.window), file.run)
