"""Category codes looked up by monitor/native/categories.c, in columns that Polars lends."""

import ctypes

import numpy as np
import polars as pl
from numpy.typing import NDArray

from monitor.native.lending import Lent, place_of
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
    listed, lent = Lent.of(categories), Lent.of(column)
    look_up = there.driftd_category_codes
    look_up.restype = ctypes.c_bool
    return codes if look_up(listed.at, lent.at, place_of(codes), ctypes.c_int64(len(codes))) else None
