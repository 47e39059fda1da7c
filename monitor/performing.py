"""What committed state says of performance now: read by /metrics, by status and by the history."""

from collections.abc import Callable, Mapping
from functools import lru_cache, partial

from msgspec import Struct

from detectors.challenger import Standing
from detectors.measure import Better
from detectors.performance import ESTIMATED as PREFIX
from detectors.performance import WHOLE, Allowed, Question, limit
from monitor.config import Model
from monitor.core.assessing import Assessor
from monitor.core.comparing import FAIRNESS, WORST, load_contest, plan_of
from monitor.core.labels import ESTIMATED, REALIZED, Measured, Record, SeriesKey
from monitor.core.outcomes import Vocabulary
from monitor.core.plan import Plan
from monitor.core.policy import STALE_WINDOWS, Shown, Trip, TripKey, is_stale
from monitor.core.profiles import ALL, GroupKey
from monitor.core.standard import GROUP, Standard, measure_of
from monitor.core.state import ModelState

BASES = {"performance": REALIZED, "estimated_performance": ESTIMATED}
"""Kinds of trips that judge performance, and by which numbers."""
COUNTED = ("joined", "repeated", "conflicting", "orphaned", "expired")
"""What is counted of outcomes and predictions, in the order in which it is shown."""
STANDARDS_KEPT = 64
"""References whose own performance is remembered, so that not every scrape measures them anew."""
Values = Mapping[str, Mapping[str, float | None]]


class Place(Struct, frozen=True, order=True):
    """Which judged metric: of a version and segment, realised or estimated."""

    version: str
    segment: str
    metric: str
    basis: str

    @classmethod
    def of(cls, key: TripKey, trip: Trip) -> "Place":
        """Return what a trip of performance judges."""
        return cls(key.version, key.segment, key.detector.removeprefix(PREFIX), BASES[trip.kind])


class Judged(Struct, frozen=True):
    """How a judged metric stands. limit: what its whole interval must be beyond for a breach, if known."""

    trip: Trip
    shown: Shown
    better: Better
    limit: float | None


class Window(Struct, frozen=True):
    """One window's numbers. start: microseconds."""

    start: int
    measured: Measured


def is_metric(key: TripKey, trip: Trip) -> bool:
    """Tell whether a trip judges a metric; streams of errors and losses are of performance too, but none."""
    return trip.kind in BASES and key.feature == WHOLE


def shown_state(plan: Plan, state: ModelState, trip: Trip) -> Shown:
    """Return a trip's state; one whose version or segment has had no rows for some windows is stale.

    A firing one too: a version that was replaced while it fired would fire for ever.
    """
    last = state.book.last_closed
    return (
        Shown.STALE
        if last is not None and is_stale(plan.window, last - plan.patience(trip.kind), trip)
        else trip.shown
    )


def questions(plan: Plan) -> tuple[Question, ...]:
    """Return what is judged of a model's performance."""
    return Assessor(plan, Vocabulary.of(plan.model)).questions if plan.model.task != "none" else ()


def judged(plan: Plan, state: ModelState) -> dict[Place, Judged]:
    """Return every judged metric, with the limit that its newest judged window was held against."""
    trips = {key: trip for key, trip in sorted(state.trips.items()) if is_metric(key, trip)}
    asked = {q.detector: q for q in questions(plan)} if trips else {}
    found = {}
    for key, trip in trips.items():
        question = asked.get(key.detector)
        edge = _limit(plan, state, (key.segment, trip.window), question) if question else None
        better = question.better if question else Better.NEITHER
        found[Place.of(key, trip)] = Judged(trip, shown_state(plan, state, trip), better, edge)
    return found


def _limit(plan: Plan, state: ModelState, at: tuple[str, int], question: Question) -> float | None:
    segment, start = at
    baseline = state.baseline_at(start)
    standard = state.labels.standard_at(baseline.number if baseline else 0)
    values = _values(_Reference(plan.model, standard)) if standard.sums else {}
    reference = values.get(segment, values.get(ALL, {})).get(question.metric)
    wishes, least = plan.model.performance, plan.model.alarms.min_rows
    return limit(question, reference, Allowed(wishes.tolerance, wishes.relative_tolerance, least))


class _Reference(Struct, frozen=True, eq=False):
    """A reference as a model measures it; equal where both are the very same, whatever they hold."""

    model: Model
    standard: Standard

    def __hash__(self) -> int:
        return hash((id(self.model), id(self.standard)))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, _Reference):
            return NotImplemented
        return self.model is other.model and self.standard is other.standard


@lru_cache(STANDARDS_KEPT)
def _values(of: _Reference) -> Values:
    """Return the metrics of the reference, of all rows and of each segment."""
    measure = measure_of(of.model, Vocabulary.of(of.model), of.standard)
    return {
        label: {name: estimate.value for name, estimate in measure.values(sums, 0.05).items()}
        for label, sums in of.standard.sums.items()
        if not label.startswith(GROUP)
    }


def performances(plan: Plan, state: ModelState) -> dict[SeriesKey, Window]:
    """Return the newest window of each version and segment, realised and estimated, in a fixed order."""
    return _current(plan, state, lambda k: k.basis in (REALIZED, ESTIMATED) and not k.label.startswith(GROUP))


def fairness(plan: Plan, state: ModelState) -> dict[SeriesKey, Window]:
    """Return the newest window of each version and group column: its differences, then its groups' rates.

    A group without rows in that window has none.
    """
    found: dict[SeriesKey, Window] = {}
    for column in plan.model.columns.groups:
        mine = _current(plan, state, partial(_is_of_groups, f"{GROUP}{column}"))
        newest: dict[str, int] = {}
        for key, window in mine.items():
            newest[key.version] = max(newest.get(key.version, window.start), window.start)
        found |= {key: window for key, window in mine.items() if window.start == newest[key.version]}
    return found


def _is_of_groups(scheme: str, key: SeriesKey) -> bool:
    return key.basis == FAIRNESS and (key.label == scheme or key.label.startswith(f"{scheme}="))


def worst_segments(plan: Plan, state: ModelState) -> dict[SeriesKey, Window]:
    """Return the newest window of each version and segment column in which one segment is proven the worst.

    The window's note names it; its metrics are the gaps between it and the rest.
    """
    found = _current(plan, state, lambda k: k.basis == WORST)
    return {key: window for key, window in found.items() if window.measured.note}


def _current(plan: Plan, state: ModelState, wanted: Callable[[SeriesKey], bool]) -> dict[SeriesKey, Window]:
    """Return the newest windows of series; of those whose version or segment has rows, as with trips."""
    found = {}
    for key in sorted(filter(wanted, state.labels.history)):
        newest, last = state.labels.latest(key), state.book.last_closed
        kind = "estimated_performance" if key.basis == ESTIMATED else "performance"
        oldest = None if last is None else last - plan.patience(kind) - STALE_WINDOWS * plan.window
        if newest is not None and (oldest is None or newest[0] > oldest):
            found[key] = Window(*newest)
    return found


def waiting(state: ModelState) -> dict[tuple[str, str], tuple[GroupKey, Record]]:
    """Return the oldest window of each version and segment that was not judged yet."""
    found: dict[tuple[str, str], tuple[GroupKey, Record]] = {}
    for key in sorted(state.labels.records, key=lambda k: (k.version, k.segment, k.start)):
        record = state.labels.records[key]
        if not record.judged and not key.segment.startswith(GROUP):
            found.setdefault((key.version, key.segment), (key, record))
    return found


def pending(state: ModelState) -> int:
    """Return how many predictions wait for their outcome."""
    return sum(r.rows - r.labelled for k, r in state.labels.records.items() if k.segment == ALL)


def standing(plan: Plan, state: ModelState) -> Standing | None:
    """Return how the challenger stands, None where none is configured."""
    wish = plan.model.compare
    return load_contest(state.labels.contest).standing(plan_of(wish)) if wish is not None else None
