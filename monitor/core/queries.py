"""What is known of whole windows at a tick: of rankings, whose items belong together, and for streams."""

import polars as pl
from polars import selectors as cs

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


def answered_until(labels: Labels, span: Span, starts: frozenset[int], tick: int) -> pl.DataFrame:
    """Return the predictions of some windows with the label that each has at a tick, by time, key and check.

    The same rows as `labelled_until`, sooner: only who wins is looked for, not when the others won.
    """
    turn = pl.col("turn").cast(pl.Int64) * span.window
    wanted = (pl.col("time") // span.window * span.window).is_in(sorted(starts)) & (turn <= tick)
    first, last = min(starts), max(starts) + span.window
    held = labels.predictions.frames(first - span.bucket, last)
    made = [frame.filter(wanted).drop(cs.starts_with("segment:", "group:")) for frame in held]
    if not made:
        return pl.DataFrame({"time": []}, {"time": pl.Int64})
    rows = pl.concat(made, how="diagonal_relaxed").sort("time", "key", "check").with_row_index("row")
    asked = rows.select("key", "row", of="check", made="time")
    told = labels.outcomes.frames(first - span.horizon - span.bucket, last + span.horizon)
    met = [frame.filter(pl.col("tick") <= tick).join(asked, on="key", how="inner") for frame in told]
    if not met:
        return rows.clear()
    near = (pl.col("time") - pl.col("made")).abs() <= span.horizon
    pairs = pl.concat(met).filter((pl.col("check") == pl.col("of")) & near).sort("row", "time", "label")
    best = pairs.unique("row", keep=span.policy, maintain_order=True)
    return rows[best["row"]].with_columns(best["label"])
