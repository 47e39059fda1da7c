"""The labels at work: predictions and outcomes remembered, joined tick by tick, and windows that mature."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import polars as pl
from numpy.typing import NDArray

from monitor.core.assessing import Assessor
from monitor.core.join import Joined, Span, join, tick_of
from monitor.core.labels import LAG_BOUNDS, Changes, Labels, Record, label_changes
from monitor.core.pile import Keep, added, dropped
from monitor.core.plan import Plan
from monitor.core.profiles import ALL, GroupKey
from monitor.core.queries import labelled_until
from monitor.core.standard import Standard
from monitor.core.windows import NEVER

HOUR = 3600 * 10**6
SECOND = 10**6
Ints = NDArray[np.int64]


def bucket_of(plan: Plan) -> int:
    """Return how long a stretch of event time shares a segment: an hour, or a longer window."""
    return max(plan.window, HOUR)


@dataclass(frozen=True, slots=True)
class Kept:
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
        pile, changes = added(pile, plan.name, time // size * size, frame, keep)
    measure = assessor.bench(standard).measure
    scored, records = assessor.vocabulary.scored(frame), dict(labels.records)
    for keys, codes in assessor.grouped(standard, frame, time // plan.window * plan.window):
        opened = measure.open_sums(scored, codes, len(keys))
        rows = np.bincount(codes, minlength=len(keys)).tolist()
        for key, sums, n in zip(keys, opened, rows, strict=True):
            known = records.get(key) or Record(0, 0, np.zeros(measure.width), np.zeros(measure.open_width))
            records[key] = replace(known, rows=known.rows + n, open=known.open + sums)
    after = replace(labels, predictions=pile, records=records)
    return Kept(after, changes | label_changes(plan.name, labels, after))


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
    return Kept(replace(labels, outcomes=pile), changes), late


def span_of(plan: Plan, applied: int, upto: int) -> Span:
    """Return the ticks after `applied` up to `upto`, with all that the plan says of joining."""
    policy = plan.model.performance.conflict
    return Span(applied, upto, plan.window, plan.horizon, bucket_of(plan), policy)


def due(plan: Plan, labels: Labels, upto: int) -> Joined:
    """Join what is known of the ticks up to `upto`."""
    size = bucket_of(plan)
    span = span_of(plan, labels.applied, upto)
    first = None if labels.applied == NEVER else labels.applied - size - plan.window
    old = [] if labels.applied == NEVER else labels.predictions.frames(last=labels.applied)
    return join(old, labels.predictions.frames(first, upto), labels.outcomes.frames(), span)


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
        distinct, places = np.unique(starts, return_inverse=True)
        standards = [standard_at(start) for start in distinct.tolist()]
        numbers = np.array([standard.number for standard in standards])[places]
        for standard in {s.number: s for s in standards}.values():
            chosen = np.flatnonzero(numbers == standard.number)
            self._count(standard, pairs[chosen], starts[chosen])
            if self.plan.model.columns.query:
                self._recount(standard, frozenset(starts[chosen].tolist()), tick)
        self._lags(pairs)

    def _count(self, standard: Standard, pairs: pl.DataFrame, starts: Ints) -> None:
        measure = self._assessor.bench(standard).measure
        vocabulary, records = self._assessor.vocabulary, dict(self.labels.records)
        label, old = pairs["label"].to_numpy(), pairs["old_label"].fill_null(np.nan).to_numpy()
        scored, replaced = vocabulary.scored(pairs, label), np.flatnonzero(np.isfinite(old))
        was = vocabulary.scored(pairs[replaced], old[replaced])
        for keys, codes in self._assessor.grouped(standard, pairs, starts):
            size = len(keys)
            sums = measure.sums(scored, codes, size) - measure.sums(was, codes[replaced], size)
            news = np.bincount(codes, minlength=size) - np.bincount(codes[replaced], minlength=size)
            for key, change, n in zip(keys, sums, news.tolist(), strict=True):
                known = records.get(key)
                if known is not None:
                    more = known.labelled + n
                    records[key] = replace(known, labelled=more, sums=known.sums + change)
                    self.changed.add(key)
        self.labels = replace(self.labels, records=records)

    def _recount(self, standard: Standard, starts: frozenset[int], tick: int) -> None:
        """Sum up windows anew: outcomes of one query that come at several ticks belong together."""
        measure, records = self._assessor.bench(standard).measure, dict(self.labels.records)
        span = span_of(self.plan, self.labels.applied, tick)
        pairs = labelled_until(self.labels, span, starts, tick)
        scored = self._assessor.vocabulary.scored(pairs, pairs["label"].to_numpy())
        places = pairs["time"].to_numpy() // self.plan.window * self.plan.window
        for keys, codes in self._assessor.grouped(standard, pairs, places):
            sums = measure.sums(scored, codes, len(keys))
            found = zip(keys, sums, strict=True)
            records |= {key: replace(records[key], sums=s) for key, s in found if key in records}
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
        found = [
            (key.start, key.version)
            for key, record in self.labels.records.items()
            if key.segment == ALL
            and not record.judged
            and key.start + self.plan.window <= tick
            and (record.coverage >= share or key.start + self.plan.window <= over)
        ]
        return sorted(found)

    def mark(self, start: int, version: str) -> None:
        """Note that a window was judged."""
        records = dict(self.labels.records)
        for key, record in self.labels.records.items():
            if (key.start, key.version) == (start, version):
                records[key] = replace(record, judged=True)
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


NO_END = int(np.iinfo(np.int64).max) // 2


def _forgotten(plan: Plan, labels: Labels) -> tuple[Labels, Changes]:
    """Drop predictions, outcomes and records whose horizon is over, and count what never met."""
    over, size = labels.applied - plan.horizon, bucket_of(plan)
    predictions, gone, _ = dropped(labels.predictions, plan.name, over - size)
    rows = {b: sum(r.frame.height for r in runs) for b, runs in labels.outcomes.runs.items()}
    outcomes, more, _ = dropped(labels.outcomes, plan.name, over - size)
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
