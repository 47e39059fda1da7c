"""Rankings are measured query by query: all labelled items of a query have to be summed up together."""

import polars as pl

from monitor.core.join import Span, join
from monitor.core.labels import Labels
from monitor.core.windows import NEVER

IDENTITY = ("key", "check", "time")


def labelled_until(labels: Labels, span: Span, starts: frozenset[int], tick: int) -> pl.DataFrame:
    """Return all pairs of some windows, by their starts, as they stand at a tick: winners only, in one order.

    span: how they are joined; its ticks are not looked at.
    """
    window = pl.col("time") // span.window * span.window
    wanted = window.is_in(sorted(starts))
    first, last = min(starts) - span.bucket, max(starts) + span.window
    predictions = [frame.filter(wanted) for frame in labels.predictions.frames(first, last)]
    whole = Span(NEVER, tick, span.window, span.horizon, span.bucket, span.policy)
    pairs = join([], predictions, labels.outcomes.frames(), whole).pairs
    return pairs.unique(IDENTITY, keep="last", maintain_order=True).sort("time", "key", "check")
