"""Verdicts applied to the trips they belong to, whenever they come: as windows close, or later."""

from collections.abc import Callable

from msgspec import Struct, field
from msgspec.structs import replace

from detectors.base import Verdict
from monitor.core.episode_log import Alarm, Episodes, followed
from monitor.core.plan import Plan
from monitor.core.policy import Reason, Transition, Trip, TripKey, episode_id, step
from monitor.core.profiles import GroupKey
from monitor.core.scenes import Begun, Tick, Witness
from monitor.types import Changes, Micros

Watch = Callable[[int, TripKey, Trip], None]
"""Is told of each verdict: at which tick it came (event time), whose it is, and the trip after it."""


class Steps(Struct):
    """Trips as verdicts come. alarms, transitions: what began and changed. tick: event time of now.

    stepped: verdicts that whoever looks on is not told of yet. before: how many transitions came earlier.
    """

    trips: dict[TripKey, Trip]
    alarms: list[Alarm] = field(default_factory=list)
    transitions: list[Transition] = field(default_factory=list)
    watch: Watch | None = None
    tick: Micros = 0
    stepped: list[tuple[TripKey, Trip]] = field(default_factory=list)
    before: int = 0

    def at(self, tick: Micros) -> None:
        """Begin a tick."""
        self.tick, self.before = tick, len(self.transitions)

    def take(self, plan: Plan, group: GroupKey, verdict: Verdict, first: int | None = None) -> None:
        """Apply a verdict on a group's window; first: start of the first of several, `group` has the last."""
        key = TripKey(group.version, group.segment, verdict.feature, verdict.detector)
        span = (group.start, group.start + plan.window)
        old = self.trips.get(key) or Trip(verdict.kind)
        trip, before, reason = step(plan.rule, old, verdict, span)
        if trip is old:
            return
        episode = old.episode
        if reason is Reason.ENTERED:
            episode = episode_id(plan.name, key, group.start)
            trip = replace(trip, episode=episode)
        self.trips[key] = trip
        self.stepped.append((key, trip))
        if reason is None:
            return
        since = span[0] if first is None else first
        change = Transition(
            plan.name, key, verdict.kind, before, trip.phase, reason, episode, since, span[1], verdict
        )
        self.transitions.append(change)
        if reason is Reason.ENTERED:
            self.alarms.append((self.tick, key.feature, key.detector))

    def follow(self, now: Tick, witness: Witness | None) -> tuple[Episodes, Changes]:
        """Follow the episodes that a tick began and ended; returns all of them, and records of the new ones.

        Only now is it known which of them began together; whoever looks on is told after that.
        """
        changes, begun, episodes = self.transitions[self.before :], Begun(), now.state.episodes
        entered = [change for change in changes if change.reason is Reason.ENTERED]
        if witness is not None and entered:
            begun = witness(replace(now, state=replace(now.state, trips=self.trips)), entered)
            self.trips = begun.trips(self.trips)
        if changes:
            self.transitions[self.before :] = changes = begun.transitions(changes)
            episodes = followed(episodes, self.trips, changes, begun.episodes)
        if self.watch is not None:
            for key, trip in self.stepped:
                self.watch(self.tick, key, begun.trip(key, trip))
        self.stepped = []
        return episodes, begun.changes
