"""ISO-8601 text to microseconds, strictly and fast.

The rows of a log are nearly all of one shape ("2026-01-01T00:00:00.000000Z"), so their bytes make a matrix
whose columns are digits and separators, and a few array operations read all rows at once; what comes before
the seconds is read once per run of rows that share it. What has a rarer shape goes through one regular
expression. All ways accept the same texts.
"""

import re
from collections.abc import Mapping

import numpy as np
import polars as pl
from numpy.typing import NDArray

Bytes = NDArray[np.uint8]
Ints = NDArray[np.int64]
Mask = NDArray[np.bool_]
Shape = re.Match[str]

SHAPE = re.compile(
    r"(?P<year>[0-9]{4})-(?P<month>[0-9]{2})-(?P<day>[0-9]{2})"
    r"(?:[Tt ](?P<hour>[0-9]{2}):(?P<minute>[0-9]{2})"
    r"(?::(?P<second>[0-9]{2})(?:[.,](?P<fraction>[0-9]{1,9}))?)?"
    r"(?:[Zz]|(?P<sign>[+-])(?P<zone>[0-9]{2})(?::?(?P<zone_minute>[0-9]{2}))?)?)?"
)
BELOW = {"month": 13, "hour": 24, "minute": 60, "second": 60, "zone": 24, "zone_minute": 60}
SECOND = 10**6
MICRO_DIGITS = 6
DIGITS = 10
TO_MINUTE = len("2026-01-01T00:00")
KEY_BYTES = 24
PROBE = 64
SHAPES = 8
FIRST_YEAR, LAST_YEAR = 1900, 2299


def parse_iso(texts: pl.Series) -> Ints:
    """Return int64 microseconds since 1970 UTC, 0 for null and for what is no such time.

    A date, or a date and a time of day to the minute, second or up to nine decimals (cut to six), after
    "T" or a space; then "Z", "+02:00", "+0200", "+02" or nothing, which means UTC. No 24:00, no second 60.
    """
    time = np.zeros(len(texts), np.int64)
    rest = np.flatnonzero(texts.is_not_null().to_numpy())
    for _ in range(SHAPES):
        left = texts if len(rest) == len(texts) else texts.gather(rest)
        shape = next((match for text in left.head(PROBE) if (match := SHAPE.fullmatch(text))), None)
        if shape is None:
            break
        fits, micros = _read_alike(left, shape)
        time[rest] = micros
        rest = rest[~fits]
    if len(rest):
        time[rest] = _read_any(texts.gather(rest))
    return time


def _read_alike(texts: pl.Series, shape: Shape) -> tuple[Mask, Ints]:
    """Read the texts with digits and separators where `shape` has them: which they are, and their times."""
    fits = (texts.str.len_bytes() == len(shape[0])).to_numpy(writable=True)
    same = texts if fits.all() else texts.filter(pl.Series(fits))
    joined = same.str.join("").cast(pl.Binary).to_list()[0]  # not by way of a str, which is a copy
    matrix = np.frombuffer(joined, np.uint8).reshape(len(same), len(shape[0]))
    micros = np.zeros(len(texts), np.int64)
    shaped, micros[fits] = _read_runs(matrix, shape) if shape["second"] else _read_matrix(matrix, shape)
    fits[fits] = shaped
    return fits, micros


def _read_runs(matrix: Bytes, shape: Shape) -> tuple[Mask, Ints]:
    """Read seconds row by row, and the rest (the head) only where it differs from the row before."""
    text, end = shape[0], shape.end("fraction" if shape["fraction"] else "second")
    zone = len(text) - end
    heads = np.zeros((len(matrix), KEY_BYTES), np.uint8)
    heads[:, :TO_MINUTE] = matrix[:, :TO_MINUTE]
    heads[:, TO_MINUTE : TO_MINUTE + zone] = matrix[:, end:]
    words = heads.view(np.uint64)
    fresh = np.ones(len(matrix), np.bool_)
    fresh[1:] = np.logical_or.reduce([word[1:] != word[:-1] for word in words.T])
    starts = np.flatnonzero(fresh)
    runs = np.diff(starts, append=len(matrix))
    minute = SHAPE.fullmatch(text[:TO_MINUTE] + text[end:]) or shape
    fits, minutes = _read_matrix(heads[starts, : TO_MINUTE + zone], minute)
    shaped: Mask = np.repeat(fits, runs) & _alike(matrix[:, TO_MINUTE:end], text[TO_MINUTE:end])
    micros: Ints = np.repeat(minutes, runs)
    second = _number(matrix, shape, "second")
    good = (micros != 0) & (second < BELOW["second"])
    return shaped, good * (micros + second * SECOND + _fraction(matrix, shape))


def _read_matrix(matrix: Bytes, shape: Shape) -> tuple[Mask, Ints]:
    """Read rows without seconds: which have the shape, and their times (0 for the others)."""
    shaped = _alike(matrix, shape[0])
    parts = {
        name: _number(matrix, shape, name)
        for name, text in shape.groupdict().items()
        if text and name != "sign"
    }
    return shaped, shaped * _micros(parts, -1 if shape["sign"] == "-" else 1)


def _alike(matrix: Bytes, example: str) -> Mask:
    alike = np.ones(len(matrix), np.bool_)
    for column, letter in zip(matrix.T, example, strict=True):
        # Unsigned bytes: what lies below "0" wraps round to far above 9.
        alike &= column - ord("0") < DIGITS if letter.isdigit() else column == ord(letter)
    return alike


def _number(matrix: Bytes, shape: Shape, name: str, most: int = MICRO_DIGITS) -> Ints:
    start, end = shape.span(name)
    value = np.zeros(len(matrix), np.int32)
    for column in matrix.T[start : min(end, start + most)]:
        value *= 10
        value += column
        value -= ord("0")
    return value.astype(np.int64)


def _fraction(matrix: Bytes, shape: Shape) -> Ints | int:
    if not shape["fraction"]:
        return 0
    value = _number(matrix, shape, "fraction")
    value *= 10 ** max(MICRO_DIGITS - len(shape["fraction"]), 0)
    return value


def _read_any(texts: pl.Series) -> Ints:
    found = texts.str.extract_groups(f"^{SHAPE.pattern}$").struct
    parts = {name: found.field(name) for name in ("year", "day", *BELOW)}
    parts["fraction"] = found.field("fraction").str.pad_end(MICRO_DIGITS, "0").str.head(MICRO_DIGITS)
    numbers = {name: part.cast(pl.Int64).fill_null(0).to_numpy() for name, part in parts.items()}
    west = (found.field("sign") == "-").fill_null(value=False).to_numpy()
    return _micros(numbers, np.where(west, -1, 1))


def _micros(parts: Mapping[str, Ints], east: Ints | int) -> Ints:
    """Return the times, 0 where a part is out of its range. east: 1, or -1 for offsets west of UTC."""
    months = np.arange(f"{FIRST_YEAR}-01", f"{LAST_YEAR + 1}-02", dtype="datetime64[M]")
    first_days = months.astype("datetime64[D]").astype(np.int64)
    year, month, day = parts["year"], parts["month"], parts["day"]
    good = (year >= FIRST_YEAR) & (year <= LAST_YEAR) & (month >= 1) & (day >= 1)
    for name, limit in BELOW.items():
        if name in parts:
            good &= parts[name] < limit
    place = np.where(good, (year - FIRST_YEAR) * 12 + month - 1, 0)
    days = first_days[place] + day - 1
    good &= days < first_days[place + 1]
    hour, minute, second, zone, zone_minute = (parts.get(name, 0) for name in BELOW if name != "month")
    minutes = days * 1440 + hour * 60 + minute - east * (zone * 60 + zone_minute)
    return np.where(good, (minutes * 60 + second) * SECOND + parts.get("fraction", 0), 0)
