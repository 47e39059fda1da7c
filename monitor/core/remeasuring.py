"""Sums of waiting windows made anew of their rows, after what is measured was configured anew."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import polars as pl

from monitor.core.assessing import Assessor
from monitor.core.labels import Labels, Record, label_changes
from monitor.core.ledger import Kept, open_records, span_of, summed
from monitor.core.profiles import ALL, GroupKey
from monitor.core.queries import labelled_until
from monitor.core.sparse import Sparse
from monitor.core.standard import Standard, layout


def remeasured(assessor: Assessor, labels: Labels, standard_at: Callable[[int], Standard]) -> Kept:
    """Return the labels with the sums of every waiting window made anew, of its predictions and outcomes."""
    window = assessor.plan.window
    judged = {(k.start, k.version): r.judged for k, r in labels.records.items() if k.segment == ALL}
    starts = frozenset(start for start, _ in judged)
    records: dict[GroupKey, Record] = {}
    wanted = (pl.col("time") // window * window).is_in(sorted(starts))
    for frame in labels.predictions.frames():
        for standard, part in _by_standard(frame.filter(wanted), window, standard_at):
            open_records(assessor, standard, records, part)
    span = span_of(assessor.plan, labels.applied, labels.applied)
    pairs = labelled_until(labels, span, starts, labels.applied) if starts else pl.DataFrame()
    for standard, part in _by_standard(pairs, window, standard_at):
        _label(assessor, standard, records, part)
    records = {k: replace(r, judged=judged.get((k.start, k.version), False)) for k, r in records.items()}
    after = replace(labels, records=records, layout=layout(assessor.plan.model))
    return Kept(after, label_changes(assessor.plan.name, labels, after))


def _by_standard(
    frame: pl.DataFrame, window: int, standard_at: Callable[[int], Standard]
) -> list[tuple[Standard, pl.DataFrame]]:
    if not frame.height:
        return []
    starts = frame["time"].to_numpy() // window * window
    distinct, places = np.unique(starts, return_inverse=True)
    standards = [standard_at(start) for start in distinct.tolist()]
    numbers = np.array([standard.number for standard in standards])[places]
    return [
        (s, frame[np.flatnonzero(numbers == s.number)]) for s in {s.number: s for s in standards}.values()
    ]


def _label(
    assessor: Assessor, standard: Standard, records: dict[GroupKey, Record], pairs: pl.DataFrame
) -> None:
    measure = assessor.bench(standard).measure
    scored = assessor.vocabulary.scored(pairs, pairs["label"].to_numpy())
    starts = pairs["time"].to_numpy() // assessor.plan.window * assessor.plan.window
    for keys, codes in assessor.grouped(standard, pairs, starts):
        rows = np.bincount(codes, minlength=len(keys)).tolist()
        for place, sums in summed(measure.sums, scored, codes, len(keys)):
            known = records.get(keys[place])
            if known is not None:
                records[keys[place]] = replace(known, labelled=rows[place], known=Sparse.of(sums))
