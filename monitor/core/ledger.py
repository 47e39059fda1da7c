"""The labels at work: predictions and outcomes remembered, joined tick by tick, and windows that mature."""

from collections.abc import Callable, Iterator
from itertools import pairwise

import numpy as np
import polars as pl
from msgspec import Struct
from msgspec.structs import replace
from numpy.typing import NDArray

from detectors.measure import Scored
from monitor.core.assessing import Assessor
from monitor.core.join import Joined, Span, join, tick_of, turn_of
from monitor.core.labels import LAG_BOUNDS, Labels, Record, label_changes
from monitor.core.pile import Keep, added, dropped
from monitor.core.plan import Plan
from monitor.core.profiles import ALL, GroupKey
from monitor.core.queries import labelled_until
from monitor.core.sparse import Sparse
from monitor.core.standard import Standard
from monitor.core.windows import NEVER
from monitor.core.windows import starts as starts_of
from monitor.types import Changes

HOUR = 3600 * 10**6
SECOND = 10**6
Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
SLAB = 256
"""Groups summed up at once."""


def bucket_of(plan: Plan) -> int:
    """Return how long a stretch of event time shares a segment: an hour, or a longer window."""
    return max(plan.window, HOUR)


class Kept(Struct, frozen=True):
    """Labels after a change, and the entries that say so."""

    labels: Labels
    changes: Changes


def remember(
    assessor: Assessor,
    labels: Labels,
    standard: Standard,
    frame: pl.DataFrame,
    keep: Keep | None,
) -> Kept:
    """Remember stored predictions, as `outcomes.waiting` gives them, until their outcomes come.

    Without `keep` no outcomes come: then only what the estimate needs is summed up.
    """
    plan = assessor.plan
    time = frame["time"].to_numpy()
    size = bucket_of(plan)
    pile, changes = labels.predictions, Changes()
    if keep is not None:
        kept = frame.with_columns(turn_of(labels.applied, plan.window))
        pile, changes = added(pile, plan.name, time // size * size, kept, keep)
    records = dict(labels.records)
    open_records(assessor, standard, records, frame)
    after = replace(labels, predictions=pile, records=records)
    return Kept(after, changes | label_changes(plan.name, labels, after))


def open_records(
    assessor: Assessor, standard: Standard, records: dict[GroupKey, Record], frame: pl.DataFrame
) -> None:
    """Add predictions to the records of their windows, whatever their outcomes."""
    window, measure = assessor.plan.window, assessor.bench(standard).measure
    scored, starts = assessor.vocabulary.scored(frame), starts_of(frame["time"].to_numpy(), window)
    none = Record.of(0, 0, np.zeros(measure.width), np.zeros(measure.open_width))
    for keys, codes in assessor.grouped(standard, frame, starts):
        rows = np.bincount(codes, minlength=len(keys)).tolist()
        for place, sums in summed(measure.open_sums, scored, codes, len(keys)):
            known = records.get(keys[place], none)
            seen = Sparse.of(known.open + sums)
            records[keys[place]] = replace(known, rows=known.rows + rows[place], seen=seen)


def summed(
    sums: Callable[[Scored, Ints, int], Floats], rows: Scored, codes: Ints, count: int
) -> Iterator[tuple[int, Floats]]:
    """Yield the sums of each of `count` groups, some groups at a time: the sums of all may be gigabytes."""
    if count <= SLAB or rows.query is not None:  # a query's rows may be of several groups
        yield from enumerate(sums(rows, codes, count))
        return
    order = np.argsort(codes, kind="stable")
    bounds = np.searchsorted(codes[order], np.arange(0, count + SLAB, SLAB))
    for slab, (first, last) in enumerate(pairwise(bounds.tolist())):
        chosen, begin = order[first:last], slab * SLAB
        found = sums(rows.take(chosen), codes[chosen] - begin, min(SLAB, count - begin))
        yield from enumerate(found, begin)


def hear(plan: Plan, labels: Labels, outcomes: pl.DataFrame, keep: Keep) -> tuple[Kept, int]:
    """Remember outcomes (key, check, time, label) until their tick; returns also how many came too late."""
    horizon, size = plan.horizon, bucket_of(plan)
    late = 0
    if labels.applied != NEVER:
        fresh = outcomes.filter(pl.col("time") + horizon > labels.applied)
        late, outcomes = outcomes.height - fresh.height, fresh
    tick = tick_of("time", plan.window)
    if labels.applied != NEVER:
        tick = pl.max_horizontal(tick, pl.lit(labels.applied + plan.window))
    frame = outcomes.with_columns(tick=tick)
    if not frame.height:
        return Kept(labels, {}), late
    pile, changes = added(labels.outcomes, plan.name, frame["time"].to_numpy() // size * size, frame, keep)
    heard = max(labels.heard, int(frame["time"].max() or NEVER))  # type: ignore[arg-type]  # a column of integers
    after = replace(labels, outcomes=pile, heard=heard)
    return Kept(after, changes | {("labels", plan.name, ""): after.dump()}), late


def span_of(plan: Plan, applied: int, upto: int) -> Span:
    """Return the ticks after `applied` up to `upto`, with all that the plan says of joining."""
    policy = plan.model.performance.conflict
    return Span(applied, upto, plan.window, plan.horizon, bucket_of(plan), policy)


def due(plan: Plan, labels: Labels, upto: int) -> Joined:
    """Join what is known of the ticks up to `upto`."""
    span, held = span_of(plan, labels.applied, upto), labels.predictions.frames()
    turns = [(frame["turn"].to_numpy(), frame) for frame in held]
    new = [frame for turn, frame in turns if int(turn.max()) * plan.window > labels.applied]
    old = [frame for turn, frame in turns if int(turn.min()) * plan.window <= labels.applied]
    return join(old, new, labels.outcomes.frames(), span)


class Ledger:
    """The labels while ticks are applied to them, one after the other."""

    def __init__(self, assessor: Assessor, labels: Labels, upto: int, *, cut: bool = False) -> None:
        self.plan = assessor.plan
        self.labels = labels
        self._assessor = assessor
        self.changed: set[GroupKey] = set()
        self._before = labels
        pending = labels.predictions.rows and labels.outcomes.rows
        last = NO_END if cut else upto
        self._joined = due(self.plan, labels, last) if pending else None
        self._ticks = self._joined.pairs["tick"] if self._joined else pl.Series([], dtype=pl.Int64)
        self.windows: dict[tuple[int, str], list[GroupKey]] = {}
        for key in sorted(labels.records, key=lambda k: (k.start, k.version, k.segment)):
            self.windows.setdefault((key.start, key.version), []).append(key)

    @property
    def ticks(self) -> frozenset[int]:
        """The ticks at which pairs come or change."""
        return frozenset(self._ticks.unique().to_list())

    def apply(self, tick: int, standard_at: Callable[[int], Standard]) -> None:
        """Count the pairs of one tick. standard_at: the standard that a window's start is measured by."""
        self.changed = set()
        if self._joined is None:
            return
        first, last = self._ticks.search_sorted(tick, "left"), self._ticks.search_sorted(tick, "right")
        pairs = self._joined.pairs[int(first) : int(last)]
        if not pairs.height:
            return
        starts = pairs["time"].to_numpy() // self.plan.window * self.plan.window
        for standard, chosen in by_standard(starts, standard_at):
            self._count(standard, pairs[chosen], starts[chosen])
            again = _recounted(self.plan, pairs[chosen], starts[chosen])
            if again:
                span = span_of(self.plan, self.labels.applied, tick)
                records = dict(self.labels.records)
                recount(self._assessor, standard, records, labelled_until(self.labels, span, again, tick))
                self.labels = replace(self.labels, records=records)
        self._lags(pairs)

    def _count(self, standard: Standard, pairs: pl.DataFrame, starts: Ints) -> None:
        measure = self._assessor.bench(standard).measure
        vocabulary, records = self._assessor.vocabulary, dict(self.labels.records)
        label, old = pairs["label"].to_numpy(), pairs["old_label"].fill_null(np.nan).to_numpy()
        scored, replaced = vocabulary.scored(pairs, label), np.flatnonzero(np.isfinite(old))
        was = vocabulary.scored(pairs[replaced], old[replaced])
        for keys, codes in self._assessor.grouped(standard, pairs, starts):
            size = len(keys)
            news = np.bincount(codes, minlength=size) - np.bincount(codes[replaced], minlength=size)
            less = dict(summed(measure.sums, was, codes[replaced], size)) if len(replaced) else {}
            for place, sums in summed(measure.sums, scored, codes, size):
                known = records.get(keys[place])
                if known is not None:
                    change = known.sums + sums - less.get(place, 0.0)
                    more = known.labelled + int(news[place])
                    records[keys[place]] = replace(known, labelled=more, known=Sparse.of(change))
                    self.changed.add(keys[place])
        self.labels = replace(self.labels, records=records)

    def _lags(self, pairs: pl.DataFrame) -> None:
        first = pairs.filter(pl.col("old_label").is_null())
        lag = (first["known"] - first["time"]).clip(0).to_numpy() / SECOND
        cells = np.bincount(np.searchsorted(LAG_BOUNDS, lag), minlength=len(LAG_BOUNDS) + 1).tolist()
        lags = tuple(a + b for a, b in zip(self.labels.lags, cells, strict=True))
        labels = replace(self.labels, lags=lags, lag=self.labels.lag + float(lag.sum()))
        self.labels = labels.counted({"joined": first.height})

    def matured(self, tick: int) -> list[tuple[int, str]]:
        """Return the windows (start, version) that are to be judged at a tick, the oldest first."""
        share, over = self.plan.model.performance.matured, tick - self.plan.horizon
        found = []
        for start, version in self.windows:
            record, end = self.labels.records[GroupKey(start, version, ALL)], start + self.plan.window
            if not record.judged and end <= tick and (record.coverage >= share or end <= over):
                found.append((start, version))
        return found

    def mark(self, start: int, version: str) -> None:
        """Note that a window was judged."""
        records = dict(self.labels.records)
        for key in self.windows[start, version]:
            records[key] = replace(records[key], judged=True)
        self.labels = replace(self.labels, records=records)

    def finish(self, upto: int) -> Changes:
        """Forget what no outcome can reach any more, and return the entries that changed."""
        labels = self.labels
        if self._joined is not None:
            matched = dict(labels.matched)
            for bucket, n in self._joined.matched.items():
                matched[bucket] = matched.get(bucket, 0) + n
            seen = {"repeated": self._joined.repeated, "conflicting": self._joined.conflicting}
            labels = replace(labels.counted(seen), matched=matched)
        reached = max(upto, int(self._ticks[-1])) if len(self._ticks) else upto
        self.labels, changes = _forgotten(self.plan, replace(labels, applied=max(labels.applied, reached)))
        return changes | label_changes(self.plan.name, self._before, self.labels)


def by_standard(
    starts: Ints, standard_at: Callable[[int], Standard]
) -> Iterator[tuple[Standard, NDArray[np.intp]]]:
    """Yield each standard that rows of windows with these starts are measured by, and its rows' places."""
    distinct, places = np.unique(starts, return_inverse=True)
    standards = [standard_at(start) for start in distinct.tolist()]
    numbers = np.array([standard.number for standard in standards])[places]
    for standard in {s.number: s for s in standards}.values():
        yield standard, np.flatnonzero(numbers == standard.number)


def recount(
    assessor: Assessor, standard: Standard, records: dict[GroupKey, Record], pairs: pl.DataFrame
) -> None:
    """Replace what is known of windows by the sums of `pairs`, which are all that is known of them."""
    measure, window = assessor.bench(standard).measure, assessor.plan.window
    scored = assessor.vocabulary.scored(pairs, pairs["label"].to_numpy())
    starts = pairs["time"].to_numpy() // window * window
    for keys, codes in assessor.grouped(standard, pairs, starts):
        rows = np.bincount(codes, minlength=len(keys)).tolist()
        for place, sums in summed(measure.sums, scored, codes, len(keys)):
            known = records.get(keys[place])
            if known is not None:
                records[keys[place]] = replace(known, labelled=rows[place], known=Sparse.of(sums))


def _recounted(plan: Plan, pairs: pl.DataFrame, starts: Ints) -> frozenset[int]:
    """Return the windows that have to be summed up anew.

    Of rankings all, since the outcomes of one query that come at several ticks belong together; of
    regressions those with a corrected outcome: a large number does not subtract without a trace.
    """
    if plan.model.columns.query:
        return frozenset(starts.tolist())
    if plan.model.task == "regression":
        return frozenset(starts[pairs["old_label"].is_not_null().to_numpy()].tolist())
    return frozenset()


NO_END = int(np.iinfo(np.int64).max) // 2


def _forgotten(plan: Plan, labels: Labels) -> tuple[Labels, Changes]:
    """Drop predictions, outcomes and records whose horizon is over, and count what never met.

    An outcome may come before its prediction, and that one get another: outcomes stay for two horizons.
    """
    over, size = labels.applied - plan.horizon, bucket_of(plan)
    predictions, gone = dropped(labels.predictions, plan.name, over - size)
    rows = {b: sum(r.frame.height for r in runs) for b, runs in labels.outcomes.runs.items()}
    outcomes, more = dropped(labels.outcomes, plan.name, over - plan.horizon - size)
    lost = rows.keys() - outcomes.runs.keys()
    orphaned = sum(max(rows[b] - labels.matched.get(b, 0), 0) for b in lost)
    ended = {k: r for k, r in labels.records.items() if k.start + plan.window <= over and r.judged}
    expired = sum(r.rows - r.labelled for k, r in ended.items() if k.segment == ALL)
    after = replace(
        labels.counted({"orphaned": orphaned, "expired": expired}),
        predictions=predictions,
        outcomes=outcomes,
        matched={b: n for b, n in labels.matched.items() if b not in lost},
        records={k: r for k, r in labels.records.items() if k not in ended},
    )
    return after, gone | more
