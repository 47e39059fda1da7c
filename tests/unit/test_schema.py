"""Columns to typed rows: timestamps in every form, ids, versions, canonical names, and what is rejected."""

import math
from datetime import UTC, date, datetime, timedelta, timezone

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.config import Columns
from monitor.core.hashing import hash_rows, hash_text, mix
from monitor.core.reasons import Reason
from monitor.core.schema import Schema, type_rows
from monitor.core.timestamps import detect_unit, read_times
from monitor.decoders.plain import decode
from monitor.fields import TimeUnit
from monitor.types import Chunk, Reject, TypedRows

NEW_YEAR = 1_767_225_600_000_000
LIMIT = NEW_YEAR + 10**12
SCHEMA = Schema(
    Columns(prediction_id="id", timestamp="t", version="v", prediction="p", score="s", segments=("c", "g")),
    numeric=("x", "y"),
    categorical=("c",),
    task="binary",
)


def rows(
    data: bytes | pl.DataFrame, schema: Schema = SCHEMA, units: TimeUnit = "auto", limit: int = LIMIT
) -> tuple[TypedRows, tuple[Reject, ...]]:
    chunk = Chunk("log", 10, data)
    return type_rows(schema, chunk, decode(chunk, schema.wanted, "jsonl"), units, limit)


def times(*values: object, unit: TimeUnit = "auto") -> list[int | None]:
    """Read one column of values; what is not good is None."""
    found, good = read_times(pl.Series(values, strict=False), unit)
    return [int(time) if fine else None for time, fine in zip(found, good, strict=True)]


@pytest.mark.parametrize(
    ("text", "micros"),
    [
        ("2026-01-01", 0),
        ("2026-01-01T00:00", 0),
        ("2026-01-01 00:00:01", 10**6),
        ("2026-01-01t00:00:01z", 10**6),
        ("2026-01-01T00:00:01.5Z", 1_500_000),
        ("2026-01-01T00:00:01,25Z", 1_250_000),
        ("2026-01-01T00:00:01.123456789Z", 1_123_456),
        ("2026-01-01T02:00:00+02:00", 0),
        ("2026-01-01T02:00:00.000001+0200", 1),
        ("2026-01-01 02:00:00+02", 0),
        ("2025-12-31T18:30:00-05:30", 0),
        ("2026-01-01T00:00-00:00", 0),
    ],
)
def test_iso_text(text: str, micros: int) -> None:
    alone = times(text)
    among_others = times("2026-01-02T00:00:00.000000Z", "no", None, text)[3]

    assert alone == [NEW_YEAR + micros]
    assert among_others == NEW_YEAR + micros


@pytest.mark.parametrize(
    "text",
    [
        "",
        "yesterday",
        "2026-02-30",
        "2025-02-29T00:00:00Z",
        "2026-13-01",
        "2026-00-01",
        "2026-01-00",
        "2026-01-01T24:00:00",
        "2026-01-01T25:00:00Z",
        "2026-01-01T00:60:00Z",
        "2026-01-01T00:00:60Z",
        "2026-01-01T00:00:0xZ",
        "2026-01-01T00:00:00.Z",
        "2026-01-01T00:00:00.1234567890Z",
        "2026-01-01T00:00:00+24:00",
        "2026-01-01T00:00:00+02:60",
        "2026-01-01T00:00:00 Z",
        " 2026-01-01",
        "2026-01-01\n",
        "2026-1-1",
        "20260101T000000Z",
        "2026-01-01T00:00:00ZZ",
        "٢٠٢٦-01-01",
        "1989-12-31T23:59:59Z",
        "2200-01-01T00:00:00Z",
        "0000-01-01",
        "9999-12-31",
    ],
)
def test_what_is_no_time(text: str) -> None:
    assert times(text) == [None]
    assert times("2026-01-01T00:00:00Z", text, unit="iso") == [NEW_YEAR, None]


ZONES = st.builds(
    timezone,
    st.timedeltas(timedelta(hours=-23), timedelta(hours=23)).map(
        lambda d: timedelta(minutes=d // timedelta(minutes=1))
    ),
)


@given(
    st.lists(
        st.datetimes(datetime(1990, 1, 2), datetime(2199, 12, 30), timezones=ZONES | st.just(UTC)),  # noqa: DTZ001  the zone comes with it
        min_size=1,
    )
)
def test_iso_text_agrees_with_python(moments: list[datetime]) -> None:
    expected = [
        (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1) for moment in moments
    ]

    assert times(*(moment.isoformat() for moment in moments)) == expected


@given(
    st.lists(
        st.text("0123456789-+:.,TtZz ", max_size=30)
        | st.from_regex(
            r"(20|19)[0-9]{2}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,9})?(Z|[+-][0-9]{2}:[0-9]{2})?",
            fullmatch=True,
        ),
        min_size=1,
    )
)
def test_a_text_is_read_alike_whatever_stands_beside_it(texts: list[str]) -> None:
    assert times(*texts, unit="iso") == [times(text, unit="iso")[0] for text in texts]


@pytest.mark.parametrize(
    ("unit", "number", "expected"),
    [
        ("s", 1767225600, NEW_YEAR),
        ("s", 1767225600.5, NEW_YEAR + 500_000),
        ("s", 1767225600.123456, NEW_YEAR + 123_456),
        ("ms", 1767225600001, NEW_YEAR + 1000),
        ("ms", 1767225600000.25, NEW_YEAR + 250),
        ("us", 1767225600000001, NEW_YEAR + 1),
        ("us", 1767225600000001.0, NEW_YEAR + 1),
        ("us", 1767225600000001.5, None),
        ("ns", 1767225600000001999, NEW_YEAR + 1),
        ("s", 0, None),
        ("s", -1, None),
        ("ms", 1767225600, None),
        ("s", 1767225600000, None),
        ("s", math.nan, None),
        ("s", math.inf, None),
        ("s", 1e300, None),
        ("iso", 1767225600, None),
    ],
)
def test_epoch_numbers(unit: TimeUnit, number: float, expected: int | None) -> None:
    assert times(number, unit=unit) == [expected]
    assert times(str(number), unit=unit) == [expected]
    assert times(number, None, unit=unit) == [expected, None]


def test_iso_text_is_read_under_every_unit() -> None:
    assert times("1767225600", "2026-01-01", "1767225600.5", None, "x", unit="s") == [
        NEW_YEAR,
        NEW_YEAR,
        NEW_YEAR + 500_000,
        None,
        None,
    ]


@pytest.mark.parametrize(
    ("stored", "expected"),
    [
        (pl.Series([datetime(2026, 1, 1)]), NEW_YEAR),  # noqa: DTZ001  zone-less is UTC
        (pl.Series([datetime(2026, 1, 1, tzinfo=UTC)]).dt.convert_time_zone("Europe/Berlin"), NEW_YEAR),
        (pl.Series([datetime(2026, 1, 1)]).dt.cast_time_unit("ms"), NEW_YEAR),  # noqa: DTZ001  as above
        (pl.Series([datetime(2026, 1, 1)]).dt.cast_time_unit("ns"), NEW_YEAR),  # noqa: DTZ001  as above
        (pl.Series([date(2026, 1, 1)]), NEW_YEAR),
        (pl.Series(["2026-01-01"], dtype=pl.Categorical), NEW_YEAR),
        (pl.Series([1767225600], dtype=pl.UInt32), NEW_YEAR),
        (pl.Series([True]), None),
        (pl.Series([[1]]), None),
        (pl.Series([timedelta(1)]), None),
        (pl.Series([None], dtype=pl.Null), None),
        (pl.Series([None], dtype=pl.Datetime("us")), None),
    ],
    ids=lambda s: str(s.dtype) if isinstance(s, pl.Series) else "",
)
def test_stored_times(stored: pl.Series, expected: int | None) -> None:
    found, good = read_times(stored, "auto")

    assert [int(found[0]) if good[0] else None] == [expected]


@pytest.mark.parametrize(
    ("values", "unit"),
    [
        (["2026-01-01"], "iso"),
        (["", "x", None, "1767225600123"], "ms"),
        ([0, 1767225600], "s"),
        ([1767225600000000], "us"),
        ([1767225600000000000, 1767225600], "ns"),
        ([1767225600.5], "s"),
        (["bad"] * 5000 + ["1767225600"], "s"),
        ([datetime(2026, 1, 1, tzinfo=UTC)], "iso"),
        ([5, 7], None),
        ([], None),
        (["x"], None),
        ([None], None),
        ([4_200_000_000], None),
    ],
)
def test_detect_unit(values: list[object], unit: TimeUnit | None) -> None:
    assert detect_unit(pl.Series(values, dtype=pl.String if values == [] else None)) == unit


LINE = (
    '{"id":"a1","t":"2026-01-01T00:00:00Z","v":"m2","p":1,"s":0.25,"x":1.5,"y":"z","c":"red","g":"north"}\n'
)


def test_a_row_under_its_canonical_names() -> None:
    typed, rejects = rows(LINE.encode())

    assert rejects == ()
    assert typed.frame.to_dicts() == [
        {
            "x": 1.5,
            "y": None,
            "score": 0.25,
            "c": "red",
            "prediction": "1",
            "segment:c": "red",
            "segment:g": "north",
            "version": "m2",
        }
    ]
    assert {name: mask.tolist() for name, mask in typed.invalid.items()} == {
        "x": [False],
        "y": [True],
        "score": [False],
    }
    assert typed.time.tolist() == [NEW_YEAR]
    assert typed.ids is not None
    assert [a.dtype.str for a in (typed.ids, typed.keys, typed.time)] == ["<u8", "<u8", "<i8"]


def test_columns_that_never_came_are_null() -> None:
    typed, _ = rows(b'{"id":"a","t":"2026-01-01","p":0}')

    assert typed.frame.row(0) == (None, None, None, None, "0", None, None, "")
    assert typed.frame.schema["x"] == pl.Float64
    assert typed.frame.schema["segment:g"] == pl.String


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ('"t":null', Reason.BAD_TIMESTAMP),
        ('"t":"soon"', Reason.BAD_TIMESTAMP),
        ('"t":0', Reason.BAD_TIMESTAMP),
        ('"t":"1970-01-01T00:00:00Z"', Reason.BAD_TIMESTAMP),
        ('"t":"2027-01-01T00:00:00Z"', Reason.FUTURE_TIMESTAMP),
        ('"id":null', Reason.MISSING_ID),
        ('"id":""', Reason.MISSING_ID),
        ('"p":null,"s":null', Reason.NO_PREDICTION),
    ],
)
def test_a_bad_row_is_rejected_and_its_neighbours_stay(change: str, reason: Reason) -> None:
    changed = {part.split(":")[0] for part in change.split(",")}
    kept = [part for part in LINE.strip()[1:-1].split(",") if part.split(":")[0] not in changed]
    bad = "{" + ",".join([*kept, change]) + "}\n"

    typed, rejects = rows((LINE + bad + LINE.replace("1.5", "2.5")).encode())

    assert rejects == (Reject("log", 10 + len(LINE), reason, bad.strip()),)
    assert typed.frame["x"].to_list() == [1.5, 2.5]
    assert typed.ids is not None
    assert {len(a) for a in (typed.time, typed.ids, typed.keys, *typed.invalid.values())} == {2}


def test_the_limit_itself_is_not_the_future() -> None:
    assert len(rows(LINE.encode(), limit=NEW_YEAR)[0].time) == 1
    assert len(rows(LINE.encode(), limit=NEW_YEAR - 1)[0].time) == 0


def test_the_first_fault_counts() -> None:
    assert [r.reason for r in rows(b'{"t":"soon"}')[1]] == [Reason.BAD_TIMESTAMP]
    assert [r.reason for r in rows(b'{"t":"2026-01-01"}')[1]] == [Reason.MISSING_ID]


@pytest.mark.parametrize("given_part", ['"p":0', '"s":0.5', '"s":NaN', '"s":"high"', '"p":""'])
def test_a_prediction_or_a_score_is_enough(given_part: str) -> None:
    assert rows(f'{{"id":"a","t":"2026-01-01",{given_part}}}'.encode())[1] == ()


def test_without_configured_prediction_none_is_asked_for() -> None:
    typed, rejects = rows(b'{"t":"2026-01-01","x":1}', Schema(Columns(timestamp="t"), ("x",)))

    assert rejects == ()
    assert typed.ids is None
    assert typed.frame.columns == ["x", "version"]


def test_rows_of_a_log_without_timestamps_are_all_rejected() -> None:
    for data in (b'{"q":1}\n{"q":2}', pl.DataFrame({"q": [1, 2]})):
        typed, rejects = rows(data)

        assert [r.reason for r in rejects] == [Reason.BAD_TIMESTAMP] * 2
        assert len(typed.time) == typed.frame.height == 0


def test_an_empty_chunk_gives_no_rows() -> None:
    typed, rejects = rows(b"")

    assert (len(typed.time), rejects) == (0, ())


def test_a_version_is_cut_and_never_null() -> None:
    typed, _ = rows(
        (LINE.replace("m2", "é" * 70) + LINE.replace('"m2"', "null") + LINE.replace('"m2"', "3.0")).encode()
    )

    assert typed.frame["version"].to_list() == ["é" * 64, "", "3"]


@pytest.mark.parametrize(
    ("schema", "kind"),
    [
        (Schema(Columns(timestamp="t", prediction="p"), task="regression"), pl.Float64),
        (Schema(Columns(timestamp="t", prediction="p"), task="ranking"), pl.Float64),
        (Schema(Columns(timestamp="t", prediction="p"), task="binary"), pl.String),
        (Schema(Columns(timestamp="t", prediction="p")), pl.String),
        (Schema(Columns(timestamp="t", prediction="p"), numeric=("prediction",)), pl.Float64),
        (Schema(Columns(timestamp="t", prediction="p"), categorical=("prediction",)), pl.String),
    ],
)
def test_the_kind_of_the_prediction_follows_task_and_reference(
    schema: Schema, kind: type[pl.DataType]
) -> None:
    typed, _ = rows(b'{"t":"2026-01-01","p":1.5}', schema)

    assert typed.frame.schema["prediction"] == kind
    assert schema.watched == ("prediction",)


def test_scores_per_class() -> None:
    schema = Schema(Columns(timestamp="t", score={"gold": "pg", "basic": "pb"}), task="multiclass")

    typed, _ = rows(b'{"t":"2026-01-01","pg":0.75,"pb":0.25}', schema)

    assert typed.frame.row(0, named=True) == {"score_gold": 0.75, "score_basic": 0.25, "version": ""}


def test_one_column_may_be_feature_segment_and_timestamp() -> None:
    schema = Schema(Columns(timestamp="x", segments=("x",)), numeric=("x",))

    typed, _ = rows(b'{"x":1767225600}\n{"x":"2026-01-01"}', schema, "s")

    assert typed.frame["x"].to_list() == [1767225600.0, None]
    assert typed.frame["segment:x"].to_list() == ["1767225600", "2026-01-01"]
    assert typed.invalid["x"].tolist() == [False, True]
    assert typed.time.tolist() == [NEW_YEAR] * 2


def test_stored_nested_categories_are_marked() -> None:
    schema = Schema(Columns(timestamp="t"), categorical=("c",))

    typed, _ = rows(pl.DataFrame({"t": ["2026-01-01"], "c": [[1]]}), schema)

    assert typed.invalid["c"].tolist() == [True]


def test_ids_are_the_published_xxhash64() -> None:
    found = hash_text(pl.Series(["", "a", "abc", None]))

    assert found[:3].tolist() == [0xEF46DB3751D8E999, 0xD24EC4F1A98C6E5B, 0x44BC2CF5AD770999]
    assert len(set(found.tolist())) == 4


def test_ids_do_not_depend_on_how_they_are_stored() -> None:
    schema = Schema(Columns(timestamp="t", prediction_id="id"))
    text, _ = rows(b'{"t":"2026-01-01","id":7}\n{"t":"2026-01-01","id":"8"}', schema)
    stored, _ = rows(pl.DataFrame({"t": ["2026-01-01"] * 2, "id": [7, 8]}), schema)

    assert text.ids is not None
    assert stored.ids is not None
    assert text.ids.tolist() == stored.ids.tolist()
    assert text.keys.tolist() == stored.keys.tolist()


def test_mix_is_the_finaliser_of_splitmix64() -> None:
    seeded = np.array([0x9E3779B97F4A7C15], np.uint64)

    assert mix(seeded).tolist() == [0xE220A8397B1DCDAF]


def test_row_hashes_are_fixed_and_tell_contents_apart() -> None:
    time = np.full(7, NEW_YEAR)
    x = pl.Series([0.0, -0.0, None, math.nan, -math.nan, 1.0, 0.0])
    c = pl.Series(["a", "a", "a", "a", "a", "a", None])

    found = hash_rows(time, [x, c]).tolist()

    assert found[0] == found[1]
    assert found[3] == found[4]
    assert len({found[i] for i in (0, 2, 3, 5, 6)}) == 5
    assert hash_rows(time[2:], [x[2:], c[2:]]).tolist() == found[2:]
    assert found[0] == 9198646263811141879  # keys are stored with the samples: they may never change


def test_row_hashes_of_round_numbers_are_spread() -> None:
    time = np.full(40_000, NEW_YEAR)
    tens, ones = np.divmod(np.arange(40_000.0), 200)

    found = hash_rows(time, [pl.Series(tens), pl.Series(ones)])

    assert len(np.unique(found)) == 40_000
    assert abs(np.mean(found.astype(np.float64)) / 2.0**64 - 0.5) < 0.01
