"""Sums of waiting windows made anew of their rows, after what is measured was configured anew."""

from collections.abc import Callable

import polars as pl
from msgspec.structs import replace

from monitor.core.assessing import Assessor
from monitor.core.labels import Labels, Record, label_changes
from monitor.core.ledger import Kept, by_standard, open_records, recount, span_of
from monitor.core.profiles import ALL, GroupKey
from monitor.core.queries import labelled_until
from monitor.core.standard import Standard, layout


def remeasured(assessor: Assessor, labels: Labels, standard_at: Callable[[int], Standard]) -> Kept:
    """Return the labels with the sums of every waiting window made anew, of its predictions and outcomes."""
    window = assessor.plan.window
    judged = {(k.start, k.version): r.judged for k, r in labels.records.items() if k.segment == ALL}
    starts = frozenset(start for start, _ in judged)
    records: dict[GroupKey, Record] = {}
    start = pl.col("time") // window * window
    for frame in labels.predictions.frames():
        made = frame.filter(start.is_in(sorted(starts)))
        for standard, chosen in by_standard(made.select(start).to_series().to_numpy(), standard_at):
            open_records(assessor, standard, records, made[chosen])
    if starts:
        span = span_of(assessor.plan, labels.applied, labels.applied)
        pairs = labelled_until(labels, span, starts, labels.applied)
        for standard, chosen in by_standard(pairs.select(start).to_series().to_numpy(), standard_at):
            recount(assessor, standard, records, pairs[chosen])
    records = {k: replace(r, judged=judged.get((k.start, k.version), False)) for k, r in records.items()}
    after = replace(labels, records=records, layout=layout(assessor.plan.model))
    return Kept(after, label_changes(assessor.plan.name, labels, after))
