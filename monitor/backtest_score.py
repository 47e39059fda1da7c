"""What a backtest's episodes are worth: which were false, and how long each known incident went unseen."""

import math
from collections import Counter

from msgspec import Struct
from msgspec.structs import replace

from monitor.backtest import Replay
from monitor.core.plan import Plan
from monitor.core.profiles import ALL
from monitor.episodes import Episode
from monitor.truth import Incident
from monitor.types import Micros

DAY = 86_400 * 10**6
MONTH = 30 * DAY
PAGES = "performance"
"""The kind of alarm that wakes somebody; the others can wait for the morning."""


class Delay(Struct, frozen=True):
    """How an incident was found. windows: from the one it began in to the first that fired, 0 for the same.

    time: from the incident's start until the alarm was told, microseconds of event time. All of these are
    None where it was not found. before: an episode that might have found it but was firing already.
    watched: whether any of its time was judged.
    """

    incident: Incident
    episode: Episode | None = None
    windows: int | None = None
    time: Micros | None = None
    before: Episode | None = None
    watched: bool = True


class Score(Struct, frozen=True):
    """A replay judged. false: episodes that no incident explains. per_30d: their rate, None without time."""

    false: tuple[Episode, ...]
    per_30d: float | None
    delays: tuple[Delay, ...]


def score(replay: Replay) -> Score:
    """Hold a replay's episodes against the incidents known; without any, every episode is a false one."""
    plan = replay.plan
    false = tuple(e for e in replay.episodes if not any(explains(plan, i, e) for i in replay.incidents))
    span = (replay.last or 0) - (replay.first or 0)
    rate = len(false) * MONTH / span if span else None
    delays = (
        replace(delay(plan, incident, replay.episodes), watched=_watched(replay, incident))
        for incident in replay.incidents
    )
    return Score(false, rate, tuple(delays))


def explains(plan: Plan, incident: Incident, episode: Episode) -> bool:
    """Tell whether an episode touches an incident: performance has until its outcomes are due."""
    if incident.exact and not _matches(incident, episode):
        return False
    ended = math.inf if episode.ended is None else episode.ended
    return episode.started < _until(plan, incident, episode) and ended > incident.start


def delay(plan: Plan, incident: Incident, episodes: tuple[Episode, ...]) -> Delay:
    """Return how an incident was found: by the first episode told, of its kind and feature."""
    mine = [e for e in episodes if _matches(incident, e) and e.started < _until(plan, incident, e)]
    after = [e for e in mine if e.started + plan.window > incident.start]
    if not after:
        firing = [e for e in mine if e.ended is None or e.ended > incident.start]
        return Delay(incident, before=min(firing, key=_order, default=None))
    first = min(after, key=_order)
    windows = (first.started - incident.start // plan.window * plan.window) // plan.window
    return Delay(incident, first, windows, first.known - incident.start)


def calls(episodes: tuple[Episode, ...], *, pages: bool) -> Counter[str]:
    """Count the episodes that would have paged (or made a ticket), by feature, or metric of performance."""
    chosen = [e for e in episodes if (e.kind == PAGES) is pages]
    return Counter(e.key.detector if e.key.feature == "_all" else e.key.feature for e in chosen)


def _watched(replay: Replay, incident: Incident) -> bool:
    if replay.first is None or replay.last is None:
        return False
    return incident.start < replay.last and (incident.end is None or incident.end > replay.first)


def _matches(incident: Incident, episode: Episode) -> bool:
    return incident.kind in ("", episode.kind) and incident.feature in ("", episode.key.feature)


def _until(plan: Plan, incident: Incident, episode: Episode) -> float:
    return math.inf if incident.end is None else incident.end + plan.patience(episode.kind)


def _order(episode: Episode) -> tuple[Micros, Micros, bool, str]:
    """Return what comes first: told first, and of those told together the one of all rows."""
    return episode.known, episode.started, episode.key.segment != ALL, episode.id
