"""Parameters as users write them: what is refused, and a stream made of the others."""

import pytest

from detectors.mean_bound import Moments
from detectors.stream_choice import STREAMS, defaults, make_stream, mistakes

REFERENCE = Moments(10_000, 1_000.0, 1_000.0)


@pytest.mark.parametrize("name", STREAMS)
def test_the_defaults_themselves_are_right(name: str) -> None:
    given = {
        key: value for key, value in defaults(name).items() if isinstance(value, bool | int | float | str)
    }

    assert list(mistakes(name, given)) == []
    assert make_stream(name, given, REFERENCE).name == name


@pytest.mark.parametrize(
    ("name", "given", "wrong"),
    [
        ("adwin", {"delta": "0.1"}, [("delta", "must be a number")]),
        ("adwin", {"clock": True}, [("clock", "must be a whole number")]),
        ("hddm_a", {"two_sided_test": 1}, [("two_sided_test", "must be true or false")]),
        ("e_sr", {"side": 1}, [("side", "must be text")]),
        ("fhddm", {"short_window_size": 0.5}, [("short_window_size", "must be a whole number")]),
        ("e_sr", {"side": "left"}, [("", "side is 'left': it must be up, down or both")]),
        (
            "ddm",
            {"nothing": 1},
            [
                (
                    "nothing",
                    "is not a parameter of ddm; write one of warm_start, warning_threshold, drift_threshold",
                )
            ],
        ),
    ],
)
def test_a_mistake_is_named(
    name: str, given: dict[str, bool | int | float | str], wrong: list[tuple[str, str]]
) -> None:
    assert list(mistakes(name, given)) == wrong


def test_whole_numbers_are_numbers() -> None:
    assert list(mistakes("e_sr", {"arl": 1000, "tolerance": 0})) == []


def test_e_sr_needs_a_reference() -> None:
    with pytest.raises(ValueError, match="needs a reference"):
        make_stream("e_sr", {})
