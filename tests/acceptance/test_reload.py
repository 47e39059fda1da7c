"""The configuration changed under a running daemon: by signal, by HTTP, by the file itself."""

import os
import signal
from collections.abc import Iterator, Mapping
from dataclasses import replace
from http.client import HTTPConnection
from pathlib import Path

import pytest

from tests.programs import PATIENCE, Daemon, Project, eventually
from tests.seconds import config, lines, made
from tests.server import BEARER, TOKEN, WRITABLE

pytestmark = pytest.mark.acceptance

OTHER = """
[[models]]
name = "other"
columns = { timestamp = "at", prediction = "y" }
features.numeric = ["x"]
reference.path = "reference.csv"
sources = [{ role = "predictions", type = "files", path = "logs/*.jsonl" }]
"""
GOOD = "driftd_config_last_reload_successful"
LOADED = "driftd_config_last_reload_success_timestamp_seconds"


@pytest.fixture
def project(tmp_path: Path) -> Project:
    found = made(tmp_path, config())
    (tmp_path / "token").write_text(TOKEN)
    found.append("a.jsonl", b"".join(lines(0, 5000)))
    return found


@pytest.fixture
def daemon(project: Project) -> Iterator[Daemon]:
    with project.start() as running:
        running.ready()
        eventually(lambda: stored(running) == 5000)
        yield running
        assert "Traceback" not in running.text


def stored(daemon: Daemon, model: str = "loans") -> float:
    return daemon.samples().total("driftd_events_stored_total", model=model)


def post(daemon: Daemon, headers: Mapping[str, str] | None = None) -> tuple[int, str]:
    connection = HTTPConnection(daemon.address, timeout=PATIENCE)
    try:
        connection.request("POST", "/-/reload", headers=headers or BEARER)
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    finally:
        connection.close()


def with_daemon(*keys: str) -> str:
    return config().replace("[daemon]", "\n".join(("[daemon]", *keys)))


def test_a_hangup_reloads(project: Project, daemon: Daemon) -> None:
    project.configure(config() + OTHER)
    daemon.process.send_signal(signal.SIGHUP)

    eventually(lambda: stored(daemon, "other") == 5000)
    assert stored(daemon) == 5000
    assert daemon.samples().get(GOOD) == 1
    assert daemon.stop() == 0


def test_a_hangup_with_a_broken_file_leaves_what_runs(project: Project, daemon: Daemon) -> None:
    loaded = daemon.samples().get(LOADED)
    project.configure(config(window="soon").replace("lateness", "latenes"))
    daemon.process.send_signal(signal.SIGHUP)

    eventually(lambda: daemon.samples().get(GOOD) == 0)
    assert daemon.text.count("configuration refused, the running one stays") == 2
    assert "config.toml:models[0].window: " in daemon.text
    assert daemon.samples().get(LOADED) == loaded
    assert daemon.get("/readyz")[0] == 200
    project.append("a.jsonl", b"".join(lines(5000, 500)))
    eventually(lambda: stored(daemon) == 5500)

    project.configure(config())
    daemon.process.send_signal(signal.SIGHUP)
    eventually(lambda: daemon.samples().get(GOOD) == 1)
    assert (daemon.samples().get(LOADED) or 0) > (loaded or 0)
    assert daemon.stop() == 0


def test_nobody_reloads_by_http_unless_it_is_configured(project: Project, daemon: Daemon) -> None:
    project.configure(config() + OTHER)

    status, says = post(daemon)
    assert status == 403
    assert "[daemon.web]" in says
    assert daemon.get("/-/reload")[0] == 405
    assert stored(daemon, "other") == 0


def test_who_reloads_by_http_is_told_what_became_of_it(project: Project) -> None:
    project.configure(with_daemon(WRITABLE))
    with project.start() as daemon:
        daemon.ready()
        project.configure(with_daemon(WRITABLE) + OTHER)
        assert post(daemon) == (200, "reloaded\n")
        eventually(lambda: stored(daemon, "other") == 5000)

        project.configure(with_daemon(WRITABLE, "watch_config = 1"))
        status, says = post(daemon)
        assert (status, says.partition(": ")[0]) == (
            422,
            f"{project.folder}/config.toml:daemon.watch_config",
        )
        assert stored(daemon, "other") == 5000

        assert post(daemon, {"authorization": "Bearer nobody"})[0] == 401
        project.configure(with_daemon(WRITABLE))
        assert post(daemon)[0] == 200
        assert stored(daemon, "other") == 0
        assert daemon.stop() == 0


def test_a_watched_file_is_read_when_it_changes(project: Project) -> None:
    project.configure(with_daemon("watch_config = true"))
    with project.start() as daemon:
        daemon.ready()
        project.configure(with_daemon("watch_config = true") + "[[")
        eventually(lambda: daemon.samples().get(GOOD) == 0)
        project.configure(with_daemon("watch_config = true") + OTHER)
        eventually(lambda: daemon.samples().get(GOOD) == 1)
        eventually(lambda: stored(daemon, "other") == 5000)
        (project.folder / "config.toml").unlink()
        eventually(lambda: daemon.samples().get(GOOD) == 0)
        assert daemon.stop() == 0


def test_a_model_that_comes_back_goes_on_after_a_restart_too(project: Project) -> None:
    project.configure(with_daemon(WRITABLE) + OTHER)
    with project.start() as daemon:
        daemon.ready()
        eventually(lambda: stored(daemon, "other") == 5000)
        project.configure(with_daemon(WRITABLE))
        assert post(daemon)[0] == 200
        assert daemon.stop() == 0
    project.append("a.jsonl", b"".join(lines(5000, 500)))
    with project.start() as daemon:
        daemon.ready()
        project.configure(with_daemon(WRITABLE) + OTHER)
        assert post(daemon)[0] == 200
        eventually(lambda: stored(daemon, "other") == 5500)
        assert daemon.samples().total("driftd_events_received_total", model="other") == 5500
        assert daemon.stop() == 0


def test_a_port_and_a_state_folder_wait_for_a_restart(project: Project, daemon: Daemon) -> None:
    address = daemon.address
    project.configure(with_daemon('state = "elsewhere"').replace("127.0.0.1:0", "127.0.0.1:1") + OTHER)
    daemon.process.send_signal(signal.SIGHUP)

    eventually(lambda: stored(daemon, "other") == 5000)
    assert daemon.address == address
    assert daemon.text.count("this key takes effect at the next start") == 2
    assert not (project.folder / "elsewhere").exists()
    assert daemon.stop() == 0


def test_a_term_ends_it_while_a_reload_is_under_way(project: Project, daemon: Daemon) -> None:
    path = project.folder / "config.toml"
    path.unlink()
    os.mkfifo(path)  # who reads it waits for who writes it
    daemon.process.send_signal(signal.SIGHUP)
    eventually(lambda: is_read(path))
    project.append("a.jsonl", b"".join(lines(5000, 500)))
    eventually(lambda: stored(daemon) == 5500)  # and reading goes on meanwhile

    assert daemon.stop() == 0

    path.unlink()
    project.configure(config()).once()
    assert project.status()["models"][0]["events"]["stored"] == 5500


def is_read(path: Path) -> bool:
    """Tell whether somebody reads the pipe; the end that writes stays open."""
    try:
        os.open(path, os.O_WRONLY | os.O_NONBLOCK)
    except OSError:
        return False
    return True


def test_a_configuration_from_a_pipe_is_read_once(project: Project) -> None:
    path = project.folder / "piped.toml"
    os.mkfifo(path)
    with replace(project, config="piped.toml").start() as daemon:
        path.write_text(config())
        daemon.ready()
        eventually(lambda: stored(daemon) == 5000)
        assert daemon.stop() == 0
