"""Windows are judged by what the reference's own windows differ by."""

from dataclasses import dataclass

import numpy as np
import pytest
from msgspec.structs import replace

from detectors.readings import Readers, Reading, Source, reader
from detectors.seasons import DAY, MONDAY, Clock, Ints
from detectors.table import Floats
from detectors.window_null import WindowNull, account, learn, shortage

HOUR = DAY // 24
LEVEL = 1 / 18_000
CUTS = np.linspace(-3.0, 3.0, 101)


@dataclass(frozen=True)
class Log:
    """Some features of normal rows, 500 an hour, with window means [T, F]."""

    means: Floats
    days: int
    seed: int = 1
    rows: int = 500

    def counts(self, missing: float = 0.01) -> tuple[list[Ints], Ints]:
        rng = np.random.default_rng(self.seed)
        windows, features = self.means.shape
        found = []
        for place in range(features):
            values = rng.normal(self.means[:, [place]], 1.0, (windows, self.rows))
            cells = np.searchsorted(CUTS, values) + np.arange(windows)[:, None] * 102
            found.append(np.bincount(cells.ravel(), minlength=windows * 102).reshape(windows, 102))
        return found, rng.binomial(self.rows, missing, (windows, features))

    @property
    def clock(self) -> Clock:
        return Clock(MONDAY + np.arange(len(self.means)) * HOUR, HOUR)


@dataclass(frozen=True)
class Learnt:
    """A null model of the first days of a log, and all of its windows."""

    null: WindowNull
    reading: Reading
    clock: Clock
    past: int

    def upto(self, window: int) -> tuple[Reading, Clock]:
        some = slice(max(window - 167, 0), window + 1)
        reading = Reading(self.reading.values[some], self.reading.sizes[some])
        return reading, Clock(self.clock.starts[some], HOUR)


def learnt(log: Log) -> Learnt:
    past = 24 * log.days
    counts, missing = log.counts()
    sources = (
        Source(f"x{i}", c[:past].sum(axis=0), int(missing[:past, i].sum()), ordered=True)
        for i, c in enumerate(counts)
    )
    readers = Readers(tuple(reader(source) for source in sources))
    reading = readers.read(counts, missing, np.full(len(log.means), log.rows))
    clock = log.clock
    known = Reading(reading.values[:past], reading.sizes[:past])
    null = learn(readers, known, Clock(clock.starts[:past], HOUR))
    return Learnt(null, reading, clock, past)


def effect_of_days(days: int, features: int, seed: int = 2) -> Floats:
    drawn = np.random.default_rng(seed).normal(0.0, 0.15, (days, features))
    return np.asarray(drawn[np.arange(24 * days) // 24], np.float64)


@pytest.fixture(scope="module")
def calm() -> Learnt:
    return learnt(Log(np.zeros((24 * 25, 8)), 15))


def breaches(found: Learnt, level: float = LEVEL) -> int:
    ratio = found.null.measure(found.reading, found.clock, level).ratio
    return int((ratio[:, found.past :] > 1.0).any(axis=0).sum())


def test_a_calm_log_is_calm(calm: Learnt) -> None:
    assert breaches(calm) == 0
    assert breaches(calm, 0.05) > 0


def test_days_that_differ_are_calm_too() -> None:
    assert breaches(learnt(Log(effect_of_days(25, 8), 15))) == 0


def test_a_wave_over_the_day_is_calm_too() -> None:
    wave = np.repeat(0.4 * np.sin(np.arange(24 * 25) * 2 * np.pi / 24)[:, None], 8, axis=1)

    assert breaches(learnt(Log(wave, 15))) == 0


@pytest.mark.parametrize(("shift", "within"), [(0.25, 4), (0.5, 1), (1.0, 1), (-0.5, 1)])
def test_a_shift_is_found_soon(shift: float, within: int) -> None:
    means = np.zeros((24 * 25, 8))
    means[24 * 20 :, 0] += shift
    found = learnt(Log(means, 15))
    scores = [found.null.judge(*found.upto(24 * 20 + i), LEVEL).shift[0].score for i in range(within)]

    assert max(scores) > 1.0


def test_a_finding_says_what_moved() -> None:
    means = np.zeros((24 * 25, 8))
    means[24 * 20 :, 3] += 1.0
    found = learnt(Log(means, 15))
    one = found.null.judge(*found.upto(24 * 20), LEVEL).shift[3]

    assert (one.feature, one.part, one.scale) == ("x3", "location", 1)
    assert one.effect == pytest.approx(1.0, abs=0.2)
    assert one.usual == pytest.approx(0.0, abs=0.01)
    assert one.pvalue < LEVEL
    assert one.score == pytest.approx(abs(one.apart) / one.limit)
    assert one.note.startswith("location is +")
    assert "compared with all windows" in one.note


def test_a_longer_scale_finds_what_one_window_hides() -> None:
    means = np.zeros((24 * 25, 8))
    means[24 * 20 :, 2] += 0.12
    found = learnt(Log(means, 15))
    one = found.null.judge(*found.upto(24 * 22), LEVEL, min_effect=0.01).shift[2]

    assert one.score > 1.0
    assert one.scale >= 24
    assert f"over {one.scale} windows" in one.note


def test_what_is_too_small_to_mean_anything_is_none() -> None:
    means = np.zeros((24 * 25, 8))
    means[24 * 20 :, 2] += 0.12
    found = learnt(Log(means, 15))

    assert found.null.judge(*found.upto(24 * 22), LEVEL, min_effect=0.3).shift[2].score < 1.0


def test_missing_rows_are_found(calm: Learnt) -> None:
    reading, clock = calm.upto(24 * 20)
    column = calm.null.readers.parts.index("missing")
    values = reading.values.copy()
    values[-1, column] += 0.05

    found = calm.null.judge(Reading(values, reading.sizes), clock, LEVEL)
    assert (found.missing[0].part, found.missing[0].score > 1.0) == ("missing", True)
    assert found.shift[0].score < 1.0


def test_one_window_is_judged_like_many(calm: Learnt) -> None:
    window = 24 * 20 + 7
    alone = calm.null.judge(*calm.upto(window), LEVEL)
    ratio = calm.null.measure(calm.reading, calm.clock, LEVEL).ratio[:, window].max(axis=0)

    of, missing = calm.null.readers.feature, np.array([p == "missing" for p in calm.null.readers.parts])
    shifts = [ratio[(of == i) & ~missing].max() for i in range(8)]
    assert [f.score for f in alone.shift] == pytest.approx(shifts)
    assert [f.score for f in alone.missing] == pytest.approx(ratio[missing].tolist())


def test_a_first_window_needs_no_past(calm: Learnt) -> None:
    reading, clock = calm.upto(24 * 20)
    last = Reading(reading.values[-1:], reading.sizes[-1:])

    found = calm.null.judge(last, Clock(clock.starts[-1:], HOUR), LEVEL)
    both = (*found.shift, *found.missing)
    assert len(both) == 2 * 8
    assert all(0 <= f.score < 1 and 0 < f.pvalue <= 1 for f in both)


def test_a_window_without_rows_is_no_finding(calm: Learnt) -> None:
    reading, clock = calm.upto(24 * 20)
    empty = Reading(np.zeros_like(reading.values[-1:]), np.zeros_like(reading.sizes[-1:]))

    found = calm.null.judge(empty, Clock(clock.starts[-1:], HOUR), LEVEL)
    assert {(f.score, f.pvalue) for f in (*found.shift, *found.missing)} == {(0.0, 1.0)}


def test_the_score_and_the_p_value_agree(calm: Learnt) -> None:
    windows = [calm.upto(window) for window in range(24 * 20, 24 * 21)]
    over = [
        (level, one)
        for level in (1e-1, 1e-2, 1e-3)
        for seen in windows
        for one in calm.null.judge(*seen, level, min_effect=0.0).shift
        if one.score > 1.0 + 1e-9
    ]

    assert over
    assert all(one.pvalue <= level for level, one in over)


def test_a_smaller_level_has_larger_limits(calm: Learnt) -> None:
    reading, clock = calm.upto(24 * 20)
    limits = [calm.null.measure(reading, clock, level).limit[:, -1] for level in (1e-3, 1e-6)]

    assert (limits[1] >= limits[0]).all()


def test_small_windows_have_larger_limits() -> None:
    found = learnt(Log(np.zeros((24 * 25, 8)), 15))
    reading, clock = found.upto(24 * 20)
    few = Reading(reading.values[-1:], reading.sizes[-1:] // 5)
    one = Clock(clock.starts[-1:], HOUR)

    large = found.null.measure(Reading(few.values, few.sizes * 5), one, LEVEL).limit[0, 0]
    small = found.null.measure(few, one, LEVEL).limit[0, 0]
    location = [p == "location" for p in found.null.readers.parts]
    assert small[location] == pytest.approx(5**0.5 * large[location], rel=0.1)


def test_it_is_stored_as_arrays(calm: Learnt) -> None:
    arrays = calm.null.dump()
    again = WindowNull.load(arrays, calm.null.readers)
    reading, clock = calm.upto(24 * 20)

    assert again.judge(reading, clock, LEVEL) == calm.null.judge(reading, clock, LEVEL)
    assert {a.dtype.str for a in arrays.values()} <= {"<f8", "<i8"}
    assert sum(a.nbytes for a in arrays.values()) < 8 * 100_000


def test_the_same_windows_teach_the_same(calm: Learnt) -> None:
    again = learnt(Log(np.zeros((24 * 25, 8)), 15))

    first, second = calm.null.dump(), again.null.dump()
    assert all(first[name].tobytes() == second[name].tobytes() for name in first)


def test_a_scale_is_left_out_and_said(calm: Learnt) -> None:
    said = account(calm.null, Clock(calm.clock.starts[: calm.past], HOUR))

    assert said.startswith("360 windows of the reference, compared with all windows")
    assert "168 left out" in said


@pytest.mark.parametrize(
    ("windows", "length", "enough"),
    [(360, HOUR, True), (29, DAY, False), (30, DAY, True), (24 * 6, HOUR, False), (24 * 7, HOUR, True)],
)
def test_a_week_and_thirty_windows_are_enough(windows: int, length: int, *, enough: bool) -> None:
    said = shortage(Clock(MONDAY + np.arange(windows) * length, length))

    assert (said is None) == enough
    assert said is None or "are needed" in said


def test_one_feature_alone_is_judged() -> None:
    means = effect_of_days(25, 1)
    means[24 * 20 :] += 2.0
    found = learnt(Log(means, 15))

    assert found.null.judge(*found.upto(24 * 20), LEVEL).shift[0].score > 1.0


def test_a_feature_of_one_value_breaches_when_it_moves() -> None:
    still = np.tile(np.array([0, 500, 0]), (24 * 15, 1))
    readers = Readers((reader(Source("c", still.sum(axis=0), 0, ordered=True)),))
    rows, nobody = np.full(360, 500), np.zeros((360, 1), np.int64)
    clock = Clock(MONDAY + np.arange(360) * HOUR, HOUR)
    null = learn(readers, readers.read([still], nobody, rows), clock)
    moved = readers.read([np.array([[0, 400, 100]])], nobody[:1], rows[:1])
    same = readers.read([still[:1]], nobody[:1], rows[:1])
    late = replace(clock, starts=clock.starts[-1:] + HOUR)

    assert null.judge(moved, late, LEVEL).shift[0].score > 1.0
    assert null.judge(same, late, LEVEL).shift[0].score < 1.0
