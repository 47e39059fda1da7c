"""What a backtest says: as data for a program, and as lines for a person."""

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from monitor.backtest import Replay
from monitor.backtest_score import DAY, Delay, Score, calls, score
from monitor.core.outbox import Note
from monitor.core.plan import MICROSECOND
from monitor.episodes import Episode
from monitor.performance_status import time_text
from monitor.quantities import format_duration
from monitor.status import LOSS
from monitor.truth import Incident
from monitor.types import Micros

HOUR, MINUTE = DAY // 24, 60 * 10**6
HEAD = ("started", "ended", "kind", "monitor", "score / threshold")
LISTED = 40
"""Episodes told to a person; --json has all of them."""


def document(replays: Sequence[Replay]) -> dict[str, Any]:
    """Return the whole backtest as plain data, ready for JSON."""
    return {"models": [_model(replay, score(replay)) for replay in replays]}


def _model(replay: Replay, scored: Score) -> dict[str, Any]:
    return {
        "model": replay.plan.name,
        "windows": replay.state.book.windows_closed,
        "monitors": replay.monitors,
        "episodes": [_episode(episode) for episode in replay.episodes],
        "webhooks": len(replay.notes),
        "false_alarms_per_30d": scored.per_30d,
        "delays": [_delay(one) for one in scored.delays],
    }


def _episode(episode: Episode) -> dict[str, Any]:
    return {
        "id": episode.id,
        "monitor": episode.key.detector,
        "kind": episode.kind,
        "feature": episode.key.feature,
        "segment": episode.key.segment,
        "version": episode.key.version,
        "started": time_text(episode.started),
        "ended": time_text(episode.ended),
        "score": episode.score,
        "threshold": episode.threshold,
        "rank_of_cause": list(episode.causes),
    }


def _delay(found: Delay) -> dict[str, Any]:
    incident = found.incident
    return {
        "incident": incident.origin,
        "start": time_text(incident.start),
        "end": time_text(incident.end),
        "kind": incident.kind,
        "feature": incident.feature,
        "episode": found.episode.id if found.episode else None,
        "windows": found.windows,
        "seconds": None if found.time is None else found.time / 10**6,
    }


def as_text(replays: Sequence[Replay]) -> str:
    """Return the backtest as lines for a person."""
    return "\n".join(line for replay in replays for line in _lines(replay, score(replay)))


def _lines(replay: Replay, scored: Score) -> Iterator[str]:
    book = replay.state.book
    yield f"model {replay.plan.name}"
    yield f"  judged       {_span(replay)}"
    yield f"  rows         {', '.join(f'{book.total(what):,} {what}' for what in LOSS)}"
    yield from (f"    NOT READ {problem}" for problem in replay.problems)
    yield f"  windows      {book.windows_closed:,} of {format_duration(replay.plan.model.window)}"
    yield f"  monitors     {replay.monitors:,}"
    yield f"  episodes     {len(replay.episodes):,}"
    yield from _table(replay.episodes, frozenset(e.id for e in scored.false) if replay.incidents else None)
    yield from (f"  injected     {text}: {_injected(n)}" for text, n in replay.injected.items())
    yield from (f"  incident     {incident_text(d.incident)}: {delay_text(d)}" for d in scored.delays)
    yield f"  false alarms {false_text(replay, scored)}"
    yield f"  would page   {counts_text(calls(replay.episodes, pages=True))}"
    yield f"  tickets      {counts_text(calls(replay.episodes, pages=False))}"
    yield f"  webhooks     {len(replay.notes):,}"
    yield from (f"    {note_text(note)}" for note in replay.notes)


def _span(replay: Replay) -> str:
    if replay.first is None or replay.last is None:
        return "nothing: no window with a reference was closed; `driftd check` says what the sources have"
    return f"{time_text(replay.first)} to {time_text(replay.last)}, {span_text(replay.last - replay.first)}"


def _injected(rows: int) -> str:
    return f"{rows:,} rows of that time" if rows else "NO ROW of that time is in the log"


def _table(episodes: Sequence[Episode], false: frozenset[str] | None) -> Iterator[str]:
    """Yield a line for each episode; false: the ids of the false ones, where anything is known."""
    if not episodes:
        return
    rows = [HEAD, *(episode_cells(episode) for episode in episodes[:LISTED])]
    widths = [max(len(row[place]) for row in rows) for place in range(len(HEAD))]
    marks = ["", *("  false alarm" if e.id in (false or ()) else "" for e in episodes[:LISTED])]
    for row, mark in zip(rows, marks, strict=True):
        cells = "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        yield f"    {cells}{mark}".rstrip()
    if len(episodes) > LISTED:
        yield f"    ... and {len(episodes) - LISTED:,} more; --json has all"


def episode_cells(episode: Episode) -> tuple[str, ...]:
    """Return an episode as the cells of a table with the columns HEAD."""
    key = episode.key
    version = f" {key.version}" if key.version else ""
    return (
        time_text(episode.started) or "",
        time_text(episode.ended) or "firing",
        episode.kind,
        f"{episode.about} [{key.segment}{version}]",
        numbers_text(episode),
    )


def numbers_text(episode: Episode) -> str:
    """Write how bad an episode got."""
    if episode.score is None or episode.threshold is None:
        return "not judged"
    return f"{episode.score:.4g} / {episode.threshold:.4g}"


def incident_text(incident: Incident) -> str:
    """Write when an incident was, and of what."""
    end = f"to {time_text(incident.end)}" if incident.end is not None else "on"
    of = " ".join(part for part in (incident.kind, incident.feature) if part)
    return f"from {time_text(incident.start)} {end}{', ' if of else ''}{of} ({incident.origin})"


def delay_text(found: Delay) -> str:
    """Write how an incident was found."""
    if found.episode is None or found.windows is None or found.time is None:
        before = f" ({found.before.about} {found.before.id} was firing already)" if found.before else ""
        return f"NOT FOUND{before}" if found.watched else "NOT FOUND, none of its time was judged"
    windows = f"{found.windows:,} window{'' if found.windows == 1 else 's'}"
    by = f"{found.episode.about} [{found.episode.key.segment}] ({found.episode.id})"
    return f"found after {windows}, {span_text(found.time)}, by {by}"


def false_text(replay: Replay, scored: Score) -> str:
    """Write how many alarms were false, beside the budget."""
    what = "that touch no incident" if replay.incidents else "if nothing was wrong"
    budget = replay.plan.model.alarms.budget
    return f"{len(scored.false):,} {what}: {rate_text(scored)} of event time (budget {budget})"


def rate_text(scored: Score) -> str:
    """Write how often alarms were false."""
    return "of no time judged" if scored.per_30d is None else f"{scored.per_30d:.2f} per 30d"


def counts_text(counted: Counter[str]) -> str:
    """Write counts, the largest first."""
    ranked = sorted(counted.items(), key=lambda item: (-item[1], item[0]))
    return ", ".join(f"{name} {n:,}" for name, n in ranked) or "nothing"


def note_text(note: Note) -> str:
    """Write when which webhook would have been sent, and the worst of what it names."""
    data: Mapping[str, Any] = json.loads(note.body)["data"]
    monitors: Sequence[Mapping[str, Any]] = data["monitors"]
    names = [_named(monitor) for monitor in monitors[:1]]
    more = len(monitors) + data["omitted"] - len(names)
    names += [f"{more:,} more"] if more else []
    return f"{time_text(note.created)} {note.endpoint}: {' and '.join(names)}"


def _named(monitor: Mapping[str, Any]) -> str:
    feature = "" if monitor["feature"] == "_all" else f"{monitor['feature']} "
    version = f" {monitor['version']}" if monitor["version"] else ""
    return f"{feature}{monitor['detector']} [{monitor['segment']}{version}]"


def span_text(length: Micros) -> str:
    """Write a length of time in its two largest units.

    >>> span_text(25 * HOUR)
    '1d 1h'
    """
    if length < MINUTE:
        return format_duration(length * MICROSECOND)
    parts = (length // DAY, length % DAY // HOUR, length % HOUR // MINUTE)
    named = [f"{n}{unit}" for n, unit in zip(parts, ("d", "h", "m"), strict=True) if n]
    return " ".join(named[:2])
