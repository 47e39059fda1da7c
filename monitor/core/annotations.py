"""What Grafana is told of episodes: one note when an episode begins, one when it is over.

Times are event time: an annotation lies where the rows are, whenever they were read.
"""

import json
from collections.abc import Callable, Container, Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from html import escape

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


def begun(transition: Transition) -> Note:
    """Return the note of an episode that has just begun."""
    t = transition
    return _note(t.model, t.key, t.kind, (t.episode, t.start, None))


def notes(
    plan: Plan, before: ModelState, after: ModelState, transitions: Iterable[Transition]
) -> tuple[Note, ...]:
    """Return what there is to tell once a commit has led from one state to the other.

    An episode is over when its monitor is calm, and also when its version or segment has had no rows for
    some windows or is forgotten: as /metrics has it. Goes on what was over so, it is over again later.
    """
    found: list[Note] = []
    firing = {k: (t.episode, t.kind, t.since) for k, t in before.trips.items() if _fires(plan, before, t)}
    for change in transitions:
        if change.after is Phase.FIRING:
            if change.key in firing:  # its version was forgotten meanwhile, and came back
                episode, kind, since = firing[change.key]
                found.append(_note(change.model, change.key, kind, (episode, since, change.start)))
            found.append(begun(change))
            firing[change.key] = (change.episode, change.kind, change.start)
        elif change.before is Phase.FIRING:
            _, kind, since = firing.pop(change.key, (change.episode, change.kind, 0))
            since = since or _since(before, change.key)
            found.append(_note(change.model, change.key, kind, (change.episode, since, change.end)))
    found += _abandoned(plan, before, after, firing)
    return tuple(found)


def _abandoned(
    plan: Plan, before: ModelState, after: ModelState, firing: dict[TripKey, tuple[str, str, Micros]]
) -> Iterator[Note]:
    for key, (episode, kind, since) in firing.items():
        trip = after.trips.get(key)
        if trip is not None and trip.episode == episode and _fires(plan, after, trip):
            continue
        last = trip or before.trips.get(key)
        end = max(last.window if last is not None else since, since) + plan.window
        yield _note(plan.name, key, kind, (episode, since, end))


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
        trip = state.trips.get(record.key)
        trip = trip if trip is not None and trip.episode == id_ else None
        if plan is not None and trip is not None and _fires(plan, state, trip):
            continue
        last = trip.window if trip is not None else state.book.last_closed or record.started
        end = record.ended if record.ended is not None else max(last, record.started) + state.book.window
        yield _note(state.model, record.key, record.kind, (id_, record.started, end))


def still_open(plan: Plan, state: ModelState) -> Iterator[Note]:
    """Yield the note of each episode that goes on, for a Grafana that was not told when it began."""
    for key, trip in state.trips.items():
        if _fires(plan, state, trip):
            yield _note(plan.name, key, trip.kind, (trip.episode, trip.since, None))


def _fires(plan: Plan, state: ModelState, trip: Trip) -> bool:
    last = state.book.last_closed
    stale = last is not None and is_stale(plan.window, last - plan.patience(trip.kind), trip)
    return trip.phase is Phase.FIRING and not stale


def _since(state: ModelState, key: TripKey) -> Micros:
    trip = state.trips.get(key)
    return trip.since if trip is not None else 0


def _note(model: str, key: TripKey, kind: str, when: tuple[str, Micros, Micros | None]) -> Note:
    episode, start, end = when
    body = {
        "episode": episode,
        "tags": tags(model, key, kind, episode),
        "text": text(model, key, kind, (start, end)),
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


def text(model: str, key: TripKey, kind: str, when: tuple[Micros, Micros | None]) -> str:
    """Return an annotation's text, safe as HTML, which Grafana takes it for."""
    what = key.detector if key.feature == "_all" else f"{key.feature} ({key.detector})"
    of = f"{model} {key.version}".strip() + (f", {key.segment}" if key.segment != "all" else "")
    start, end = when
    until = "still firing" if end is None else f"until {_day(end)}"
    return escape(
        f"{kind.replace('_', ' ')}: {_clip(what)} of {_clip(of)} fires, from {_day(start)}, {until}"
    )


def _clip(value: str) -> str:
    whole = value.encode(errors="replace")
    return whole.decode() if len(whole) <= TEXT else whole[: TEXT - 3].decode(errors="ignore") + "…"


def _day(at: Micros) -> str:
    moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=at)
    return moment.strftime("%Y-%m-%d %H:%M UTC")
