"""Two backtests of the same history side by side, as Markdown fit for a pull request."""

import re
from collections.abc import Iterator, Mapping, Sequence

from msgspec import Struct

from monitor.backtest import Replay
from monitor.backtest_report import (
    HEAD,
    counts_text,
    delay_text,
    episode_cells,
    incident_text,
    rate_text,
)
from monitor.backtest_score import Delay, Score, calls, score
from monitor.episodes import Episode
from monitor.quantities import format_duration

LISTED = 30
SPECIAL = re.compile(r"[\\`*|<~]|\b_|_\b|(?<=\])\(")
"""What Markdown would take for its own; underscores within words it leaves alone."""


class Side(Struct, frozen=True):
    """One configuration's backtest. name: what it is called, as the user gave it."""

    name: str
    replays: Sequence[Replay]


def as_markdown(one: Side, other: Side) -> str:
    """Return what differs between two configurations."""
    lines = [f"## Backtest: {_code(one.name)} against {_code(other.name)}"]
    mine, theirs = ({r.plan.name: r for r in side.replays} for side in (one, other))
    for name in dict.fromkeys([*mine, *theirs]):
        lines += ["", f"### {_cell(name)}", ""]
        if name in mine and name in theirs:
            lines += _model((one.name, mine[name]), (other.name, theirs[name]))
        else:
            lines.append(f"Only in {_code(one.name if name in mine else other.name)}.")
    return "\n".join(lines)


def _model(one: tuple[str, Replay], other: tuple[str, Replay]) -> Iterator[str]:
    names, replays = (one[0], other[0]), (one[1], other[1])
    scores = (score(replays[0]), score(replays[1]))
    rows = zip(*(list(_facts(*pair)) for pair in zip(replays, scores, strict=True)), strict=True)
    head = ("", *(_code(name) for name in names))
    yield from _table(head, [(what, mine, theirs) for (what, mine), (_, theirs) in rows])
    what = (
        " that touch no known incident" if any(r.incidents for r in replays) else ", as if nothing was wrong"
    )
    yield from ("", f"False alarms: episodes{what}; their number, and per 30 days of event time.")
    delays = _delays(*scores)
    if delays:
        yield from ("", "**Known incidents**", "")
        yield from _table(("incident", *head[1:]), delays)
    for name, mine, theirs in ((names[0], *replays), (names[1], *replays[::-1])):
        yield from ("", *_alone(name, mine, theirs))


def _facts(replay: Replay, scored: Score) -> Iterator[tuple[str, str]]:
    yield "windows", f"{replay.state.book.windows_closed:,} of {format_duration(replay.plan.model.window)}"
    yield "monitors", f"{replay.monitors:,}"
    yield "episodes", f"{len(replay.episodes):,}"
    yield "false alarms", f"{len(scored.false):,}, {rate_text(scored)}"
    yield "budget", replay.plan.model.alarms.budget
    yield "would page", counts_text(calls(replay.episodes, pages=True))
    yield "tickets", counts_text(calls(replay.episodes, pages=False))
    yield "webhooks", f"{len(replay.notes):,}"


def _delays(one: Score, other: Score) -> list[tuple[str, str, str]]:
    """Return each incident with how both found it; one that concerns one side alone has a dash."""
    mine, theirs = ({incident_text(d.incident): d for d in scored.delays} for scored in (one, other))
    return [(text, _found(mine, text), _found(theirs, text)) for text in dict.fromkeys([*mine, *theirs])]


def _found(delays: Mapping[str, Delay], text: str) -> str:
    return delay_text(delays[text]) if text in delays else "-"


def _alone(name: str, mine: Replay, theirs: Replay) -> Iterator[str]:
    found = only_in(mine.episodes, theirs.episodes)
    yield f"**Episodes only in {_code(name)}**: {len(found):,}"
    if found:
        yield ""
        yield from _table(HEAD, [episode_cells(episode) for episode in found[:LISTED]])
    if len(found) > LISTED:
        yield from ("", f"... and {len(found) - LISTED:,} more.")


def only_in(mine: Sequence[Episode], theirs: Sequence[Episode]) -> list[Episode]:
    """Return the episodes of one side to which no episode of the same monitor, at the same time, answers."""
    others: dict[object, list[Episode]] = {}
    for episode in theirs:
        others.setdefault(episode.key, []).append(episode)
    return [e for e in mine if not any(_overlap(e, other) for other in others.get(e.key, ()))]


def _overlap(one: Episode, other: Episode) -> bool:
    before = one.ended is not None and one.ended <= other.started
    after = other.ended is not None and other.ended <= one.started
    return not (before or after)


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    yield f"| {' | '.join(head)} |"
    yield f"|{'---|' * len(head)}"
    for row in rows:
        yield f"| {' | '.join(_cell(cell) for cell in row)} |"


def _cell(text: str) -> str:
    """Return text as Markdown shows it."""
    return SPECIAL.sub(r"\\\g<0>", " ".join(text.split()))


def _code(text: str) -> str:
    return f"`{text.replace('`', '')}`"
