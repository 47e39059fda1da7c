"""Every detector of streams keeps every law of detectors/stream_contract.py."""

import numpy as np
import pytest

from detectors.bets import Plan
from detectors.e_sr import ESR
from detectors.mean_bound import moments_of
from detectors.measure import Floats
from detectors.river_errors import ddm, eddm, fhddm, hddm_a, hddm_w
from detectors.river_rules import RIVER, adwin, kswin, page_hinkley
from detectors.stream_contract import STREAM_LAWS, Course, Make


def errors(seed: int, calm: float, changed: float) -> tuple[Floats, Floats]:
    rng = np.random.default_rng(seed)
    return (rng.random(1500) < calm).astype(float), (rng.random(1500) < changed).astype(float)


def numbers(seed: int, shift: float) -> tuple[Floats, Floats]:
    rng = np.random.default_rng(seed)
    return rng.beta(4, 6, 1500), np.clip(rng.beta(4, 6, 1500) + shift, 0, 1)


ERRORS, NUMBERS, FALL = errors(1, 0.1, 0.4), numbers(2, 0.2), numbers(3, -0.2)
FEW = (NUMBERS[0][:400], NUMBERS[1][:200])
ERROR_REFERENCE = moments_of(errors(4, 0.1, 0.1)[0])
NUMBER_REFERENCE = moments_of(numbers(5, 0.0)[0])

MAKERS: dict[str, tuple[Make, Course]] = {
    "adwin": (adwin, Course(*NUMBERS, 0.5, 1567)),
    "page_hinkley": (lambda: page_hinkley(threshold=10.0), Course(*NUMBERS, 0.5, 1545)),
    "kswin": (lambda: kswin(alpha=0.0005), Course(*FEW, 0.5, 419)),
    "ddm": (lambda: ddm(drift_threshold=4.0), Course(*ERRORS, 0.0, 1690)),
    "eddm": (lambda: eddm(warm_start=60, alpha=0.8, beta=0.7), Course(*ERRORS, 1.0, 1799)),
    "hddm_a": (hddm_a, Course(*ERRORS, 0.0, 1616)),
    "hddm_w": (hddm_w, Course(*ERRORS, 1.0, 1553)),
    "fhddm": (lambda: fhddm(short_window_size=40), Course(*ERRORS, 0.0, 1540)),
    "e_sr": (lambda: ESR(ERROR_REFERENCE, Plan(arl=1e6)), Course(*ERRORS, 0.0, 1543)),
    "e_sr of numbers": (
        lambda: ESR(NUMBER_REFERENCE, Plan(arl=1e6, side="both", block=7)),
        Course(*NUMBERS, 0.4, 1546),
    ),
    "e_sr of a fall": (lambda: ESR(NUMBER_REFERENCE, Plan(arl=1e4, side="down")), Course(*FALL, 0.4, 1535)),
    "e_sr of means": (
        lambda: ESR(moments_of(numbers(5, 0.0)[0], 5), Plan(arl=1e4, block=5, means=True)),
        Course(*NUMBERS, 0.4, 1599),
    ),
}


@pytest.mark.parametrize("law", STREAM_LAWS)
@pytest.mark.parametrize("stream", MAKERS)
def test_stream_law(stream: str, law: str) -> None:
    assert list(STREAM_LAWS[law](*MAKERS[stream])) == []


def test_every_stream_is_tried() -> None:
    assert {name.split()[0] for name in MAKERS} == {*RIVER, "e_sr"}
