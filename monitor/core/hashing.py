"""Stable hashes of ids and rows: the same on every machine, in every batch, under every Polars version."""

from collections.abc import Sequence

import numpy as np
import polars as pl
import polars_hash
from numpy.typing import NDArray

from monitor.native.hashes import hashes_of

Hashes = NDArray[np.uint64]

ODD = np.uint64(0x9E3779B97F4A7C15)
MISSING = np.uint64(0xD1B54A32D192ED03)
SALT = "\x1fcheck"
QUIET_NAN = np.uint64(0x7FF8000000000000)


def hash_text(column: pl.Series) -> Hashes:
    """Return the xxHash64 (seed 0) of each text, and one fixed value for null."""
    native = hashes_of(column, int(MISSING))
    if native is not None:
        return native
    hashed = pl.DataFrame({"text": column}).select(polars_hash.col("text").nchash.xxhash64()).to_series()
    if hashed.null_count():
        hashed = hashed.fill_null(int(MISSING))
    found: Hashes = hashed.to_numpy()
    return found


def check_hashes(ids: pl.Series) -> Hashes:
    """Return a second hash of ids: rows of equal hash and different id are told apart by it."""
    return mix(hash_text(ids + SALT))


def mix(values: Hashes) -> Hashes:
    """Return the values through the finaliser of splitmix64, a bijection that spreads every bit.

    Steele, Lea, Flood: Fast splittable pseudorandom number generators (OOPSLA 2014).
    """
    mixed = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    result: Hashes = mixed ^ (mixed >> np.uint64(31))
    return result


def hash_rows(time: NDArray[np.int64], columns: Sequence[pl.Series]) -> Hashes:
    """Return a hash of each row's content: its time and its Float64 and String columns, in this order."""
    state = mix(time.astype(np.uint64) + ODD)
    for column in columns:
        bits = _bits(column) if column.dtype == pl.Float64 else hash_text(column)
        # Floats with few digits differ in their high bits only: fold those down before the next multiply.
        state = (state ^ bits) * ODD
        state ^= state >> np.uint64(32)
    return mix(state)


def _bits(column: pl.Series) -> Hashes:
    values = column.to_numpy() + 0.0  # -0.0 becomes 0.0; null becomes NaN, told apart below
    bits = values.view(np.uint64)
    bits[np.isnan(values)] = QUIET_NAN
    if column.null_count():
        bits[column.is_null().to_numpy()] = MISSING
    return bits
