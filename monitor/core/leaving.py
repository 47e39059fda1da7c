"""What a closing window leaves for heavy monitors, and what is given up for it: in the closing's commit."""

from collections.abc import Mapping

from msgspec.structs import replace

from monitor.core.closing import Closed
from monitor.core.jobs import Job, JobKey, job_changes
from monitor.core.plan import Plan
from monitor.core.state import ModelState, dump_book
from monitor.core.windows import NEVER
from monitor.types import Micros

GIVEN_UP = "heavy_given_up"


def with_left(closed: Closed, jobs: Mapping[JobKey, Job]) -> Closed:
    """Return what closing brought with these jobs; windows that are given up for them are counted."""
    before, state = closed.state.jobs, closed.state
    lost = _lost(jobs) - _lost(before)
    changes = {**closed.changes, **job_changes(state.model, before, jobs)}
    if lost:
        state = replace(state, book=state.book.counted({("", GIVEN_UP, ""): lost}))
        changes[("book", state.model, "")] = dump_book(state.book)
    return replace(closed, state=replace(state, jobs=jobs), changes=changes)


def complete(plan: Plan, state: ModelState) -> list[JobKey]:
    """Return the jobs that nothing is added to any more: all windows before their time have closed."""
    reached = reach(plan, state)
    return [key for key in state.jobs if key.due <= reached]


def reach(plan: Plan, state: ModelState) -> Micros:
    """Return until when everything has closed, in event time."""
    closed = NEVER if state.book.last_closed is None else state.book.last_closed + plan.window
    return max(closed, state.book.progress.watermark(plan.lateness))


def _lost(jobs: Mapping[JobKey, Job]) -> int:
    return sum(job.windows for job in jobs.values() if job.sample is None)
