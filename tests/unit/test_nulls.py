"""What a reference's own windows teach: which groups, from which rows, for what; and what is stored of it."""

from datetime import timedelta

import numpy as np
import polars as pl
import pytest
from msgspec.structs import replace

from detectors.seasons import DAY
from monitor.config import Monitor
from monitor.core import nulls as taught
from monitor.core.judging import distances_of
from monitor.core.nulls import UNTIMED, Nulls, learn_nulls
from monitor.core.profiles import ALL, Rows
from monitor.core.reference import Baseline
from monitor.core.windows import NEVER
from monitor.references import baseline_of, timed_rows
from tests.laws.test_nulls_laws import TIMED, timed_reference
from tests.logs import model, schema_for

MADE = model(window=timedelta(days=1))
SCHEMA = schema_for(MADE)


def made(frame: pl.DataFrame = TIMED) -> Baseline:
    return replace(baseline_of(SCHEMA, frame, "file r.parquet"), number=1)


def rows(frame: pl.DataFrame = TIMED) -> Rows:
    return timed_rows(SCHEMA, frame, "file r.parquet", DAY)


def learnt(frame: pl.DataFrame = TIMED, *monitors: Monitor) -> Nulls:
    wished = MADE.model_copy(update={"monitors": monitors})
    return learn_nulls(made(frame), rows(frame), DAY, distances_of(wished, made(frame).grid))


def test_rows_stand_in_their_windows_and_without_a_time_in_none() -> None:
    frame = TIMED.with_columns(at=pl.when(pl.int_range(pl.len()) < 5).then(None).otherwise("at"))
    found = rows(frame)

    assert (found.start[:5] == NEVER).all()
    assert (found.start[5:] == TIMED["at"].to_numpy()[5:] // DAY * DAY).all()
    assert len(found.start) == made(frame).rows


def test_a_reference_without_times_teaches_nothing_and_says_so() -> None:
    found = learnt(TIMED.drop("at"))

    assert (found.said, found.arrays) == (UNTIMED, {})


def test_too_few_windows_teach_nothing_and_say_how_many_are_needed() -> None:
    found = learnt(timed_reference(days=20))

    assert found.arrays == {}
    assert found.said == ("the reference spans 20 windows on 20 days, and 30 windows on 7 days are needed")


def test_every_segment_is_taught() -> None:
    found = learnt()

    assert found.arrays.keys() == made().profiles.keys()
    assert found.said.startswith("40 windows of the reference, compared with")


def test_too_many_segments_are_left_to_resampling(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(taught, "MOST_READINGS", 30)

    assert learnt().arrays.keys() == {ALL}


def test_windows_read_in_pieces_teach_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = learnt(TIMED, Monitor(detector="psi"))
    monkeypatch.setattr(taught, "MOST_CELLS", 1)

    pieces = learnt(TIMED, Monitor(detector="psi"))
    assert pieces.arrays.keys() == whole.arrays.keys()
    for label, arrays in whole.arrays.items():
        for name, array in arrays.items():
            assert pieces.arrays[label][name] == pytest.approx(array, rel=1e-6, abs=1e-9)


def test_what_is_stored_judges_the_same() -> None:
    first = learnt(TIMED, Monitor(detector="psi"), Monitor(detector="ks", on="numeric"))
    again = Nulls.load(first.dump())
    group = made().profiles[ALL]
    both = [one.of(made(), ALL) for one in (first, again)]
    readings = [one.read(made().grid, group) for one in both if one is not None]
    series = [one.series(readings[0], np.array([TIMED["at"][0]])) for one in both if one is not None]

    assert again.dump() == first.dump()
    assert readings[0].values.tobytes() == readings[1].values.tobytes()
    assert series[0].limits(1e-3) == series[1].limits(1e-3)
    assert series[0].limits(1e-3).keys() == {("x", "psi"), ("colour", "psi"), ("x", "ks")}
    assert series[0].null.judge(series[0].reading, series[0].clock, 1e-3) == series[1].null.judge(
        series[1].reading, series[1].clock, 1e-3
    )


def test_monitors_with_a_threshold_of_their_own_need_no_null_model() -> None:
    found = learnt(TIMED, Monitor(detector="psi", threshold=0.2), Monitor(detector="ks", on=("x",)))

    assert found.recipe == taught.recipe_of(
        DAY,
        distances_of(MADE.model_copy(update={"monitors": (Monitor(detector="ks", on=("x",)),)}), made().grid),
    )


def test_days_that_differ_raise_the_thresholds_of_distances() -> None:
    calm = TIMED.with_columns(x=pl.Series(np.random.default_rng(5).normal(size=TIMED.height)))
    limits = []
    for frame in (TIMED, calm):
        one = learnt(frame, Monitor(detector="ks", on=("x",))).of(made(frame), ALL)
        assert one is not None
        reading = one.read(made(frame).grid, made(frame).profiles[ALL])
        limits.append(one.series(reading, np.array([TIMED["at"][0]])).limits(1e-2)["x", "ks"])

    assert limits[0] > 1.3 * limits[1]


def test_windows_that_are_too_short_are_said_to_be(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(taught, "MOST_WINDOWS", 20)

    assert learnt().said.startswith("windows are too short: only the newest 20 are learnt from, and ")


def test_a_feature_that_only_the_last_days_know_is_not_judged_by_them() -> None:
    late = pl.when(pl.int_range(pl.len()) < TIMED.height - 60).then(None).otherwise("x")
    frame = TIMED.with_columns(x=late)
    group = learnt(frame).of(made(frame), ALL)
    assert group is not None
    reading = group.read(made(frame).grid, made().profiles[ALL])
    found = group.windows.judge(reading, group.series(reading, np.array([TIMED["at"][0]])).clock, 1e-3)

    limits = {one.feature: one.limit for one in found.shift}
    assert limits["x"] == np.inf
    assert np.isfinite(limits["colour"])


def test_larger_windows_have_no_wider_limits() -> None:
    group = learnt().of(made(), ALL)
    assert group is not None
    one = group.read(made().grid, made().profiles[ALL])
    clock = group.series(one, np.array([TIMED["at"][0]])).clock
    limits = [
        group.windows.measure(replace(one, sizes=np.full_like(one.sizes, n)), clock, 1e-3).limit[0, 0]
        for n in (30, 300, 3_000, 300_000)
    ]

    assert all((larger <= limits[0] * (1 + 1e-9)).all() for larger in limits)
