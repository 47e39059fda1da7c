"""What is known of whole windows at a tick: of rankings, whose items belong together, and for streams."""

import polars as pl
from polars import selectors as cs

from monitor.core.join import Span
from monitor.core.labels import Labels


def labelled_until(
    labels: Labels, span: Span, starts: frozenset[int], tick: int, *, grouped: bool = True
) -> pl.DataFrame:
    """Return the predictions of some windows with the label that each has at a tick, by time, key and check.

    span: how they are joined; its ticks are not looked at. grouped: with the columns of segments and groups.
    It looks only for who wins, not for when the others won, as the join does.
    """
    turn = pl.col("turn").cast(pl.Int64) * span.window
    wanted = (pl.col("time") // span.window * span.window).is_in(sorted(starts)) & (turn <= tick)
    first, last = min(starts), max(starts) + span.window
    held = labels.predictions.frames(first - span.bucket, last)
    left_out = cs.starts_with("segment:", "group:") if not grouped else cs.by_name()
    made = [frame.filter(wanted).drop(left_out) for frame in held]
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
