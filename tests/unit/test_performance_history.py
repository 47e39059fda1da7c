"""`driftd performance`: a line for each window that is remembered, and the commands that print it."""

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from msgspec.structs import replace

from detectors.measure import Estimate
from monitor.cli import main
from monitor.core.labels import Labels, Measured, SeriesKey, label_changes
from monitor.core.plan import Plan
from monitor.core.state import ModelState, dump_book
from monitor.performance_history import history_text, performance_history
from monitor.store.sqlite import SqliteStore
from tests.logs import MINUTE
from tests.performances import CLOSED, HISTORY, JUDGED, MADE, STATE, measured, with_labels

PLAN = Plan.of(MADE)
NEW = ModelState("m")
CONFIG = """
[daemon]
state = "state"

[[models]]
name = "m"
task = "binary"
window = "1m"
lateness = "30s"
label_horizon = "5m"

[models.columns]
prediction_id = "id"
timestamp = "at"
version = "version"
prediction = "p"
label = "y"

[models.features]
numeric = ["x"]

[models.reference]
first = "1h"

[[models.sources]]
role = "both"
type = "files"
path = "logs/*.jsonl"
"""


def windows(state: ModelState = STATE, *, segments: bool = False) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = performance_history([PLAN], {"m": state}, segments=segments)["models"][0][
        "windows"
    ]
    return found


def test_the_history_has_a_line_for_each_closed_window_and_version_the_oldest_first() -> None:
    assert [(w["start"][11:16], w["version"], w["segment"]) for w in windows()] == [
        ("22:12", "v1", "all"),
        ("22:13", "v1", "all"),
        ("22:15", "v1", "all"),
        ("22:15", "v2", "all"),
    ]


def test_segments_are_in_the_history_when_asked_for_and_groups_are_not() -> None:
    labels = {w["segment"] for w in windows(segments=True)}
    assert labels == {"all", "place=north"}


def test_a_window_has_its_realised_and_its_estimated_metrics_with_intervals() -> None:
    window = windows()[1]
    assert window["realized"]["accuracy"]["value"] == 0.86
    assert window["estimated"]["accuracy"] == {
        "value": 0.91,
        "low": 0.9,
        "high": 0.92,
        "n": 500,
        "method": "wilson",
    }
    assert (window["rows"], window["coverage"]) == (500, 0.95)


def test_a_window_that_waits_has_its_coverage_so_far() -> None:
    window = windows()[2]
    assert (window["realized"], window["rows"], window["coverage"]) == (None, 400, 0.25)
    assert (window["estimation_coverage"], window["note"]) == (0.7, "few alike")


def test_a_window_that_is_only_estimated_has_no_coverage() -> None:
    only = {SeriesKey("v1", "all", "estimated"): {CLOSED: measured(0.9)}}
    (window,) = windows(with_labels(history=only, records={}))
    assert (window["rows"], window["coverage"]) == (500, None)


def model_of(state: ModelState = STATE) -> dict[str, Any]:
    (found,) = performance_history([PLAN], {"m": state})["models"]
    return dict(found)


def test_the_history_of_groups_holds_every_window_the_oldest_first() -> None:
    assert [(f["start"][11:16], f["version"], f["group"]) for f in model_of()["fairness"]] == [
        ("22:12", "v1", "sex=M"),
        ("22:13", "v1", "sex"),
        ("22:13", "v1", "sex=F"),
    ]


def test_a_window_of_a_group_has_its_rates_and_what_they_rest_on() -> None:
    (one,) = [f for f in model_of()["fairness"] if f["group"] == "sex=F"]
    assert (one["rows"], one["coverage"], one["end"]) == (250, 0.95, "2023-11-14T22:14:00Z")
    assert one["metrics"]["selection_rate"]["value"] == 0.3


def test_the_history_of_worst_segments_holds_the_windows_that_prove_one() -> None:
    place = SeriesKey("v1", "segment:place", "worst")
    windows = {JUDGED - MINUTE: replace(HISTORY[place][JUDGED], note=""), **HISTORY[place]}

    (one,) = model_of(with_labels(history={**HISTORY, place: windows}))["worst"]

    assert (one["version"], one["column"], one["segment"]) == ("v1", "place", "place=north")
    assert (one["start"], one["end"]) == ("2023-11-14T22:13:00Z", "2023-11-14T22:14:00Z")
    assert one["gaps"]["accuracy"]["value"] == -0.1


def test_a_version_or_segment_that_cannot_be_printed_stays_on_its_line() -> None:
    odd = {
        SeriesKey("v\n1", "all", "realized"): {JUDGED: measured(0.9)},
        SeriesKey("v\x1b[31m", "place=no\r\u2028rth", "realized"): {JUDGED: measured(0.9)},
    }
    document = performance_history([PLAN], {"m": with_labels(history=odd, records={})}, segments=True)
    rows = history_text(document).splitlines()

    assert len(rows) == 5
    assert len({len(row) for row in rows[1:]}) == 1
    assert r"v\n1 " in rows[3]
    assert r"v\x1b[31m  place=no\r\u2028rth " in rows[4]


def test_the_history_is_plain_data() -> None:
    document = performance_history([PLAN], {"m": STATE}, segments=True)
    assert json.loads(json.dumps(document)) == document


def test_the_history_is_a_table() -> None:
    text = history_text(performance_history([PLAN], {"m": STATE}))
    assert text.splitlines() == [
        "model m",
        "                                                              accuracy              roc_auc",
        "  window                version      rows   known  realized  estimated  realized  estimated",
        "  2023-11-14T22:12:00Z  v1            500   0.950    0.9000          -    0.9500          -",
        "  2023-11-14T22:13:00Z  v1            500   0.950    0.8600     0.9100    0.9100     0.9600",
        "  2023-11-14T22:15:00Z  v1            400   0.250         -     0.9200         -     0.9700",
        "  2023-11-14T22:15:00Z  v2             40   0.250         -          -         -          -",
    ]


def test_a_long_name_of_a_metric_does_not_push_its_column() -> None:
    name = "precision:a_rather_long_class"
    history = {SeriesKey("", "all", "realized"): {JUDGED: Measured(5, 1.0, {name: Estimate(0.5, 0, 1, 5)})}}
    document = performance_history([PLAN], {"m": with_labels(history=history, records={})})
    document["models"][0]["judged"] = [name]
    widths = {len(row) for row in history_text(document).splitlines()[1:]}
    assert len(widths) == 1


def test_a_model_that_measured_nothing_says_so() -> None:
    assert history_text(performance_history([PLAN], {"m": NEW})) == "model m\n  nothing measured yet"


@pytest.fixture
def config(tmp_path: Path) -> str:
    """Return a configuration beside a committed state with the history."""
    path = tmp_path / "config.toml"
    path.write_text(CONFIG, encoding="utf-8")
    labels = replace(STATE.labels, history=HISTORY)
    store = SqliteStore(tmp_path / "state")
    store.commit({("book", "m", ""): dump_book(STATE.book), **label_changes("m", Labels(), labels)})
    store.close()
    return str(path)


def run(*arguments: str) -> str:
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 0, result.output
    return result.stdout


def test_the_command_prints_the_committed_history(config: str) -> None:
    printed = run("performance", "--config", config)
    assert printed.splitlines()[0] == "model m"
    assert "2023-11-14T22:13:00Z  v1            500   0.950    0.8600     0.9100" in printed


def test_the_command_prints_data(config: str) -> None:
    document = json.loads(run("performance", "--config", config, "--json", "--segments", "--model", "m"))
    assert {w["segment"] for w in document["models"][0]["windows"]} == {"all", "place=north"}


def test_status_prints_the_committed_performance(config: str) -> None:
    document = json.loads(run("status", "--config", config, "--json"))
    assert document["models"][0]["performance"]["labels"]["joined"] == 7


def test_a_model_that_is_not_there_is_a_mistake(config: str) -> None:
    result = CliRunner().invoke(main, ["performance", "--config", config, "--model", "x"])
    assert result.exit_code == 1
    assert 'there is no model "x"; the configuration has m' in result.output
