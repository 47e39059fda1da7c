"""A uniform sample of whole rows that merges: those with the smallest keys, in whatever parts they came."""

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Keys = NDArray[np.uint64]
Codes = NDArray[np.int32]
Vectors = NDArray[np.float16]

SAMPLE_ROWS = 2000
VECTOR_VALUES = 400_000
"""Numbers that an embedding's vectors take in a sample, ..."""
LEAST_VECTORS = 200
"""... but for this many rows, however long the vectors are."""


class Sample(Struct, frozen=True, eq=False):
    """The rows with the smallest keys: a uniform sample that merges and replays to the same rows.

    keys: uint64 [k], ascending, ties ordered by the row itself. numeric: float64 [k, numeric features],
    missing or non-finite as NaN. codes: int32 [k, categorical features], the category's place in its
    grid, C for `_other`, C + 1 for `_new`, -1 for missing. vectors: for each embedding float16 [r, D], of the
    first r = min(k, `vector_rows(D)`) rows, NaN where the row has none.
    """

    keys: Keys
    numeric: Floats
    codes: Codes
    vectors: tuple[Vectors, ...] = ()


def vector_rows(size: int) -> int:
    """Return of how many rows the vectors are kept, by their length.

    >>> [vector_rows(size) for size in (64, 384, 768, 4096)]
    [2000, 1041, 520, 200]
    """
    return min(SAMPLE_ROWS, max(VECTOR_VALUES // size, LEAST_VECTORS))


def merge_samples(a: Sample, b: Sample) -> Sample:
    """Return the bottom-k of both samples."""
    if not len(b.keys):
        return a
    if not len(a.keys):
        return b
    return smallest(
        np.concatenate([a.keys, b.keys]),
        np.concatenate([a.numeric, b.numeric]),
        np.concatenate([a.codes, b.codes]),
        tuple(_stacked(a, b, mine, other) for mine, other in zip(a.vectors, b.vectors, strict=True)),
    )


def _stacked(a: Sample, b: Sample, mine: Vectors, other: Vectors) -> Vectors:
    """Return the vectors of both samples' rows; those that have none kept are never among the first."""
    found = np.full((len(a.keys) + len(b.keys), mine.shape[1]), np.nan, np.float16)
    found[: len(mine)] = mine
    found[len(a.keys) : len(a.keys) + len(other)] = other
    return found


def smallest(keys: Keys, numeric: Floats, codes: Codes, vectors: tuple[Vectors, ...] = ()) -> Sample:
    """Keep the SAMPLE_ROWS rows with the smallest keys, ties ordered by the rows themselves.

    vectors: float16 [rows, D] for each embedding.
    """
    order = np.argsort(keys, kind="stable")
    ranked = keys[order]
    if (ranked[1:] == ranked[:-1]).any():
        order = np.lexsort((*codes.T[::-1], *numeric.T[::-1], keys))
    order = order[:SAMPLE_ROWS]
    return Sample(
        keys[order],
        np.ascontiguousarray(numeric[order]),
        np.ascontiguousarray(codes[order]),
        tuple(v[order[: vector_rows(v.shape[1])]] for v in vectors),
    )
