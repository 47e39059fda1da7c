"""What `driftd check` says of streams: what they watch, what it costs, how often the reference alarms."""

from collections.abc import Iterator, Mapping, Sequence

import polars as pl

from detectors.measure import Floats
from detectors.stream_choice import STREAMS
from monitor.config import Model
from monitor.core.outcomes import Vocabulary, own_labels, waiting
from monitor.core.reference import Baseline
from monitor.core.schema import Schema
from monitor.core.standard import Standard
from monitor.core.streaming import Spec, Streaming, streamed
from monitor.core.usual import ERROR, LOSS
from monitor.core.vectors import with_cosines
from monitor.references import rows_of

MOST_ROWS = 100_000
SECONDS = 20.0
"""All streams together take about so long at most."""
SHOWN = 3
"""Features named in one line."""
Reference = tuple[Baseline, pl.DataFrame]
"""A reference and its file's rows."""
Values = Mapping[str, Floats]


def stream_lines(
    model: Model, schema: Schema, reference: Reference | None, standard: Standard
) -> Iterator[str]:
    """Say of each streaming monitor what it watches; where the reference is a file, what it says of that."""
    streaming = Streaming(model)
    if reference is None:
        for monitor in streamed(model):
            on = monitor.on if isinstance(monitor.on, str) else ", ".join(monitor.on)
            what = f"{monitor.detector} on {on}, {STREAMS[monitor.detector].cost:g} us a row"
            yield f"  stream: {what}; no file to say how often it alarms"
        return
    baseline, frame = reference
    specs = [*streaming.of_rows(baseline), *streaming.of_outcomes(standard)]
    if specs:
        yield from _replayed(specs, _values(streaming, schema, frame, baseline))


def _values(streaming: Streaming, schema: Schema, frame: pl.DataFrame, baseline: Baseline) -> Values:
    """Return the reference's rows in order: each numeric column, and its errors and losses."""
    rows, grid = rows_of(schema, frame, baseline.origin), baseline.grid
    features = with_cosines(grid.embeddings, rows.frame)
    found = {f.name: features[f.name].to_numpy() for f in grid.numeric}
    if "label" in rows.frame.columns and streaming.losses:
        vocabulary = Vocabulary.of(streaming.model)
        scored = vocabulary.scored(waiting(vocabulary, rows), own_labels(vocabulary, rows))
        found |= {name: loss(scored) for name, loss in streaming.losses.items()}
    return found


def _replayed(specs: Sequence[Spec], values: Values) -> Iterator[str]:
    """Go over the reference with each stream, over as many rows as there is time for."""
    dear = sum(STREAMS[spec.detector].cost for spec in specs)
    groups: dict[tuple[str, str, str], list[Spec]] = {}
    for spec in specs:
        one = spec.feature if spec.feature in {ERROR, LOSS} or spec.why else ""
        groups.setdefault((spec.detector, spec.kind, one), []).append(spec)
    for (detector, _, _), found in groups.items():
        cost = STREAMS[detector].cost
        most = int(min(MOST_ROWS, SECONDS * 1e6 / dear))
        yield f"  stream: {detector} on {_named(found)}, {cost:g} us a row; {_alarms(found, values, most)}"


def _named(specs: Sequence[Spec]) -> str:
    names = [spec.feature for spec in specs]
    said = ", ".join(names[:SHOWN])
    return said if len(names) <= SHOWN else f"{said} and {len(names) - SHOWN} more"


def _alarms(specs: Sequence[Spec], values: Values, most: int) -> str:
    if specs[0].make is None:
        return f"NOT JUDGED: {specs[0].why}"
    found, rows = {}, 0
    for spec in specs:
        fed = spec.scaled(values[spec.feature][:most]) if spec.feature in values else None
        if spec.make is None or fed is None:
            continue
        found[spec.feature] = len(spec.make().feed(fed).rows)
        rows += len(fed)
    total = sum(found.values())
    worst = max(found, key=lambda name: found[name], default="")
    rate = f"{total:,} false alarms, one in {rows // total:,} rows" if total else "no false alarm"
    most_of = f", most on {worst}" if total and len(found) > 1 else ""
    each = f"{rows // max(len(found), 1):,} rows" + (" of each" if len(found) > 1 else "")
    how = f"; {specs[0].says}" if specs[0].says else ""
    return f"the reference replayed ({each}): {rate}{most_of}{how}"
