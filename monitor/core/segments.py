"""Rows held for later: joined, thinned, and written as Arrow IPC; and fitted to an older reference."""

import io
from collections.abc import Iterable, Sequence

import numpy as np
import polars as pl

from detectors.profile import Grid, NumericGrid
from monitor.core.hashing import hash_rows
from monitor.core.profiles import Rows


def joined(parts: Sequence[Rows]) -> Rows:
    """Return all parts as one; a part that says nothing of a column's failures has none there."""
    if len(parts) == 1:
        return parts[0]
    names = {name: None for part in parts for name in part.invalid}
    nowhere = [np.zeros(len(part.start), np.bool_) for part in parts]
    return Rows(
        np.concatenate([p.start for p in parts]),
        np.concatenate([p.keys for p in parts]),
        pl.concat([p.frame for p in parts]),
        {
            name: np.concatenate([p.invalid.get(name, no) for p, no in zip(parts, nowhere, strict=True)])
            for name in names
        },
    )


def lowest(rows: Rows, most: int) -> Rows:
    """Return the rows with the smallest keys, in their order; of equal keys the content decides.

    So it does not matter in which parts and order the rows came: the same ones stay.
    """
    if len(rows.start) <= most:
        return rows
    last = np.partition(rows.keys, most - 1)[most - 1]
    kept, ties = np.flatnonzero(rows.keys < last), np.flatnonzero(rows.keys == last)
    room = most - len(kept)
    if len(ties) > room:
        tied = rows.take(ties)
        told = [column for column in tied.frame.get_columns() if not column.dtype.is_nested()]
        content = hash_rows(tied.start, told)  # a vector by its norm
        ties = ties[np.argsort(content, kind="stable")[:room]]
    return rows.take(np.sort(np.concatenate([kept, ties])))


def fitted(rows: Rows, grid: Grid, segments: Iterable[str]) -> Rows:
    """Return the rows with every column that the reference asks for, all missing where the log has none.

    A window that was open when the configuration dropped a column is still counted on its old reference.
    """
    wanted: dict[str, type[pl.DataType]] = {
        f.name: pl.Float64 if isinstance(f, NumericGrid) else pl.String for f in grid.features
    }
    wanted |= {f"segment:{column}": pl.String for column in segments}
    absent = [
        pl.lit(None, kind).alias(name) for name, kind in wanted.items() if rows.frame.schema.get(name) != kind
    ]
    if not absent:
        return rows
    return Rows(rows.start, rows.keys, rows.frame.with_columns(absent), rows.invalid)


def dump_rows(rows: Rows) -> bytes:
    """Write rows as Arrow IPC, their arrays as further columns."""
    extra = [pl.Series("driftd:start", rows.start), pl.Series("driftd:keys", rows.keys)]
    extra += [pl.Series(f"driftd:invalid:{name}", failed) for name, failed in rows.invalid.items()]
    target = io.BytesIO()
    rows.frame.with_columns(extra).write_ipc(target, compression="lz4")
    return target.getvalue()


def load_rows(data: bytes) -> Rows:
    """Read what `dump_rows` wrote."""
    frame = pl.read_ipc(io.BytesIO(data))
    prefix = "driftd:invalid:"
    own = [name for name in frame.columns if name.startswith("driftd:")]
    invalid = {n.removeprefix(prefix): frame[n].to_numpy() for n in own if n.startswith(prefix)}
    start, keys = frame["driftd:start"].to_numpy(), frame["driftd:keys"].to_numpy()
    return Rows(start, keys, frame.drop(own), invalid)
