"""What audit records keep beside themselves: rows that a verdict was computed from, in files by their hash.

They hold raw values, so they stay in the state folder: nothing prints or sends them. A file that several
records name, as the reference's sample, is kept once.
"""

import io
from collections.abc import Iterable, Mapping
from typing import Any, Protocol

import numpy as np
import polars as pl
import polars.selectors as cs
from numpy.typing import NDArray

from detectors.joint import Joint
from detectors.measure import Floats
from monitor.core.records import Files

SPACE = "audit_rows"
MOST = 4 << 20
"""Bytes of one file; a larger one is left out, and the record says so."""
MOST_OF_ALL = 64 << 20
"""Bytes of all files of a model; of more, those of the oldest episodes are let go."""
VALUE = "value"
Kept = tuple[tuple[str, int], ...]
"""SHA-256 and size of each file that an episode's record names."""


class Owner(Protocol):
    """Has files: an episode."""

    @property
    def started(self) -> int: ...  # noqa: D102 - when it began
    @property
    def kept(self) -> Kept: ...  # noqa: D102 - its files


def bounded(files: Files) -> tuple[Files, dict[str, Any]]:
    """Return the files that are not too large, and what the record's head says of the others."""
    over = sorted(name for name, data in files.items() if len(data) > MOST)
    if not over:
        return files, {}
    says = ", ".join(f"{name} has {len(files[name]):,} bytes" for name in over)
    left_out = {"left_out": f"its rows are too many to be kept: {says}, and {MOST:,} are kept at most"}
    return {name: data for name, data in files.items() if name not in over}, left_out


def in_excess(owners: Mapping[str, Owner]) -> list[str]:
    """Return whose files are let go, that the others' are no more than MOST_OF_ALL: the oldest ones."""
    sizes: dict[str, int] = {}
    gone = []
    for id_, owner in sorted(owners.items(), key=lambda item: (-item[1].started, item[0])):
        more = {**sizes, **dict(owner.kept)}
        if sum(more.values()) > MOST_OF_ALL:
            gone.append(id_)
        else:
            sizes = more
    return gone


def hashes(owners: Iterable[Owner]) -> set[str]:
    """Return the files that belong to somebody."""
    return {hash_ for owner in owners for hash_, _ in owner.kept}


def joint_file(rows: Joint) -> bytes:
    """Write rows as an Arrow file, numbers as short as is exact. An embedding is one column, of arrays."""
    if rows.vectors:
        name = rows.columns[0].removesuffix("[0]")
        return _arrow(pl.DataFrame({name: pl.Series(_short(rows.numeric, np.float16, np.float32))}))
    names = iter(rows.columns)
    columns = [
        pl.Series(next(names), np.ascontiguousarray(column)) for column in _short(rows.numeric, np.float32).T
    ]
    columns += [pl.Series(next(names), np.ascontiguousarray(column)) for column in rows.codes.T]
    return _arrow(pl.DataFrame(columns))


def joint_of(data: bytes) -> Joint:
    """Read what `joint_file` wrote."""
    frame = pl.read_ipc(io.BytesIO(data))
    for column in frame.select(cs.array()):
        vectors = np.ascontiguousarray(column.to_numpy(), np.float64)
        return Joint.of_coordinates(column.name, vectors)
    parts = {dtype: frame.select(pl.col(dtype)) for dtype in (pl.Float64, pl.Float32, pl.Int32)}
    numeric = parts[pl.Float64] if parts[pl.Float64].width else parts[pl.Float32]
    codes = np.ascontiguousarray(parts[pl.Int32].to_numpy().reshape(frame.height, -1), np.int32)
    numbers = np.ascontiguousarray(numeric.to_numpy().reshape(frame.height, -1), np.float64)
    return Joint(tuple(frame.columns), numbers, codes)


def _short(numbers: Floats, *types: type[np.floating[Any]]) -> NDArray[np.floating[Any]]:
    """Return numbers as the first of the types that holds each of them exactly, else as they are."""
    for short in types:
        with np.errstate(over="ignore"):
            found = numbers.astype(short)
        if np.array_equal(found.astype(np.float64), numbers, equal_nan=True):
            return found
    return numbers


def values_file(values: Floats) -> bytes:
    """Write the values that a stream was fed as an Arrow file."""
    return _arrow(pl.DataFrame({VALUE: np.ascontiguousarray(values, np.float64)}))


def values_of(data: bytes) -> Floats:
    """Read what `values_file` wrote."""
    return np.asarray(pl.read_ipc(io.BytesIO(data))[VALUE].to_numpy(), np.float64)


def _arrow(frame: pl.DataFrame) -> bytes:
    file = io.BytesIO()
    frame.write_ipc(file, compression="zstd")
    return file.getvalue()
