"""Category codes looked up by monitor/native/categories.c, in columns that Polars lends."""

import ctypes

import numpy as np
import polars as pl
from numpy.typing import NDArray

from monitor.native.library import library

MISSING, UNKNOWN = -1, -2


def codes_of(categories: pl.Series, column: pl.Series) -> NDArray[np.int32] | None:
    """Return each text's place in a list of distinct texts: MISSING for null, UNKNOWN for what is not in it.

    None where there is no library, or a column is no text: then it is for Polars to look up.
    """
    there = library()
    if there is None or {categories.dtype, column.dtype} != {pl.String()} or not len(categories):
        return None
    codes = np.empty(len(column), np.int32)
    streams = [series.rechunk().__arrow_c_stream__() for series in (categories, column)]
    look_up = there.driftd_category_codes
    look_up.restype = ctypes.c_bool
    pointers = [ctypes.c_void_p(_held(stream)) for stream in streams]
    done = look_up(*pointers, ctypes.c_void_p(codes.ctypes.data), ctypes.c_int64(len(codes)))
    return codes if done else None


def _held(stream: object) -> int:
    """Return where a capsule's stream is. It stays the capsule's, for as long as the caller keeps that."""
    address = ctypes.pythonapi.PyCapsule_GetPointer
    address.restype = ctypes.c_void_p
    found: int = address(ctypes.py_object(stream), ctypes.c_char_p(b"arrow_array_stream"))
    return found
