"""What holds of streams for any rows and wherever they are cut."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from detectors.bets import Plan
from detectors.e_sr import ESR
from detectors.mean_bound import Moments, upper_mean
from detectors.measure import Floats
from detectors.pit import Pit
from detectors.profile import NumericGrid
from detectors.river_rules import RIVER
from detectors.streaming import Intake, Maker, Stream, pack, unpack

few = settings(max_examples=50)
lengths = st.integers(0, 1500)
binary = st.sampled_from([0.0, 1.0])
unit = st.floats(0, 1, width=32)
anything = st.one_of(binary, unit, st.sampled_from([np.nan, np.inf, -np.inf]))
cuts = st.lists(st.integers(0, 1500), max_size=12).map(sorted)
plans = st.builds(
    Plan,
    arl=st.floats(60, 1e7),
    side=st.sampled_from(["up", "down", "both"]),
    block=st.integers(1, 50),
    means=st.booleans(),
)


def rows_of(seed: int, length: int) -> Floats:
    """Return rows that are calm, then not, with all kinds of values among them."""
    rng = np.random.default_rng(seed)
    rows = (rng.random(length) < np.linspace(0.05, 0.6, length)).astype(float)
    mixed = rng.random(length)
    rows[mixed < 0.02] = np.nan
    rows[(mixed > 0.02) & (mixed < 0.1 * (seed % 3))] = rng.random()
    return rows


def heard(stream: Stream, chunks: list[Floats]) -> tuple[list[int], list[float], bytes]:
    alarms = [stream.feed(chunk) for chunk in chunks]
    return (
        np.concatenate([a.rows for a in alarms]).tolist(),
        np.concatenate([a.scores for a in alarms]).tolist(),
        stream.dump(),
    )


@given(seed=st.integers(0, 999), length=lengths, where=cuts, plan=plans)
@few
def test_where_e_sr_is_cut_does_not_matter(seed: int, length: int, where: list[int], plan: Plan) -> None:
    rows, reference = rows_of(seed, length), Moments(5_000, 600.0, 550.0)

    whole = heard(ESR(reference, plan), [rows])

    assert heard(ESR(reference, plan), np.split(rows, where)) == whole


@given(seed=st.integers(0, 999), length=lengths, where=st.integers(0, 1500), plan=plans)
@few
def test_where_e_sr_is_restored_does_not_matter(seed: int, length: int, where: int, plan: Plan) -> None:
    rows, reference = rows_of(seed, length), Moments(5_000, 600.0, 550.0)
    before, after = ESR(reference, plan), ESR(reference, plan)
    early = before.feed(rows[:where]).rows.tolist()

    assert after.load(before.dump()) == ""

    found, _, state = heard(ESR(reference, plan), [rows])
    assert early + after.feed(rows[where:]).rows.tolist() == found
    assert after.dump() == state


@pytest.mark.parametrize("name", sorted(set(RIVER) - {"kswin"}))
@given(seed=st.integers(0, 999), length=lengths, where=cuts)
@settings(max_examples=15)
def test_where_rivers_rules_are_cut_and_restored_does_not_matter(
    name: str, seed: int, length: int, where: list[int]
) -> None:
    rows = np.round(rows_of(seed, length))
    whole = heard(RIVER[name](), [rows])
    state, found = RIVER[name]().dump(), []
    for chunk in np.split(rows, where):
        stream = RIVER[name]()
        assert stream.load(state) == ""
        found += stream.feed(chunk).rows.tolist()
        state = stream.dump()

    assert (found, state) == (whole[0], whole[2])


@given(rows=hnp.arrays(np.float64, st.integers(0, 300), elements=anything), plan=plans)
@few
def test_the_score_is_finite_and_alarms_are_above_the_threshold(rows: Floats, plan: Plan) -> None:
    stream = ESR(Moments(5_000, 600.0, 550.0), plan)

    alarms = stream.feed(rows)

    assert np.isfinite(stream.score)
    assert stream.score <= stream.threshold
    assert np.isfinite(alarms.scores).all()
    assert (alarms.scores > stream.threshold).all()
    assert stream.left_out == int((~np.isfinite(rows)).sum())
    assert np.isfinite(rows[alarms.rows]).all()


@given(
    counts=hnp.arrays(np.int64, 7, elements=st.integers(0, 50)).filter(lambda c: c[1:-1].sum() > 0),
    values=hnp.arrays(np.float64, st.integers(0, 50), elements=st.floats(-20, 20)),
)
@few
def test_a_place_is_from_0_to_1_and_in_the_order_of_the_values(counts: Any, values: Floats) -> None:  # noqa: ANN401
    counts[[0, -1]] = 0
    pit = Pit.of(NumericGrid("x", -10.0, 10.0, (-5.0, 0.0, 1.0, 7.0), 0.0, 1.0, 1.0, ()), counts)

    places = pit.map(np.sort(values))

    assert ((places >= 0) & (places <= 1)).all()
    assert (np.diff(places) >= 0).all()
    assert pit.reference.mean == pytest.approx(0.5)


@given(
    values=hnp.arrays(np.float64, st.integers(2, 100), elements=unit),
    risks=st.tuples(st.floats(1e-6, 0.4), st.floats(1e-6, 0.4)).map(sorted),
)
@few
def test_a_bound_is_above_the_mean_and_higher_the_surer(values: Floats, risks: list[float]) -> None:
    moments = Moments(len(values), float(values.sum()), float(np.square(values).sum()))

    surer, less_sure = (upper_mean(moments, risk) for risk in risks)

    assert moments.mean <= less_sure + 1e-12
    assert less_sure <= surer


@given(
    state=st.dictionaries(st.text(), st.lists(st.floats(allow_nan=False)) | st.integers()),
    rows=st.integers(0, 2**60),
)
@few
def test_what_is_packed_comes_back(state: dict[str, Any], rows: int) -> None:
    maker = Maker("any", "1", {"seed": 0})

    assert unpack(maker, pack(maker, Intake(rows, rows // 2), state)) == (Intake(rows, rows // 2), state)
