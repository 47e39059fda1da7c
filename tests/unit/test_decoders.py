"""Lines to columns: every bad line is told apart, every odd value has its policy, no good line is lost."""

import csv
import json
import math
from collections.abc import Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import polars as pl
import pytest
from polars.exceptions import PanicException

from monitor.config import Columns
from monitor.core.reasons import Reason
from monitor.core.schema import Schema
from monitor.decoders.plain import decode, peek_time
from monitor.types import Chunk, Decoded, Wanted

pytestmark = pytest.mark.usefixtures("kernels")
WANTED = Wanted(frozenset({"x", "y"}), frozenset({"t", "c"}), "t")
GOOD = b'{"t":"2026-01-01","c":"a","x":1.5,"y":2}'
DEEP = b'{"q":' + b"[" * 100_000 + b"]" * 100_000 + b"}"

BAD_JSON: Mapping[bytes, Reason] = {
    b"garbage": Reason.BAD_JSON,
    b'{"x":1': Reason.BAD_JSON,
    b'{"x":1}{"x":2}': Reason.BAD_JSON,
    b'{"x":1} x': Reason.BAD_JSON,
    b'{"x":1,}': Reason.BAD_JSON,
    b'{"x":-NaN}': Reason.BAD_JSON,
    b'{"x":01}': Reason.BAD_JSON,
    b'{"c":"a\tb"}': Reason.BAD_JSON,
    b"\x0c": Reason.BAD_JSON,
    b"[1]": Reason.NOT_AN_OBJECT,
    b"null": Reason.NOT_AN_OBJECT,
    b"5": Reason.NOT_AN_OBJECT,
    b'"x"': Reason.NOT_AN_OBJECT,
    b"NaN": Reason.NOT_AN_OBJECT,
    b'\xef\xbb\xbf{"x":1}': Reason.BYTE_ORDER_MARK,
    b"\0" * 600: Reason.NUL_BYTES,
    b'{"x":1}\0': Reason.NUL_BYTES,
    b'{"c":"\xff"}': Reason.INVALID_UTF8,
    DEEP: Reason.TOO_DEEP,
    b'{"x":' + b"[" * 3000: Reason.TOO_DEEP,
}
BAD_CSV: Mapping[bytes, Reason] = {
    b"2026-01-01,a,1": Reason.WRONG_FIELD_COUNT,
    b"2026-01-01,a,1,2,3": Reason.WRONG_FIELD_COUNT,
    b'"2026-01-01,a",1,2': Reason.WRONG_FIELD_COUNT,
    b'2026-01-01,"a,1,2': Reason.UNBALANCED_QUOTES,
    b'2026-01-01,a"b"c,1,2': Reason.MISPLACED_QUOTES,
    b'2026-01-01,"a"b,1,2': Reason.MISPLACED_QUOTES,
    b'2026-01-01, "a",1,2': Reason.MISPLACED_QUOTES,
    b"2026-01-01,\xff,1,2": Reason.INVALID_UTF8,
    b"2026-01-01,\0,1,2": Reason.NUL_BYTES,
    b"\xef\xbb\xbf2026-01-01,a,1,2": Reason.BYTE_ORDER_MARK,
}
CSV_GOOD = b"2026-01-01,a,1.5,2"
HEADER = b"t,c,x,y\r\n"


def read(data: bytes, offset: int = 0) -> Decoded:
    return decode(Chunk("log", offset, data), WANTED, "jsonl")


def read_csv(data: bytes, header: bytes = HEADER, offset: int = 0) -> Decoded:
    return decode(Chunk("log", offset, data, header), WANTED, "csv")


def value(json_text: str, column: str = "x") -> tuple[object, bool]:
    """Decode one value among ordinary rows; return it and whether its type failed."""
    decoded = read(GOOD + b"\n" + f'{{"{column}":{json_text}}}'.encode() + b"\n" + GOOD)
    assert decoded.rejects == ()
    failed = decoded.invalid.get(column)
    return decoded.frame[column][1], bool(failed[1]) if failed is not None else False


def interleaved(bad: Mapping[bytes, Reason], good: bytes) -> tuple[bytes, list[tuple[int, Reason]]]:
    data, expected = good + b"\n", []
    for line, reason in bad.items():
        expected.append((1000 + len(data), reason))
        data += line + b"\n" + good + b"\n"
    return data, expected


def test_exactly_the_bad_json_lines_are_rejected_with_offset_and_reason() -> None:
    data, expected = interleaved(BAD_JSON, GOOD)

    decoded = read(data, offset=1000)

    assert [(r.offset, r.reason) for r in decoded.rejects] == expected
    assert {r.file for r in decoded.rejects} == {"log"}
    assert decoded.frame["x"].to_list() == [1.5] * (len(BAD_JSON) + 1)
    assert decoded.received == 2 * len(BAD_JSON) + 1


@pytest.mark.parametrize("line", BAD_JSON, ids=lambda line: repr(line[:16]))
def test_a_bad_json_line_alone_is_rejected_for_the_same_reason(line: bytes) -> None:
    decoded = read(line)

    assert [r.reason for r in decoded.rejects] == [BAD_JSON[line]]
    assert (decoded.frame.height, decoded.received) == (0, 1)


def test_exactly_the_bad_csv_lines_are_rejected_with_offset_and_reason() -> None:
    data, expected = interleaved(BAD_CSV, CSV_GOOD)

    decoded = read_csv(data, offset=1000)

    assert [(r.offset, r.reason) for r in decoded.rejects] == expected
    assert decoded.frame["y"].to_list() == [2.0] * (len(BAD_CSV) + 1)
    assert decoded.received == 2 * len(BAD_CSV) + 1


@pytest.mark.parametrize("count", [1, 3000])
def test_bad_lines_between_many_good_ones_cost_no_good_one(count: int) -> None:
    lines = [GOOD] * 5000
    lines[7:4907:100] = [b'{"x":1e999,"c":"b"}'] * 49
    lines[8:4908:100] = [b"gone{"] * 49
    lines[9] = b'{"c":{"k":[NaN]}}'
    lines[count] = b'{"x":1 2}'

    decoded = read(b"\n".join(lines))

    assert len(decoded.rejects) == 50
    assert decoded.frame.height == 4950
    assert decoded.frame["x"].is_infinite().sum() == 49


def test_a_reject_keeps_the_first_kilobyte() -> None:
    assert read(b"z" * 5000).rejects[0].text == "z" * 1024


def test_rejects_are_cut_by_bytes_and_still_text() -> None:
    text = read("é".encode() * 800).rejects[0].text

    assert text == "é" * 512


def test_a_row_is_located_after_rejects_and_blank_lines() -> None:
    decoded = read(b"\n  \r\ngarbage\n" + GOOD + b"\r\n[1]\n\t\n" + GOOD, offset=50)

    assert decoded.received == 4
    assert decoded.locate(0) == (50 + 13, GOOD.decode())
    assert decoded.locate(1) == (50 + 13 + len(GOOD) + 2 + 4 + 2, GOOD.decode())


@pytest.mark.parametrize("data", [b"", b"\n", b"  \r\n\t\n\n"])
@pytest.mark.parametrize("form", ["jsonl", "csv"])
def test_blank_lines_are_not_counted(data: bytes, form: str) -> None:
    decoded = decode(Chunk("log", 0, data, HEADER), WANTED, form)

    assert (decoded.received, decoded.frame.height, decoded.rejects) == (0, 0, ())


@pytest.mark.parametrize("end", [b"", b"\n", b"\r\n"])
def test_the_last_newline_may_be_missing(end: bytes) -> None:
    assert read(GOOD + b"\r\n" + GOOD + end).frame["c"].to_list() == ["a", "a"]
    assert read_csv(CSV_GOOD + b"\r\n" + CSV_GOOD + end).frame["y"].to_list() == [2.0, 2.0]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1.5", 1.5),
        ('"1.5"', 1.5),
        ("1e30", 1e30),
        ("1" + "0" * 30, 1e30),
        ("1" + "0" * 60, 1e60),
        ("9" * 5000, math.inf),
        ("18446744073709551616", 2.0**64),
        ("1e999", math.inf),
        ("-1e999", -math.inf),
        ("Infinity", math.inf),
        ("-Infinity", -math.inf),
        ('"inf"', math.inf),
        ('"-Infinity"', -math.inf),
        ("null", None),
        ("5e-324", 5e-324),
    ],
)
def test_what_becomes_of_a_number(text: str, expected: float | None) -> None:
    assert value(text) == (expected, False)


@pytest.mark.parametrize("text", ["NaN", '"NaN"', '"nan"', " NaN", "  NaN"])
def test_a_nan_is_a_nan(text: str) -> None:
    found, failed = value(text)

    assert isinstance(found, float)
    assert math.isnan(found)
    assert not failed


@pytest.mark.parametrize(
    "text", ["true", '""', '"abc"', '" 5"', '"NA"', '"null"', "{}", '{"b":1}', "[1]", "[NaN]"]
)
def test_a_type_failure_is_marked_and_the_row_stays(text: str) -> None:
    assert value(text) == (None, True)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("5", "5"),
        ("1.50", "1.5"),
        ("1.0", "1"),
        ("true", "true"),
        ("NaN", "NaN"),
        ("-Infinity", "-Infinity"),
        ('{"b":1}', '{"b": 1}'),
        ('{"b":NaN}', '{"b": "NaN"}'),
        ('""', ""),
        ("null", None),
        ("18446744073709551616", "18446744073709551616"),
        (r'"a\": NaN"', 'a": NaN'),
    ],
)
def test_what_becomes_of_a_text(text: str, expected: str | None) -> None:
    assert value(text, "c") == (expected, False)


@pytest.mark.parametrize(
    "disturbance", [b"", b'{"x":"abc"}', b'{"x":NaN}', b"garbage", b'{"x":1e999}', b'{"q":[NaN]}']
)
def test_text_that_looks_like_a_token_is_left_alone(disturbance: bytes) -> None:
    texts = ['k": NaN', '\\": NaN', "a NaN", ', "x": NaN', '{"x":NaN}', ":NaN", "Infinity", "\\"]
    data = b"\n".join([*(json.dumps({"c": text, "x": math.nan}).encode() for text in texts), disturbance])

    assert read(data).frame["c"].to_list()[: len(texts)] == texts


def test_of_a_key_that_comes_twice_the_first_value_counts() -> None:
    twice = b'{"x":1,"x":2}'

    assert read(twice).frame["x"].to_list() == [1.0]
    assert read(twice + b'\n{"x":1e999}').frame["x"].to_list() == [1.0, math.inf]


def test_a_line_as_deep_as_polars_reads_is_read_beside_worse_ones() -> None:
    deep = b'{"x":3,"q":' + b"[" * 1000 + b"]" * 1000 + b"}"

    assert read(deep).frame["x"].to_list() == [3.0]
    assert read(deep + b'\n{"x":1e999}\n' + DEEP).frame["x"].to_list() == [3.0, math.inf]


def test_columns_are_the_keys_seen_and_absent_ones_have_no_column() -> None:
    decoded = read(b'{"x":1,"new":{"a":2}}\n' * 70 + b'{"x":null,"last":0}\n')

    assert decoded.columns == {"x", "new", "last"}
    assert decoded.frame.columns == ["x"]


def test_a_rare_wanted_column_is_seen() -> None:
    assert read(b"{}\n" * 3000 + b'{"y":1}\n' + b"{}\n" * 3000).columns == {"y"}


def test_rows_without_any_wanted_column_are_still_rows() -> None:
    assert read(b'{"q":1}\n{"q":2}').frame.height == 2
    assert read_csv(b"1\n2\n", b"q").frame.height == 2


def test_a_wanted_column_of_nulls_that_occurs_is_present() -> None:
    assert read(b'{"x":null}').frame.schema == {"x": pl.Float64}


def test_a_column_wanted_both_ways_comes_as_text() -> None:
    wanted = Wanted(frozenset({"x"}), frozenset({"x"}))

    assert decode(Chunk("log", 0, b'{"x":1.5}'), wanted, "jsonl").frame["x"].to_list() == ["1.5"]


@pytest.mark.parametrize(
    ("field", "expected"),
    [
        ("1.5", (1.5, False)),
        ('"1.5"', (1.5, False)),
        ("", (None, False)),
        ('""', (None, False)),
        ("inf", (math.inf, False)),
        ("1e999", (math.inf, False)),
        ("NA", (None, True)),
        ("null", (None, True)),
        ("true", (None, True)),
        (" 5", (None, True)),
    ],
)
def test_what_becomes_of_a_csv_field(field: str, expected: tuple[float | None, bool]) -> None:
    decoded = read_csv(f"2026-01-01,a,{field},2\n".encode())

    assert (decoded.frame["x"][0], bool(decoded.invalid["x"][0])) == expected


def test_quoted_csv_fields_hold_commas_quotes_and_returns() -> None:
    rows = ["a,b", 'say "so"', '"', "", "é", "a\rb", ","]
    data = b"".join(b'2026-01-01,"' + r.replace('"', '""').encode() + b'",1,2\r\n' for r in rows)

    assert read_csv(data).frame["c"].to_list() == [r or None for r in rows]


def test_a_csv_record_over_two_lines_loses_both_halves_only() -> None:
    decoded = read_csv(CSV_GOOD + b'\n2026-01-01,"a\nb",1,2\n' + CSV_GOOD)

    assert [r.reason for r in decoded.rejects] == [Reason.UNBALANCED_QUOTES] * 2
    assert decoded.frame.height == 2


@pytest.mark.parametrize("header", [b"", b"\r\n", b"a,b,a", b"\xff,b", b'"a', b",,"])
def test_a_bad_header_rejects_every_line(header: bytes) -> None:
    decoded = read_csv(b"1,2,3\n\n4,5,6\n", header)

    assert [(r.offset, r.reason) for r in decoded.rejects] == [(0, "bad_header"), (7, "bad_header")]
    assert (decoded.received, decoded.frame.height) == (2, 0)


def test_header_names_in_quotes_and_an_unnamed_index() -> None:
    decoded = read_csv(b"0,1.5,u\n", b'\xef\xbb\xbf,x,"an, other"\r\n')

    assert decoded.frame["x"].to_list() == [1.5]
    assert decoded.columns == {"x", "an, other"}


def test_csv_survives_a_panic_of_polars(monkeypatch: pytest.MonkeyPatch) -> None:
    def panic(*_: object, **__: object) -> pl.DataFrame:
        raise PanicException

    long = "y" * (csv.field_size_limit() + 1)
    data = CSV_GOOD + f'\n2026-01-01,"a,""b",,2\n2026-01-01,{long},1,2\n'.encode()
    monkeypatch.setattr(pl, "read_csv", panic)

    decoded = read_csv(data)

    assert decoded.frame["c"].to_list() == ["a", 'a,"b']
    assert decoded.frame["x"].to_list() == [1.5, None]
    assert [r.reason for r in decoded.rejects] == [Reason.UNREADABLE]


def test_json_survives_a_panic_of_polars(monkeypatch: pytest.MonkeyPatch) -> None:
    def panic(*_: object, **__: object) -> pl.DataFrame:
        raise PanicException

    monkeypatch.setattr(pl, "read_ndjson", panic)

    assert [r.reason for r in read(GOOD + b"\n[1]").rejects] == [Reason.UNREADABLE, Reason.NOT_AN_OBJECT]


def frame(**columns: pl.Series) -> Decoded:
    wanted = Wanted(frozenset({"x"}), frozenset({"c", "t"}), "t")
    return decode(Chunk("log", 40, pl.DataFrame(columns)), wanted, "parquet")


@pytest.mark.parametrize(
    ("stored", "expected"),
    [
        (pl.Series([1, None], dtype=pl.Int8), [1.0, None]),
        (pl.Series([2**64 - 1, 0], dtype=pl.UInt64), [2.0**64, 0.0]),
        (pl.Series([0.5, math.inf], dtype=pl.Float32), [0.5, math.inf]),
        (pl.Series([Decimal("1.25"), None]), [1.25, None]),
        (pl.Series(["1.5", "-inf"]), [1.5, -math.inf]),
        (pl.Series(["1.5", "2"], dtype=pl.Categorical), [1.5, 2.0]),
        (pl.Series([None, None], dtype=pl.Null), [None, None]),
    ],
)
def test_stored_numbers(stored: pl.Series, expected: list[float | None]) -> None:
    decoded = frame(x=stored)

    assert decoded.frame["x"].to_list() == expected
    assert not decoded.invalid["x"].any()


@pytest.mark.parametrize(
    "stored",
    [
        pl.Series([True, None]),
        pl.Series(["", None]),
        pl.Series([[1.0], None]),
        pl.Series([{"a": 1}, None]),
        pl.Series([date(2026, 1, 1), None]),
        pl.Series([b"1", None]),
    ],
    ids=lambda s: str(s.dtype),
)
def test_stored_values_that_are_no_numbers_are_type_failures(stored: pl.Series) -> None:
    decoded = frame(x=stored)

    assert decoded.frame["x"].to_list() == [None, None]
    assert decoded.invalid["x"].tolist() == [True, False]


@pytest.mark.parametrize(
    ("stored", "expected"),
    [
        (pl.Series([True, False, None]), ["true", "false", None]),
        (pl.Series([1, None], dtype=pl.Int32), ["1", None]),
        (pl.Series([1.0, 1.5, None]), ["1", "1.5", None]),
        (pl.Series(["a", ""], dtype=pl.Categorical), ["a", ""]),
        (pl.Series(["a", None], dtype=pl.Enum(["a"])), ["a", None]),
        (pl.Series([b"a", None]), ["a", None]),
        (pl.Series([date(2026, 1, 1)]), ["2026-01-01"]),
    ],
    ids=lambda s: str(s.dtype) if isinstance(s, pl.Series) else "",
)
def test_stored_categories(stored: pl.Series, expected: list[str | None]) -> None:
    decoded = frame(c=stored)

    assert decoded.frame["c"].to_list() == expected
    assert "c" not in decoded.invalid


def test_stored_nested_categories_are_type_failures() -> None:
    decoded = frame(c=pl.Series([[1], None]))

    assert decoded.frame["c"].to_list() == [None, None]
    assert decoded.invalid["c"].tolist() == [True, False]


def test_a_stored_timestamp_is_left_as_it_is() -> None:
    stored = pl.Series([datetime(2026, 1, 1, tzinfo=UTC)])

    assert frame(t=stored).frame["t"].dtype == stored.dtype


def test_rows_of_a_frame_are_located_by_number() -> None:
    decoded = frame(x=pl.Series([1.5, 2.5]), q=pl.Series([date(2026, 1, 1)] * 2))

    assert decoded.columns == {"x", "q"}
    assert decoded.locate(1) == (41, '{"x": 2.5, "q": "2026-01-01"}')


SCHEMA = Schema(Columns(timestamp="t"))


@pytest.mark.parametrize(
    ("data", "form", "header"),
    [
        (b'{"x":"z","t":"2026-01-01T00:00:00Z"}\n', "jsonl", b""),
        (b'"a,b",2026-01-01T00:00:00Z\r\n', "csv", b"x,t\r\n"),
        (pl.DataFrame({"t": [datetime(2026, 1, 1, tzinfo=UTC)]}), "parquet", b""),
    ],
)
def test_peek_time(data: bytes | pl.DataFrame, form: str, header: bytes) -> None:
    assert peek_time(SCHEMA, Chunk("log", 0, data, header), form, "auto") == 1_767_225_600_000_000


@pytest.mark.parametrize(
    "data", [b"", b"garbage", b'{"t":0}', b'{"t":"later"}', b'{"x":1}', b"\0", pl.DataFrame({"t": [None]})]
)
def test_peek_time_of_a_bad_row_is_none(data: bytes | pl.DataFrame) -> None:
    assert peek_time(SCHEMA, Chunk("log", 0, data), "jsonl", "auto") is None


def test_every_reason_is_documented() -> None:
    page = (Path(__file__).parents[2] / "docs" / "formats.md").read_text(encoding="utf-8")

    assert [reason for reason in Reason if f"| `{reason}` |" not in page] == []
