"""From verdicts to a trip: inactive, pending, firing; with a reason, never just a bool.

A trip's identity is version / segment / feature / detector: nothing in it moves. Time is event time.
"""

import hashlib
from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Any, NamedTuple

from msgspec import Struct
from msgspec.structs import replace

from detectors.base import Level, Verdict

STALE_WINDOWS = 3
Changed = Mapping[str, Any]
"""Fields of a trip that change, by name."""
NOTHING: Changed = MappingProxyType({})


class Phase(StrEnum):
    """Where a trip stands."""

    INACTIVE = "inactive"
    PENDING = "pending"
    FIRING = "firing"


class Shown(StrEnum):
    """The states that /metrics and status show."""

    OK = "ok"
    PENDING = "pending"
    FIRING = "firing"
    INSUFFICIENT_DATA = "insufficient_data"
    NO_REFERENCE = "no_reference"
    STALE = "stale"
    ERROR = "error"


class Reason(StrEnum):
    """Why a trip changed its phase."""

    BREACH = "first_breach"
    ENTERED = "breached_long_enough"
    CALM = "no_breach_for_long_enough"
    FALSE_START = "no_breach_while_pending"


class TripKey(NamedTuple):
    """Which monitor: never a score, a level or a time. A tuple, for it is hashed all the time."""

    version: str
    segment: str
    feature: str
    detector: str


class Rule(Struct, frozen=True):
    """enter: breaching windows until it fires; keep_firing: calm ones until it ends; cooldown in us."""

    enter: int
    keep_firing: int
    cooldown: int


class Trip(Struct, frozen=True):
    """A monitor's state after its last window.

    breaches and calm: windows in a row. episode: its id while firing. since: window start of the phase.
    ended: end of the window that ended the last episode (cooldown counts from there), microseconds.
    verdict: the last verdict; window: the window it judged (start). judged: the last verdict with a score.
    every: usual time between two verdicts where that is longer than a window, microseconds.
    """

    kind: str
    phase: Phase = Phase.INACTIVE
    breaches: int = 0
    calm: int = 0
    episode: str = ""
    since: int = 0
    ended: int | None = None
    episodes: int = 0
    window: int = 0
    verdict: Verdict | None = None
    judged: Verdict | None = None
    every: int = 0

    @property
    def shown(self) -> Shown:
        """What people are told: a firing trip stays firing through windows that cannot be judged."""
        if self.phase is Phase.FIRING:
            return Shown.FIRING
        level = self.verdict.level if self.verdict else Level.INSUFFICIENT_DATA
        if level in (Level.OK, Level.BREACH):
            return Shown.PENDING if self.phase is Phase.PENDING else Shown.OK
        return Shown(level.value)


def is_stale(length: int, newest: int, trip: Trip) -> bool:
    """Tell whether a trip has had no rows for some windows of `length` up to `newest`."""
    return newest - trip.window >= STALE_WINDOWS * max(length, trip.every)


class Transition(Struct, frozen=True):
    """A change of phase, why, and in which window (its start and end, microseconds)."""

    model: str
    key: TripKey
    kind: str
    before: Phase
    after: Phase
    reason: Reason
    episode: str
    start: int
    end: int
    verdict: Verdict


def episode_id(model: str, key: TripKey, start: int) -> str:
    """Name an episode by its trip and first firing window: a replay gives the same name."""
    text = "\x1f".join([model, key.version, key.segment, key.feature, key.detector, str(start)])
    return "ep_" + hashlib.blake2b(text.encode(), digest_size=8).hexdigest()


def step(
    rule: Rule, trip: Trip, verdict: Verdict, window: tuple[int, int]
) -> tuple[Trip, Phase, Reason | None]:
    """Judge one window. Returns the trip after it, the phase before it, and why it changed, if it did.

    Outcomes of an older window may come after those of a newer one: then only a breach counts that no
    episode has covered, and the trip given comes back where nothing does.
    """
    start, end = window
    if start < trip.window and not _is_news(trip, verdict, start):
        return trip, trip.phase, None
    breaches, calm, turned, reason = trip.breaches, trip.calm, NOTHING, None
    if verdict.level is Level.BREACH:
        breaches, calm = trip.breaches + 1, 0
        turned, reason = _breached(rule, trip, start)
    elif verdict.level is Level.OK:
        breaches, calm = 0, trip.calm + 1
        turned, reason = _calm(rule, trip, start, end)
    # what cannot be judged neither starts nor ends an episode
    after = Trip(  # by place, and no `replace`: it is made for each of thousands of trips a window
        trip.kind,
        trip.phase,
        breaches,
        calm,
        trip.episode,
        trip.since,
        trip.ended,
        trip.episodes,
        max(start, trip.window),
        verdict,
        verdict if verdict.score is not None else trip.judged,
        trip.every,
    )
    return replace(after, **turned) if turned else after, trip.phase, reason


def _is_news(trip: Trip, verdict: Verdict, start: int) -> bool:
    covered = trip.phase is Phase.FIRING or (trip.ended is not None and start < trip.ended)
    return verdict.level is Level.BREACH and not covered


def _breached(rule: Rule, trip: Trip, start: int) -> tuple[Changed, Reason | None]:
    """Return what a breach changes of a trip's phase, and why."""
    if trip.phase is Phase.FIRING:
        return NOTHING, None
    cooling = trip.ended is not None and start < trip.ended + rule.cooldown
    if trip.breaches + 1 >= rule.enter and not cooling:
        return {"phase": Phase.FIRING, "since": start, "episodes": trip.episodes + 1}, Reason.ENTERED
    if trip.phase is Phase.PENDING:
        return NOTHING, None
    return {"phase": Phase.PENDING, "since": start}, Reason.BREACH


def _calm(rule: Rule, trip: Trip, start: int, end: int) -> tuple[Changed, Reason | None]:
    """Return what a window without a breach changes of a trip's phase, and why."""
    if trip.phase is Phase.PENDING:
        return {"phase": Phase.INACTIVE, "since": start}, Reason.FALSE_START
    if trip.phase is Phase.FIRING and trip.calm + 1 >= rule.keep_firing:
        over: Changed = {"phase": Phase.INACTIVE, "since": start, "ended": end, "episode": ""}
        return over, Reason.CALM
    return NOTHING, None
