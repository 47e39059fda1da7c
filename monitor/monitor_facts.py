"""Monitors of drift and quality as exported series: a row for each, and which have series of their own."""

import sys
from collections.abc import Sequence
from typing import NamedTuple

from detectors.base import Verdict
from exporters.catalog import Exemplar
from exporters.rows import Row, Shape
from monitor.core.heavy import is_joint
from monitor.core.members import Claim, Unit
from monitor.core.plan import Plan
from monitor.core.policy import Shown, Trip, TripKey
from monitor.core.profiles import ALL
from monitor.core.state import ModelState
from monitor.core.usual import ERROR, LOSS
from monitor.performing import is_metric, shown_state

SECOND = 10**6
MONITORS = Shape(
    (
        "driftd_drift_score",
        "driftd_drift_threshold",
        "driftd_drift_quotient",
        "driftd_drift_pvalue",
        "driftd_drift_episodes_total",
    ),
    "driftd_drift_state",
    tuple(str(shown) for shown in Shown),
    counter=4,
)
WHOLE, OTHER = "_all", "_other"
OF_MODEL = frozenset({WHOLE, ERROR, LOSS, "prediction", "score"})
"""What is no feature but the model itself."""
WORST_FIRST = (
    Shown.FIRING,
    Shown.PENDING,
    Shown.ERROR,
    Shown.OK,
    Shown.INSUFFICIENT_DATA,
    Shown.NO_REFERENCE,
    Shown.STALE,
)
UNKNOWN = (None, None, None, None)
Numbers = tuple[float | None, float | None, float | None, float | None]


class Standing(NamedTuple):
    """How a monitor stands."""

    key: TripKey
    trip: Trip
    shown: Shown
    trace: str = ""


def standings(plan: Plan, state: ModelState) -> list[Standing]:
    """Return the monitors of drift and quality, and all streams; metrics are shown with performance."""
    return [
        Standing(key, trip, shown_state(plan, state, trip), state.traces.get(trip.episode, ""))
        for key, trip in state.trips.items()
        if not is_metric(key, trip)
    ]


def rows(plan: Plan, found: Sequence[Standing]) -> list[Row]:
    """Return the series of monitors."""
    name, window = plan.name, plan.window
    return [
        Row(
            (name, key.version, key.segment, key.feature, key.detector),
            (*_numbers(trip.verdict if shown is not Shown.STALE else None), float(trip.episodes)),
            shown,
            episode_of(trip, window, trace),
        )
        for key, trip, shown, trace in found
    ]


def series_of(one: Standing) -> int:
    """Return how many series a monitor has."""
    known = _numbers(one.trip.verdict if one.shown is not Shown.STALE else None)
    return MONITORS.size - known.count(None)


def _numbers(verdict: Verdict | None) -> Numbers:
    """Return score, threshold, quotient and p-value."""
    if verdict is None:
        return UNKNOWN
    return verdict.score, verdict.threshold, quotient(verdict), verdict.pvalue


def quotient(verdict: Verdict) -> float | None:
    """Return score / threshold, where both are known; as large as a number can be, not infinite."""
    if verdict.score is None or not verdict.threshold:
        return None
    return min(verdict.score / verdict.threshold, sys.float_info.max)


def episode_of(trip: Trip, window: int, trace: str = "") -> Exemplar | None:
    """Return the episode under way: what the counter of episodes counted last, at the end of its window."""
    if not trip.episode:
        return None
    labels = (("episode_id", trip.episode), *((("trace_id", trace),) if trace else ()))
    return Exemplar(labels, (trip.since + window) / SECOND)


def unit_of(key: TripKey) -> Unit:
    """Return the unit that a monitor belongs to."""
    return Unit(key.version, key.segment, key.feature)


def claims(found: Sequence[Standing]) -> list[Claim]:
    """Return what stands for each unit of monitors. Each has all its series reserved, needed or not.

    So which ones are exported does not change with which numbers are known.
    """
    units: dict[Unit, list[Standing]] = {}
    for one in found:
        units.setdefault(unit_of(one.key), []).append(one)
    return [
        Claim(
            unit,
            len(mine) * MONITORS.size,
            any(one.shown is Shown.FIRING for one in mine),
            _rank(unit),
            max(_quotient(one) for one in mine),
        )
        for unit, mine in units.items()
    ]


def _rank(unit: Unit) -> int:
    if unit.segment != ALL:
        return 2
    of_model = unit.feature in OF_MODEL or unit.feature.startswith("score_") or is_joint(unit.feature)
    return 0 if of_model else 1


def _quotient(one: Standing) -> float:
    """Return what a monitor's last window said; 0 where it said nothing, or long ago."""
    verdict = one.trip.verdict if one.shown is not Shown.STALE else None
    return (quotient(verdict) or 0.0) if verdict is not None else 0.0


def of_others(name: str, others: Sequence[Standing]) -> Row:
    """Return one row for all monitors without one of their own: the largest quotient and the worst state."""
    state = min((one.shown for one in others), key=WORST_FIRST.index)
    values = (None, None, max(map(_quotient, others)), None, None)
    return Row((name, "", ALL, OTHER, OTHER), values, state)
