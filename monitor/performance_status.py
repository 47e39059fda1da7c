"""The performance of a model now, as plain data: what `driftd status` says of it."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from detectors.measure import Estimate
from monitor.core.labels import ESTIMATED, REALIZED, SeriesKey
from monitor.core.plan import Plan, joins
from monitor.core.profiles import ALL
from monitor.core.standard import GROUP
from monitor.core.state import ModelState
from monitor.core.windows import NEVER
from monitor.performing import (
    COUNTED,
    Judged,
    Place,
    Window,
    fairness,
    judged,
    pending,
    performances,
    standing,
    waiting,
    worst_segments,
)

EPOCH = datetime.fromtimestamp(0, UTC)


def time_text(micros: int | None) -> str | None:
    """Write a time of the core for people and programs; None where there was none."""
    if micros is None or micros == NEVER:
        return None
    return (EPOCH + timedelta(microseconds=micros)).isoformat().replace("+00:00", "Z")


def performance_status(plan: Plan, state: ModelState) -> dict[str, Any]:
    """Return a model's performance as plain data, ready for JSON."""
    known, windows, open_ = judged(plan, state), performances(plan, state), waiting(state)
    versions = {key.version for key in windows if key.label == ALL}
    versions |= {version for version, segment in open_ if segment == ALL} if joins(plan.model) else set()
    worst, fair = worst_segments(plan, state), fairness(plan, state)
    said = []
    for version in sorted(versions):
        one: dict[str, Any] = {"version": version}
        for basis in (REALIZED, ESTIMATED):
            window = windows.get(SeriesKey(version, ALL, basis))
            one[basis] = _window(plan, window, _known(known, version, basis)) if window else None
        one["waiting"] = _waiting(plan, state, version)
        one["worst"] = [worst_item(window) for key, window in worst.items() if key.version == version]
        one["fairness"] = [
            fairness_item(key, window) for key, window in fair.items() if key.version == version
        ]
        said.append(one)
    return {"versions": said, "compare": _compare(plan, state), "labels": _labels(plan, state)}


def _known(known: Mapping[Place, Judged], version: str, basis: str) -> dict[str, Judged]:
    return {
        at.metric: one
        for at, one in known.items()
        if (at.version, at.segment, at.basis) == (version, ALL, basis)
    }


def _window(plan: Plan, window: Window, known: Mapping[str, Judged]) -> dict[str, Any]:
    measured = window.measured
    metrics = {name: estimate_item(estimate) for name, estimate in measured.metrics.items()}
    for name, one in known.items():
        if name in metrics:
            metrics[name] |= {"limit": one.limit, "better": str(one.better), "state": str(one.shown)}
    return {
        "start": time_text(window.start),
        "end": time_text(window.start + plan.window),
        "rows": measured.rows,
        "coverage": measured.coverage,
        "note": measured.note,
        "metrics": metrics,
        "detail": dict(measured.detail),
    }


def estimate_item(estimate: Estimate) -> dict[str, Any]:
    """Return a metric with its interval as plain data."""
    return {
        "value": estimate.value,
        "low": estimate.low,
        "high": estimate.high,
        "n": estimate.n,
        "method": estimate.method,
    }


def _waiting(plan: Plan, state: ModelState, version: str) -> dict[str, Any] | None:
    """Return how many windows wait for outcomes, and how far the oldest is."""
    found = waiting(state).get((version, ALL))
    if found is None or not joins(plan.model):
        return None
    key, record = found
    windows = sum(
        not r.judged and (k.version, k.segment) == (version, ALL) for k, r in state.labels.records.items()
    )
    oldest = {"start": time_text(key.start), "end": time_text(key.start + plan.window)}
    return {"windows": windows, **oldest, "rows": record.rows, "coverage": record.coverage}


def worst_item(window: Window) -> dict[str, Any]:
    """Return the segment that a window proves the worst, and its gaps, as plain data."""
    gaps = {name: estimate_item(gap) for name, gap in window.measured.metrics.items()}
    return {"segment": window.measured.note, "start": time_text(window.start), "gaps": gaps}


def fairness_item(key: SeriesKey, window: Window) -> dict[str, Any]:
    """Return the rates of a group, or the differences between the groups of a column, as plain data."""
    metrics = {name: estimate_item(estimate) for name, estimate in window.measured.metrics.items()}
    return {
        "group": key.label.removeprefix(GROUP),
        "start": time_text(window.start),
        "rows": window.measured.rows,
        "note": window.measured.note,
        "metrics": metrics,
    }


def _compare(plan: Plan, state: ModelState) -> dict[str, Any] | None:
    stands, wish = standing(plan, state), plan.model.compare
    if stands is None or wish is None:
        return None
    return {
        "champion": wish.champion,
        "challenger": wish.challenger,
        "difference": estimate_item(stands.difference),
        "pvalue": stands.pvalue,
        "lead": str(stands.lead),
    }


def _labels(plan: Plan, state: ModelState) -> dict[str, int] | None:
    if not joins(plan.model):
        return None
    joined, *others = ((what, state.labels.counts.get(what, 0)) for what in COUNTED)
    return dict([joined, ("pending", pending(state)), *others])
