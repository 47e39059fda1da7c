"""From the pipeline's verdicts to episodes: when each began and ended, how bad it was, what may be why."""

import math
from collections.abc import Mapping

from msgspec import Struct
from msgspec.structs import replace

from detectors.base import Level, Verdict
from monitor.core.plan import Plan
from monitor.core.policy import Phase, Shown, Trip, TripKey
from monitor.core.state import ModelState
from monitor.performing import shown_state
from monitor.types import Micros

CAUSES = 10
"""Features named as probable causes."""
Place = tuple[Micros, str, str]
"""Window start, version, segment."""


class Episode(Struct, frozen=True):
    """One alarm from its first firing window to the end of the one that ended it. Times are microseconds.

    started: start of the window that fired; known: when it was told, in event time: the window's end (or,
    where outcomes were waited for, the tick that had enough of them) and the lateness. ended: None while it
    fires. score, threshold: of the window in which the score was the largest share of its threshold.
    causes: features, those first whose drift was the largest share of its threshold when it started.
    """

    id: str
    key: TripKey
    kind: str
    started: Micros
    known: Micros
    ended: Micros | None = None
    score: float | None = None
    threshold: float | None = None
    causes: tuple[str, ...] = ()

    @property
    def about(self) -> str:
        """What a person is told of: the monitor, and the feature where it has one."""
        return self.key.detector if self.key.feature == "_all" else f"{self.key.feature} {self.key.detector}"


class Recorder:
    """Looks on while one model's windows are judged. Give `watch` to the worker; then ask for `episodes`."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self.monitors: set[TripKey] = set()
        self.first: Micros | None = None
        self.last: Micros | None = None
        self._firing: dict[TripKey, Episode] = {}
        self._over: list[Episode] = []
        self._causes: dict[str, tuple[str, ...]] = {}
        self._fresh: list[Episode] = []
        self._drift: dict[Place, dict[str, float]] = {}
        self._tick: Micros = 0

    def watch(self, tick: Micros, key: TripKey, trip: Trip) -> None:
        """Take in one verdict: at which tick it came, whose it is, and the trip after it."""
        verdict = trip.verdict
        if verdict is None or verdict.level is Level.NO_REFERENCE:
            return
        if tick != self._tick:
            self._next(tick)
        self.monitors.add(key)
        end = trip.window + self._plan.window
        self.first = trip.window if self.first is None else min(self.first, trip.window)
        self.last = end if self.last is None else max(self.last, end)
        if trip.kind == "drift":
            drift = self._drift.setdefault((trip.window, key.version, key.segment), {})
            drift[key.feature] = max(drift.get(key.feature, -math.inf), share(verdict))
        self._follow(key, trip, verdict)

    def episodes(self, state: ModelState) -> tuple[Episode, ...]:
        """Return every episode, the first to start first; state: the model's after the last window.

        One whose version or segment has had no rows for some windows is over, as it is for /metrics.
        """
        self._settle_causes()
        open_ = []
        for key, episode in self._firing.items():
            trip = state.trips.get(key)
            stale = trip is None or shown_state(self._plan, state, trip) is Shown.STALE
            ended = self._last_window(key, state) if stale else None
            open_.append(replace(episode, ended=ended))
        named = [replace(e, causes=self._causes[e.id]) for e in (*self._over, *open_)]
        return tuple(sorted(named, key=lambda e: (e.started, e.known, e.kind, e.key)))

    def _follow(self, key: TripKey, trip: Trip, verdict: Verdict) -> None:
        """Begin, go on with or end the episode of a monitor."""
        episode = self._firing.pop(key, None)
        if episode is not None and trip.phase is not Phase.FIRING:
            self._over.append(replace(episode, ended=trip.ended if trip.ended is not None else trip.window))
            return
        if trip.phase is not Phase.FIRING:
            return
        if episode is None or episode.id != trip.episode:
            if episode is not None:  # its version was forgotten meanwhile, and came back
                self._over.append(replace(episode, ended=trip.since))
            known = self._tick + self._plan.lateness
            episode = Episode(trip.episode, key, trip.kind, trip.since, known)
            self._fresh.append(episode)
        if verdict.score is not None and share(verdict) >= _share(episode.score, episode.threshold):
            episode = replace(episode, score=verdict.score, threshold=verdict.threshold)
        self._firing[key] = episode

    def _next(self, tick: Micros) -> None:
        """Go on to the next tick: all of the last one's verdicts are there."""
        self._settle_causes()
        self._tick = tick
        oldest = tick - self._plan.window - self._plan.patience("performance") - self._plan.window
        if self._drift and min(self._drift)[0] < oldest:
            self._drift = {place: drift for place, drift in self._drift.items() if place[0] >= oldest}

    def _settle_causes(self) -> None:
        for episode in self._fresh:
            drift = self._drift.get((episode.started, episode.key.version, episode.key.segment), {})
            self._causes[episode.id] = ranked(drift)
        self._fresh = []

    def _last_window(self, key: TripKey, state: ModelState) -> Micros:
        trip = state.trips.get(key)
        start = trip.window if trip is not None else self._firing[key].started
        return start + self._plan.window


def share(verdict: Verdict) -> float:
    """Return a verdict's score as a share of its threshold: above 1 is a breach, -inf was not judged."""
    return _share(verdict.score, verdict.threshold)


def _share(score: float | None, threshold: float | None) -> float:
    if score is None or threshold is None:
        return -math.inf
    if threshold > 0:
        return score / threshold
    return math.inf if score > threshold else 0.0


def ranked(drift: Mapping[str, float]) -> tuple[str, ...]:
    """Return the features with the largest shares first, at most CAUSES of them."""
    judged = [name for name, value in drift.items() if value > -math.inf]
    return tuple(sorted(judged, key=lambda name: (-drift[name], name))[:CAUSES])
