"""Numeric cells counted by monitor/native/cells.c."""

import ctypes

import numpy as np
import polars as pl
from msgspec import Struct
from numpy.typing import NDArray

from monitor.native.lending import Lent, place_of
from monitor.native.library import library

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
MOST_BINS = (1 << 14) - 2
"""A place has 14 bits."""
EXTRA = 9
"""Cells behind those of the places: detectors.profile.NUMERIC_EXTRA."""
ONE_STEP, SEARCH = 1 << 14, 1 << 15


class _Table(ctypes.Structure):
    """cells.c says what each is."""

    _fields_ = (
        ("base", ctypes.c_void_p),
        ("step", ctypes.c_void_p),
        ("thresholds", ctypes.c_void_p),
        ("threshold_count", ctypes.c_int64),
        *((name, ctypes.c_double) for name in (
            "low", "high", "scale", "per_unit", "centre_units", "least", "most", "floor", "ceiling",
            "square_scale",
        )),
    )  # fmt: skip


class Range(Struct, frozen=True, eq=False):
    """Where a table's parts lie (low, high, parts per unit), and how moments are summed.

    per_unit, centre_units: a value times the one, less the other, is a number of units. near: between these
    values moments are sums of small integers. reach: beyond these they saturate. square_scale: what numbers
    of units are multiplied by before they are squared.
    """

    low: float
    high: float
    scale: float
    per_unit: float
    centre_units: float
    near: tuple[float, float]
    reach: tuple[float, float]
    square_scale: float


class Table(Struct, frozen=True, eq=False):
    """A grid's table as the library reads it; keeps alive what it points to."""

    thresholds: Floats
    base: NDArray[np.uint16]
    step: Floats
    structure: _Table

    @classmethod
    def of(
        cls, thresholds: Floats, base: Ints, held: NDArray[np.uint8], step: Floats, span: Range
    ) -> "Table":
        """Make one: base, held, step as in monitor.core.lookup.Lookup."""
        marks = np.select([held > 1, held == 1], [SEARCH, ONE_STEP], 0)
        packed, thresholds = (base + marks).astype(np.uint16), np.ascontiguousarray(thresholds)
        pointers = (packed.ctypes.data, step.ctypes.data, thresholds.ctypes.data, len(thresholds))
        numbers = (span.low, span.high, span.scale, span.per_unit, span.centre_units)
        return cls(
            thresholds, packed, step,
            _Table(*pointers, *numbers, *span.near, *span.reach, span.square_scale),
        )  # fmt: skip


def is_built() -> bool:
    """Tell whether there is a library to count with."""
    return library() is not None


def count(table: Table, column: pl.Series, stops: Ints) -> tuple[Ints, Floats, Floats] | None:
    """Return cells int64 [groups, width] and the finite extremes of each group; None: others must count.

    column: Float64. Group i holds rows stops[i - 1]..stops[i], the first one those from 0.
    """
    there = library()
    if there is None:
        return None
    lent, stops = Lent.of(column), np.ascontiguousarray(stops, np.int64)
    groups, width = len(stops), len(table.thresholds) + 1 + EXTRA
    cells, low, high = np.zeros((groups, width), np.int64), np.empty(groups), np.empty(groups)
    counted = there.driftd_numeric_cells
    counted.restype = ctypes.c_bool
    done = counted(
        ctypes.byref(table.structure), lent.at, place_of(stops), ctypes.c_int64(groups),
        place_of(cells), ctypes.c_int64(width), place_of(low), place_of(high),
    )  # fmt: skip
    return (cells, low, high) if done else None
