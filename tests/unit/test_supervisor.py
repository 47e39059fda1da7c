"""sd_notify: what is told, how often, and that nobody has to listen."""

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from monitor.supervisor import Supervisor


@pytest.fixture
def line(tmp_path: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as line:
        line.bind(str(tmp_path / "notify"))
        line.settimeout(0)
        yield line


def heard(line: socket.socket) -> list[str]:
    found = []
    while True:
        try:
            found.append(line.recv(100).decode())
        except BlockingIOError:
            return found


def test_a_start_and_an_end_are_told(line: socket.socket) -> None:
    supervisor = Supervisor({"NOTIFY_SOCKET": line.getsockname()})
    supervisor.ready()
    supervisor.stopping()

    assert heard(line) == ["READY=1", "STOPPING=1"]


def test_a_reload_is_told_from_its_beginning_to_its_end(line: socket.socket) -> None:
    supervisor = Supervisor({"NOTIFY_SOCKET": line.getsockname()})
    with supervisor.reloading(1.5):
        assert heard(line) == ["RELOADING=1\nMONOTONIC_USEC=1500000"]
    assert heard(line) == ["READY=1"]


def test_an_end_in_the_middle_of_a_reload_is_the_last_word(line: socket.socket) -> None:
    supervisor = Supervisor({"NOTIFY_SOCKET": line.getsockname()})
    with supervisor.reloading(0.0):
        supervisor.stopping()

    assert heard(line) == ["RELOADING=1\nMONOTONIC_USEC=0", "STOPPING=1"]


def test_life_is_told_four_times_in_the_time_allowed_and_no_more(line: socket.socket) -> None:
    supervisor = Supervisor({"NOTIFY_SOCKET": line.getsockname(), "WATCHDOG_USEC": "60000000"})
    for second in range(120):
        supervisor.alive(float(second))

    assert heard(line) == ["WATCHDOG=1"] * 8


@pytest.mark.parametrize("asked", ["", "0", "soon", "-5", "²"])
def test_without_a_watchdog_life_is_not_told(line: socket.socket, asked: str) -> None:
    Supervisor({"NOTIFY_SOCKET": line.getsockname(), "WATCHDOG_USEC": asked}).alive(1.0)

    assert heard(line) == []


def test_a_daemon_that_commits_seldom_looks_often_enough_to_be_heard() -> None:
    assert Supervisor({"WATCHDOG_USEC": "60000000"}).patience == 15.0
    assert Supervisor({}).patience == float("inf")


def test_an_abstract_address_is_taken() -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as line:
        line.bind("\0driftd-test-supervisor")
        line.settimeout(0)
        Supervisor({"NOTIFY_SOCKET": "@driftd-test-supervisor"}).ready()

        assert heard(line) == ["READY=1"]


def test_a_supervisor_that_is_gone_is_one_line_in_the_log(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    supervisor = Supervisor({"NOTIFY_SOCKET": str(tmp_path / "nobody"), "WATCHDOG_USEC": "1000000"})
    for second in range(10):
        supervisor.alive(float(second))

    assert (capsys.readouterr().out).count("the supervisor cannot be told") == 1


def test_without_a_supervisor_no_socket_is_opened(monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[object] = []
    monkeypatch.setattr(socket, "socket", lambda *how: opened.append(how))
    supervisor = Supervisor({"WATCHDOG_USEC": "1000000"})
    supervisor.ready()
    supervisor.alive(0.0)
    supervisor.stopping()

    assert opened == []
