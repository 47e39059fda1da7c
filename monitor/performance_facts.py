"""Performance, outcomes, groups and versions side by side as exported samples."""

import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from itertools import accumulate
from typing import Any

from detectors.fairness import DISPARITIES, RATES
from detectors.measure import Estimate
from exporters.catalog import Histogram, Sample
from monitor.class_facts import share_blocks
from monitor.core.assessing import Assessor
from monitor.core.labels import LAG_BOUNDS, REALIZED, SeriesKey
from monitor.core.plan import Plan, joins
from monitor.core.policy import Shown
from monitor.core.profiles import ALL
from monitor.core.standard import GROUP, Standard
from monitor.core.state import ModelState
from monitor.monitor_facts import episode_of
from monitor.outcome_checks import estimable
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
from monitor.room import Block

SECOND = 10**6
SERIES_OF_JUDGED = len(Shown) + 3
SERIES_OF_WINDOW = 3
SERIES_OF_VALUE = 3
CLASSES_SHOWN = 10
"""With more classes the table of true and predicted ones has too many series to be worth it."""
TRIPS, WINDOWS, VALUES, GROUPS, WORST, OTHERS, DETAILS = range(7)
"""What is left out last comes first; everything of the whole model is before anything of a segment."""
Ranked = tuple[tuple[bool, int, int], Block]


def outcome_samples(plan: Plan, state: ModelState) -> Iterator[Sample]:
    """Yield what is counted of outcomes, and champion against challenger: a fixed number of series."""
    name, labels = plan.name, state.labels
    if joins(plan.model):
        for what in COUNTED:
            yield Sample(f"driftd_labels_{what}_total", (name,), labels.counts.get(what, 0))
        yield Sample("driftd_labels_pending", (name,), pending(state))
        lags = tuple(accumulate(labels.lags))
        lag = Histogram(lags[:-1], labels.lag, lags[-1], LAG_BOUNDS)
        yield Sample("driftd_label_lag_seconds", (name,), lag)
    stands, wish = standing(plan, state), plan.model.compare
    if stands is not None and wish is not None and stands.difference.value is not None:
        arms = (name, wish.champion, wish.challenger)
        yield from _interval("driftd_compare", "difference", arms, stands.difference)
        yield Sample("driftd_compare_pvalue", arms, stands.pvalue)


def performance_blocks(plan: Plan, state: ModelState) -> list[Block]:
    """Return the series of performance, the most important first, in an order that does not change."""
    known, windows = judged(plan, state), performances(plan, state)
    ranked = [
        *_judged(plan, known, state.traces),
        *_windows(plan, state, windows),
        *_values(plan, known, windows),
        *_fairness(plan, state),
        *_worst(plan, state),
        *_details(plan, windows),
        *(((of_segment, DETAILS, 2), block) for of_segment, block in share_blocks(plan, state)),
    ]
    return [block for _, block in sorted(ranked, key=lambda item: item[0])]  # a stable sort


def expected_series(assessor: Assessor, standard: Standard) -> int:
    """Return about how many series of performance one version has, by what the reference gives."""
    model, bench = assessor.plan.model, assessor.bench(standard)
    realised, estimated = joins(model), bench.calibration is not None or bench.loss is not None
    names = tuple(bench.measure.better)
    values = len(names) * realised + len(estimable(model, names)) * estimated
    asked = sum(estimated if q.estimated else realised for q in assessor.questions)
    each = SERIES_OF_VALUE * values + SERIES_OF_WINDOW * (realised + estimated) + SERIES_OF_JUDGED * asked
    segments, rates, size = 1, 0, len(assessor.vocabulary.classes)
    for scheme, known in standard.values.items():
        if not scheme.startswith(GROUP):
            segments += len(known) + 1
        elif model.task == "binary":
            rates += len(DISPARITIES) + len(RATES) * (len(known) + 1)
    table = size * (size + 1) if size <= CLASSES_SHOWN else 0
    return each * segments + (SERIES_OF_VALUE * rates + table) * realised


def _judged(plan: Plan, known: dict[Place, Judged], traces: Mapping[str, str]) -> Iterator[Ranked]:
    for at, one in sorted(known.items()):
        labels = (plan.name, at.version, at.segment, at.metric, at.basis)
        samples = [] if one.shown is Shown.STALE else list(_numbers(labels, one))
        episode = episode_of(one.trip, plan.window, traces.get(one.trip.episode, ""))
        samples.append(Sample("driftd_performance_episodes_total", labels, one.trip.episodes, episode))
        for each in Shown:
            value = float(each is one.shown)
            samples.append(Sample("driftd_performance_state", (*labels, each.value), value))
        yield (at.segment != ALL, TRIPS, 0), Block(SERIES_OF_JUDGED, samples)


def _numbers(labels: tuple[str, ...], one: Judged) -> Iterator[Sample]:
    verdict = one.trip.verdict
    if one.limit is not None:
        yield Sample("driftd_performance_threshold", labels, one.limit)
    if verdict is not None and verdict.score is not None and verdict.threshold:
        value = min(verdict.score / verdict.threshold, sys.float_info.max)
        yield Sample("driftd_performance_quotient", labels, value)


def _windows(plan: Plan, state: ModelState, windows: dict[SeriesKey, Window]) -> Iterator[Ranked]:
    """Yield which windows the values are of, and what these rest on; before any, how much is known so far."""
    for key, window in windows.items():
        place, measured = (plan.name, key.version, key.label), window.measured
        end = (window.start + plan.window) / SECOND
        samples = [
            Sample("driftd_performance_window_timestamp_seconds", (*place, key.basis), end),
            Sample("driftd_performance_rows", (*place, key.basis), measured.rows),
        ]
        name = "driftd_label_coverage_ratio" if key.basis == REALIZED else "driftd_estimation_coverage_ratio"
        samples.append(Sample(name, place, measured.coverage))
        yield (key.label != ALL, WINDOWS, 0), Block(SERIES_OF_WINDOW, samples)
    if joins(plan.model):
        for (version, segment), (_, record) in waiting(state).items():
            if SeriesKey(version, segment, REALIZED) not in windows:
                name, place = "driftd_label_coverage_ratio", (plan.name, version, segment)
                sample = Sample(name, place, record.coverage)
                yield (segment != ALL, WINDOWS, 0), Block(SERIES_OF_WINDOW, [sample])


def _values(plan: Plan, known: dict[Place, Judged], windows: dict[SeriesKey, Window]) -> Iterator[Ranked]:
    for key, window in windows.items():
        for at, (metric, estimate) in enumerate(window.measured.metrics.items()):
            labels = (plan.name, key.version, key.label, metric, key.basis)
            first = Place(key.version, key.label, metric, key.basis) in known
            samples = list(_interval("driftd_performance", "value", labels, estimate))
            rank = (key.label != ALL, VALUES if first else OTHERS, 0 if first else at)
            yield rank, Block(SERIES_OF_VALUE, samples)


def _fairness(plan: Plan, state: ModelState) -> Iterator[Ranked]:
    for key, window in fairness(plan, state).items():
        for metric, estimate in window.measured.metrics.items():
            labels = (plan.name, key.version, metric, key.label.removeprefix(GROUP))
            samples = list(_interval("driftd_fairness", "value", labels, estimate))
            yield (False, GROUPS, 0), Block(SERIES_OF_VALUE, samples)


def _worst(plan: Plan, state: ModelState) -> Iterator[Ranked]:
    for key, window in worst_segments(plan, state).items():
        for metric, gap in window.measured.metrics.items():
            if gap.value is not None:
                labels = (plan.name, key.version, metric, window.measured.note)
                yield (False, WORST, 0), Block(1, [Sample("driftd_worst_segment_gap", labels, gap.value)])


def _details(plan: Plan, windows: dict[SeriesKey, Window]) -> Iterator[Ranked]:
    for key, window in windows.items():
        detail = window.measured.detail
        if "bounds" in detail:
            bounds = detail["bounds"].items()
            place = (plan.name, key.version, key.label)
            samples = [
                Sample("driftd_performance_bound", (*place, metric, key.basis), bound)
                for metric, bound in bounds
                if bound is not None
            ]
            yield (key.label != ALL, DETAILS, 0), Block(len(bounds), samples)
        if "confusion" in detail and len(detail["confusion"]["classes"]) <= CLASSES_SHOWN + 1:
            samples = list(_confusion((plan.name, key.version), detail["confusion"]))
            yield (key.label != ALL, DETAILS, 1), Block(len(samples), samples)


def _confusion(place: tuple[str, str], table: Mapping[str, Any]) -> Iterator[Sample]:
    """Yield the rows of each true class, which is always a known one, by what they were predicted as."""
    names: list[str] = table["classes"]
    counts = Counter[tuple[str, str]]()  # the word for any other class may be a class of the user's as well
    for true, row in zip(names[:-1], table["rows"][:-1], strict=True):
        for predicted, n in zip(names, row, strict=True):
            counts[true, predicted] += n
    for pair, n in counts.items():
        yield Sample("driftd_confusion_rows", (*place, *pair), n)


def _interval(prefix: str, name: str, labels: tuple[str, ...], estimate: Estimate) -> Iterator[Sample]:
    """Yield a value and the ends of its interval, as far as there are any."""
    for part, value in ((name, estimate.value), ("lower", estimate.low), ("upper", estimate.high)):
        if value is not None:
            yield Sample(f"{prefix}_{part}", labels, value)
