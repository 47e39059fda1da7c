"""Committed state to exported samples: an immutable snapshot that scrapes read without a lock."""

import hashlib
import platform
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from importlib.metadata import version
from typing import Any, TypeVar, cast

from msgspec import Struct

from exporters.catalog import Sample
from exporters.rows import Part, series
from monitor.book_facts import events, group_blocks, progress, retrain
from monitor.budgeting import calibration, spent
from monitor.core.annotations import ENDPOINT as ANNOTATIONS
from monitor.core.heavy import is_joint
from monitor.core.members import Members, Unit, chosen
from monitor.core.outbox import NoteState
from monitor.core.plan import Plan
from monitor.core.policy import Shown
from monitor.core.state import ModelState
from monitor.core.usual import ERROR, LOSS
from monitor.heavy_facts import heavy_samples
from monitor.monitor_facts import (
    MONITORS,
    OTHER,
    WHOLE,
    Standing,
    claims,
    of_others,
    rows,
    series_of,
    standings,
    unit_of,
)
from monitor.outgoing import Outbox, asks
from monitor.performance_facts import outcome_samples, performance_blocks
from monitor.registry_facts import registry_samples
from monitor.responses import Responses, open_episodes
from monitor.room import Block, within
from monitor.store.rejects import unkept

SECOND = 10**6
SERIES_PER_TRIP = MONITORS.size
SERIES_OF_LIMIT = 5
SERIES_OF_OTHERS = 1 + len(Shown)


Made = TypeVar("Made")


class Choice(Struct, frozen=True):
    """What of a model is exported. kept: units with series of their own; left_out: series without."""

    groups: Part
    performance: Part
    kept: frozenset[Unit]
    left_out: int
    capped: bool


class ModelFacts:
    """One model's committed state as series, at most its limit; what is beyond it is left out and counted.

    Groups get at most half of the room, performance half of what is left, monitors the rest. Parts of the
    state that are the same object as the last time are not read again. Used by one thread at a time.
    """

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self._made: dict[str, tuple[tuple[object, ...], Any]] = {}

    def parts(self, state: ModelState) -> tuple[Part, ...]:
        """Return the model's series."""
        fixed = self._fixed(state)
        found, choice = self._standings(state), self._choice(state, series(fixed))
        monitors = self._once("monitors", (found, choice), lambda: self._monitors(found, choice))
        name, members = self.plan.name, self.members(state, choice)
        parts = (choice.groups, choice.performance, monitors)
        active = series(fixed) + sum(part.series() for part in parts) + SERIES_OF_LIMIT
        own = sum(row.labels[3] != OTHER for row in monitors.rows)
        of_limit = [
            Sample("driftd_series_active", (name,), active),
            Sample("driftd_series_limit", (name,), self.plan.model.series_limit),
            Sample("driftd_series_left_out", (name,), choice.left_out),
            Sample("driftd_series_dropped_total", (name,), members.dropped),
            Sample("driftd_monitors_left_out", (name,), len(found) - own),
        ]
        return Part([*fixed, *of_limit]), *parts

    def members(self, state: ModelState, choice: Choice | None = None) -> Members:
        """Return who has series in this state, by who had them before."""
        chosen_now = choice or self._choice(state, series(self._fixed(state)))
        return state.members.after(chosen_now.kept, chosen_now.left_out)

    def _once(self, what: str, depends: tuple[object, ...], make: Callable[[], Made]) -> Made:
        """Return what was made the last time, if all that it depends on is the same; else make it."""
        found = self._made.get(what)
        if found is None or not all(map(_same, found[0], depends)):
            found = self._made[what] = depends, make()
        return cast("Made", found[1])

    def _standings(self, state: ModelState) -> list[Standing]:
        depends = (state.trips, state.book.last_closed)
        return self._once("standings", depends, lambda: standings(self.plan, state))

    def _choice(self, state: ModelState, taken: int) -> Choice:
        """Share the room out; taken: series that are exported in any case."""
        plan, book, labels = self.plan, state.book, state.labels
        room = max(plan.model.series_limit - taken - SERIES_OF_LIMIT, 0)
        found = self._standings(state)
        seen = (state.baselines, state.volumes, book.versions, book.last_closed, state.trips)
        groups = self._once("groups", seen, lambda: [*self._more_versions(state), *group_blocks(plan, state)])
        told = (labels.history, labels.records, labels.standards, *seen)
        performance = self._once("performance", told, lambda: performance_blocks(plan, state))
        depends = (groups, performance, found, state.members.units, room)
        return self._once("choice", depends, lambda: _choice(found, groups, performance, state, room))

    def _monitors(self, found: Sequence[Standing], choice: Choice) -> Part:
        if not choice.capped:
            return Part((), rows(self.plan, found), MONITORS)
        own = [one for one in found if unit_of(one.key) in choice.kept]
        others = [one for one in found if unit_of(one.key) not in choice.kept]
        return Part((), [*rows(self.plan, own), of_others(self.plan.name, others)], MONITORS)

    def _fixed(self, state: ModelState) -> list[Sample]:
        """Return what describes the whole model: few series, never left out."""
        plan = self.plan
        found = [*events(plan, state), *progress(plan, state), *retrain(plan, state)]
        return [*found, *self._whole(state), *outcome_samples(plan, state)]

    def _whole(self, state: ModelState) -> Iterator[Sample]:
        plan, name, baseline = self.plan, self.plan.name, state.newest_baseline
        found = self._standings(state)
        yield Sample("driftd_false_alarm_budget_ratio", (name,), spent(plan, state))
        if baseline is not None:
            yield Sample("driftd_calibration_info", (name, *calibration(plan, state, baseline)), 1)
        for what in ("stream_rows", "stream_left_out"):
            yield Sample(f"driftd_{what}_total", (name,), state.book.counts.get(("", what, ""), 0))
        yield from heavy_samples(plan, state)
        firing, monitored = self._once("features", (found,), lambda: _features(found))
        yield Sample("driftd_features_firing", (name,), firing)
        yield Sample("driftd_features_monitored", (name,), monitored)
        yield self._versions(state)[0]

    def _more_versions(self, state: ModelState) -> list[Block]:
        return [Block(1, [sample]) for sample in self._versions(state)[1:]]

    def _versions(self, state: ModelState) -> list[Sample]:
        """Return a series for each version that had a window, the newest first; one in any case."""
        plan, closed, baseline = self.plan, state.book.versions, state.newest_baseline
        reference = baseline.hash if baseline else ""
        config = self._once("config", (), lambda: _config_hash(plan))
        names = sorted(closed, key=lambda name: (-closed[name], name)) or [""]
        return [Sample("driftd_model_info", (plan.name, name, reference, config), 1) for name in names]


def _same(before: object, now: object) -> bool:
    return before is now or (isinstance(before, int) and before == now)


def _choice(
    found: Sequence[Standing],
    groups: Sequence[Block],
    performance: Sequence[Block],
    state: ModelState,
    room: int,
) -> Choice:
    seen, dropped = within(groups, room // 2)
    room -= series(seen)
    told, more = within(performance, room // 2)
    room -= series(told)
    parts = Part(seen), Part(told)
    if len(found) * MONITORS.size <= room:
        return Choice(*parts, frozenset(), dropped + more, capped=False)
    kept = chosen(claims(found), room - SERIES_OF_OTHERS, state.members.units)
    most = sum(series_of(one) for one in found if unit_of(one.key) not in kept)
    return Choice(*parts, kept, dropped + more + most, capped=True)


def _features(found: Sequence[Standing]) -> tuple[int, int]:
    """Return how many features fire, and how many are watched, over versions and segments."""
    none = {WHOLE, ERROR, LOSS}
    watched = {one.key.feature for one in found if not is_joint(one.key.feature)} - none
    firing = {one.key.feature for one in found if one.shown is Shown.FIRING}
    return len(firing & watched), len(watched)


def _config_hash(plan: Plan) -> str:
    return hashlib.blake2b(plan.model.model_dump_json().encode(), digest_size=8).hexdigest()


def model_samples(plan: Plan, state: ModelState) -> list[Sample]:
    """Return one model's samples, at most its series limit, as ModelFacts does."""
    return [sample for part in ModelFacts(plan).parts(state) for sample in part.each()]


def episode_samples(plan: Plan, state: ModelState, responses: Responses) -> list[Sample]:
    """Return how many episodes of a model fire, with and without somebody who looks after them."""
    taken, waiting = open_episodes(plan, state, responses)
    return [
        Sample("driftd_episodes_open", (plan.name, "true"), taken),
        Sample("driftd_episodes_open", (plan.name, "false"), waiting),
    ]


def outbox_samples(outbox: Outbox, now_us: int) -> list[Sample]:
    """Return the outbox's samples, annotations and evidence apart from webhooks. now_us: wall clock."""
    hooks = [q for q in outbox.queued.values() if asks(q.note)]
    told = Counter(q.note.state for q in outbox.queued.values() if q.note.endpoint == ANNOTATIONS)
    waiting = [q for q in hooks if q.note.state is NoteState.PENDING]
    dead = sum(q.note.state is NoteState.DEAD for q in hooks)
    oldest = max((now_us - q.since for q in waiting), default=0)
    return [
        Sample("driftd_outbox_pending", (), len(waiting)),
        Sample("driftd_outbox_oldest_age_seconds", (), max(oldest, 0) / SECOND),
        Sample("driftd_outbox_dead_letters", (), dead),
        Sample("driftd_annotations_pending", (), told[NoteState.PENDING]),
        Sample("driftd_annotations_dead_letters", (), told[NoteState.DEAD]),
    ]


def webhook_samples(plans: Iterable[Plan], outbox: Outbox) -> list[Sample]:
    """Return how requests ended, for each model and each webhook it asks, and which webhooks are disabled."""
    asked = sorted({(plan.name, rule.webhook) for plan in plans for rule in plan.model.retrain})
    found = [
        Sample("driftd_retrain_requests_total", (*whose, end), outbox.settled.get((*whose, end), 0))
        for whose in asked
        for end in (str(NoteState.DELIVERED), str(NoteState.DEAD))
    ]
    gone = {endpoint.name for endpoint in outbox.endpoints.values() if endpoint.gone}
    hooks = sorted({webhook for _, webhook in asked})
    return [*found, *(Sample("driftd_webhook_disabled", (hook,), float(hook in gone)) for hook in hooks)]


def build_samples() -> list[Sample]:
    """Return what describes the program itself."""
    return [Sample("driftd_build_info", (version("driftd"), platform.python_version()), 1)]


def all_samples(
    plans: Sequence[Plan],
    states: Mapping[str, ModelState],
    rejects: Mapping[str, bytes],
    outbox: Outbox,
    now_us: int,
) -> list[Sample]:
    """Return everything that committed state says. rejects: each model's committed rejects entry."""
    found: list[Sample] = []
    for plan in plans:
        found += model_samples(plan, states[plan.name])
        missed = unkept(rejects.get(plan.name))
        found.append(Sample("driftd_rejects_unkept_total", (plan.name,), missed))
    found += [*webhook_samples(plans, outbox), *registry_samples(plans, states, outbox)]
    return [*found, *outbox_samples(outbox, now_us), *build_samples()]
