"""What holds of the windows' null model whatever the windows look like."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from detectors.adjustment import parts
from detectors.blocks import merge_blocks, merge_last
from detectors.readings import Readers, Reading, Source, reader
from detectors.seasons import DAY, MONDAY, Clock, Ints
from detectors.table import Counts, Floats
from detectors.window_null import WindowNull, learn

few = settings(max_examples=40, deadline=None)
cells = st.shared(st.integers(3, 12), key="cells")
one_window = hnp.arrays(np.int64, cells, elements=st.integers(0, 500))
some_windows = hnp.arrays(np.int64, st.tuples(st.integers(40, 60), cells), elements=st.integers(0, 2000))
LENGTH = DAY // 4


def learnt(counts: Ints, *, ordered: bool) -> WindowNull:
    counts = counts + np.eye(counts.shape[1], dtype=np.int64)[1]  # a grid is made from at least one value
    readers = Readers((reader(Source("x", counts.sum(axis=0), 3, ordered)),))
    windows = len(counts)
    clock = Clock(MONDAY + np.arange(windows) * LENGTH, LENGTH)
    nobody, rows = np.zeros((windows, 1), np.int64), counts.sum(axis=1)
    return learn(readers, readers.read([counts], nobody, rows), clock)


def judged(null: WindowNull, window: Counts, missing: int) -> tuple[float, float]:
    rows = np.array([int(window.sum()) + missing])
    reading = null.readers.read([window[None]], np.array([[missing]]), rows)
    found = null.judge(reading, Clock(np.array([MONDAY + 100 * DAY]), LENGTH), 1e-4)
    one = max(found.shift[0], found.missing[0], key=lambda f: f.score)
    assert one.limit > 0
    assert np.isfinite([one.apart, one.usual, one.effect]).all()
    return one.score, one.pvalue


@given(counts=some_windows, window=one_window, ordered=st.booleans(), missing=st.integers(0, 50))
@few
def test_a_score_and_a_p_value_are_numbers(
    counts: Ints, window: Ints, missing: int, *, ordered: bool
) -> None:
    score, pvalue = judged(learnt(counts, ordered=ordered), window, missing)

    assert np.isfinite(score)
    assert score >= 0
    assert 0 <= pvalue <= 1


@given(counts=some_windows, window=one_window, ordered=st.booleans())
@few
def test_what_is_stored_judges_the_same(counts: Ints, window: Ints, *, ordered: bool) -> None:
    null = learnt(counts, ordered=ordered)
    again = WindowNull.load(null.dump(), null.readers)

    assert judged(again, window, 0) == judged(null, window, 0)


@given(window=one_window, times=st.integers(2, 50))
@few
def test_readings_depend_on_shares_alone(window: Ints, times: int) -> None:
    one = reader(Source("x", window + 1, 0, ordered=False))
    rows = np.array([max(int(window.sum()), 1)])
    nobody = np.zeros(1, np.int64)

    once, often = one.read(window[None], nobody, rows), one.read(times * window[None], nobody, times * rows)
    assert np.allclose(once, often)


@given(
    z=hnp.arrays(np.float64, (30, 2), elements=st.floats(-9, 9)),
    gaps=hnp.arrays(np.int64, 30, elements=st.integers(1, 3)),
    scale=st.integers(1, 12),
)
@few
def test_the_last_block_is_the_last_of_all(z: Floats, gaps: Ints, scale: int) -> None:
    clock = Clock(np.cumsum(gaps) * LENGTH, LENGTH)
    sizes = np.arange(60).reshape(30, 2)
    arguments = (z, np.where(sizes > 0, sizes, 0.0), sizes, clock, scale)
    last, every = merge_last(*arguments), merge_blocks(*arguments)

    assert np.allclose(last.z[0], every.z[-1])
    assert np.array_equal(last.windows[0], every.windows[-1])


@given(
    squares=hnp.arrays(np.float64, (20, 3), elements=st.floats(0, 1e3)),
    inverse=hnp.arrays(np.float64, (20, 3), elements=st.floats(1e-6, 1e3)),
)
@few
def test_variances_are_never_below_those_of_the_rows(squares: Floats, inverse: Floats) -> None:
    between, design = parts(squares, inverse, np.ones((20, 3), bool))

    assert (between >= 0).all()
    assert (design >= 1).all()
    assert np.isfinite(between + design).all()


def test_the_order_of_columns_does_not_matter() -> None:
    rng = np.random.default_rng(1)
    counts = [rng.multinomial(300, rng.dirichlet(np.ones(8)), 60) for _ in range(5)]
    clock = Clock(MONDAY + np.arange(60) * LENGTH, LENGTH)
    rows, nobody = np.full(60, 300), np.zeros((60, 5), np.int64)

    def scores(order: list[int]) -> dict[str, float]:
        some = [counts[i] for i in order]
        readers = Readers(
            tuple(reader(Source(str(i), counts[i].sum(axis=0), 0, ordered=True)) for i in order)
        )
        reading = readers.read(some, nobody, rows)
        found = learn(readers, reading, clock).judge(Reading(reading.values, reading.sizes), clock, 1e-3)
        return {f.feature: round(f.score, 9) for f in found.shift}

    assert scores([0, 1, 2, 3, 4]) == scores([3, 1, 4, 0, 2])
