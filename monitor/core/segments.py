"""Rows held for later: joined, and written as Arrow IPC."""

import io
from collections.abc import Sequence

import numpy as np
import polars as pl

from monitor.core.profiles import Rows


def joined(parts: Sequence[Rows]) -> Rows:
    """Return all parts as one."""
    if len(parts) == 1:
        return parts[0]
    return Rows(
        np.concatenate([p.start for p in parts]),
        np.concatenate([p.keys for p in parts]),
        pl.concat([p.frame for p in parts]),
        {name: np.concatenate([p.invalid[name] for p in parts]) for name in parts[0].invalid},
    )


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
