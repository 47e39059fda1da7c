"""Timestamps to microseconds since 1970 UTC: ISO-8601 text, epoch numbers, stored datetimes.

Every function returns 0 for what it cannot read: an epoch 0 is a missing value in disguise anyway.
"""

import polars as pl

from monitor.core.iso8601 import Ints, parse_iso
from monitor.core.values import Mask
from monitor.fields import TimeUnit

EARLIEST = 631_152_000 * 10**6
"""1990-01-01T00:00:00Z."""

LATEST = 7_258_118_400 * 10**6
"""2200-01-01T00:00:00Z."""

PLAUSIBLE = 4_102_444_800 * 10**6
"""2100-01-01T00:00:00Z, the end of what the unit is guessed from."""

PER_SECOND: dict[TimeUnit, int] = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}
PROBE = 1000


def read_times(column: pl.Series, unit: TimeUnit) -> tuple[Ints, Mask]:
    """Return int64 microseconds and which of them are good: readable and within the years 1990 to 2199.

    Text in ISO form is read under every unit; numbers only where the unit is one of s, ms, us, ns.
    Zone-less times are UTC; what is finer than a microsecond is cut off.
    """
    if unit == "auto":
        unit = detect_unit(column) or "iso"
    time = _read(column, unit)
    return time, (time >= EARLIEST) & (time < LATEST)


def detect_unit(column: pl.Series) -> TimeUnit | None:
    """Return the unit of the first value that is a plausible time (1990 to 2100), or None."""
    values = column.drop_nulls()
    found = _first_unit(values.head(PROBE))
    return found if found or len(values) <= PROBE else _first_unit(values.slice(PROBE))


def _first_unit(values: pl.Series) -> TimeUnit | None:
    units: list[TimeUnit] = ["iso"] if values.dtype.is_temporal() else ["iso", *PER_SECOND]
    firsts: list[tuple[int, TimeUnit]] = []
    for unit in units:
        time = _read(values, unit) if unit == "iso" else _epoch(_numbers(values), unit)
        good = (time >= EARLIEST) & (time < PLAUSIBLE)
        if good.any():
            firsts.append((int(good.argmax()), unit))
    return min(firsts)[1] if firsts else None


def _read(column: pl.Series, unit: TimeUnit) -> Ints:
    kind = column.dtype
    if isinstance(kind, pl.Datetime):
        return _ints(column.dt.cast_time_unit("us").to_physical())
    if kind == pl.Date:
        return _ints(column.cast(pl.Datetime("us")).to_physical())
    if isinstance(kind, pl.Categorical | pl.Enum):
        column = column.cast(pl.String)
    if column.dtype != pl.String:
        return _epoch(_numbers(column), unit)
    return _texts(column, unit) if unit in PER_SECOND else parse_iso(column)


def _texts(column: pl.Series, unit: TimeUnit) -> Ints:
    whole = column.cast(pl.Int64, strict=False)  # exact, where a float would round nanoseconds
    time = _epoch(whole, unit)
    if whole.null_count() > column.null_count():
        rest = (whole.is_null() & column.is_not_null()).to_numpy()
        others = column.filter(pl.Series(rest))
        fractions = _epoch(others.cast(pl.Float64, strict=False), unit)
        time[rest] = fractions + (fractions == 0) * parse_iso(others)
    return time


def _numbers(column: pl.Series) -> pl.Series:
    kind = column.dtype
    if kind.is_integer():
        return column.cast(pl.Int64, strict=False)
    if kind.is_numeric() or kind == pl.String:
        return column.cast(pl.Float64, strict=False)
    return pl.Series([0], dtype=pl.Int64).new_from_index(0, len(column))


def _epoch(numbers: pl.Series, unit: TimeUnit) -> Ints:
    if unit not in PER_SECOND:
        return _ints(pl.Series([0], dtype=pl.Int64).new_from_index(0, len(numbers)))
    scale = PER_SECOND[unit]
    inside = numbers.is_between(EARLIEST // 10**6 * scale, LATEST // 10**6 * scale, closed="left")
    if numbers.dtype == pl.Float64 and scale >= PER_SECOND["us"]:
        inside &= numbers == numbers.floor()  # no fractions of a microsecond: that is another unit
    values = numbers.zip_with(inside.fill_null(value=False), pl.Series([0], dtype=numbers.dtype))
    if scale > PER_SECOND["us"]:
        return _ints(values.cast(pl.Int64)) // (scale // 10**6)
    if values.dtype == pl.Float64:
        return _ints((values * (10**6 // scale)).round().cast(pl.Int64))
    return _ints(values) * (10**6 // scale)


def _ints(values: pl.Series) -> Ints:
    found: Ints = values.fill_null(0).to_numpy(writable=True)
    return found
