"""Embeddings: lists of numbers, or columns that are numbered, as one column of vectors.

A vector is good when it has the configured length and all of its numbers are finite. It is watched by two
features of its own, its norm and its cosine to the reference's mean; its single numbers mean nothing alone.
"""

import json
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import polars as pl
from msgspec import Struct
from numpy.typing import NDArray

from detectors.profile import EmbeddingGrid
from monitor.core.values import Mask
from monitor.failures import POLARS_FAILURES
from monitor.types import Decoded

Vectors = NDArray[np.float32]
LISTS = pl.List(pl.Float64)
BLOCK, PARTS = 64, 16
"""Texts that are parsed one by one where they cannot be at once, and how many parts are tried before."""
ROWS = 4096
"""Vectors that are multiplied at a time."""
MANY = "*"
"""What a name ends with that stands for numbered columns."""
HALF = float(np.finfo(np.float16).max)


class Embedding(Struct, frozen=True):
    """One embedding of a model: what it is called, the length of a vector, and its columns in the log."""

    name: str
    size: int
    columns: tuple[str, ...]

    @classmethod
    def of(cls, wish: str, size: int) -> "Embedding":
        """Read one line of the configuration.

        >>> Embedding.of("answer", 384)
        Embedding(name='answer', size=384, columns=('answer',))
        >>> Embedding.of("emb_*", 2)
        Embedding(name='emb', size=2, columns=('emb_0', 'emb_1'))
        """
        prefix = wish.removesuffix(MANY)
        if prefix == wish:
            return cls(wish, size, (wish,))
        return cls(prefix.rstrip("_.-"), size, tuple(f"{prefix}{place}" for place in range(size)))

    @property
    def column(self) -> str:
        """The canonical column of its vectors."""
        return f"vector:{self.name}"

    @property
    def grid(self) -> EmbeddingGrid:
        """What a reference knows of it that has no vector; also the names of its features."""
        return EmbeddingGrid(self.name, (0.0,) * self.size)

    @property
    def features(self) -> tuple[str, str]:
        """The names of its features."""
        return f"{self.name}.norm", f"{self.name}.cosine"


def embeddings_of(wishes: Mapping[str, int]) -> tuple[Embedding, ...]:
    """Return the configured embeddings."""
    return tuple(Embedding.of(wish, size) for wish, size in wishes.items())


def read_embedding(embedding: Embedding, decoded: Decoded) -> tuple[list[pl.Series], dict[str, Mask]]:
    """Return a chunk's vectors (NaN where there is none) and their norms, and where their type failed."""
    if len(embedding.columns) == 1:
        vectors, failed = read_lists(_column(decoded, embedding.columns[0]), embedding.size)
    else:
        vectors, failed = _numbered(embedding.columns, decoded)
    norm, cosine = embedding.features
    return [pl.Series(embedding.column, vectors), _feature(norm, _norms(vectors), vectors)], {
        norm: failed,
        cosine: failed,
    }


def _column(decoded: Decoded, name: str) -> pl.Series:
    if name in decoded.frame.columns:
        return decoded.frame[name]
    return pl.Series(name, [None], dtype=LISTS).new_from_index(0, decoded.frame.height)


def read_lists(column: pl.Series, size: int) -> tuple[Vectors, Mask]:
    """Return float32 [n, size], NaN where there is no vector, and where there is something else than one."""
    if column.dtype == pl.String:
        column = pl.concat(_parsed(column)) if len(column) else column.cast(LISTS)
    elif isinstance(column.dtype, pl.Array):
        column = column.arr.to_list()
    found = np.full((len(column), size), np.nan, np.float32)
    there = column.is_not_null().to_numpy()
    if isinstance(column.dtype, pl.List) and column.dtype.inner.is_numeric():
        right = (column.list.len() == size).fill_null(value=False)
        flat = column.filter(right).explode().cast(pl.Float32).to_numpy()
        found[right.to_numpy()] = flat.reshape(-1, size)
    good = np.isfinite(found).all(axis=1)
    found[~good] = np.nan
    return found, there & ~good


def _parsed(texts: pl.Series) -> list[pl.Series]:
    """Parse texts at once, or where that fails in ever smaller parts; what is no list is an empty one."""
    try:
        return [texts.str.json_decode(LISTS)]
    except POLARS_FAILURES:
        if len(texts) <= BLOCK:
            return [pl.Series(texts.name, [_list(text) for text in texts], dtype=LISTS)]
    step = -(-len(texts) // PARTS)
    return [part for at in range(0, len(texts), step) for part in _parsed(texts[at : at + step])]


def _list(text: str | None) -> list[float | None] | None:
    if text is None:
        return None
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return []
    if not isinstance(found, list) or not all(isinstance(x, int | float) for x in found):
        return []
    return [float(x) for x in found]


def _numbered(names: Iterable[str], decoded: Decoded) -> tuple[Vectors, Mask]:
    """Put numbered columns side by side; a row that has some of its numbers only has failed."""
    frame = decoded.frame
    absent = np.full(frame.height, np.nan, np.float32)
    parts = [frame[n].cast(pl.Float32).to_numpy() if n in frame.columns else absent for n in names]
    found = np.column_stack(parts)
    some = (~np.isnan(found)).any(axis=1)
    for name in names:
        some |= decoded.invalid.get(name, False)
    good = np.isfinite(found).all(axis=1)
    found[~good] = np.nan
    return found, some & ~good


def _norms(vectors: Vectors) -> NDArray[np.float64]:
    return np.sqrt(_products(vectors, None))


def _products(vectors: Vectors, other: NDArray[np.float64] | None) -> NDArray[np.float64]:
    """Return the product of each vector with another one, or with itself; the same in whatever parts."""
    found = np.empty(len(vectors))
    for at in range(0, len(vectors), ROWS):
        part = vectors[at : at + ROWS].astype(np.float64)
        part *= part if other is None else other
        found[at : at + ROWS] = part.sum(axis=1)
    return found


def _feature(name: str, values: NDArray[np.float64], vectors: Vectors) -> pl.Series:
    """Return a number per row, null where the row has no vector."""
    return pl.Series(name, values).set(pl.Series(np.isnan(vectors[:, 0])), None)


def grid_of_vectors(embedding: str, column: pl.Series) -> EmbeddingGrid:
    """Make an embedding's grid of the reference's vectors, NaN where a row has none."""
    vectors = column.to_numpy()
    usable = vectors[~np.isnan(vectors[:, 0])]
    mean = usable.mean(axis=0, dtype=np.float64) if len(usable) else np.zeros(vectors.shape[1])
    return EmbeddingGrid(embedding, tuple(mean.tolist()))


def length_of(column: pl.Series) -> int:
    """Return the length that all vectors of a column have, 0 for a column of something else."""
    kind = column.dtype
    if isinstance(kind, pl.Array):
        return kind.size if len(kind.shape) == 1 and kind.inner.is_float() else 0
    if not (isinstance(kind, pl.List) and kind.inner.is_float()):
        return 0
    lengths = column.list.len().unique().drop_nulls()
    return int(lengths[0]) if len(lengths) == 1 else 0


def values_of(frame: pl.DataFrame) -> int:
    """Return how many values a row has, those of its vectors too."""
    return sum(getattr(kind, "size", 1) for kind in frame.schema.dtypes())


def with_cosines(grids: Sequence[EmbeddingGrid], frame: pl.DataFrame) -> pl.DataFrame:
    """Add each vector's cosine to the mean: null without a vector, NaN where one of both has no direction."""
    found = [_cosines(grid, frame[f"vector:{grid.name}"]) for grid in grids if _has(frame, grid)]
    return frame.with_columns(found) if found else frame


def _has(frame: pl.DataFrame, grid: EmbeddingGrid) -> bool:
    return frame.schema.get(f"vector:{grid.name}") == pl.Array(pl.Float32, grid.size)


def _cosines(grid: EmbeddingGrid, column: pl.Series) -> pl.Series:
    vectors, mean = column.to_numpy(), np.array(grid.mean)
    lengths = _norms(vectors) * float(np.sqrt((mean * mean).sum()))
    with np.errstate(divide="ignore", invalid="ignore"):
        values = np.where(lengths > 0, _products(vectors, mean) / lengths, np.nan)
    return _feature(grid.cosine, np.clip(values, -1.0, 1.0), vectors)


def halves(grid: EmbeddingGrid, frame: pl.DataFrame, chosen: NDArray[np.intp]) -> NDArray[np.float16]:
    """Return chosen rows' vectors as a sample has them, float16 [n, size]: three digits, NaN without one."""
    if not _has(frame, grid):
        return np.full((len(chosen), grid.size), np.nan, np.float16)
    vectors = frame[f"vector:{grid.name}"].gather(chosen).to_numpy()
    found: NDArray[np.float16] = np.clip(vectors, -HALF, HALF).astype(np.float16)
    return found
