"""What Grafana is told of episodes: one note when an episode begins, one when it is over.

Times are event time: an annotation lies where the rows are, whenever they were read.
"""

import json
from collections.abc import Callable, Container, Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from html import escape

from msgspec import Struct
from msgspec.structs import replace

from monitor.core.episode_log import turning
from monitor.core.outbox import Note
from monitor.core.plan import Plan
from monitor.core.policy import Phase, Transition, Trip, TripKey, is_stale
from monitor.core.state import ModelState
from monitor.types import Micros

ENDPOINT = "exporters.grafana"
"""What the outbox calls it; no webhook has this name."""
TEXT = 64
"""Bytes of each tag's value, as long as a model's name may be: Grafana takes 500 of all tags together."""
MILLISECOND = 1000
HARM = ("performance", "estimated_performance")


class _Firing(Struct, frozen=True):
    """An episode that fires: as whose it is shown, its monitors, since when, and why where many share it."""

    place: TripKey
    kind: str
    since: Micros
    keys: tuple[TripKey, ...]
    cause: str = ""

    def note(self, model: str, episode: str, end: Micros | None) -> Note:
        return _note(model, (self.place, self.kind), (episode, self.since, end), self.cause)


def _of(state: ModelState, key: TripKey, trip: Trip) -> _Firing:
    """Return the episode of a trip that fires."""
    record = state.episodes.get(trip.episode)
    if record is None or not record.members:
        return _Firing(key, trip.kind, trip.since, (key,))
    return _Firing(record.key, record.kind, record.started, record.keys, record.cause)


def notes(
    plan: Plan, before: ModelState, after: ModelState, transitions: Iterable[Transition]
) -> tuple[Note, ...]:
    """Return what there is to tell once a commit has led from one state to the other.

    An episode is over when its monitors are calm, and also when their version or segment has had no rows for
    some windows or is forgotten: as /metrics has it. Goes on what was over so, it is over again later.
    """
    found: list[Note] = []
    firing = {t.episode: _of(before, k, t) for k, t in before.trips.items() if _fires(plan, before, t)}
    for change in turning(transitions, after.episodes):
        trip = Trip(change.kind, episode=change.episode, since=change.start)
        if change.after is Phase.FIRING:
            back = [e for e, one in firing.items() if one.place == change.key]  # forgotten meanwhile
            found += [firing.pop(old).note(plan.name, old, change.start) for old in back]
            firing[change.episode] = _of(after, change.key, trip)
            found.append(firing[change.episode].note(plan.name, change.episode, None))
        else:
            known = replace(before.trips.get(change.key, trip), episode=change.episode)
            one = firing.pop(change.episode, None) or _of(after, change.key, known)
            found.append(one.note(plan.name, change.episode, change.end))
    found += _abandoned(plan, before, after, firing)
    return tuple(found)


def _abandoned(
    plan: Plan, before: ModelState, after: ModelState, firing: Mapping[str, _Firing]
) -> Iterator[Note]:
    for episode, one in firing.items():
        trips = [t for key in one.keys if (t := after.trips.get(key)) and t.episode == episode]
        if any(_fires(plan, after, trip) for trip in trips):
            continue
        known = [t for key in one.keys if (t := after.trips.get(key) or before.trips.get(key))]
        last = max((t.window for t in known), default=one.since)
        yield one.note(plan.name, episode, max(last, one.since) + plan.window)


def untold(models: Iterable[tuple[Plan, ModelState]], known: Container[str]) -> list[Note]:
    """Return the notes of episodes that go on, less those whose ids are known: they began untold."""
    return [note for plan, state in models for note in still_open(plan, state) if note.id not in known]


def untold_ends(
    told: Iterable[Note], watched: Mapping[str, tuple[Plan, ModelState]], gone: Callable[[str], ModelState]
) -> Iterator[Note]:
    """Yield the ends of episodes that Grafana holds for open: it, or their model, was configured no more.

    told: what it was told of. gone: the state that a model which is watched no more was left in.
    """
    open_: dict[str, set[str]] = {}
    over = set()
    for note in told:
        body = json.loads(note.body)
        open_.setdefault(note.model, set()).add(body["episode"])
        if body["timeEnd"] is not None:
            over.add(body["episode"])
    for model, episodes in open_.items():
        if waiting := sorted(episodes - over):
            plan, state = watched[model] if model in watched else (None, gone(model))
            yield from _ends(plan, state, waiting)


def _ends(plan: Plan | None, state: ModelState, episodes: Iterable[str]) -> Iterator[Note]:
    """Yield the note of the end of each of these that does not go on; without a plan, none does."""
    for id_ in episodes:
        record = state.episodes.get(id_)
        if record is None:
            continue
        trips = [t for key in record.keys if (t := state.trips.get(key)) and t.episode == id_]
        if plan is not None and any(_fires(plan, state, trip) for trip in trips):
            continue
        last = max((t.window for t in trips), default=state.book.last_closed or record.started)
        end = record.ended if record.ended is not None else max(last, record.started) + state.book.window
        yield _note(state.model, (record.key, record.kind), (id_, record.started, end), record.cause)


def still_open(plan: Plan, state: ModelState) -> Iterator[Note]:
    """Yield the note of each episode that goes on, for a Grafana that was not told when it began."""
    firing = {t.episode: _of(state, key, t) for key, t in state.trips.items() if _fires(plan, state, t)}
    for episode, one in firing.items():
        yield one.note(plan.name, episode, None)


def _fires(plan: Plan, state: ModelState, trip: Trip) -> bool:
    last = state.book.last_closed
    stale = last is not None and is_stale(plan.window, last - plan.patience(trip.kind), trip)
    return trip.phase is Phase.FIRING and not stale


def _note(model: str, what: tuple[TripKey, str], when: tuple[str, Micros, Micros | None], cause: str) -> Note:
    (key, kind), (episode, start, end) = what, when
    body = {
        "episode": episode,
        "tags": tags(model, key, kind, episode),
        "text": text(model, key, kind, (start, end), cause),
        "time": start // MILLISECOND,
        "timeEnd": None if end is None else end // MILLISECOND,
    }
    id_ = "note_" + sha256(json.dumps([model, episode, end]).encode()).hexdigest()[:24]
    told = json.dumps(body, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return Note(id_, ENDPOINT, model, told, start if end is None else end)


def tags(model: str, key: TripKey, kind: str, episode: str) -> list[str]:
    """Return an annotation's tags; the dashboards look for `driftd` and the model's."""
    parts = {"model": model, "kind": kind, "feature": key.feature, "detector": key.detector}
    parts |= {"version": key.version, "segment": key.segment, "episode": episode}
    named = [f"{name}:{_clip(value)}" for name, value in parts.items() if value]
    return ["driftd", "harm" if kind in HARM or key.feature in {"_error", "_loss"} else "difference", *named]


def text(model: str, key: TripKey, kind: str, when: tuple[Micros, Micros | None], cause: str = "") -> str:
    """Return an annotation's text, safe as HTML, which Grafana takes it for. cause: of several monitors."""
    what = key.detector if key.feature == "_all" else f"{key.feature} ({key.detector})"
    of = f"{model} {key.version}".strip() + (f", {key.segment}" if key.segment != "all" else "")
    start, end = when
    until = "still firing" if end is None else f"until {_day(end)}"
    return escape(
        f"{kind.replace('_', ' ')}: {_clip(what)} of {_clip(of)} fires, from {_day(start)}, {until}"
        + (f": {cause}" if cause else "")
    )


def _clip(value: str) -> str:
    whole = value.encode(errors="replace")
    return whole.decode() if len(whole) <= TEXT else whole[: TEXT - 3].decode(errors="ignore") + "…"


def _day(at: Micros) -> str:
    moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=at)
    return moment.strftime("%Y-%m-%d %H:%M UTC")
