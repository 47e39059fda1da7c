"""Start, stop, and whatever a daemon may be started on: as a process, by exit code and what it prints."""

import signal
import sqlite3
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from monitor.cast import TAKEN
from tests.programs import Project, eventually
from tests.seconds import START, config, lines, made

pytestmark = pytest.mark.acceptance


def rows(first: int, count: int, start: datetime = START) -> bytes:
    return b"".join(lines(first, count, start))


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return made(tmp_path, config())


def stored(project: Project) -> int:
    return int(project.status()["models"][0]["events"]["stored"])


def test_appended_rows_appear_in_the_committed_state(project: Project) -> None:
    with project.start(installed=True) as daemon:
        daemon.ready()
        for count in (1, 10, 500):
            before = daemon.samples().total("driftd_events_stored_total")
            project.append("a.jsonl", rows(int(before), count))
            eventually(lambda before=before, count=count: stored(project) == before + count)  # type: ignore[misc]  # bound now
        assert daemon.stop() == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_under_load_stores_what_was_taken_and_exits_with_0(
    project: Project, number: signal.Signals
) -> None:
    project.append("a.jsonl", rows(0, 300_000))
    with project.start(installed=True) as daemon:
        daemon.ready()
        project.append("a.jsonl", rows(300_000, 50_000))
        daemon.process.send_signal(number)
        assert daemon.process.wait(10) == 0
        assert "Traceback" not in daemon.text
    database = sqlite3.connect(project.state / "driftd.sqlite")
    assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    database.close()
    project.once()

    assert project.status()["models"][0]["events"] == {
        "received": 350_000,
        "stored": 350_000,
        "rejected": 0,
        "duplicate": 0,
        "late": 0,
        "dropped": 0,
    }


def test_a_second_daemon_on_the_same_state_exits_at_once(project: Project) -> None:
    project.append("a.jsonl", rows(0, 10))
    with project.start(installed=True) as first:
        first.ready()
        eventually(lambda: stored(project) == 10)
        for command in (("run",), ("run", "--once")):
            second = project.driftd(*command, code=1)
            assert second.stderr.splitlines()[-1] == (
                f"driftd: {project.state}: another driftd (process {first.process.pid}) uses this state "
                "folder; stop it, or give this one its own [daemon] state"
            )
        assert first.get("/readyz")[0] == 200
        assert first.stop() == 0


def test_a_port_that_is_taken_is_said(project: Project) -> None:
    with project.start(installed=True) as first:
        taken = first.address
        other = Project(project.folder, "other.toml", "other")
        text = config().replace("127.0.0.1:0", taken)
        other.configure(text.replace("[daemon]", '[daemon]\nstate = "other"'))
        said = other.driftd("run", code=1).stderr.splitlines()[-1]
        assert said.startswith(f"driftd: daemon.listen: {TAKEN} {taken}: ")
        assert first.stop() == 0


def test_every_mistake_in_the_configuration_is_told_at_once(project: Project) -> None:
    project.configure(config(window="soon").replace('"y"', "7").replace("numeric", "numerical"))

    asked = [project.ask(command, code=2).stderr for command in ("check", "status", "metrics")]
    for said in (project.driftd("run", code=2).stderr, *asked):
        told = [line.partition(": ")[0] for line in said.splitlines()]
        keys = ("window", "columns.prediction", "features.numerical")
        assert sorted(told) == sorted(f"{project.folder}/config.toml:models[0].{key}" for key in keys)
    assert not project.state.exists()


def test_a_missing_reference_is_named_with_its_path(project: Project) -> None:
    (project.folder / "reference.csv").unlink()

    said = project.driftd("run", code=2).stderr

    assert said.startswith(f"{project.folder}/config.toml:models[0].reference.path: ")
    assert str(project.folder / "reference.csv") in said


@pytest.mark.parametrize("content", ["", "x,y\n", "no such\ncolumns,\n", "\x00\x01\x02"])
def test_a_reference_that_is_no_use_is_one_line_and_not_a_trace(project: Project, content: str) -> None:
    (project.folder / "reference.csv").write_text(content)

    ended = project.driftd("run", "--once", code=1)

    assert str(project.folder / "reference.csv") in ended.stderr.splitlines()[-1]
    assert "Traceback" not in ended.stderr


def test_once_on_an_empty_folder_then_on_what_came_since(project: Project) -> None:
    assert "0 received, 0 stored" in project.once()
    project.append("a.jsonl", rows(0, 100))
    assert "100 received, 100 stored" in project.once()
    assert "100 received, 100 stored" in project.once()
    project.append("a.jsonl", rows(100, 50))
    project.append("b.jsonl", rows(150, 50))
    assert "200 received, 200 stored" in project.once()


def test_once_closes_what_the_watermark_allows_and_flush_closes_all(project: Project) -> None:
    project.append("a.jsonl", rows(0, 3600 + 599))
    assert "0 closed, 2 open" in project.once()
    project.append("a.jsonl", rows(3600 + 599, 2))
    assert "1 closed, 1 open" in project.once()
    assert "2 closed, 0 open" in project.once("--flush")


def test_a_silent_log_closes_its_last_window_by_the_clock(project: Project) -> None:
    project.configure(config("2s", "1s"))
    start = datetime.now(UTC) - timedelta(minutes=5)
    with project.start(installed=True) as daemon:
        daemon.ready()
        project.append("a.jsonl", rows(0, 200, start))
        eventually(lambda: daemon.samples().total("driftd_events_stored_total") == 200)
        eventually(lambda: daemon.samples().get("driftd_windows_open", model="loans") == 0)
        assert daemon.stop() == 0
    assert project.status()["models"][0]["windows"]["open"] == 0


def test_status_and_metrics_before_the_first_run_say_that_there_is_nothing(project: Project) -> None:
    for command in ("status", "metrics"):
        said = project.ask(command, code=1).stderr
        assert said == f"driftd: {project.state / 'driftd.sqlite'}: no state yet; start `driftd run` first\n"


def test_a_state_of_a_newer_program_is_left_as_it_is(project: Project) -> None:
    project.append("a.jsonl", rows(0, 10))
    project.once()
    path = project.state / "driftd.sqlite"
    database = sqlite3.connect(path)
    database.execute("PRAGMA user_version=99")
    database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    database.close()
    before = path.read_bytes()

    for command in (("run", "--once"), ("status",)):
        said = project.driftd(*command, code=1).stderr.splitlines()[-1]
        assert str(path) in said

    assert path.read_bytes() == before


def test_the_daemon_keeps_serving_while_nothing_can_be_read(project: Project) -> None:
    (project.folder / "logs" / "folder.jsonl").mkdir()
    project.append("a.jsonl", rows(0, 10))
    with project.start(installed=True) as daemon:
        eventually(lambda: daemon.samples().total("driftd_events_stored_total") == 10)
        assert daemon.get("/healthz")[0] == 200
        assert daemon.stop() == 0
