"""A trip is written as JSON of its fields, and is the same after it was read."""

import json
import math

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import asdict

from detectors.base import ClassShare, Level, Verdict
from monitor.core.policy import Phase, Trip
from monitor.core.trip_codec import dump_trip, load_trip

numbers = st.none() | st.floats(allow_nan=False)
shares = st.floats(0, 1)
verdicts = st.builds(
    Verdict,
    detector=st.text(),
    feature=st.text(),
    kind=st.text(),
    level=st.sampled_from(Level),
    n=st.integers(0, 10**12),
    score=numbers | st.floats(0, 1).map(np.float64),
    threshold=numbers,
    pvalue=numbers,
    effect=numbers,
    note=st.text(),
    classes=st.lists(st.builds(ClassShare, st.text(), shares, shares, shares, shares), max_size=2).map(tuple),
)
trips = st.builds(
    Trip,
    kind=st.text(),
    phase=st.sampled_from(Phase),
    episode=st.text(),
    ended=st.none() | st.integers(),
    verdict=st.none() | verdicts,
    judged=st.none() | verdicts,
)


def slow(verdict: Verdict | None) -> dict[str, object] | None:
    if verdict is None:
        return None
    found = asdict(verdict)
    return found if verdict.classes else {name: found[name] for name in found if name != "classes"}


@given(trip=trips)
def test_a_trip_is_the_json_of_its_fields(trip: Trip) -> None:
    item = asdict(trip) | {"verdict": slow(trip.verdict), "judged": slow(trip.judged)}

    assert dump_trip(trip) == json.dumps(item, separators=(",", ":")).encode()


@given(score=st.sampled_from([math.nan, math.inf, -math.inf, np.float64("nan")]))
def test_a_trip_of_what_is_no_number_can_be_read(score: float) -> None:
    verdict = Verdict("rmse", "_model", "performance", Level.OK, 3, score, 1.0)

    found = load_trip(dump_trip(Trip("performance", verdict=verdict))).verdict

    assert found is not None
    assert found.score is not None
    assert str(float(found.score)) == str(float(score))


@given(verdict=verdicts, older=st.none() | verdicts)
def test_a_trip_is_read_as_it_was_written(verdict: Verdict, older: Verdict | None) -> None:
    trip = Trip("drift", verdict=verdict, judged=verdict if verdict.score is not None else older)

    assert load_trip(dump_trip(trip)) == trip
