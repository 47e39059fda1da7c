"""CSV as RFC 4180 has it, one record per line: a quoted field may hold commas and quotes, but no newline.

Two halves of a record that was broken by a newline each have an odd number of quotes and are rejected. A
quote is either around a whole field or doubled inside a quoted one; elsewhere it is misplaced. An empty
field, quoted or not, is a missing value; spaces belong to the field.
"""

import csv
import itertools
from codecs import BOM_UTF8
from collections.abc import Iterator, Mapping

import numpy as np
import polars as pl

from monitor.core.reasons import Reason
from monitor.core.values import Mask, absent
from monitor.decoders.base import Ints, Lines, assemble, good_lines, is_utf8, table
from monitor.failures import POLARS_FAILURES
from monitor.types import Chunk, Decoded, Wanted

COMMA, QUOTE, RETURN = ord(","), ord('"'), ord("\r")
SLAB = 2**22
"""Bytes that are examined at a time, which bounds the memory that takes."""

Columns = Mapping[int, str]


def decode_csv(chunk: Chunk, data: bytes, wanted: Wanted) -> Decoded:
    """Decode whole lines of CSV below the chunk's header; never raises on what they hold."""
    lines = Lines(chunk.file, chunk.offset, data)
    names = header_names(chunk.header)
    if names is None:
        bad = dict.fromkeys(range(len(lines)), Reason.BAD_HEADER)
        return assemble(lines, pl.DataFrame(), (), (), bad)
    bad = _bad_lines(lines, len(names))
    chosen = wanted.numeric | wanted.text | wanted.vectors
    columns = {i: name for i, name in enumerate(names) if name in chosen}
    good = good_lines(lines, bad)
    frame = _parse(lines.join(good), len(good), columns)
    if frame is None:
        frame = _read_one_by_one(lines, good, columns, bad)
    return assemble(lines, frame, wanted.numeric - wanted.text, frozenset(filter(None, names)), bad)


def header_names(header: bytes) -> tuple[str, ...] | None:
    """Return the column names, or None where they are missing, double or unreadable.

    A column without a name (an index that was written along) is never wanted and does no harm.
    """
    try:
        line = header.removeprefix(BOM_UTF8).decode().rstrip("\r\n")
        names = tuple(next(csv.reader([line], strict=True), ()))
    except (ValueError, csv.Error):
        return None
    named = [name for name in names if name]
    return names if named and len(set(named)) == len(named) else None


def _bad_lines(lines: Lines, width: int) -> dict[int, Reason]:
    """Return what is wrong with which line; the first fault found counts, in the order of `Reason`."""
    if not len(lines):
        return {}
    starts, ends = lines.spans
    firsts = np.unique(np.searchsorted(starts, np.arange(0, len(lines.data), SLAB)))
    bounds = [*firsts[firsts < len(lines)].tolist(), len(lines)]
    why: dict[int, Reason] = {}
    for first, end in itertools.pairwise(bounds):
        slab = Lines(lines.file, 0, lines.data[starts[first] : ends[end - 1]])
        for mask, reason in _faults(slab, width):
            why |= dict.fromkeys((np.flatnonzero(mask) + first).tolist(), reason)
    return why


def _faults(lines: Lines, width: int) -> Iterator[tuple[Mask, Reason]]:
    """Yield which lines have which fault, the one that counts most last."""
    commas = np.flatnonzero(lines.codes == COMMA)
    quotes = np.flatnonzero(lines.codes == QUOTE)
    if len(quotes):
        before = np.searchsorted(quotes, lines.spans[0])
        commas = commas[(np.searchsorted(quotes, commas) - before[lines.holding(commas)]) % 2 == 0]
        rank = np.arange(len(quotes)) - before[lines.holding(quotes)]
        misplaced = quotes[~_well_placed(lines, quotes, rank % 2 == 0)]
    yield lines.count(commas) != width - 1, Reason.WRONG_FIELD_COUNT
    if len(quotes):
        yield lines.count(misplaced) > 0, Reason.MISPLACED_QUOTES
        yield lines.count(quotes) % 2 == 1, Reason.UNBALANCED_QUOTES
    if BOM_UTF8 in lines.data:
        marked = [lines.data.startswith(BOM_UTF8, start) for start in lines.spans[0].tolist()]
        yield np.array(marked), Reason.BYTE_ORDER_MARK
    if not is_utf8(lines.data):
        yield np.array([not is_utf8(lines.raw(line)) for line in range(len(lines))]), Reason.INVALID_UTF8
    if b"\0" in lines.data:
        yield lines.count(np.flatnonzero(lines.codes == 0)) > 0, Reason.NUL_BYTES


def _well_placed(lines: Lines, quotes: Ints, opening: Mask) -> Mask:
    """Tell which quotes open a field at its start, close it at its end, or are one of a doubled pair."""
    framed = np.concatenate([[COMMA], lines.codes, [COMMA]]).astype(np.uint8)
    framed[lines.spans[0]] = COMMA  # what stands before and after a line delimits a field as a comma does
    framed[lines.spans[1] + 1] = COMMA
    returns = framed[lines.spans[1]] == RETURN
    framed[lines.spans[1][returns]] = COMMA
    neighbours = np.where(opening, framed[quotes], framed[quotes + 2])
    placed: Mask = (neighbours == COMMA) | (neighbours == QUOTE)
    return placed


def _parse(data: bytes, height: int, columns: Columns) -> pl.DataFrame | None:
    if not height or not columns:
        return table([absent(name, pl.String, height) for name in columns.values()], height)
    if b"\r" in data:
        data = data.replace(b"\r\n", b"\n").removesuffix(b"\r")
    try:
        found = pl.read_csv(data, has_header=False, infer_schema=False, columns=sorted(columns)).rechunk()
    except POLARS_FAILURES:
        return None
    if found.shape != (height, len(columns)):
        return None
    named = zip(found.get_columns(), (columns[i] for i in sorted(columns)), strict=True)
    return pl.DataFrame([_without_empty(column).alias(name) for column, name in named])


def _without_empty(column: pl.Series) -> pl.Series:
    """Make a quoted empty field null, as an empty one is."""
    empty = column == ""
    return column.set(empty, None) if empty.any() else column


def _read_one_by_one(lines: Lines, good: Ints, columns: Columns, bad: dict[int, Reason]) -> pl.DataFrame:
    """Parse with the standard library, should Polars fail after all; adds what it cannot read to `bad`."""
    rows: list[list[str]] = []
    for line in good.tolist():
        try:
            rows.append(next(csv.reader([lines.raw(line).decode()], strict=True)))
        except csv.Error:
            bad[line] = Reason.UNREADABLE
    named = columns.items()
    return table(
        [pl.Series(name, [row[i] or None for row in rows], pl.String) for i, name in named], len(rows)
    )
