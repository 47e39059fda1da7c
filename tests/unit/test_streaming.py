"""What a stream writes down, and whose state it takes back."""

import json

import numpy as np
import pytest

from detectors.streaming import DIGEST, Intake, Maker, pack, unpack

MINE = Maker("adwin", "river 0.26.1", {"delta": 0.002, "window": None})


def test_an_intake_keeps_the_finite_values_and_their_rows() -> None:
    intake = Intake()
    intake.take(np.array([1.0, np.nan]))

    values, rows = intake.take(np.array([np.inf, 2.0, np.nan, 3.0, -np.inf]))

    assert values.tolist() == [2.0, 3.0]
    assert rows.tolist() == [3, 5]
    assert intake == Intake(rows=7, left_out=4)


def test_an_intake_of_no_rows_stays_as_it_is() -> None:
    intake = Intake(rows=5, left_out=2)

    values, rows = intake.take(np.empty(0))

    assert (len(values), len(rows)) == (0, 0)
    assert intake == Intake(rows=5, left_out=2)


@pytest.mark.parametrize("number", [0.1, 1 / 3, 5e-324, -0.0, float("inf"), float("-inf"), 2**70, True])
def test_a_number_comes_back_with_all_of_its_bits(number: float) -> None:
    held = unpack(MINE, pack(MINE, Intake(), {"number": number}))

    assert not isinstance(held, str)
    assert repr(held[1]["number"]) == repr(number)


def test_the_intake_comes_back() -> None:
    held = unpack(MINE, pack(MINE, Intake(9, 4), {}))

    assert held == (Intake(9, 4), {})


@pytest.mark.parametrize(
    ("other", "reason"),
    [
        (Maker("kswin", MINE.release, MINE.parameters), "the state is of adwin, format 1"),
        (Maker("adwin", "river 0.27.0", MINE.parameters), "of release river 0.26.1, this is river 0.27.0"),
        (Maker("adwin", MINE.release, {"delta": 0.003, "window": None}), "of other parameters"),
        (Maker("adwin", MINE.release, {"delta": 0.002}), "of other parameters"),
    ],
)
def test_a_state_of_another_maker_is_refused_with_the_reason(other: Maker, reason: str) -> None:
    found = unpack(other, pack(MINE, Intake(), {}))

    assert isinstance(found, str)
    assert reason in found


@pytest.mark.parametrize("at", [0, DIGEST - 1, DIGEST, -1])
def test_one_changed_bit_is_noticed(at: int) -> None:
    data = bytearray(pack(MINE, Intake(), {"sum": 1.0}))
    data[at] ^= 1

    assert unpack(MINE, bytes(data)) == "the state is damaged"


@pytest.mark.parametrize("length", [0, 1, DIGEST, DIGEST + 1])
def test_a_state_that_was_cut_short_is_noticed(length: int) -> None:
    assert unpack(MINE, pack(MINE, Intake(), {})[:length]) == "the state is damaged"


def test_what_follows_the_digest_is_json() -> None:
    body = json.loads(pack(MINE, Intake(), {"sum": 1.0})[DIGEST:])

    assert body["head"] == {
        "format": 1,
        "name": "adwin",
        "release": "river 0.26.1",
        "parameters": dict(MINE.parameters),
    }
