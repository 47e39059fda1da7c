"""The demo's parts, and the whole of it on programs that only pretend: the real ones are in acceptance."""

import json
import os
import re
import socket
import sys
import tempfile
from collections.abc import Callable
from datetime import UTC, datetime
from itertools import groupby
from pathlib import Path

import pytest

from monitor.clock import SystemClock
from monitor.demo import DemoOptions, run_demo
from monitor.service import LiveService
from monitor.simulate import DAY, HOUR
from monitor.stage import HISTORY_DAYS, HOST
from monitor.types import Micros
from tests.ports import free_port

NOW = 20_000 * DAY + 5

PRETENDER = """\
import http.server, os, signal, socket, sys, time
module, arguments = sys.argv[sys.argv.index("-m") + 1], sys.argv
if module == "monitor.receiver":
    try:
        server = socket.create_server(("127.0.0.1", int(arguments[arguments.index("--port") + 1])))
    except OSError as error:
        sys.exit(f"cannot listen on {error}")
    print("listening", flush=True)
    print("verified webhook msg_1", flush=True)
    signal.pause()
import tomllib, pathlib
config = tomllib.loads(pathlib.Path(arguments[-1]).read_text())
if os.environ.get("PRETEND") == "die":
    sys.exit("the state folder is locked")
drift = b'driftd_drift_state{version="v2",segment="all",feature="x",detector="ks",state="firing"} 1\\n'
labels = 'version="v1",segment="all",metric="accuracy",basis="realized"'
bad = f'driftd_performance_value{{{labels}}} 0.55\\ndriftd_performance_state{{{labels},state="firing"}} 1\\n'
scrapes = [drift, b"", bad.encode()]
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200 if os.environ.get("PRETEND") != "never ready" else 503)
        self.end_headers()
        if self.path == "/metrics":
            self.wfile.write(scrapes.pop(0) if len(scrapes) > 1 else scrapes[0])
    def log_message(self, *_):
        pass
host, port = config["daemon"]["listen"].split(":")
try:
    server = http.server.HTTPServer((host, int(port)), Handler)
except OSError as error:
    sys.exit(f"cannot listen on {port}: {error}")
print("listening", flush=True)
server.serve_forever()
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where temporary folders are made during the test."""
    place = tmp_path / "temporary"
    place.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(place))
    return place


@pytest.fixture
def pretend(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Stand a small program in for the daemon and the receiver."""
    program = tmp_path / "python"
    program.write_text(f"#!{sys.executable}\n{PRETENDER}")
    program.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(program))
    monkeypatch.setattr("monitor.stage.choose_port", lambda *_: free_port())


class JumpingClock(SystemClock):
    """Shows NOW at first, then a time two hours after the demo's event time began."""

    def __init__(self) -> None:
        super().__init__()
        self._times = iter([NOW])

    def now(self) -> datetime:
        later = (NOW // DAY - HISTORY_DAYS) * DAY + 2 * HOUR
        return datetime.fromtimestamp(next(self._times, later) / 10**6, UTC)


def children() -> set[int]:
    """Every process that this one started and that still is, ended or not."""
    listing = Path(f"/proc/{os.getpid()}/task").glob("*/children")
    return {int(pid) for file in listing for pid in file.read_text().split()}


@pytest.fixture
def left() -> Callable[[], set[int]]:
    """Return what tells which processes a test leaves behind; other tests' are their own."""
    before = children()
    return lambda: children() - before


@pytest.mark.usefixtures("pretend")
def test_the_console_tells_the_story_and_nothing_is_left(
    left: Callable[[], set[int]], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("monitor.demo.LOOK_EVERY", 0.6)
    said: list[str] = []

    code = run_demo(said.append, SystemClock(), DemoOptions(0.3, 0.6, 0.6, seconds=2.4))

    assert code == 0
    told = (
        *(
            "/metrics",
            "driftd status --config",
            "FIRST INCIDENT: debt_to_income and utilization of version v2",
        ),
        *("the first incident is over", "SECOND INCIDENT: from now on income and utilization", "all stopped"),
    )
    places = [next(i for i, line in enumerate(said) if part in line) for part in told]
    assert places == sorted(places)
    for part in (
        "receiver: verified webhook msg_1",
        "OVER for 1 monitor, still firing: none",
        "accuracy by outcomes, version v1, segment all: 0.550",
    ):
        assert any(part in line for line in said)
    assert any("ks on x, version v2, segment all" in line for line in said)
    assert sum("CONCEPT DRIFT" in line for line in said) == 1
    assert not list(folder.iterdir())
    assert not left()


@pytest.mark.usefixtures("pretend", "folder")
def test_what_fires_is_dated_by_the_act(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("monitor.demo.LOOK_EVERY", 0.6)
    clock, said = SystemClock(), list[str]()

    def say(line: str) -> None:
        said.append(line)
        if "monitor of performance" in line:  # however long a slow machine takes to come to it
            clock.wake()

    run_demo(say, clock, DemoOptions(0.3, 0.1, 0.1, seconds=60))

    assert any(line.endswith("FIRING: 1 monitor of inputs and scores, 0 s into the calm") for line in said)
    assert any(re.search(r"monitor of performance, \d+ s into the second incident", line) for line in said)


@pytest.mark.usefixtures("pretend")
def test_the_service_does_in_each_act_what_the_act_says(folder: Path) -> None:
    calls: list[tuple[bool, bool]] = []

    class Service(LiveService):
        def write(self, until: Micros, *, incident: bool = False, concept: bool = False) -> int:
            calls.append((incident, concept))
            return super().write(until, incident=incident, concept=concept)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("monitor.stage.LiveService", Service)
        run_demo(lambda _: None, SystemClock(), DemoOptions(0.5, 0.5, 0.5, seconds=2.2))

    assert [call for call, _ in groupby(calls)] == [
        (False, False),
        (True, False),
        (False, False),
        (False, True),
    ]
    assert not list(folder.iterdir())


@pytest.mark.usefixtures("pretend")
def test_a_port_that_someone_takes_before_its_program_does_is_replaced(
    left: Callable[[], set[int]], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    with socket.create_server((HOST, 0)) as other:  # found free, and taken since
        taken = other.getsockname()[1]
        monkeypatch.setattr("monitor.stage.choose_port", lambda *_: taken)

        code = run_demo(said.append, SystemClock(), DemoOptions(seconds=0.1))

    assert code == 0, said
    words = [line.split() for line in said if line.startswith(f"port {taken} is taken: the ")]
    assert [found[5] for found in words] == ["receiver", "daemon"]
    assert any(f"http://{HOST}:{words[1][-2]}/metrics" in line for line in said)
    assert not list(folder.iterdir())
    assert not left()


@pytest.mark.usefixtures("pretend")
def test_stop_ends_it_without_a_trace(left: Callable[[], set[int]], folder: Path) -> None:
    clock, said = SystemClock(), list[str]()

    def say(line: str) -> None:
        said.append(line)
        if "ready" in line:
            clock.wake()

    assert run_demo(say, clock) == 0
    assert not list(folder.iterdir())
    assert not left()


@pytest.mark.usefixtures("pretend")
def test_stop_is_heard_before_the_daemon_is_ready(
    left: Callable[[], set[int]], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PRETEND", "never ready")
    clock = SystemClock()
    clock.wake()

    assert run_demo(lambda _: None, clock) == 0
    assert not list(folder.iterdir())
    assert not left()


@pytest.mark.usefixtures("pretend")
def test_a_daemon_that_ends_ends_the_demo_with_its_last_words(
    left: Callable[[], set[int]], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PRETEND", "die")
    said: list[str] = []

    assert run_demo(said.append, SystemClock()) == 1
    assert any("the state folder is locked" in line for line in said)
    assert not list(folder.iterdir())
    assert not left()


@pytest.mark.usefixtures("pretend")
def test_an_interrupt_inside_leaves_nothing_either(left: Callable[[], set[int]], folder: Path) -> None:
    def say(line: str) -> None:
        if "ready" in line:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_demo(say, SystemClock())

    assert not list(folder.iterdir())
    assert not left()


@pytest.mark.usefixtures("pretend")
def test_event_time_stops_at_the_clocks_present(folder: Path) -> None:
    clock, said, last = JumpingClock(), list[str](), list[str]()

    def say(line: str) -> None:
        said.append(line)
        if "stopping" in line:
            last.extend(line for log in folder.glob("*/logs/*") for line in log.read_text().splitlines())

    run_demo(say, clock, DemoOptions(seconds=1.5))

    assert any("reached the present" in line for line in said)
    assert last
    times = [datetime.fromisoformat(json.loads(line)["timestamp"]) for line in last]
    assert max(times) < clock.now()
