"""Performance in `driftd status`: the same numbers as data and at a glance."""

import json
from typing import Any

import pytest
from msgspec.structs import replace

from monitor.core.labels import SeriesKey
from monitor.core.plan import Plan
from monitor.core.state import ModelState
from monitor.outgoing import Outbox
from monitor.performance_status import performance_status
from monitor.performance_text import interval, number, performance_lines
from monitor.status import as_text, status
from tests.logs import MINUTE
from tests.performances import (
    CLOSED,
    JUDGED,
    MADE,
    SOURCES,
    STATE,
    binary,
    measured,
    with_labels,
)

PLAN = Plan.of(MADE)
NEW = ModelState("m")


def said(state: ModelState = STATE, version: str = "v1") -> dict[str, Any]:
    """Return what is said of one version."""
    found: dict[str, Any] = next(
        one for one in performance_status(PLAN, state)["versions"] if one["version"] == version
    )
    return found


def lines(state: ModelState = STATE, plan: Plan = PLAN) -> list[str]:
    return performance_lines(performance_status(plan, state))


def line(start: str, state: ModelState = STATE) -> str:
    """Return the rest of the first line that begins so."""
    found = next(one.strip() for one in lines(state) if one.strip().startswith(start))
    return " ".join(found.removeprefix(start).split())


def test_status_is_plain_data() -> None:
    document = performance_status(PLAN, STATE)
    assert json.loads(json.dumps(document)) == document


def test_the_status_of_a_model_holds_its_performance() -> None:
    document = status([PLAN], {"m": STATE}, Outbox())
    assert document["models"][0]["performance"] == performance_status(PLAN, STATE)
    assert "\n".join(lines()) in as_text(document)


def test_realised_and_estimated_are_of_windows_of_their_own() -> None:
    one = said()
    assert (one["realized"]["start"], one["realized"]["end"]) == (
        "2023-11-14T22:13:00Z",
        "2023-11-14T22:14:00Z",
    )
    assert one["estimated"]["start"] == "2023-11-14T22:15:00Z"
    assert (one["realized"]["coverage"], one["estimated"]["coverage"]) == (0.95, 0.7)


def test_a_judged_metric_says_its_interval_its_limit_and_its_state() -> None:
    accuracy = said()["realized"]["metrics"]["accuracy"]
    assert (accuracy["value"], accuracy["low"], accuracy["high"]) == (0.86, 0.85, 0.87)
    assert (accuracy["limit"], accuracy["better"]) == (pytest.approx(0.89), "higher")
    assert accuracy["state"] == "firing"


def test_other_metrics_say_their_interval_alone() -> None:
    assert said()["estimated"]["metrics"]["roc_auc"].keys() == {"value", "low", "high", "n", "method"}


def test_a_version_whose_outcomes_are_not_there_yet_says_how_many_wait() -> None:
    one = said(version="v2")
    assert (one["realized"], one["estimated"]) == (None, None)
    assert one["waiting"] == {
        "windows": 2,
        "start": "2023-11-14T22:15:00Z",
        "end": "2023-11-14T22:16:00Z",
        "rows": 40,
        "coverage": 0.25,
    }


def test_versions_of_long_ago_are_not_shown() -> None:
    later = replace(STATE, book=replace(STATE.book, last_closed=CLOSED + 60 * MINUTE))
    gone = replace(later, labels=replace(later.labels, records={}))
    assert performance_status(PLAN, gone)["versions"] == []


def test_the_outcomes_are_counted() -> None:
    assert performance_status(PLAN, STATE)["labels"] == {
        "joined": 7,
        "pending": 405,
        "repeated": 1,
        "conflicting": 2,
        "orphaned": 3,
        "expired": 4,
    }


def test_a_model_without_outcomes_has_nothing_to_say() -> None:
    plan = Plan.of(binary(task="none", sources=SOURCES[:1], compare=None))
    assert performance_status(plan, NEW) == {"versions": [], "compare": None, "labels": None}
    assert lines(NEW, plan) == []


def test_a_new_model_says_that_nothing_came_yet() -> None:
    assert lines(NEW) == [
        "  compare     v2 against v1: too few rows of both yet",
        "  outcomes    0 joined, 0 pending, 0 repeated, 0 conflicting, 0 orphaned, 0 expired",
    ]


def test_realised_estimated_and_limit_stand_side_by_side() -> None:
    head, _, _, accuracy, *_ = lines()
    places = [head.index(word) for word in ("realized", "estimated", "limit")]
    cells = [accuracy[a:b].strip() for a, b in zip(places, [*places[1:], None], strict=True)]
    assert cells == ["0.8600 [0.8500, 0.8700] FIRING", "0.9200 [0.9100, 0.9300] ok", ">= 0.8900"]


def test_the_rows_say_what_the_numbers_rest_on() -> None:
    assert line("rows") == "500 rows, 0.950 known 500 rows, 0.700 covered"
    assert "few alike" in "\n".join(lines())


def test_only_judged_metrics_are_shown_at_a_glance() -> None:
    assert not [one for one in lines() if one.strip().startswith("f1")]
    assert line("roc_auc") == "0.9100 [0.9000, 0.9200] too few 0.9700 [0.9600, 0.9800] >= 0.4900"


def test_where_nothing_is_judged_some_metrics_are_shown() -> None:
    assert line("accuracy", replace(STATE, trips={})) == "0.8600 [0.8500, 0.8700] 0.9200 [0.9100, 0.9300]"


def test_the_worst_segment_is_one_line() -> None:
    assert line("worst segment") == "place=north: accuracy -0.1000 against the rest"


def test_names_that_cannot_be_printed_stay_on_their_line() -> None:
    history = {
        SeriesKey("v\n1", "all", "realized"): {JUDGED: measured(0.9)},
        SeriesKey("v\n1", "segment:place", "worst"): {
            JUDGED: replace(measured(-0.1), note="place=\x1b[2Jnorth")
        },
    }
    found = performance_lines(performance_status(PLAN, with_labels(history=history)))

    assert [one for one in found if not one.isprintable()] == []
    assert r"performance v\n1 " in "\n".join(found)
    assert r"place=\x1b[2Jnorth: " in "\n".join(found)


def test_each_group_column_is_one_line() -> None:
    assert line("fairness") == "sex: parity 0.200, opportunity too few"


def test_champion_against_challenger_is_one_line() -> None:
    told = line("compare")
    assert told.startswith("v2 against v1: loss 0.2000 [0.1")
    assert told.endswith(": champion better")


def test_what_waits_is_one_line() -> None:
    assert line("waiting") == "2 windows, the oldest until 2023-11-14T22:16:00Z: 400 rows, 0.250 known"


def test_every_line_fits_a_terminal_and_says_no_none() -> None:
    assert max(map(len, lines())) <= 100
    assert "None" not in "\n".join(lines())


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0"),
        (-0.05607, "-0.0561"),
        (9.99999, "10.0000"),
        (852.341, "852.34"),
        (9_999.999, "10000.00"),
        (123_456.7, "123,457"),
        (5e15, "5e+15"),
        (0.000012, "1.2e-05"),
    ],
)
def test_a_number_is_short_at_any_size(value: float, text: str) -> None:
    assert number(value) == text


def test_an_interval_without_ends_is_its_value() -> None:
    ends: dict[str, float | None] = {"low": None, "high": None}
    assert interval({"value": 0.5, **ends}) == "0.5000"
    assert interval({"value": None, **ends}) == "-"
