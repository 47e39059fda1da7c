"""Heavy monitors taken up at the start: their schedules, and the jobs that somebody still judges."""

from collections.abc import Callable
from dataclasses import replace

from detectors.profile import Grid
from monitor.core.heavy import Heavy, heavy_monitors
from monitor.core.jobs import job_changes
from monitor.core.plan import Plan
from monitor.core.state import ModelState
from monitor.cron import cron
from monitor.logs import logger
from monitor.types import Changes


def heavy_of(plan: Plan, level: Callable[[Grid, int], float]) -> Heavy:
    """Return a model's heavy monitors; level: what one may spend on a window, by grid and groups."""
    schedules = {m.schedule for m in heavy_monitors(plan.model) if m.schedule}
    return Heavy(plan, {line: cron(line) for line in schedules}, level)


def with_jobs(heavy: Heavy, state: ModelState) -> tuple[ModelState, Changes]:
    """Let go of jobs that no monitor is there for any more."""
    jobs = {key: job for key, job in state.jobs.items() if key.line in heavy.lines}
    gone = len(state.jobs) - len(jobs)
    if gone:
        says = "samples forgotten, no heavy monitor asks for them"
        logger("heavy", model=state.model).info(says, samples=gone)
    return replace(state, jobs=jobs), job_changes(state.model, state.jobs, jobs)
