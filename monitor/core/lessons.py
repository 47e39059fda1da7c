"""What heavy monitors are asked to learn, one of a reference's own samples after the other.

A monitor that is at odds with its process, or slow, learns last, so that others neither wait for it nor for
each other; one that fails again and again is given up for a time, which passes in event time.
"""

from collections.abc import Mapping

from msgspec import Struct

from monitor.core.heavy import Heavy, HeavySpec
from monitor.core.heavy_null import AGAIN, HeavyNull, Trouble
from monitor.core.leaving import reach
from monitor.core.plan import Plan
from monitor.core.state import ModelState
from monitor.types import Changes, Micros


class Lesson(Struct, frozen=True, eq=False):
    """A reference's own sample, and the monitors that compare it next."""

    null: HeavyNull
    due: Micros
    specs: tuple[HeavySpec, ...]


class Finding(Struct, frozen=True):
    """What a comparison came to. failure: why there is none, and note: the same for people."""

    pvalue: float | None = None
    failure: str = ""
    note: str = ""
    slow: bool = False


def next_lesson(plan: Plan, heavy: Heavy, state: ModelState, lane: str, *, late: bool) -> Lesson | None:
    """Return what is to be learnt next in a lane; late: by monitors that nobody waits for."""
    for number in sorted(state.heavy_nulls):
        null = state.heavy_nulls[number]
        if not heavy.knows(null):
            continue
        found = _slowly(plan, heavy, state, (null, lane)) if late else _together(heavy, null, lane)
        if found is not None:
            return found
    return None


def _together(heavy: Heavy, null: HeavyNull, lane: str) -> Lesson | None:
    """Return the first sample that monitors without trouble have left, for all of them that come to it."""
    specs = [spec for spec in _pupils(heavy, null, lane) if spec.id not in null.troubles]
    places = {spec.id: (spec.line, null.left(spec.id, spec.line)[0]) for spec in specs}
    place = min(places.values(), default=None)
    if place is None:
        return None
    return Lesson(null, place[1], tuple(spec for spec in specs if places[spec.id] == place))


def _slowly(plan: Plan, heavy: Heavy, state: ModelState, where: tuple[HeavyNull, str]) -> Lesson | None:
    """Return the next sample of the monitor that failed least, if the time to try it has come."""
    null, reached = where[0], reach(plan, state)
    specs = [spec for spec in _pupils(heavy, *where) if spec.id in null.troubles]
    ready = [spec for spec in specs if null.troubles[spec.id].again <= reached]
    spec = min(ready, key=lambda s: null.troubles[s.id].failures, default=None)
    return Lesson(null, null.left(spec.id, spec.line)[0], (spec,)) if spec is not None else None


def _pupils(heavy: Heavy, null: HeavyNull, lane: str) -> list[HeavySpec]:
    """Return the monitors of a lane that have something to learn, those that learn the same once."""
    known = {spec.id: spec for spec in heavy.learners if spec.lane == lane}
    return [spec for spec in known.values() if null.left(spec.id, spec.line)]


def waits_still(heavy: Heavy, state: ModelState, lesson: Lesson) -> bool:
    """Tell whether the monitors of a lesson have it to learn as before, whatever others learnt."""
    then, now = lesson.null, state.heavy_nulls.get(lesson.null.number)
    if now is None or not heavy.knows(now):
        return False
    return all(
        lesson.due in now.left(spec.id, spec.line)
        and now.waiting[spec.line, lesson.due] is then.waiting[spec.line, lesson.due]
        and now.troubles.get(spec.id) == then.troubles.get(spec.id)
        for spec in lesson.specs
    )


def learnt(
    plan: Plan, heavy: Heavy, state: ModelState, lesson: Lesson, found: Mapping[str, Finding]
) -> tuple[ModelState, Changes]:
    """Take on what the monitors of a lesson that waits still found, by their ids."""
    null = state.heavy_nulls[lesson.null.number]
    for spec in lesson.specs:
        finding, place = found[spec.id], (spec.id, spec.line, lesson.due)
        if finding.failure in AGAIN:
            trouble = null.troubles.get(spec.id, Trouble(""))
            reached = reach(plan, state)
            null = null.failed(*place, trouble.then(finding.failure, finding.note, reached, spec.every))
        else:
            null = null.learnt(*place, finding.pvalue)
            null = null.slowed(spec.id, spec.line) if finding.slow else null
    return heavy.learnt(state, null)
