"""Both ways to the same bytes: the native library's, and those of NumPy and Polars without it."""

import ctypes
import json
import math
import struct
from collections.abc import Iterator
from itertools import pairwise
from random import Random

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from detectors.profile import CategoryGrid
from monitor.core.dedup import ascending
from monitor.core.hashing import hash_text
from monitor.core.kernels import Groups, NumericCells, category_codes, numeric_cells
from monitor.core.reference import numeric_grid
from monitor.decoders.base import is_utf8
from monitor.failures import POLARS_FAILURES
from monitor.native import json_lines
from monitor.native.hashes import hashes_of
from monitor.native.lending import Lent, place_of
from monitor.native.library import library
from tests.native import NATIVE, NUMPY, counted_by

COLUMNS = {"number": pl.Float64(), "text": pl.String(), "é": pl.String()}
ODD = (math.nan, math.inf, -math.inf, 0.0, -0.0, 5e-324, 1.7e308, -1.7e308)
SCALES = (1e-300, 1e-9, 1.0, 1e9, 1e200)


@pytest.fixture(scope="module", autouse=True)
def native() -> Iterator[None]:
    """Have the library, or skip."""
    with counted_by(NATIVE):
        yield


@st.composite
def columns(draw: st.DrawFn) -> tuple[pl.Series, pl.Series, np.ndarray]:
    """Draw a reference, a column with odd values and nulls, and the number of each row's group."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    rows, scale = draw(st.integers(1, 9000)), draw(st.sampled_from(SCALES))
    kinds = (
        lambda n: rng.normal(3.0, 1.0, n) * scale,
        lambda n: rng.poisson(2.0, n) * scale,
        lambda n: rng.pareto(0.4, n) * scale,
        lambda n: np.full(n, scale),
    )
    of = draw(st.sampled_from(kinds))
    values = of(rows) * draw(st.sampled_from((1.0, 1.01, 1e4, 1e16)))
    share = draw(st.sampled_from((0.0, 0.01, 0.5, 1.0)))
    values = np.where(rng.random(rows) < share, rng.choice(ODD, rows), values)
    column = pl.Series("x", values).set(pl.Series(rng.random(rows) < share / 3), None)
    cut = draw(st.lists(st.integers(0, rows), max_size=3).map(sorted))
    parts = [column[a:b] for a, b in pairwise([0, *cut, rows])]
    column = pl.concat(parts, rechunk=False)
    return pl.Series(of(500)), column, np.sort(rng.integers(0, draw(st.sampled_from((1, 3, 2000))), rows))


@given(columns(), st.randoms(use_true_random=False))
def test_cells_are_the_same_integers(drawn: tuple[pl.Series, pl.Series, np.ndarray], random: Random) -> None:
    reference, column, keys = drawn
    grid, groups = numeric_grid("x", reference), Groups.of(keys)
    invalid = column.is_null().to_numpy() & (np.arange(len(keys)) % random.randint(1, 4) == 0)

    def counted(way: str) -> NumericCells:
        with counted_by(way):
            return numeric_cells(grid, column, invalid, groups)

    one, other = counted(NATIVE), counted(NUMPY)

    assert one.cells.tolist() == other.cells.tolist()
    assert (one.low.tobytes(), one.high.tobytes()) == (other.low.tobytes(), other.high.tobytes())


@given(
    st.lists(st.text(max_size=20), min_size=1, max_size=30, unique=True),
    st.lists(st.text(max_size=20), max_size=3, unique=True),
    st.data(),
)
def test_categories_are_the_same_codes(known: list[str], others: list[str], data: st.DataObject) -> None:
    closed = data.draw(st.booleans())
    grid = CategoryGrid("x", tuple(known), tuple(set(others) - set(known)), closed)
    values = st.one_of(st.sampled_from([*known, *others]), st.none(), st.text(max_size=20))
    parts = data.draw(st.lists(st.lists(values, max_size=50), min_size=1, max_size=3))
    column = pl.concat([pl.Series("x", part, pl.String) for part in parts], rechunk=False)
    column = column.slice(data.draw(st.integers(0, len(column))))

    def coded(way: str) -> list[int]:
        with counted_by(way):
            return [int(code) for code in category_codes(grid, column)]

    assert coded(NATIVE) == coded(NUMPY)


@given(st.lists(st.lists(st.one_of(st.text(max_size=80), st.none()), max_size=40), min_size=1, max_size=3))
def test_texts_have_the_same_hashes(parts: list[list[str | None]]) -> None:
    column = pl.concat([pl.Series("x", part, pl.String) for part in parts], rechunk=False)

    def hashed(way: str) -> list[int]:
        with counted_by(way):
            return [int(found) for found in hash_text(column)]

    assert hashed(NATIVE) == hashed(NUMPY)


@given(st.lists(st.one_of(st.integers(0, 2**64 - 1), st.integers(0, 40)), max_size=300))
def test_hashes_are_sorted(found: list[int]) -> None:
    given = np.array(found, np.uint64)

    assert ascending(given).tolist() == sorted(found)
    assert given.tolist() == found


def polars_reads(data: bytes) -> pl.DataFrame | None:
    """Return what Polars makes of the lines, None where it refuses them."""
    try:
        return pl.read_ndjson(data, schema=COLUMNS)
    except POLARS_FAILURES:
        return None


def same(one: pl.DataFrame, other: pl.DataFrame) -> bool:
    """Tell whether two frames are equal to the bit: -0.0 is not 0.0."""
    bits = [
        pl.Series([struct.pack("d", v) if v is not None else None for v in f["number"]]) for f in (one, other)
    ]
    return one.equals(other) and bits[0].equals(bits[1])


numbers = st.one_of(
    st.floats(allow_nan=False, allow_infinity=False).map(repr),
    st.floats(0, 1).map(repr),
    st.integers(-(10**25), 10**25).map(str),
    st.from_regex(r"\A-?(0|[1-9][0-9]{0,24})(\.[0-9]{1,24})?([eE][+-]?[0-9]{1,3})?\Z"),
)
texts = st.one_of(
    st.text(max_size=30).map(json.dumps),
    st.text(st.characters(codec="utf-8"), max_size=30).map(lambda t: json.dumps(t, ensure_ascii=False)),
    st.from_regex(r'\A"([a-z]|\\["\\/bfnrtux]|\\u[0-9a-fA-FdD]{4}){0,20}"\Z'),
)
words = st.sampled_from(("true", "false", "null", "nul", "NaN", "-", "01", "1.", "[", "{}", ""))
nested = st.recursive(
    st.one_of(numbers, texts, words),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3).map(lambda found: f"[{', '.join(found)}]"),
        st.lists(st.tuples(texts, inner), max_size=3).map(
            lambda found: "{" + ",".join(f"{key}: {value}" for key, value in found) + "}"
        ),
    ),
    max_leaves=6,
)
keys = st.one_of(
    st.sampled_from(['"number"', '"text"', '"é"', '"other"', '"numbe"', '"\\u0074ext"', '""']), texts
)
blank = st.sampled_from(("", "", "", " ", "\t", "\r"))
pairs = st.tuples(blank, keys, blank, st.one_of(numbers, texts, words, nested), blank).map(
    lambda p: f"{p[0]}{p[1]}{p[2]}:{p[2]}{p[3]}{p[4]}"
)
objects = st.lists(pairs, max_size=5).map(lambda found: "{" + ",".join(found) + "}")
plain = st.tuples(numbers, texts).map(lambda p: f'{{"number":{p[0]},"text":{p[1]}}}')
lines = st.lists(st.one_of(plain, plain, objects, blank), max_size=6).map("\n".join)


@given(lines, st.sampled_from(("", "\n", "\r\n")))
def test_what_is_parsed_is_what_polars_reads(text: str, end: str) -> None:
    data = (text + end).encode(errors="surrogatepass")
    found = json_lines.parse(data, COLUMNS) if is_utf8(data) else None
    expected = polars_reads(data)

    assert found is None or (expected is not None and same(found, expected))


@given(st.lists(numbers, min_size=1, max_size=40))
def test_numbers_are_read_to_the_last_bit(found: list[str]) -> None:
    data = "\n".join(f'{{"number": {number}}}' for number in found).encode()
    parsed, expected = json_lines.parse(data, COLUMNS), polars_reads(data)

    assert parsed is None or (expected is not None and same(parsed, expected))


@pytest.mark.parametrize(
    "lent", [pl.Series([1, 2]), pl.Series(["a", "b"]).cast(pl.Categorical), pl.Series([[1.0]])]
)
def test_columns_of_other_formats_are_refused(lent: pl.Series) -> None:
    room, count = np.zeros(2, np.uint64), ctypes.c_int64(2)
    names, other, again = Lent.of(pl.Series(["a"])), Lent.of(lent), Lent.of(lent)
    native = library()
    assert native is not None

    assert not native.driftd_category_codes(names.at, other.at, place_of(room), count) & 1
    assert not native.driftd_text_hashes(again.at, ctypes.c_uint64(0), place_of(room), count) & 1
    assert hashes_of(lent, 0) is None


@given(lines, st.data())
def test_bytes_of_any_kind_are_survived(text: str, data: st.DataObject) -> None:
    whole = text.encode(errors="surrogatepass")
    cut = whole[: data.draw(st.integers(0, len(whole)))]
    at = data.draw(st.integers(0, max(len(cut) - 1, 0)))
    broken = cut[:at] + data.draw(st.binary(max_size=3)) + cut[at + 1 :]
    found = json_lines.parse(broken, COLUMNS) if is_utf8(broken) else None
    expected = polars_reads(broken)

    assert found is None or (expected is not None and same(found, expected))


def test_an_ordinary_log_is_plain() -> None:
    rng = np.random.default_rng(5)
    rows = [
        {
            "number": float(v),
            "text": f"customer é {i}",
            "é": i,
            "unwanted": {"list": [1, "two", None]},
            "on": True,
        }
        for i, v in enumerate(rng.normal(0.0, 1e-3, 2000))
    ]
    data = "\n".join(json.dumps(row) for row in rows).encode()
    found = json_lines.parse(data, COLUMNS)

    assert found is not None
    assert found["number"].to_list() == [row["number"] for row in rows]
    assert found["text"].to_list() == [row["text"] for row in rows]
    assert found["é"].to_list() == [str(row["é"]) for row in rows]


@pytest.mark.parametrize(
    "line",
    [
        '{"number": NaN}',
        '{"number": "1"}',
        '{"number": true}',
        '{"text": 1.5}',
        '{"text": "\\u0000"}',
        "[]",
        "1",
    ],
)
def test_what_is_not_plain_is_left_to_polars(line: str) -> None:
    assert json_lines.parse(b'{"number": 1}\n' + line.encode(), COLUMNS) is None


def test_deep_nesting_is_left_to_polars() -> None:
    assert json_lines.parse(b'{"other": ' + b"[" * 10_000_000 + b"}", COLUMNS) is None


def test_a_number_that_has_its_own_digits_takes_its_last_bit_from_all_of_them() -> None:
    rng = Random(3)
    found = [struct.unpack("d", rng.randbytes(8))[0] for _ in range(20_000)]
    finite = [value for value in found if math.isfinite(value)]
    near = [rng.random() for _ in range(20_000)] + [
        rng.random() * 10 ** rng.randint(-9, 9) for _ in range(20_000)
    ]
    halves = [float(2**53 + 2 * rng.randint(0, 2**50)) + 1 for _ in range(1000)]
    texts = [repr(v) for v in (*finite, *near)] + [str(int(v) + 1) for v in halves]
    data = "\n".join(f'{{"number":{t}}}' for t in texts).encode()
    parsed = json_lines.parse(data, COLUMNS)

    assert parsed is not None
    assert parsed["number"].to_list() == [float(t) for t in texts]
