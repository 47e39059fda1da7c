"""What a person wants to know, from committed state: models, windows, states, lag, loss account, outbox."""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from detectors.performance import WHOLE
from monitor.budgeting import begun, calibration
from monitor.class_facts import class_lines, class_status
from monitor.core.outbox import NoteState
from monitor.core.plan import Plan
from monitor.core.policy import Shown, Trip, TripKey
from monitor.core.state import ModelState
from monitor.episode_text import answered
from monitor.heavy_facts import heavy_status, heavy_status_lines
from monitor.outgoing import Outbox
from monitor.performance_status import performance_status, time_text
from monitor.performance_text import performance_lines, plain
from monitor.performing import BASES, shown_state
from monitor.responses import NONE, Responses, response_item
from monitor.webhook_status import webhook_lines, webhook_status

LOSS = ("received", "stored", "rejected", "duplicate", "late", "dropped")


def status(
    plans: Iterable[Plan],
    states: Mapping[str, ModelState],
    outbox: Outbox,
    responses: Responses | None = None,
) -> dict[str, Any]:
    """Return the whole status as plain data, ready for JSON."""
    notes = [q.note for q in outbox.queued.values()]
    counted = Counter(str(note.state) for note in notes)
    return {
        "models": [_model(plan, states[plan.name], responses or {}) for plan in plans],
        "outbox": {str(state): counted.get(str(state), 0) for state in NoteState},
        "webhooks": webhook_status(outbox),
    }


def _model(plan: Plan, state: ModelState, responses: Responses) -> dict[str, Any]:
    book = state.book
    baseline = state.newest_baseline
    shown = Counter(str(shown_state(plan, state, trip)) for trip in state.trips.values())
    return {
        "model": plan.name,
        "reference": _reference(state) if baseline else None,
        "thresholds": dict(zip(("method", "reason"), calibration(plan, state, baseline), strict=True))
        if baseline
        else None,
        "budget": {"allowed": plan.model.alarms.budget, "begun": begun(plan, state)},
        "windows": {
            "open": len({k.start for k in state.windows}),
            "closed": book.windows_closed,
            "last_closed": time_text(book.last_closed),
        },
        "watermark": time_text(book.progress.watermark(plan.lateness)),
        "last_row": time_text(book.progress.newest),
        "events": {what: book.total(what) for what in LOSS},
        "rejected": {r: n for (_, w, r), n in sorted(book.counts.items()) if w == "rejected"},
        "sources": {s: {w: book.total(w, s) for w in LOSS} for s in sorted(_sources(state))},
        "states": dict(sorted(shown.items())),
        "firing": [
            _firing(k, t) | response_item(responses.get((plan.name, t.episode), NONE))
            for k, t in sorted(state.trips.items(), key=lambda item: (item[1].kind not in BASES, item[0]))
            if shown_state(plan, state, t) is Shown.FIRING
        ],
        "groups": [
            {"version": v, "segment": s, "rows": rows[-1]} for (v, s), rows in sorted(state.volumes.items())
        ],
        "performance": performance_status(plan, state),
        "classes": class_status(plan, state),
        "heavy": heavy_status(plan, state),
    }


def _sources(state: ModelState) -> set[str]:
    return {source for source, what, _ in state.book.counts if what in LOSS}


def _reference(state: ModelState) -> dict[str, Any]:
    baseline = state.baselines[-1]
    return {
        "number": baseline.number,
        "hash": baseline.hash,
        "rows": baseline.rows,
        "origin": baseline.origin,
    }


def _firing(key: TripKey, trip: Trip) -> dict[str, Any]:
    verdict = trip.judged
    return {
        "version": key.version,
        "segment": key.segment,
        "feature": key.feature,
        "detector": key.detector,
        "kind": trip.kind,
        "episode": trip.episode,
        "since": time_text(trip.since),
        "score": verdict.score if verdict else None,
        "threshold": verdict.threshold if verdict else None,
    }


def as_text(document: Mapping[str, Any]) -> str:
    """Return the status as lines for a person."""
    lines: list[str] = []
    for model in document["models"]:
        reference, windows = model["reference"], model["windows"]
        known = f"{reference['rows']:,} rows, {reference['hash']}" if reference else "none yet"
        events = ", ".join(f"{n:,} {what}" for what, n in model["events"].items())
        lines += [
            f"model {model['model']}",
            f"  reference   {known}",
            f"  thresholds  {_thresholds(model['thresholds'])}",
            f"  budget      {model['budget']['allowed']}; {model['budget']['begun']:,} episodes began lately",
            f"  windows     {windows['closed']:,} closed, {windows['open']:,} open",
            f"  last window {windows['last_closed'] or 'none yet'}",
            f"  last row    {model['last_row'] or 'none yet'}   watermark {model['watermark'] or 'none yet'}",
            f"  rows        {events}",
        ]
        lines += [f"    rejected {n:,} {reason}" for reason, n in model["rejected"].items()]
        lines += [*performance_lines(model["performance"]), *map(plain, class_lines(model["classes"]))]
        lines += heavy_status_lines(model["heavy"])
        lines.append(
            "  monitors    " + (", ".join(f"{n:,} {s}" for s, n in model["states"].items()) or "none")
        )
        lines += [f"    FIRING {_line(f)}" for f in model["firing"]]
    outbox = ", ".join(f"{n:,} {state}" for state, n in document["outbox"].items())
    return "\n".join([*lines, f"outbox        {outbox}", *webhook_lines(document["webhooks"])])


def _thresholds(known: Mapping[str, str] | None) -> str:
    return f"{known['method']}: {known['reason']}" if known else "none yet"


def _line(firing: Mapping[str, Any]) -> str:
    version = f" {firing['version']}" if firing["version"] else ""
    numbers = _numbers(firing["score"], firing["threshold"])
    what = "performance" if firing["feature"] == WHOLE and firing["kind"] in BASES else firing["feature"]
    where = plain(f"{what} {firing['detector']} [{firing['segment']}{version}]")
    return f"{where} {numbers} since {firing['since']} ({firing['episode']}{answered(firing)})"


def _numbers(score: float | None, threshold: float | None) -> str:
    """Write the last judgement; a trip keeps firing through some windows that are calm again."""
    if score is None or threshold is None:
        return "not judged"
    return f"{score:.4g} {'>' if score > threshold else '<='} {threshold:.4g}"
