"""`driftd backtest` as its users run it: real loans, outcomes in another log, other loans from a row on."""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from tests.golden.outcome_logs import MONTH, Watched, config, delays, outcomes, spaced
from tests.programs import DRIFTD, Project

pytestmark = pytest.mark.acceptance

CHANGE = 25_000
"""Row of the log from which on the loans are other ones."""
SETTINGS = 'task = "binary"\nwindow = "30d"\nlateness = "1h"\nlabel_horizon = "30d"'
COLUMNS = """
prediction_id = "id"
timestamp = "timestamp"
prediction = "y_pred"
score = "score"
label = "label"
"""
TRUTH = "model,start,end,kind,feature\nloans,{start},,performance,\nloans,{start},,drift,car_value\n"


@pytest.fixture(scope="module")
def log(loans: pl.DataFrame) -> pl.DataFrame:
    """Return ten months of 5,000 loans."""
    return spaced(loans.slice(50_000), MONTH, 5_000)


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory, loans: pl.DataFrame, log: pl.DataFrame) -> Project:
    folder = tmp_path_factory.mktemp("loans")
    watched = Watched.of(folder, "loans", config("loans", SETTINGS, COLUMNS), loans.head(50_000))
    watched.log(predictions=log.drop("label"), outcomes=outcomes(log, delays(log.height)))
    start = f"{log['timestamp'][CHANGE].isoformat()}Z"
    (folder / "truth.csv").write_text(TRUTH.format(start=start))
    return watched.project


def backtest(project: Project, *options: str) -> Any:  # noqa: ANN401 - JSON
    return json.loads(project.driftd("backtest", "--json", "-", *options).stdout)


@pytest.fixture(scope="module")
def found(project: Project) -> dict[str, Any]:
    """Return what the backtest says of the model."""
    (model,) = backtest(project, "--truth", str(project.folder / "truth.csv"))["models"]
    assert isinstance(model, dict)
    return model


def test_the_change_is_found_in_its_first_window_by_performance_and_by_drift(found: dict[str, Any]) -> None:
    assert [(one["kind"], one["windows"]) for one in found["delays"]] == [("performance", 0), ("drift", 0)]


def test_no_episode_of_performance_comes_before_the_change(found: dict[str, Any], log: pl.DataFrame) -> None:
    start = f"{log['timestamp'][CHANGE].isoformat()}Z"
    performance = [e for e in found["episodes"] if e["kind"] == "performance"]

    assert performance
    assert all(e["started"] >= start for e in performance)


def test_nothing_fires_falsely(found: dict[str, Any]) -> None:
    assert found["false_alarms_per_30d"] == 0
    assert found["webhooks"] == 1


def test_drift_that_may_be_why_is_ranked(found: dict[str, Any]) -> None:
    (fall,) = [e for e in found["episodes"] if e["monitor"] == "accuracy"]

    assert fall["rank_of_cause"][:2] == ["car_value", "loan_length"]


def test_episodes_are_those_of_the_daemon(found: dict[str, Any], project: Project, tmp_path: Path) -> None:
    text = (
        (project.folder / "config.toml").read_text().replace("[daemon]", f'[daemon]\nstate = "{tmp_path}/s"')
    )
    daemon = Project(project.folder, "daemon.toml").configure(text)
    messages = [json.loads(line) for line in daemon.driftd("run", "--once", "--flush").stderr.splitlines()]

    assert sorted(m["episode"] for m in messages if m["event"] == "episode started") == sorted(
        e["id"] for e in found["episodes"]
    )
    assert sorted(m["episode"] for m in messages if m["event"] == "episode ended") == sorted(
        e["id"] for e in found["episodes"] if e["ended"]
    )


def test_a_backtest_leaves_nothing_behind_and_says_nothing_on_stderr(project: Project) -> None:
    before = {path: path.stat().st_mtime_ns for path in project.folder.rglob("*")}

    ended = project.driftd("backtest")

    assert {path: path.stat().st_mtime_ns for path in project.folder.rglob("*")} == before
    assert not project.state.exists()
    assert ended.stderr == ""
    assert "if nothing was wrong" in ended.stdout


def test_on_a_terminal_a_bar_shows_how_far_it_is(project: Project) -> None:
    terminal, end = os.openpty()
    command: list[str | Path] = [DRIFTD, "backtest", "--config", project.folder / "config.toml"]

    subprocess.run(command, env=project.environment, stdout=subprocess.DEVNULL, stderr=end, check=True)
    os.close(end)

    shown = os.read(terminal, 2**16).decode()
    os.close(terminal)
    assert "0%  the reference" in shown
    assert "100%  loans: 100,000 rows, 20" in shown


def test_an_injected_shift_would_have_been_seen(project: Project, log: pl.DataFrame) -> None:
    start = f"{log['timestamp'][10_000].isoformat()}Z"
    (model,) = backtest(project, "--inject", f"feature=driver_tenure shift=0.25sd from={start}")["models"]

    (delay,) = model["delays"]
    assert (delay["feature"], delay["windows"]) == ("driver_tenure", 0)


def test_two_configurations_are_compared_as_markdown(project: Project, tmp_path: Path) -> None:
    text = (project.folder / "config.toml").read_text()
    strict = project.folder / "strict.toml"
    strict.write_text(f"{text}\n[models.alarms]\nmin_effect = 5.0\n")
    out = tmp_path / "out.json"

    ended = project.driftd(
        "backtest", "--against", str(strict), "--truth", str(project.folder / "truth.csv"), "--json", str(out)
    )

    assert ended.stdout.startswith("## Backtest: ")
    assert "**Known incidents**" in ended.stdout
    written = json.loads(out.read_text())
    assert written.keys() == {"models", "against"}
    (row,) = [line for line in ended.stdout.splitlines() if "drift car_value" in line]
    assert ["found after 0 windows" in row, "NOT FOUND" in row] == [True, True]


@pytest.mark.parametrize(
    ("options", "says", "code"),
    [
        (("--truth", "none.csv"), "none.csv: cannot be read (No such file or directory)", 2),
        (("--inject", "feature=x"), '--inject "feature=x": needs from=...', 2),
        (("--inject", "feature=x scale=2 from=2020-01-01"), 'no feature "x" is watched', 2),
        (("--model", "cards"), 'there is no model "cards"; the configuration has loans', 1),
        (("--json", "nowhere/out.json"), "its folder does not exist", 1),
        (("--against", "none.toml"), "none.toml: cannot be read", 2),
    ],
)
def test_what_cannot_be_run_is_told_in_a_line(
    project: Project, options: tuple[str, ...], says: str, code: int
) -> None:
    ended = project.driftd("backtest", *options, code=code)

    assert says in ended.stderr
    assert "Traceback" not in ended.stderr
    assert ended.stdout == ""
