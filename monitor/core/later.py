"""Verdicts that come after their windows' closing: applied in the commit that removes what they came of."""

from collections.abc import Sequence

from msgspec.structs import replace

from detectors.base import Verdict
from monitor.core.closing import Closed
from monitor.core.episode_log import lately
from monitor.core.heavy import Heavy, Question
from monitor.core.heavy_records import joint_evidence
from monitor.core.jobs import JobKey, job_changes, without
from monitor.core.joint_ranks import rows_compared
from monitor.core.plan import MICROSECOND, Plan
from monitor.core.policy import TripKey
from monitor.core.profiles import ALL, GroupKey
from monitor.core.scenes import Tick, Witness
from monitor.core.state import ModelState, dump_book, moved, trip_changes
from monitor.core.stepping import Steps, Watch
from monitor.core.wishes import ask_for_retraining

Said = tuple[Question | None, Verdict]
"""What a monitor of a job was asked, None where there was nothing to ask, and its verdict."""


def applied(
    plan: Plan,
    heavy: Heavy,
    state: ModelState,
    done: tuple[JobKey, Sequence[Said]],
    watch: Watch | None = None,
    witness: Witness | None = None,
) -> Closed:
    """Step the monitors that judged a job, and remove it, or leave it to those of its line that did not.

    Whatever closed meanwhile, it counts from when the job was due, so that a replay gives the same. A version
    without rows for long is forgotten, and so is what comes of its job.
    """
    key, said = done
    job, jobs = state.jobs[key], without(state.jobs, (key,))
    judged = {(verdict.feature, verdict.detector) for _, verdict in said}
    left = [spec.name for spec in heavy.of(key, job) if (spec.feature, spec.detector) not in judged]
    if left and key.version in state.book.versions:
        jobs[key] = replace(job, left=tuple(left))
    changes = job_changes(state.model, state.jobs, jobs)
    state = replace(state, jobs=jobs)
    if key.version not in state.book.versions:
        return Closed(state, changes)
    steps = Steps(dict(state.trips), watch=watch, tick=key.due)
    group = GroupKey(job.last, key.version)
    every = {(spec.feature, spec.detector): spec.every for spec in heavy.specs}
    for _, verdict in said:
        steps.take(plan, group, verdict, job.first)
        place = TripKey(key.version, ALL, verdict.feature, verdict.detector)
        usual = every[verdict.feature, verdict.detector]
        longer = usual if usual > plan.window else 0  # a schedule may have been taken out
        if place in steps.trips and steps.trips[place].every != longer:
            steps.trips[place] = replace(steps.trips[place], every=longer)
    asked = {(v.feature, v.detector): question for question, v in said if question is not None}
    tick = Tick(state, {}, evidence=joint_evidence(asked), rows=rows_compared(asked, job.windows))
    episodes, records = steps.follow(tick, witness)
    state = replace(state, episodes=episodes)
    wished = ask_for_retraining(plan, state, steps.trips, state.book.versions, key.due - plan.window)
    begun = sorted((*wished.state.book.alarms, *steps.alarms), key=lambda alarm: alarm[0])
    since = (state.book.last_closed or 0) + plan.window - plan.rate[1] // MICROSECOND
    alarms = lately(begun, since)
    after = replace(wished.state, trips=steps.trips, book=replace(wished.state.book, alarms=alarms))
    changes |= {**records, **wished.changes, ("book", state.model, ""): dump_book(after.book)}
    changes |= trip_changes(state.model, moved(state.trips, steps.trips))
    return Closed(after, changes, tuple(steps.transitions), tuple(wished.notes))
