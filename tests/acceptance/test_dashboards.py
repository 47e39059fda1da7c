"""Every expression of every dashboard, asked of a Prometheus that saw a daemon through an incident."""

import base64
import json
import math
import re
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from monitor.simulate import DAY, LABEL, LiveModel, as_json_lines, write_reference
from tests.programs import Daemon, Project, eventually
from tests.prometheus import Prometheus, scraping

pytestmark = pytest.mark.acceptance

CONFIG = """
[daemon]
listen = "127.0.0.1:0"
commit_every = "100ms"

[[models]]
name = "loan-default"
task = "binary"
window = "1d"
label_horizon = "2d"
features = { numeric = ["debt_to_income", "utilization", "income"], categorical = ["purpose"] }
reference.path = "reference.parquet"
compare = { champion = "v1", challenger = "v2" }

[models.columns]
prediction_id = "prediction_id"
timestamp = "timestamp"
version = "model_version"
prediction = "prediction"
score = "score"
label = "defaulted"
segments = ["region"]
groups = ["channel"]

[[models.sources]]
role = "predictions"
type = "files"
path = "logs/predictions.jsonl"

[[models.sources]]
role = "outcomes"
type = "files"
path = "logs/outcomes.jsonl"

[models.alarms]
min_rows = 50

[models.performance]
matured = 0.9
tolerance = 0.02

[[models.monitors]]
detector = "ks"
on = "numeric"

[[models.monitors]]
detector = "accuracy"

[[models.monitors]]
detector = "estimated_accuracy"

[[models.monitors]]
detector = "e_sr"

[[models.monitors]]
detector = "label_shift"

[[models.monitors]]
detector = "pca_reconstruction"

[[models.retrain]]
webhook = "training"
when = ["performance", "drift"]

[webhooks.training]
url = "http://127.0.0.1:9/nobody"
allow_private = true
secret_file = "secret"
timeout = "1s"
"""
MODEL = LiveModel(seed=3, rows_per_day=4000)
START = int(datetime(2026, 3, 2, tzinfo=UTC).timestamp()) * 10**6
CALM, DAYS = 4, 10
"""Days: the incident begins after the calm ones and lasts to the end."""
WORSE = "west"
"""The region for which the model is worst during the incident."""
FOLDER = Path(__file__).parents[2] / "dashboards"
NOT_COUNTED = {
    "driftd_events_dropped_total": "no good row is given up by this version",
    "driftd_heavy_failures_total": "no comparison fails",
    "driftd_alibi_up": "no monitor is alibi-detect's",
    "driftd_alibi_starts_total": "likewise",
}
"""Metrics without any series in this incident; Prometheus still has to understand what asks for them."""
GRAFANA = {"__rate_interval": "1m", "__range": "1h", "__interval": "15s"}


def day(number: int) -> pl.DataFrame:
    """Return a day's rows and outcomes."""
    at, incident = START + number * DAY, number >= CALM
    rows = MODEL.labelled(at, at + DAY, incident=incident, concept=incident)
    wrong = pl.when(pl.col("region") == WORSE).then(1 - pl.col("prediction")).otherwise(LABEL)
    return rows.with_columns(wrong.alias(LABEL)) if incident else rows


def write(project: Project, number: int) -> None:
    """Append a day to both logs: outcomes eight hours after their predictions, some rows bad."""
    rows = day(number)
    late = pl.col("timestamp") + pl.duration(hours=8)
    lines = as_json_lines(rows.drop(LABEL))
    project.append("predictions.jsonl", lines + b"garbage\n" + lines[: lines.index(b"\n") + 1])
    project.append("outcomes.jsonl", as_json_lines(rows.select("prediction_id", late, LABEL)))


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Project, Daemon]]:
    """Run a daemon that has read the calm days."""
    project = Project(tmp_path_factory.mktemp("dashboards")).configure(CONFIG)
    write_reference(MODEL, project.folder / "reference.parquet", START - 20 * DAY, START)
    (project.folder / "secret").write_text(base64.b64encode(b"0" * 32).decode())
    for number in range(CALM):
        write(project, number)
    with project.start() as running:
        running.ready()
        eventually(lambda: running.samples().total("driftd_windows_closed_total") == CALM - 1)
        eventually(lambda: running.samples().total("driftd_heavy_done_total") > 0)  # at its leisure
        yield project, running
        assert running.stop() == 0


@pytest.fixture(scope="module")
def prometheus(
    daemon: tuple[Project, Daemon],
    program: Callable[[str], str],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Prometheus]:
    """Run a Prometheus that has scraped the daemon before the incident, during it and at its end."""
    project, running = daemon
    with scraping(program("prometheus"), running.address, tmp_path_factory.mktemp("data")) as found:
        closed = "driftd_windows_closed_total"
        eventually(lambda: found.query(closed))
        for number in range(CALM, DAYS):
            write(project, number)
            eventually(lambda n=number: running.samples().total(closed) == n)  # type: ignore[misc]
        eventually(lambda: found.query(f"{closed} == {DAYS - 1}"))
        compared = "rate(driftd_heavy_duration_seconds_count[1m]) > 0"
        eventually(lambda: found.query(compared))
        yield found


def chosen(board: Mapping[str, Any], prometheus: Prometheus) -> dict[str, str]:
    """Choose as Grafana does: step by step, each variable's query with what was chosen before."""
    found: dict[str, str] = {}
    for variable in board["templating"]["list"]:
        if variable["type"] == "query":
            question = re.fullmatch(r"label_values\((.*), (\w+)\)", filled(variable["query"], found))
            assert question, variable
            values = prometheus.values(question[2], question[1])
            assert values, f"{variable['name']} has nothing to choose"
            start = variable.get("current", {}).get("value", [""])[0]
            assert start in {"", "$__all", *values}
            found[variable["name"]] = start if start in values else "|".join(values)
    return found


def filled(text: str, values: Mapping[str, str]) -> str:
    """Return the text with its variables replaced, as Grafana does."""
    replaced = re.sub(r"\$(\w+)", lambda m: {**GRAFANA, **values}[m[1]], text)
    assert "$" not in replaced
    return replaced


def asked(board: Mapping[str, Any]) -> Iterator[tuple[str, str, bool]]:
    """Yield each expression: where it stands, what it says, and whether it is asked over time."""
    for panel in board["panels"]:
        assert not panel.get("panels"), "a collapsed row: its panels are to be asked too"
        for target in panel.get("targets", ()):
            yield f"{panel['title']}, {target['refId']}", target["expr"], target["range"]
    for mark in board["annotations"].get("list", ()):
        if "expr" in mark:  # the others ask Grafana itself
            yield mark["name"], mark["expr"], True


def numbers(prometheus: Prometheus, expression: str, *, over_time: bool) -> list[float]:
    """Return the finite numbers that Prometheus answers, at present or over the last minute."""
    now = time.time()
    when = {"start": now - 60, "end": now, "step": 1} if over_time else {}
    series = prometheus.query(expression, **when)
    points = [point for one in series for point in (one["values"] if over_time else [one["value"]])]
    return [value for _, text in points if math.isfinite(value := float(text))]


@pytest.mark.parametrize("name", ["fleet", "model", "daemon"])
@pytest.mark.parametrize("all_value", [False, True], ids=["each", "All"])
def test_every_expression_returns_data(name: str, prometheus: Prometheus, *, all_value: bool) -> None:
    board = json.loads((FOLDER / f"{name}.json").read_text("utf-8"))
    values = chosen(board, prometheus)
    if all_value:
        many = [v["name"] for v in board["templating"]["list"] if v.get("includeAll")]
        values |= dict.fromkeys(many, ".*")

    empty = [
        (place, expression)
        for place, expression, over_time in asked(board)
        if not numbers(prometheus, filled(expression, values), over_time=over_time)
        and not any(metric in expression for metric in NOT_COUNTED)
    ]

    assert empty == []


def test_what_is_not_counted_yet_is_still_not(daemon: tuple[Project, Daemon]) -> None:
    exposed = {name for name, _ in daemon[1].samples().values}

    assert not exposed & set(NOT_COUNTED)


def test_the_incident_is_seen(prometheus: Prometheus) -> None:
    board = json.loads((FOLDER / "fleet.json").read_text("utf-8"))
    values = chosen(board, prometheus)
    told = {
        panel["title"]: numbers(prometheus, filled(panel["targets"][0]["expr"], values), over_time=False)
        for panel in board["panels"]
        if panel["type"] == "stat"
    }

    assert told["Models watched"] == told["Models with harm"] == told["Models that drift"] == [1.0]


def test_no_row_is_missing_in_the_account(prometheus: Prometheus) -> None:
    board = json.loads((FOLDER / "daemon.json").read_text("utf-8"))
    values = chosen(board, prometheus)
    (account,) = [p for p in board["panels"] if p["type"] == "table" and p["title"] == "Account of rows"]

    *_, missing = [filled(target["expr"], values) for target in account["targets"]]

    assert numbers(prometheus, missing, over_time=False) == [0.0, 0.0]
