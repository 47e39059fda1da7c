"""Committed state to exported samples: an immutable snapshot that scrapes read without a lock."""

import hashlib
import platform
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from importlib.metadata import version

from detectors.base import Verdict
from exporters.catalog import Sample
from monitor.budgeting import calibration, spent
from monitor.core.labels import REALIZED
from monitor.core.outbox import NoteState
from monitor.core.plan import Plan
from monitor.core.policy import Shown, Trip, TripKey
from monitor.core.profiles import ALL
from monitor.core.state import ModelState
from monitor.core.usual import ERROR, LOSS
from monitor.core.windows import NEVER
from monitor.outgoing import Outbox
from monitor.performance_facts import outcome_samples, performance_blocks
from monitor.performing import BASES, is_metric, shown_state
from monitor.responses import Responses, open_episodes
from monitor.room import Block, series, within
from monitor.store.rejects import unkept

SECOND = 10**6
WHOLE = "_all"
EVENTS = ("received", "stored", "duplicate", "late")
SERIES_PER_TRIP = len(Shown) + 5
SERIES_PER_GROUP = 2
SERIES_OF_LIMIT = 3


def model_samples(plan: Plan, state: ModelState) -> list[Sample]:
    """Return one model's samples, at most its series limit; what is beyond it is left out and counted.

    Groups get at most half of the room, performance half of what is left, monitors the rest. Each has its
    series reserved, needed or not, so that which ones are exported does not change between two scrapes.
    """
    name = plan.name
    fixed = [*_events(plan, state), *_progress(plan, state), *_whole(plan, state), *_retrain(plan, state)]
    fixed += outcome_samples(plan, state)
    room = max(plan.model.series_limit - series(fixed) - SERIES_OF_LIMIT, 0)
    groups, dropped = within([Block(SERIES_PER_GROUP, g) for g in _groups(plan, state)], room // 2)
    room -= series(groups)
    performance, more = within(performance_blocks(plan, state), room // 2)
    trips = [Block(SERIES_PER_TRIP, list(_trip(plan, state, *item))) for item in _monitors(state)]
    monitors, most = within(trips, room - series(performance))
    samples = [*fixed, *groups, *performance, *monitors]
    return [
        *samples,
        Sample("driftd_series_active", (name,), series(samples) + SERIES_OF_LIMIT),
        Sample("driftd_series_limit", (name,), plan.model.series_limit),
        Sample("driftd_series_dropped_total", (name,), dropped + more + most),
    ]


def _monitors(state: ModelState) -> list[tuple[TripKey, Trip]]:
    """Return the monitors of drift and quality, and all streams; metrics are shown with performance."""
    return sorted(((k, t) for k, t in state.trips.items() if not is_metric(k, t)), key=_importance)


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


def _numbers(labels: tuple[str, ...], verdict: Verdict) -> Iterator[Sample]:
    if verdict.score is not None:
        yield Sample("driftd_drift_score", labels, verdict.score)
    if verdict.threshold is not None:
        yield Sample("driftd_drift_threshold", labels, verdict.threshold)
    if verdict.score is not None and verdict.threshold:
        quotient = min(verdict.score / verdict.threshold, sys.float_info.max)
        yield Sample("driftd_drift_quotient", labels, quotient)
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
        if what in {"rejected", "dropped"} and source in source_names(plan):
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


def _groups(plan: Plan, state: ModelState) -> Iterator[list[Sample]]:
    """Yield the series of each segment of the reference, then of each version and segment, `all` first."""
    name = plan.name
    baseline = state.newest_baseline
    sizes = baseline.profiles if baseline else {}
    for segment in sorted(sizes, key=lambda s: (s != ALL, s)):
        yield [Sample("driftd_reference_rows", (name, segment), sizes[segment].rows)]
    ends = _newest(state)
    for version_, segment in sorted(state.volumes, key=lambda place: (place[1] != ALL, place)):
        labels = (name, version_, segment)
        found = [Sample("driftd_window_rows", labels, state.volumes[version_, segment][-1])]
        if (version_, segment) in ends:
            end = (ends[version_, segment] + plan.window) / SECOND
            found.append(Sample("driftd_last_evaluation_timestamp_seconds", labels, end))
        yield found


def _newest(state: ModelState) -> dict[tuple[str, str], int]:
    """Return the start of the newest closed window of each version and segment.

    Trips of realised performance are as old as their outcomes; where there are no others, a segment's
    newest window is its version's.
    """
    found: dict[tuple[str, str], int] = {}
    for key, trip in state.trips.items():
        place = (key.version, key.segment)
        if BASES.get(trip.kind) != REALIZED:
            found[place] = max(found.get(place, trip.window), trip.window)
    for version_, segment in state.volumes:
        closed = state.book.versions.get(version_)
        if closed is not None and (segment == ALL or (version_, segment) not in found):
            found[version_, segment] = closed
    return found


def _whole(plan: Plan, state: ModelState) -> Iterator[Sample]:
    name, baseline = plan.name, state.newest_baseline
    monitors = _monitors(state)
    firing = {k.feature for k, t in monitors if shown_state(plan, state, t) is Shown.FIRING}
    yield Sample("driftd_false_alarm_budget_ratio", (name,), spent(plan, state))
    if baseline is not None:
        yield Sample("driftd_calibration_info", (name, *calibration(plan, state, baseline)), 1)
    none = {WHOLE, ERROR, LOSS}
    for what in ("stream_rows", "stream_left_out"):
        yield Sample(f"driftd_{what}_total", (name,), state.book.counts.get(("", what, ""), 0))
    yield Sample("driftd_features_firing", (name,), len(firing - none))
    yield Sample("driftd_features_monitored", (name,), len({k.feature for k, _ in monitors} - none))
    config = hashlib.blake2b(plan.model.model_dump_json().encode(), digest_size=8).hexdigest()
    yield Sample("driftd_model_info", (name, baseline.hash if baseline else "", config), 1)


def _retrain(plan: Plan, state: ModelState) -> Iterator[Sample]:
    for (webhook, what, outcome), n in sorted(state.book.counts.items()):
        if what == "retrain":
            yield Sample("driftd_retrain_requests_total", (plan.name, webhook, outcome), n)


def episode_samples(plan: Plan, state: ModelState, responses: Responses) -> list[Sample]:
    """Return how many episodes of a model fire, with and without somebody who looks after them."""
    taken, waiting = open_episodes(plan, state, responses)
    return [
        Sample("driftd_episodes_open", (plan.name, "true"), taken),
        Sample("driftd_episodes_open", (plan.name, "false"), waiting),
    ]


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


def webhook_samples(plans: Iterable[Plan], outbox: Outbox) -> list[Sample]:
    """Return how requests ended, for each model and each webhook it asks, and which webhooks are disabled."""
    asked = sorted({(plan.name, rule.webhook) for plan in plans for rule in plan.model.retrain})
    found = [
        Sample("driftd_retrain_requests_total", (*whose, end), outbox.settled.get((*whose, end), 0))
        for whose in asked
        for end in (str(NoteState.DELIVERED), str(NoteState.DEAD))
    ]
    gone = {endpoint.name for endpoint in outbox.endpoints.values() if endpoint.gone}
    hooks = sorted({webhook for _, webhook in asked})
    return [*found, *(Sample("driftd_webhook_disabled", (hook,), float(hook in gone)) for hook in hooks)]


def build_samples() -> list[Sample]:
    """Return what describes the program itself."""
    return [Sample("driftd_build_info", (version("driftd"), platform.python_version()), 1)]


def all_samples(
    plans: Sequence[Plan],
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
    found += webhook_samples(plans, outbox)
    return [*found, *outbox_samples(outbox, now_us), *build_samples()]
