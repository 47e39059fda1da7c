"""Committed state to exported samples: an immutable snapshot that scrapes read without a lock."""

import hashlib
import platform
from collections.abc import Iterable, Iterator, Mapping
from importlib.metadata import version

from detectors.base import Verdict
from exporters.catalog import Sample
from monitor.core.outbox import NoteState
from monitor.core.plan import Plan
from monitor.core.policy import Phase, Shown, Trip, TripKey
from monitor.core.profiles import ALL
from monitor.core.state import ModelState
from monitor.core.windows import NEVER
from monitor.outgoing import Outbox
from monitor.store.rejects import unkept

SECOND = 10**6
WHOLE = "_all"
STALE_WINDOWS = 3
EVENTS = ("received", "stored", "duplicate", "late")
SERIES_PER_TRIP = len(Shown) + 5


def model_samples(plan: Plan, state: ModelState) -> list[Sample]:
    """Return one model's samples, at most its series limit; monitors beyond it are left out and counted."""
    fixed = [*_events(plan, state), *_progress(plan, state), *_groups(plan, state), *_retrain(plan, state)]
    room = max(plan.model.series_limit - len(fixed) - SERIES_PER_TRIP, 0)
    trips = sorted(state.trips.items(), key=_importance)
    drawn: list[Sample] = []
    dropped = 0
    for key, trip in trips:
        series = list(_trip(plan, state, key, trip))
        if len(drawn) + len(series) > room:
            dropped += len(series)
        else:
            drawn += series
    name = plan.name
    active = len(fixed) + len(drawn) + 3
    return [
        *fixed,
        *drawn,
        Sample("driftd_series_active", (name,), active),
        Sample("driftd_series_limit", (name,), plan.model.series_limit),
        Sample("driftd_series_dropped_total", (name,), dropped),
    ]


def _importance(item: tuple[TripKey, Trip]) -> tuple[bool, bool, TripKey]:
    """Whole-model monitors before segments, in a fixed order: a limit must not make series come and go."""
    key, _ = item
    return (key.segment != ALL, key.feature == WHOLE, key)


def _trip(plan: Plan, state: ModelState, key: TripKey, trip: Trip) -> Iterator[Sample]:
    labels = (plan.name, key.version, key.segment, key.feature, key.detector)
    shown = shown_state(plan, state, trip)
    verdict = trip.verdict
    if verdict is not None and shown is not Shown.STALE:
        yield from _numbers(labels, verdict)
    yield Sample("driftd_drift_episodes_total", labels, trip.episodes)
    for each in Shown:
        yield Sample("driftd_drift_state", (*labels, each.value), float(each is shown))


def shown_state(plan: Plan, state: ModelState, trip: Trip) -> Shown:
    """Return a trip's state; one whose version or segment has had no rows for some windows is stale."""
    last = state.book.last_closed
    behind = last is not None and last - trip.window >= STALE_WINDOWS * plan.window
    return Shown.STALE if behind and trip.phase is not Phase.FIRING else trip.shown


def _numbers(labels: tuple[str, ...], verdict: Verdict) -> Iterator[Sample]:
    if verdict.score is not None:
        yield Sample("driftd_drift_score", labels, verdict.score)
    if verdict.threshold is not None:
        yield Sample("driftd_drift_threshold", labels, verdict.threshold)
    if verdict.score is not None and verdict.threshold:
        yield Sample("driftd_drift_quotient", labels, verdict.score / verdict.threshold)
    if verdict.pvalue is not None:
        yield Sample("driftd_drift_pvalue", labels, verdict.pvalue)


def _events(plan: Plan, state: ModelState) -> Iterator[Sample]:
    counts = state.book.counts
    for source in source_names(plan):
        for what in EVENTS:
            name = f"driftd_events_{what}_total"
            yield Sample(name, (plan.name, source), counts.get((source, what, ""), 0))
        truncations = counts.get((source, "truncations", ""), 0)
        yield Sample("driftd_truncations_total", (plan.name, source), truncations)
    for (source, what, reason), n in sorted(counts.items()):
        if what in {"rejected", "dropped"}:
            yield Sample(f"driftd_events_{what}_total", (plan.name, source, reason), n)


def source_names(plan: Plan) -> tuple[str, ...]:
    """Name a model's sources by role and place: a closed set of labels."""
    return tuple(f"{source.role}-{place}" for place, source in enumerate(plan.model.sources))


def _progress(plan: Plan, state: ModelState) -> Iterator[Sample]:
    book, name = state.book, plan.name
    yield Sample("driftd_windows_open", (name,), len({k.start for k in state.windows}))
    yield Sample("driftd_windows_closed_total", (name,), book.windows_closed)
    if book.progress.newest != NEVER:
        watermark = book.progress.watermark(plan.lateness)
        yield Sample("driftd_watermark_timestamp_seconds", (name,), watermark / SECOND)
        yield Sample("driftd_last_row_timestamp_seconds", (name,), book.progress.newest / SECOND)


def _groups(plan: Plan, state: ModelState) -> Iterator[Sample]:
    name = plan.name
    ends: dict[tuple[str, str], int] = {}
    for key, trip in state.trips.items():
        place = (key.version, key.segment)
        ends[place] = max(ends.get(place, 0), trip.window + plan.window)
    for (version_, segment), rows in sorted(state.volumes.items()):
        yield Sample("driftd_window_rows", (name, version_, segment), rows[-1])
    for (version_, segment), end in sorted(ends.items()):
        yield Sample("driftd_last_evaluation_timestamp_seconds", (name, version_, segment), end / SECOND)
    baseline = state.newest_baseline
    if baseline is not None:
        for segment, profile in sorted(baseline.profiles.items()):
            yield Sample("driftd_reference_rows", (name, segment), profile.rows)
    firing = {k.feature for k, t in state.trips.items() if t.phase is Phase.FIRING} - {WHOLE}
    yield Sample("driftd_features_firing", (name,), len(firing))
    yield Sample("driftd_features_monitored", (name,), len({k.feature for k in state.trips} - {WHOLE}))
    config = hashlib.blake2b(plan.model.model_dump_json().encode(), digest_size=8).hexdigest()
    yield Sample("driftd_model_info", (name, baseline.hash if baseline else "", config), 1)


def _retrain(plan: Plan, state: ModelState) -> Iterator[Sample]:
    for (webhook, what, outcome), n in sorted(state.book.counts.items()):
        if what == "retrain":
            yield Sample("driftd_retrain_requests_total", (plan.name, webhook, outcome), n)


def outbox_samples(outbox: Outbox, now_us: int) -> list[Sample]:
    """Return the outbox's samples. now_us: wall clock."""
    waiting = [q for q in outbox.queued.values() if q.note.state is NoteState.PENDING]
    dead = sum(q.note.state is NoteState.DEAD for q in outbox.queued.values())
    oldest = max((now_us - q.since for q in waiting), default=0)
    return [
        Sample("driftd_outbox_pending", (), len(waiting)),
        Sample("driftd_outbox_oldest_age_seconds", (), max(oldest, 0) / SECOND),
        Sample("driftd_outbox_dead_letters", (), dead),
    ]


def build_samples() -> list[Sample]:
    """Return what describes the program itself."""
    return [Sample("driftd_build_info", (version("driftd"), platform.python_version()), 1)]


def all_samples(
    plans: Iterable[Plan],
    states: Mapping[str, ModelState],
    rejects: Mapping[str, bytes],
    outbox: Outbox,
    now_us: int,
) -> list[Sample]:
    """Return everything that committed state says. rejects: each model's committed rejects entry."""
    found: list[Sample] = []
    for plan in plans:
        found += model_samples(plan, states[plan.name])
        missed = unkept(rejects.get(plan.name))
        found.append(Sample("driftd_rejects_unkept_total", (plan.name,), missed))
    return [*found, *outbox_samples(outbox, now_us), *build_samples()]
