"""Laws of the decoders: nothing raises, nothing is lost, and how a log is cut or stored changes nothing."""

import csv
import io
import itertools
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.config import Columns
from monitor.core.schema import Schema, type_rows
from monitor.decoders.plain import decode
from monitor.types import Chunk, TypedRows, Wanted

BOTH_WAYS = pytest.mark.usefixtures("kernels")
"""For what the native library has a part in: CSV it has none in."""
NUMERIC, TEXT = ("x", "y"), ("c", "t")
WANTED = Wanted(frozenset(NUMERIC), frozenset(TEXT), "t")
HEADER = b"x,y,c,t\n"
DEEP = b'{"x":3,"q":%b%b}'

JSON_LINES = [
    b'{"x":1.5,"y":2,"c":"a","t":"2026-01-01"}',
    b'{"x":NaN,"y":-Infinity,"c":NaN}',
    b'{"x":1e999,"c":"a\\": NaN"}',
    b'{"x":[NaN],"y":true,"c":{"k":[NaN,1.0],"a":"\xc3\xa9"}}',
    b'{"x":"1.5","y":"","c":1.50}',
    b'{"x":1,"x":2,"y":18446744073709551616,"c":18446744073709551616}',
    b'{"y":340282366920938463463374607431768211456,"c":340282366920938463463374607431768211456}',
    b'{"c":"\\ud800","x" :NaN,"y":  NaN}',
    b'{"":NaN,"a\\"":NaN,"q":7}',
    DEEP % (b"[" * 1000, b"]" * 1000),
    DEEP % (b"[" * 3000, b"]" * 3000),
    b"  {}\t\r",
    b"",
    b" \r",
    b"[1]",
    b'{"x":1}{"x":2}',
    b'\xef\xbb\xbf{"x":1}',
    b"\0\0",
    b'{"c":"\xff"}',
]
CSV_LINES = [
    b"1.5,2,a,2026-01-01",
    b'"1.5","2","a,b","say ""so"""',
    b'nan,-inf,NA,""',
    b",,,\r",
    b"1e999, 5,true,\xc3\xa9",
    b"1,2,3",
    b"1,2,3,4,5",
    b'1,2,"3,4',
    b'1,2,a"b",4',
    b'1,2,"a\rb",\r\r',
    b"\xef\xbb\xbf1,2,3,4",
    b"1,2,\0,4",
    b"1,2,\xff,4",
    b"",
    b" \t\r",
]


@st.composite
def damaged(draw: st.DrawFn, lines: Sequence[bytes], alphabet: bytes) -> bytes:
    """Draw one of the lines with some bytes put in, taken out or replaced."""
    line = bytearray(draw(st.sampled_from(lines))[:200])
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, len(line)))
        line[at : at + draw(st.integers(0, 1))] = bytes(draw(st.lists(st.sampled_from(alphabet), max_size=2)))
    return bytes(line)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=2), inner, max_size=2),
    max_leaves=3,
)
OBJECTS = st.dictionaries(st.sampled_from("xyctq"), VALUES).map(lambda o: json.dumps(o).encode())


def logs(lines: Sequence[bytes], alphabet: bytes) -> st.SearchStrategy[list[bytes]]:
    """Draw lists of good and bad lines."""
    line = st.sampled_from(lines) | damaged(lines, alphabet)
    return st.lists((line | OBJECTS) if lines is JSON_LINES else line, min_size=1, max_size=12)


@dataclass(frozen=True)
class Read:
    """What came of a log: a line per row and per reject, in a form that compares NaN as equal."""

    rows: list[str]
    rejects: list[str]


def read(pieces: Sequence[bytes], form: str) -> Read:
    """Decode the pieces of one log in turn."""
    rows, rejects, at = [], [], 1000
    for piece in pieces:
        decoded = decode(Chunk("log", at, piece, HEADER), WANTED, form)
        frame = decoded.frame
        assert decoded.received == frame.height + len(decoded.rejects)
        for row in range(frame.height):
            values = [frame[name][row] if name in frame.columns else None for name in NUMERIC + TEXT]
            failed = [name in decoded.invalid and bool(decoded.invalid[name][row]) for name in NUMERIC]
            rows.append(repr((decoded.locate(row), values, failed)))
        rejects += [repr(reject) for reject in decoded.rejects]
        at += len(piece)
    return Read(rows, rejects)


def cut(lines: Sequence[bytes], cuts: Sequence[int]) -> list[bytes]:
    """Cut a log into chunks before the lines with these numbers."""
    bounds = [0, *sorted({c for c in cuts if c < len(lines)}), len(lines)]
    return [b"".join(line + b"\n" for line in lines[a:b]) for a, b in itertools.pairwise(bounds)]


CUTS = st.lists(st.integers(0, 12))


@BOTH_WAYS
@settings(max_examples=150)
@given(logs(JSON_LINES, b'"{}[]:,\\ NaI0-1e.\r\t\x00\xff\xc3\xa9'), CUTS)
def test_how_json_lines_are_cut_changes_nothing(lines: list[bytes], cuts: list[int]) -> None:
    assert read(cut(lines, cuts), "jsonl") == read([b"\n".join(lines)], "jsonl")


@settings(max_examples=200)
@given(logs(CSV_LINES, b'"",, \t\r1a\x00\xff\xc3\xa9'), CUTS)
def test_how_csv_is_cut_changes_nothing(lines: list[bytes], cuts: list[int]) -> None:
    assert read(cut(lines, cuts), "csv") == read([b"\n".join(lines)], "csv")


@BOTH_WAYS
@settings(max_examples=150)
@given(logs(JSON_LINES[:9], b'"{}[]:,\\ 01ae'))
def test_what_the_standard_library_reads_is_accepted_and_nothing_else(lines: list[bytes]) -> None:
    def is_object(line: bytes) -> bool:
        try:
            return isinstance(json.loads(line.decode()), dict)
        except ValueError:
            return False

    decoded = decode(Chunk("log", 0, b"\n".join(lines)), WANTED, "jsonl")

    assert decoded.frame.height == sum(is_object(line) for line in lines)
    assert decoded.received == sum(bool(line.strip(b" \t\r")) for line in lines)


FIELD = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\n\r\0"), max_size=6)


@given(st.lists(st.tuples(FIELD, FIELD, FIELD, FIELD), min_size=1), st.sampled_from([0, 1]))
def test_csv_gives_back_what_was_written(rows: list[tuple[str, str, str, str]], quoting: int) -> None:
    file = io.StringIO(newline="")
    csv.writer(file, quoting=csv.QUOTE_ALL if quoting else csv.QUOTE_MINIMAL).writerows(
        [("a", "b", "c", "d"), *rows]
    )
    header, data = file.getvalue().encode().split(b"\r\n", 1)
    wanted = Wanted(frozenset(), frozenset("abcd"))
    expected = [row for row in rows if quoting or not row[0].startswith("\ufeff")]

    decoded = decode(Chunk("log", 0, data, header), wanted, "csv")

    assert decoded.frame.rows() == [tuple(field or None for field in row) for row in expected]


SCHEMA = Schema(
    Columns(prediction_id="id", timestamp="t", version="v", prediction="p", score="s", segments=("c",)),
    numeric=("x",),
    categorical=("c",),
    task="binary",
)
WORD = st.text("abc é,", min_size=1, max_size=4)
RECORD = st.fixed_dictionaries(
    {
        "id": WORD | st.none(),
        "t": st.sampled_from(
            ["2026-01-01T00:00:00Z", "2026-01-02 00:00:00.5+02:00", "soon", "2200-01-01", "2027-01-01"]
        )
        | st.none(),
        "v": WORD | st.none(),
        "p": st.integers(0, 1) | st.none(),
        "s": st.floats(0, 1) | st.none(),
        "x": st.floats() | st.none(),
        "c": WORD | st.none(),
    }
)


def typed(chunk: Chunk, form: str) -> tuple[list[object], list[str]]:
    """Decode and type a chunk, in a form that compares."""
    rows, rejects = type_rows(SCHEMA, chunk, decode(chunk, SCHEMA.wanted, form), "iso", 1_780_000_000 * 10**6)
    return comparable(rows), [reject.reason for reject in rejects]


def comparable(rows: TypedRows) -> list[object]:
    ids = [] if rows.ids is None else rows.ids.tolist()
    masks = {name: mask.tolist() for name, mask in rows.invalid.items()}
    return [rows.time.tolist(), ids, rows.keys.tolist(), repr(rows.frame.rows(named=True)), masks]


@BOTH_WAYS
@given(st.lists(RECORD, min_size=1, max_size=8))
def test_json_csv_and_parquet_of_the_same_rows_are_the_same_rows(records: list[dict[str, object]]) -> None:
    kinds = {"p": pl.Int64, "s": pl.Float64, "x": pl.Float64}
    frame = pl.DataFrame(records, schema={name: kinds.get(name, pl.String) for name in records[0]})
    jsonl = b"\n".join(json.dumps(record).encode() for record in records)
    header, data = frame.write_csv().encode().split(b"\n", 1)
    stored = io.BytesIO()
    frame.write_parquet(stored)
    stored.seek(0)

    expected = typed(Chunk("log", 0, pl.read_parquet(stored)), "parquet")

    assert typed(Chunk("log", 0, jsonl), "jsonl") == expected
    assert typed(Chunk("log", 0, data, header), "csv") == expected


@BOTH_WAYS
@given(st.lists(st.floats(), min_size=1))
def test_numbers_keep_every_bit_on_the_slow_way_too(numbers: list[float]) -> None:
    lines = [json.dumps({"x": number}).encode() for number in numbers]
    finite = [line for line, number in zip(lines, numbers, strict=True) if math.isfinite(number)]
    plain = decode(Chunk("log", 0, b"\n".join(finite)), WANTED, "jsonl")
    disturbed = decode(Chunk("log", 0, b"\n".join([*lines, b'{"x":1e999}', b'{"x":"a"}'])), WANTED, "jsonl")

    if finite:
        assert plain.frame["x"].to_list() == [number for number in numbers if math.isfinite(number)]
    assert repr(disturbed.frame["x"].to_list()[:-2]) == repr([float(number) for number in numbers])
