"""Hashes of texts by monitor/native/hashes.c, in columns that Polars lends; sorted by sorting.c."""

import ctypes

import numpy as np
import polars as pl
from numpy.typing import NDArray

from monitor.native.lending import Lent, place_of
from monitor.native.library import library


def hashes_of(column: pl.Series, missing: int) -> NDArray[np.uint64] | None:
    """Return the xxHash64 (seed 0) of each text, and `missing` for null; None where there is no library."""
    there = library()
    if there is None or column.dtype != pl.String:
        return None
    hashes, lent = np.empty(len(column), np.uint64), Lent.of(column)
    hashed = there.driftd_text_hashes
    hashed.restype = ctypes.c_bool
    done = hashed(lent.at, ctypes.c_uint64(missing), place_of(hashes), ctypes.c_int64(len(hashes)))
    return hashes if done else None


def ascending(hashes: NDArray[np.uint64]) -> NDArray[np.uint64] | None:
    """Return the hashes in order; None where there is no library."""
    there = library()
    if there is None:
        return None
    found, room = hashes.astype(np.uint64, order="C"), np.empty(len(hashes), np.uint64)
    there.driftd_sort(place_of(found), place_of(room), ctypes.c_int64(len(found)))
    return found
