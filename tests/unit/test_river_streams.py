"""River's rules as streams: river's own alarms, its traps, and parameters that are checked."""

import inspect
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from river import drift

from detectors import river_streams
from detectors.measure import Floats
from detectors.river_rules import RIVER, adwin, kswin, page_hinkley

THEIRS: dict[str, Callable[..., Any]] = {
    "adwin": drift.ADWIN,
    "page_hinkley": drift.PageHinkley,
    "kswin": drift.KSWIN,
    "ddm": drift.binary.DDM,
    "eddm": drift.binary.EDDM,
    "hddm_a": drift.binary.HDDMA,
    "hddm_w": drift.binary.HDDMW,
    "fhddm": drift.binary.FHDDM,
}
OF_ERRORS = ("ddm", "eddm", "hddm_a", "hddm_w", "fhddm")


def errors(*rates: float, rows: int = 1000) -> Floats:
    rng = np.random.default_rng(11)
    return np.concatenate([(rng.random(rows) < rate).astype(float) for rate in rates])


def one_by_one(rule: Any, values: Floats) -> list[int]:  # noqa: ANN401 - river's rules have no common type
    found = []
    for row, value in enumerate(values.tolist()):
        rule.update(value)
        if rule.drift_detected:
            found.append(row)
    return found


@pytest.mark.parametrize("name", sorted(set(RIVER) - {"fhddm", "kswin"}))
def test_the_alarms_are_rivers_over_several_changes(name: str) -> None:
    rows = errors(0.1, 0.6, 0.1, 0.7)

    alarms = RIVER[name]().feed(rows).rows.tolist()

    assert alarms == one_by_one(THEIRS[name](), rows)
    assert alarms


def test_kswin_is_rivers_with_the_same_seed() -> None:
    rows = np.random.default_rng(2).random(600)

    assert kswin(alpha=0.05, seed=5).feed(rows).rows.tolist() == one_by_one(
        drift.KSWIN(alpha=0.05, seed=5), rows
    )


def test_kswin_finds_the_same_in_a_replay() -> None:
    rows = np.random.default_rng(2).random(800)

    first, second = (kswin(alpha=0.05).feed(rows).rows.tolist() for _ in range(2))

    assert first == second != []


def test_fhddm_alarms_when_errors_rise() -> None:
    alarms = RIVER["fhddm"]().feed(errors(0.1, 0.7)).rows

    assert 1000 < alarms[0] < 1100


def test_fhddm_is_calm_when_errors_fall_where_rivers_own_alarms() -> None:
    rows = errors(0.9, 0.1)

    assert one_by_one(drift.binary.FHDDM(), rows)
    assert not len(RIVER["fhddm"]().feed(rows).rows)


@pytest.mark.parametrize("name", RIVER)
def test_parameters_have_rivers_names_and_defaults(name: str) -> None:
    ours = {n: p.default for n, p in inspect.signature(RIVER[name]).parameters.items()}
    theirs = {n: p.default for n, p in inspect.signature(THEIRS[name]).parameters.items()}
    theirs.pop("window", None)  # rows to start with: a stream starts with its own
    if name == "kswin":
        theirs["seed"] = 0  # river's draws differently in every run

    assert ours == theirs


@pytest.mark.parametrize(
    ("name", "parameters", "complaint"),
    [
        ("adwin", {"delta": 0.0}, "delta is 0.0: it must be between 0 and 1"),
        ("adwin", {"delta": float("nan")}, "delta is nan"),
        ("adwin", {"clock": 0}, "clock is 0: it must be a whole number, at least 1"),
        ("adwin", {"clock": 32.0}, "clock is 32.0: it must be a whole number"),
        ("adwin", {"max_buckets": 1}, "max_buckets is 1"),
        ("adwin", {"min_window_length": 0}, "min_window_length is 0"),
        ("adwin", {"grace_period": -1}, "grace_period is -1"),
        ("page_hinkley", {"min_instances": True}, "min_instances is True"),
        ("page_hinkley", {"threshold": 0.0}, "threshold is 0.0: it must be finite and above 0"),
        ("page_hinkley", {"delta": -0.1}, "delta is -0.1: it must be finite and not below 0"),
        ("page_hinkley", {"alpha": 1.5}, "alpha is 1.5"),
        ("page_hinkley", {"mode": "sideways"}, "mode is 'sideways': it must be up, down or both"),
        ("kswin", {"alpha": 1.0}, "alpha is 1.0"),
        ("kswin", {"window_size": 59}, "window_size is 59: it must be a whole number, at least 60"),
        ("kswin", {"seed": None}, "seed is None"),
        ("ddm", {"warm_start": 0}, "warm_start is 0"),
        ("ddm", {"drift_threshold": 1.0}, "warning_threshold is 2.0: it must not be above drift_threshold"),
        ("ddm", {"warning_threshold": float("inf")}, "warning_threshold is inf"),
        ("eddm", {"alpha": 0.8}, "beta is 0.9: it must not be above alpha, 0.8"),
        ("hddm_a", {"drift_confidence": 0.1}, "drift_confidence is 0.1: it must not be above"),
        ("hddm_w", {"lambda_val": 1.0}, "lambda_val is 1.0"),
        ("fhddm", {"confidence_level": 0.0}, "confidence_level is 0.0"),
        ("fhddm", {"short_window_size": 200}, "short_window_size is 200: it must not be above"),
    ],
)
def test_a_parameter_outside_its_limits_is_refused(
    name: str, parameters: dict[str, Any], complaint: str
) -> None:
    with pytest.raises(ValueError, match=complaint.replace("(", r"\(")):
        RIVER[name](**parameters)


def test_page_hinkley_without_forgetting_is_allowed() -> None:
    assert page_hinkley(alpha=1.0).score == 0


@pytest.mark.parametrize("name", OF_ERRORS)
@pytest.mark.parametrize("value", [0.5, -1.0, 2.0])
def test_a_rule_of_errors_refuses_other_values_and_takes_nothing_of_the_chunk(
    name: str, value: float
) -> None:
    stream = RIVER[name]()
    before = stream.dump()

    with pytest.raises(ValueError, match=f"{name} takes errors, 0 or 1"):
        stream.feed(np.array([0.0, value, np.nan]))

    assert stream.dump() == before


def test_the_score_says_what_the_last_row_did() -> None:
    stream, scores = RIVER["ddm"](), set()
    for row in errors(0.1, 0.4).reshape(-1, 1):
        alarms = stream.feed(row)
        assert (stream.score > stream.threshold) == bool(len(alarms.rows))
        scores.add(stream.score)

    assert scores == {0.0, 0.5, 1.0}


def test_a_state_of_another_release_of_river_begins_anew_and_says_so(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stream = adwin()
    stream.feed(errors(0.1))
    monkeypatch.setattr(river_streams, "_release", lambda: "river 0.99.0")
    newer = adwin()

    note = newer.load(stream.dump())

    assert "this is river 0.99.0" in note
    assert newer.rows == 0


def test_a_state_of_other_parameters_begins_anew_and_says_so() -> None:
    stream, other = adwin(), adwin(delta=0.01)
    stream.feed(errors(0.1))

    assert other.load(stream.dump()) == "the state is of other parameters"
    assert other.rows == 0


@pytest.mark.parametrize("name", RIVER)
def test_a_state_is_small(name: str) -> None:
    stream = RIVER[name]()
    stream.feed(errors(0.1, 0.4))

    assert len(stream.dump()) < 20_000


def test_river_is_imported_by_those_who_ask_for_it_only() -> None:
    script = (
        "import sys, detectors.river_rules as r; assert 'river' not in sys.modules; r.adwin(); import river"
    )

    subprocess.run([sys.executable, "-c", script], check=True)
