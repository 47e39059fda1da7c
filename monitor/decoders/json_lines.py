"""JSON lines: one object per line. Parsed all at once; only where that fails, more and more carefully.

0. Where driftd's own library was built: that, as long as each line is plain (monitor/native/json_lines.c).
1. Polars with typed columns. Fails on any bad line and on any value of another type.
2. The same without the lines that plainly are no objects.
3. Polars with text columns, NaN tokens quoted. Settles type failures and NaN without a row loop.
4. The same in ever smaller parts; the small parts that still fail go line by line through the standard
   library, which also reads what Polars cannot (1e999, numbers of 400 digits).

Every tier gives a line the same values, so how a log is cut into chunks does not matter. Of a key that an
object has twice, the first value counts (Polars' rule, kept by the slow path).
"""

import json
import math
import re
from codecs import BOM_UTF8
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np
import polars as pl
from msgspec.structs import replace
from numpy.typing import NDArray

from monitor.core.reasons import Reason
from monitor.core.vectors import LISTS
from monitor.decoders.base import Ints, Lines, assemble, good_lines, is_utf8
from monitor.decoders.tokens import quote_tokens
from monitor.failures import POLARS_FAILURES
from monitor.native import json_lines as native
from monitor.types import Chunk, Decoded, Wanted

BLOCK = 1000
PARTS = 16
INT_DIGITS = 40
HALF_PAIR = re.compile("[\ud800-\udfff]")
ASCII = 0x80

Columns = Mapping[str, pl.DataType | type[pl.DataType]]
Codes = NDArray[np.uint16]


def decode_json_lines(chunk: Chunk, data: bytes, wanted: Wanted) -> Decoded:
    """Decode whole lines of JSON; never raises on what they hold."""
    lines = Lines(chunk.file, chunk.offset, data, chunk.newlines)
    numeric = wanted.numeric - wanted.text
    kinds = dict.fromkeys(wanted.text, pl.String) | dict.fromkeys(numeric, pl.Float64)
    typed: Columns = dict(sorted((dict.fromkeys(wanted.vectors, LISTS) | kinds).items()))
    bad: dict[int, Reason] = {}
    frame = native.parse(data, typed) if is_utf8(data) else None
    if frame is None:
        frame = _parse(data, typed)
    if frame is None or not lines.are(frame.height):
        frame, bad = _read_carefully(lines, typed)
    shape, shapes = _shapes(lines, frame.height, bad)
    seen = frozenset[str]().union(*shapes)
    return replace(assemble(lines, frame, numeric, seen, bad), shape=shape, shapes=shapes)


def _parse(data: bytes, columns: Columns) -> pl.DataFrame | None:
    try:
        return pl.read_ndjson(data, schema=dict(columns)).rechunk()
    except POLARS_FAILURES:
        return None


def _parse_lines(lines: Lines, chosen: Ints, columns: Columns) -> pl.DataFrame | None:
    frame = _parse(quote_tokens(lines.join(chosen)), columns)
    return frame if frame is not None and frame.height == len(chosen) else None


def _read_carefully(lines: Lines, typed: Columns) -> tuple[pl.DataFrame, dict[int, Reason]]:
    """Return the good lines' frame, with typed or with text columns, and why each bad line is bad."""
    texts: Columns = dict.fromkeys(typed, pl.String)
    judged = ((line, _judge(lines.raw(line), texts)) for line in _suspects(lines))
    bad = {line: why for line, why in judged if isinstance(why, Reason)}
    rest = good_lines(lines, bad)
    frame = _parse_lines(lines, rest, typed) if bad else None
    if frame is None:
        frame = pl.concat(_read_part(lines, rest, texts, bad), rechunk=True)
    return frame, bad


def _read_part(lines: Lines, part: Ints, texts: Columns, bad: dict[int, Reason]) -> list[pl.DataFrame]:
    """Parse lines at once, or where that fails in smaller parts; adds what it finds to `bad`."""
    frame = _parse_lines(lines, part, texts)
    if frame is not None:
        return [frame]
    if len(part) <= BLOCK:
        return [pl.DataFrame(schema=dict(texts)), *_read_one_by_one(lines, part, texts, bad)]
    step = -(-len(part) // PARTS)
    smaller = (part[start : start + step] for start in range(0, len(part), step))
    return [found for lesser in smaller for found in _read_part(lines, lesser, texts, bad)]


def _read_one_by_one(
    lines: Lines, block: Ints, columns: Columns, bad: dict[int, Reason]
) -> Sequence[pl.DataFrame]:
    """Judge each line of a block and parse what the good ones became; adds the others to `bad`."""
    judged = {line: _judge(lines.raw(line), columns) for line in block.tolist()}
    bad |= {line: why for line, why in judged.items() if isinstance(why, Reason)}
    good = {line: text for line, text in judged.items() if isinstance(text, bytes)}
    frame = _parse(b"\n".join(good.values()), columns)
    if frame is not None and frame.height == len(good):
        return [frame]
    singles = {line: _parse(text, columns) for line, text in good.items()}
    bad |= {
        line: Reason.UNREADABLE for line, single in singles.items() if single is None or single.height != 1
    }
    return [single for line, single in singles.items() if single is not None and line not in bad]


def _suspects(lines: Lines) -> Ints:
    """Return the lines that do not run from "{" to "}", hold a NUL byte, or might be no UTF-8."""
    starts, ends = lines.spans
    last = lines.codes[ends - 1]
    last = np.where(last == ord("\r"), lines.codes[np.maximum(ends - 2, 0)], last)
    odd = (lines.codes[starts] != ord("{")) | (last != ord("}"))
    if b"\0" in lines.data:
        odd |= lines.count(np.flatnonzero(lines.codes == 0)) > 0
    if not is_utf8(lines.data):
        odd |= lines.count(np.flatnonzero(lines.codes >= ASCII)) > 0
    return np.flatnonzero(odd)


def _judge(raw: bytes, columns: Columns) -> bytes | Reason:
    """Return the line as JSON that Polars reads, wanted keys only, or why it is bad."""
    try:
        found = json.loads(raw.decode(), parse_int=_integer, object_pairs_hook=_first_wins)
        if not isinstance(found, dict):
            return Reason.NOT_AN_OBJECT
        return json.dumps({key: _writable(found[key]) for key in columns if key in found}).encode()
    except RecursionError:  # Polars reads a little deeper, and its word counts
        quoted = quote_tokens(raw)
        return quoted if _parse(quoted, columns) is not None else Reason.TOO_DEEP
    except ValueError as error:
        return _diagnose(raw, error)


def _diagnose(raw: bytes, error: ValueError) -> Reason:
    if b"\0" in raw:
        return Reason.NUL_BYTES
    if isinstance(error, UnicodeDecodeError):
        return Reason.INVALID_UTF8
    return Reason.BYTE_ORDER_MARK if raw.startswith(BOM_UTF8) else Reason.BAD_JSON


def _integer(digits: str) -> int | float:
    """Read an integer as Polars does: exactly where 128 bits hold it, else as a float."""
    number = int(digits) if len(digits) <= INT_DIGITS else math.inf
    return number if -(2**127) <= number < 2**128 else float(digits)


def _first_wins(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        found.setdefault(key, value)
    return found


def _writable(value: object) -> object:
    """Return the value as Polars reads it: NaN and infinities in quotes, half a surrogate pair as NUL."""
    if isinstance(value, str):
        return HALF_PAIR.sub("\0", value)
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    if isinstance(value, dict):
        return {key: _writable(inner) for key, inner in value.items()}
    return [_writable(inner) for inner in value] if isinstance(value, list) else value


def _shapes(lines: Lines, height: int, bad: Collection[int]) -> tuple[Codes, tuple[frozenset[str], ...]]:
    """Return the keys of some lines, as Decoded's shape and shapes."""
    shape = np.zeros(height, np.uint16)
    found: dict[frozenset[str], int] = {}
    solid = not bad and lines.are_solid(height)
    good = None if solid else good_lines(lines, bad)
    for number, place, text in lines.samples():
        row = number if good is None else _row_at(lines, good, place)
        keys = _keys(text) if row is not None else None
        if keys is not None:
            shape[row] = found.setdefault(keys, len(found) + 1)
    return shape, tuple(found)


def _row_at(lines: Lines, good: Ints, place: int) -> int | None:
    """Return the row of the line that starts there, None for a blank or a bad one."""
    line = int(np.searchsorted(lines.spans[0], place))
    row = int(np.searchsorted(good, line))
    known = line < len(lines) and lines.spans[0][line] == place and row < len(good) and good[row] == line
    return row if known else None


def _keys(text: bytes) -> frozenset[str] | None:
    try:
        found = json.loads(text.decode(), parse_int=_integer)
    except (ValueError, RecursionError):
        return None
    return frozenset(found) if isinstance(found, dict) else None
