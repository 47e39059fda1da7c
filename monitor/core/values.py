"""Stored values to numbers and to text: the one policy for every format (docs/formats.md has the table)."""

import numpy as np
import polars as pl
from numpy.typing import NDArray

Mask = NDArray[np.bool_]


def read_numbers(column: pl.Series) -> tuple[pl.Series, Mask | None]:
    """Return the column as Float64, null where the type failed, and where that was (None: nowhere).

    A number in quotes is that number; "nan" and "inf" in any case are their values; a stored boolean,
    time or nested value is a failure, because nobody asked for its number.
    """
    kind = column.dtype
    if kind == pl.Float64:
        return column, None
    if isinstance(kind, pl.Categorical | pl.Enum):
        column = column.cast(pl.String)
    if kind.is_numeric() or column.dtype == pl.String:
        numbers = column.cast(pl.Float64, strict=False)
    else:
        numbers = absent(column.name, pl.Float64, len(column))
    return numbers, _failed(column, numbers)


def read_text(column: pl.Series) -> tuple[pl.Series, Mask | None]:
    """Return the column as String, null where it has no text, and where that was (None: nowhere).

    A whole number stored as a float reads "1", as it does in JSON, so that a category column which became
    float because of its missing values keeps its names.
    """
    kind = column.dtype
    if kind == pl.String:
        return column, None
    if kind.is_nested() or kind == pl.Object:
        text = absent(column.name, pl.String, len(column))
    else:
        text = column.cast(pl.String, strict=False)
    if kind.is_float():
        text = text.str.strip_suffix(".0")
    return text, _failed(column, text)


def absent(name: str, kind: type[pl.DataType], height: int) -> pl.Series:
    """Return a column of nulls."""
    return pl.Series(name, [None], dtype=kind).new_from_index(0, height)


def _failed(before: pl.Series, after: pl.Series) -> Mask | None:
    if before.null_count() == after.null_count():
        return None
    return (before.is_not_null() & after.is_null()).to_numpy()
