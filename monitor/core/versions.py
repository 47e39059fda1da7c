"""How many versions a window may hold: the first MOST to come, and `_other` for all that come after.

Versions are raw text from the log, so a broken log may hold a new one in every row. Which ones count is
settled by the order of the log alone, so the same log cut differently gives the same versions.
"""

from collections.abc import Iterable

import numpy as np
import polars as pl
from numpy.typing import NDArray

from monitor.core.profiles import OTHER, GroupKey

MOST = 20
"""Versions of their own in one window."""


def capped(versions: pl.Series, starts: NDArray[np.int64], present: Iterable[GroupKey]) -> pl.Series:
    """Return each row's version, or `_other` where its window already has enough of them.

    versions: String without nulls; starts: window starts; both in the log's order. present: the groups
    that the open windows already have.
    """
    found = {(key.start, key.version) for key in present if key.version != OTHER}
    names = {versions[0]} if (versions == versions[0]).all() else set(versions.unique().to_list())
    if len(names | {version for _, version in found}) <= MOST:
        return versions  # the usual case: not even all windows together have too many
    known = pl.DataFrame(
        [(start, version, True) for start, version in sorted(found)],
        schema={"start": pl.Int64, "version": pl.String, "own": pl.Boolean},
        orient="row",
    )
    rows = pl.DataFrame({"start": starts, "version": versions})
    own = pl.concat([known, _admitted(rows, known)])
    judged = rows.join(own, on=["start", "version"], how="left", maintain_order="left")
    kept = judged.select(pl.when("own").then("version").otherwise(pl.lit(OTHER)).alias(versions.name))
    return kept.to_series()


def _admitted(rows: pl.DataFrame, known: pl.DataFrame) -> pl.DataFrame:
    """Return the (window, version) pairs that come first and find room."""
    pairs = rows.filter(pl.col("version") != OTHER).unique(["start", "version"], maintain_order=True)
    new = pairs.join(known, on=["start", "version"], how="anti", maintain_order="left")
    taken = known.group_by("start").agg(pl.len().cast(pl.Int64).alias("taken"))
    place = pl.int_range(pl.len()).over("start") + pl.col("taken").fill_null(0)
    counted = new.join(taken, on="start", how="left", maintain_order="left").filter(place < MOST)
    return counted.select("start", "version", pl.lit(value=True).alias("own"))
