"""Outcomes meet their predictions by id, in event time: the same pairs whatever the order in which they came.

A prediction counts from the end of its window, an outcome from the end of the window in which it became
known; these ends are the ticks (a prediction's `turn` is the number of its tick). What comes when its tick
was applied already counts from the next one. What is joined at a tick depends only on the rows before it.
Several outcomes of one prediction contend: by policy the last or the first wins, by its time and, at equal
times, its label. Only changes come out: a new pair, or another winner, with what it replaces.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal

import numpy as np
import polars as pl
from msgspec import Struct
from numpy.typing import NDArray

Ints = NDArray[np.int64]
NOBODY = -1
"""Stands for the winner where there is none yet."""
SPARSE, LEAST_BITS, MOST_BITS = 16, 10, 26
"""How many places a table of keys has for each key, and how many it has at least and at most (as bits)."""
PAIR = ("label", "known")
"""Columns that a pair has beside its prediction's: the outcome and when it became known (us)."""


class Span(Struct, frozen=True):
    """The ticks to apply: after `applied`, up to `upto`. All in microseconds of event time.

    horizon: the longest time between a prediction and its outcome. bucket: outcomes are counted by it.
    """

    applied: int
    upto: int
    window: int
    horizon: int
    bucket: int
    policy: Literal["last", "first"] = "last"


class Joined(Struct, frozen=True):
    """What the span's ticks change.

    pairs: the prediction's columns, `tick`, `label` and `known`, and `old_label` and `old_known` of the
    outcome that is replaced (null when there was none). matched: bucket -> outcomes that met a prediction
    for the first time. repeated, conflicting: outcomes that came again with the same or another value.
    """

    pairs: pl.DataFrame
    matched: Mapping[int, int]
    repeated: int = 0
    conflicting: int = 0


def tick_of(column: str, window: int) -> pl.Expr:
    """Return the end of the window that a time falls into."""
    return pl.col(column) // window * window + window


def turn_of(applied: int, window: int) -> pl.Expr:
    """Return the number of the tick from which predictions count that come after the tick `applied`."""
    turn = pl.col("time") // window + 1
    return pl.max_horizontal(turn, pl.lit(max(applied // window + 1, 0))).cast(pl.UInt32).alias("turn")


def join(
    old: Sequence[pl.DataFrame], new: Sequence[pl.DataFrame], outcomes: Sequence[pl.DataFrame], span: Span
) -> Joined:
    """Join what the span brings.

    old, new: predictions (key, check, time, turn and more) whose tick is up to `applied`, and within the
    span; others may be among them, and those whose horizon is over at `applied` meet nothing more. outcomes:
    key, check, time, tick and label, all that are held.
    """
    mine = pl.col("turn").cast(pl.Int64) * span.window
    held = _within(outcomes, pl.col("tick") <= span.upto)
    fresh = held.filter(pl.col("tick") > span.applied)
    came = (frame.filter((mine > span.applied) & (mine <= span.upto)) for frame in new)
    alive = tick_of("time", span.window) > span.applied - span.horizon
    met = _having(came, held["key"], new=True)
    found = _having(old, fresh["key"], new=False)
    met += [frame.filter((mine <= span.applied) & alive) for frame in found]
    none = next(iter((*new, *old)), pl.DataFrame(_EMPTY)).clear().with_columns(new=pl.lit(value=True))
    predictions = pl.concat(met or [none], how="diagonal_relaxed").with_row_index("row")
    return _changes(_events(predictions, held, span), predictions, span)


def _within(frames: Sequence[pl.DataFrame], wanted: pl.Expr) -> pl.DataFrame:
    return pl.concat([frame.filter(wanted) for frame in frames]) if frames else pl.DataFrame(_EMPTY)


_EMPTY = {
    "key": pl.Series([], dtype=pl.UInt64),
    "check": pl.Series([], dtype=pl.UInt64),
    "time": pl.Series([], dtype=pl.Int64),
    "turn": pl.Series([], dtype=pl.UInt32),
    "tick": pl.Series([], dtype=pl.Int64),
    "label": pl.Series([], dtype=pl.Float64),
}


def _having(frames: Iterable[pl.DataFrame], keys: pl.Series, *, new: bool) -> list[pl.DataFrame]:
    """Return of each frame the predictions that have one of the keys, where there are any, and a few others.

    Of most predictions only the key is read, and looked up in a table small enough for the processor's
    cache: by its low bits and, what that lets through, by its high ones. About 1 in 250 passes by chance.
    """
    wanted = keys.to_numpy()
    if not len(wanted):
        return []
    bits = min(max((SPARSE * len(wanted)).bit_length() - 1, LEAST_BITS), MOST_BITS)
    low, high = (np.zeros(1 << bits, np.bool_) for _ in range(2))
    mask, shift = np.uint64((1 << bits) - 1), np.uint64(64 - bits)
    low[wanted & mask] = True
    high[wanted >> shift] = True
    found = []
    for frame in frames:
        held = frame["key"].to_numpy()
        places = np.flatnonzero(low[held & mask])
        places = places[high[held[places] >> shift]]
        if len(places):
            found.append(frame[places].with_columns(new=pl.lit(new)))
    return found


def _events(predictions: pl.DataFrame, held: pl.DataFrame, span: Span) -> pl.DataFrame:
    """Return every outcome of every prediction, in the order in which they take effect.

    at: the tick of the effect; an outcome that was applied to an old prediction before has `applied`.
    rank: the order in which outcomes contend.
    """
    sides = predictions.select("row", "key", "check", "new", "turn", made="time")
    pairs = held.rename({"time": "known"}).join(sides, on="key", how="inner", suffix="_made")
    lag = pl.col("known") - pl.col("made")
    pairs = pairs.filter((pl.col("check") == pl.col("check_made")) & (lag.abs() <= span.horizon))
    made = pl.when("new").then(pl.col("turn").cast(pl.Int64) * span.window).otherwise(span.applied)
    pairs = pairs.with_columns(at=pl.max_horizontal("tick", made)).sort("known", "label")
    return pairs.with_row_index("rank").sort("row", "at", "rank")


def _changes(events: pl.DataFrame, predictions: pl.DataFrame, span: Span) -> Joined:
    """Follow the winner of each prediction through its events: one pass over arrays, in their order."""
    row, at, rank, label = (events[name].to_numpy() for name in ("row", "at", "rank", "label"))
    best = _best(row.astype(np.int64), rank.astype(np.int64), last=span.policy == "last")
    first = _heads(row)
    before = np.where(first, NOBODY, np.roll(best, 1))  # the winner until then
    comes = at > span.applied
    again = comes & ~first
    same = int(np.count_nonzero(label[again] == label[before[again]]))
    head, tail = _heads(row, at), np.roll(_heads(row, at), -1)  # what one tick brings to one prediction
    then, now, counts = before[head], best[tail], comes[head]
    differs = (then == NOBODY) | (label[now] != label[then])
    known = events["known"].filter(pl.Series(comes))
    counted = (known // span.bucket * span.bucket).value_counts()
    changed = pl.DataFrame({"row": row[head], "tick": at[head], "now": now, "then": then})
    return Joined(
        _pairs(changed.filter(pl.Series(counts & differs)), predictions, events),
        {int(bucket): int(n) for bucket, n in counted.iter_rows()},
        same,
        int(np.count_nonzero(again)) - same,
    )


def _heads(*columns: NDArray[Any]) -> NDArray[np.bool_]:
    """Tell where a value differs from the one above; the first one does."""
    found = np.ones(len(columns[0]), np.bool_)
    found[1:] = np.logical_or.reduce([column[1:] != column[:-1] for column in columns])
    return found


def _best(row: Ints, rank: Ints, *, last: bool) -> Ints:
    """Return where the highest (or lowest) rank of each row so far is; rows ascend."""
    worth = rank if last else len(rank) - 1 - rank
    above = row * len(rank)
    place = np.empty(len(rank), np.int64)
    place[worth] = np.arange(len(rank))
    found: Ints = place[np.maximum.accumulate(above + worth) - above]
    return found


def _pairs(changed: pl.DataFrame, predictions: pl.DataFrame, events: pl.DataFrame) -> pl.DataFrame:
    """Put the columns of prediction and outcomes together, in an order that no batch can change."""
    then = changed.select(pl.when(pl.col("then") != NOBODY).then("then")).to_series()
    outcome = events.select(*PAIR)
    now = outcome[changed["now"]]
    found = (
        predictions[changed["row"]]
        .drop("row", "new", "turn")
        .with_columns(
            changed["tick"],
            now["label"],
            now["known"],
            outcome["label"].gather(then).alias("old_label"),
            outcome["known"].gather(then).alias("old_known"),
        )
    )
    return found.sort("tick", "key", "check", "time")
