"""When to ask a pipeline for a retraining, and what to say."""

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from hashlib import sha256
from typing import Any, Self

from msgspec import Struct, field
from msgspec.structs import replace

from monitor.core.outbox import Note
from monitor.types import Micros

WEEK: Micros = 7 * 86_400 * 10**6
EVENT_TYPE = "driftd.retrain.requested"
SCHEMA_VERSION = 1
PERFORMANCE = frozenset({"performance", "estimated_performance"})
"""Alarms about one thing: a version of the model got worse."""
BODY_BYTES = 20_000
"""A body is smaller than this."""

LISTED = 50
VERSIONS = 10
EXPLAINED = 10
"""Episodes whose causes a body tells."""
TEXT = 120


class Outcome(StrEnum):
    """Why a request went out, or why not."""

    REQUESTED = "requested"
    NOTHING = "nothing"
    COOLDOWN = "cooldown"
    WEEKLY_CAP = "weekly_cap"


class Rule(Struct, frozen=True):
    """When one model asks one webhook. kinds: of alarms that count. cooldown: event time, microseconds."""

    model: str
    webhook: str
    kinds: frozenset[str]
    cooldown: Micros
    max_per_week: int


class ClosedWindow(Struct, frozen=True):
    """The window whose close asks: [start, end) in event time, and the hash of the model's reference."""

    start: Micros
    end: Micros
    reference: str


class Why(Struct, frozen=True):
    """What is known of an episode's cause. document: as the webhook's body has it, without the id."""

    document: Mapping[str, Any] = field(default_factory=dict)

    def __repr__(self) -> str:
        """Leave the document out: it is long, and `worst_first` needs none of it."""
        return "Why()"


class Firing(Struct, frozen=True):
    """One firing monitor. score and threshold are those of its last verdict, None where it had none."""

    kind: str
    detector: str
    feature: str
    segment: str
    version: str
    score: float | None
    threshold: float | None
    episode: str
    why: Why = Why()


class RetrainState(Struct, frozen=True):
    """What one rule remembers, all in event time.

    sent: ends of the windows that asked in the last 7 days, and always the last one. announced: episodes
    that a request has named and that go on. held: (outcome, episode) of those held back and counted.
    """

    sent: tuple[Micros, ...] = ()
    announced: frozenset[str] = frozenset()
    held: frozenset[tuple[str, str]] = frozenset()

    def dump(self) -> str:
        """Return it as JSON; equal states give equal text."""
        parts = {"announced": sorted(self.announced), "held": sorted(self.held), "sent": self.sent}
        return json.dumps(parts, sort_keys=True)

    @classmethod
    def load(cls, text: str) -> Self:
        """Read what `dump` wrote."""
        parts = json.loads(text)
        held = frozenset((outcome, episode) for outcome, episode in parts["held"])
        return cls(tuple(parts["sent"]), frozenset(parts["announced"]), held)


class Decision(Struct, frozen=True):
    """outcome: the reason. count: what the counter of that outcome grows by.

    A request counts once; an episode that is held back counts once per outcome, however many windows it
    waits; "nothing" never counts.
    """

    outcome: Outcome
    count: int


def request(
    rule: Rule,
    state: RetrainState,
    firing: Iterable[Firing],
    window: ClosedWindow,
    newest_version: Micros | None = None,
    going_on: frozenset[str] = frozenset(),
) -> tuple[RetrainState, Note | None, Decision]:
    """Decide at a window's close whether to ask for a retraining.

    firing: every firing monitor of the model, of all versions and segments, in any order. When a version's
    performance has asked and still fires, further metrics and segments of it that begin to fire ask for
    nothing new. newest_version: when the version that came last was first seen (event time); after the last
    request, it ends the cooldown, but not for a window before it, whose verdict came late. going_on: episodes
    that are not over, though their monitors may have had no rows lately; every other one is forgotten.
    """
    wanted = sorted((f for f in firing if f.kind in rule.kinds), key=worst_first)
    episodes = frozenset(f.episode for f in wanted)
    state = _joined(_forget(state, episodes | going_on, window.end), wanted)
    fresh = episodes - state.announced
    outcome = _outcome(rule, state, fresh, window.end, newest_version)
    if outcome is Outcome.NOTHING:
        return state, None, Decision(outcome, 0)
    if outcome is not Outcome.REQUESTED:
        held = frozenset((str(outcome), e) for e in fresh) - state.held
        return replace(state, held=state.held | held), None, Decision(outcome, len(held))
    text = body(rule, wanted, window)
    note = Note(message_id(rule, episodes, window.end), rule.webhook, rule.model, text, window.end)
    sent = tuple(sorted((*state.sent, window.end)))
    return RetrainState(sent, episodes | state.announced), note, Decision(outcome, 1)


def message_id(rule: Rule, episodes: Iterable[str], end: Micros) -> str:
    """Return the idempotency key: the same on every replay and retry."""
    named = json.dumps([rule.model, rule.webhook, end, sorted(episodes)])
    return f"msg_{sha256(named.encode()).hexdigest()[:24]}"


def body(rule: Rule, wanted: Sequence[Firing], window: ClosedWindow) -> str:
    """Return the JSON text of docs/webhook.schema.json, with as many monitors as fit, in their order."""
    for listed in range(min(len(wanted), LISTED), 0, -1):
        text = _body(rule, wanted, window, listed)
        if len(text.encode()) < BODY_BYTES:
            return text
    return _body(rule, wanted, window, 0)


def _body(rule: Rule, wanted: Sequence[Firing], window: ClosedWindow, listed: int) -> str:
    versions = list(dict.fromkeys(f.version for f in wanted))[:VERSIONS]
    data = {
        "schema_version": SCHEMA_VERSION,
        "model": clip(rule.model),
        "versions": sorted(clip(version) for version in versions),
        "window": {"start": rfc3339(window.start), "end": rfc3339(window.end)},
        "reference": clip(window.reference),
        "monitors": [_monitor(f) for f in wanted[:listed]],
        "omitted": len(wanted) - listed,
    }
    if explained := _explained(wanted[:listed]):
        data["episodes"] = explained
    event = {"type": EVENT_TYPE, "timestamp": rfc3339(window.end), "data": data}
    return json.dumps(event, sort_keys=True, ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def _monitor(firing: Firing) -> dict[str, str | float | None]:
    return {
        "kind": clip(firing.kind),
        "detector": clip(firing.detector),
        "feature": clip(firing.feature),
        "segment": clip(firing.segment),
        "version": clip(firing.version),
        "score": finite(firing.score),
        "threshold": finite(firing.threshold),
        "episode": clip(firing.episode),
    }


def _explained(listed: Sequence[Firing]) -> list[dict[str, Any]]:
    """Return what is known of the listed monitors' episodes, each once, the first ones."""
    known = {f.episode: f.why.document for f in listed if f.why.document}
    return [{"id": clip(episode), **document} for episode, document in list(known.items())[:EXPLAINED]]


def _forget(state: RetrainState, episodes: frozenset[str], end: Micros) -> RetrainState:
    recent = tuple(t for t in state.sent if t > end - WEEK) or state.sent[-1:]
    held = frozenset((outcome, e) for outcome, e in state.held if e in episodes)
    return RetrainState(recent, state.announced & episodes, held)


def _joined(state: RetrainState, wanted: Sequence[Firing]) -> RetrainState:
    """Count episodes of performance to the request that their version's performance has made."""
    slow = [f for f in wanted if f.kind in PERFORMANCE]
    asked = {f.version for f in slow if f.episode in state.announced}
    same = frozenset(f.episode for f in slow if f.version in asked)
    return replace(state, announced=state.announced | same)


def _outcome(
    rule: Rule, state: RetrainState, fresh: frozenset[str], end: Micros, newest_version: Micros | None
) -> Outcome:
    if not fresh:
        return Outcome.NOTHING
    last = max(state.sent, default=None)
    armed = last is not None and newest_version is not None and last < newest_version <= end
    if last is not None and end - last < rule.cooldown and not armed:
        return Outcome.COOLDOWN
    if sum(t > end - WEEK for t in state.sent) >= rule.max_per_week:
        return Outcome.WEEKLY_CAP
    return Outcome.REQUESTED


def worst_first(firing: Firing) -> tuple[float, str]:
    """Rank by quotient; the whole record settles a tie, so that the order of arrival never shows."""
    return (-_quotient(firing.score, firing.threshold), repr(firing))


def _quotient(score: float | None, threshold: float | None) -> float:
    """Return score / threshold as a rank: an excess over 0 is the worst, no score the least."""
    score, threshold = finite(score), finite(threshold)
    if score is None or threshold is None:
        return -math.inf
    if threshold > 0:
        return score / threshold
    return math.inf if score > threshold else 0.0


def finite(number: float | None) -> float | None:
    """Return the number, None where it is none that JSON has."""
    return number if number is not None and math.isfinite(number) else None


def clip(text: str) -> str:
    """Return at most TEXT characters that UTF-8 can carry."""
    cut = text if len(text) <= TEXT else text[: TEXT - 1] + "…"
    return cut.encode(errors="replace").decode()


def rfc3339(at: Micros) -> str:
    """Write a time."""
    moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=at)
    return moment.isoformat().replace("+00:00", "Z")
