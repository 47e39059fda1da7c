"""The demo's parts, and the whole of it on programs that only pretend: the real ones are in acceptance."""

import json
import os
import socket
import stat
import sys
import tempfile
import threading
import tomllib
from datetime import UTC, datetime
from pathlib import Path

import pytest
from standardwebhooks import Webhook

from monitor.clock import SystemClock
from monitor.demo import DemoOptions, run_demo
from monitor.errors import DriftdError
from monitor.loading import load
from monitor.scrape import read_metrics
from monitor.simulate import DAY, HOUR
from monitor.stage import HISTORY_DAYS, HOST, Stage, choose_port, configuration, prepare

NOW = 20_000 * DAY + 5

METRICS = """\
# HELP driftd_drift_state one-hot
# TYPE driftd_drift_state gauge
driftd_events_stored_total{model="m",source="0"} 30000.0
driftd_events_stored_total{model="m",source="1"} 1e+03
driftd_windows_closed_total{model="m"} 42.0
driftd_drift_score{model="m",version="v2",segment="all",feature="x",detector="ks"} 0.31
driftd_drift_threshold{model="m",version="v2",segment="all",feature="x",detector="ks"} 0.07
driftd_drift_state{model="m",version="v2",segment="all",feature="x",detector="ks",state="firing"} 1.0
driftd_drift_state{model="m",version="v2",segment="all",feature="x",detector="ks",state="ok"} 0.0
driftd_drift_state{model="m",version="v1",segment="all",feature="x",detector="ks",state="firing"} 0.0
driftd_drift_state{model="m",version="v1",segment="all",feature="x",detector="ks",state="ok"} 1.0
driftd_drift_state{model="m",version="v2",segment="a\\"}b",feature="y",detector="psi",state="firing"} 1
"""

PRETENDER = """\
import http.server, os, signal, sys, time
module, arguments = sys.argv[sys.argv.index("-m") + 1], sys.argv
if module == "monitor.receiver":
    print("verified webhook msg_1", flush=True)
    signal.pause()
import tomllib, pathlib
config = tomllib.loads(pathlib.Path(arguments[-1]).read_text())
if os.environ.get("PRETEND") == "die":
    sys.exit("the state folder is locked")
firing = b'driftd_drift_state{version="v2",segment="all",feature="x",detector="ks",state="firing"} 1\\n'
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200 if os.environ.get("PRETEND") != "never ready" else 503)
        self.end_headers()
        self.wfile.write(firing)
    def log_message(self, *_):
        pass
host, port = config["daemon"]["listen"].split(":")
http.server.HTTPServer((host, int(port)), Handler).serve_forever()
"""


def free_port() -> int:
    """Return a port that tests running beside this one do not choose as well."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


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


def stage(tmp_path: Path, said: list[str]) -> Stage:
    return prepare(tmp_path, seed=1, now=NOW, say=said.append)


def children() -> set[int]:
    """Every process that this one started and that still is, ended or not."""
    listing = Path(f"/proc/{os.getpid()}/task").glob("*/children")
    return {int(pid) for file in listing for pid in file.read_text().split()}


def test_metrics_are_read() -> None:
    reading = read_metrics(METRICS)

    assert reading.stored == 31_000
    assert reading.closed == 42
    assert reading.firing["v2", "all", "x", "ks"] == (0.31, 0.07)
    assert reading.firing.keys() == {("v2", "all", "x", "ks"), ("v2", 'a\\"}b', "y", "psi")}


def test_no_metrics_are_read_as_nothing() -> None:
    assert read_metrics("") == read_metrics("# nothing yet\n")
    assert not read_metrics("").firing


def test_the_stage_holds_what_the_configuration_names(tmp_path: Path) -> None:
    said: list[str] = []

    ready = stage(tmp_path, said)

    config = tomllib.loads(ready.config.read_text())
    assert config["daemon"]["listen"] == f"{HOST}:{ready.daemon_port}"
    assert f":{ready.receiver_port}/" in config["webhooks"]["training"]["url"]
    assert (tmp_path / config["models"][0]["reference"]["path"]).is_file()
    assert list(tmp_path.glob(config["models"][0]["sources"][0]["path"]))
    assert tmp_path / config["webhooks"]["training"]["secret_file"] == ready.secret
    assert any("84," in line or "83," in line for line in said)


def test_event_time_begins_at_midnight_in_the_past(tmp_path: Path) -> None:
    ready = stage(tmp_path, [])

    assert ready.start % DAY == 0
    assert ready.start < NOW - 365 * DAY


def test_the_secret_is_a_webhook_secret_for_the_owners_eyes(tmp_path: Path) -> None:
    secret = stage(tmp_path, []).secret

    assert stat.S_IMODE(secret.stat().st_mode) == 0o600
    assert Webhook(secret.read_text().strip()).sign("msg_1", datetime.now(UTC), "{}").startswith("v1,")


def test_the_daemon_accepts_the_stages_configuration(tmp_path: Path) -> None:
    ready = stage(tmp_path, [])

    config = load(ready.config, {})

    assert config.daemon.listen == f"{HOST}:{ready.daemon_port}"
    assert config.models[0].columns.segments == ("region",)


def test_a_taken_port_is_replaced_and_said() -> None:
    said: list[str] = []
    with socket.socket() as other:
        other.bind((HOST, 0))
        other.listen()
        taken = other.getsockname()[1]

        chosen = choose_port(taken, "the daemon", said.append)

    assert chosen != taken
    assert str(taken) in said[0]
    assert str(chosen) in said[0]


def test_a_free_port_is_kept_without_a_word() -> None:
    said: list[str] = []
    free = free_port()

    assert choose_port(free, "the daemon", said.append) == free
    assert not said


@pytest.mark.usefixtures("pretend")
def test_the_console_tells_the_story_and_nothing_is_left(folder: Path) -> None:
    said: list[str] = []

    code = run_demo(said.append, threading.Event(), DemoOptions(calm=0.5, seconds=2.0))

    text = "\n".join(said)
    assert code == 0
    assert "/metrics" in text
    assert "driftd status --config" in text
    assert "INCIDENT: features debt_to_income and utilization of version v2" in text
    assert "ks on x, version v2, segment all" in text
    assert "receiver: verified webhook msg_1" in text
    assert not list(folder.iterdir())
    assert not children()


@pytest.mark.usefixtures("pretend")
def test_stop_ends_it_without_a_trace(folder: Path) -> None:
    stop, said = threading.Event(), list[str]()

    def say(line: str) -> None:
        said.append(line)
        if "ready" in line:
            stop.set()

    assert run_demo(say, stop) == 0
    assert not list(folder.iterdir())
    assert not children()


@pytest.mark.usefixtures("pretend")
def test_stop_is_heard_before_the_daemon_is_ready(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PRETEND", "never ready")
    stop = threading.Event()
    stop.set()

    assert run_demo(lambda _: None, stop) == 0
    assert not list(folder.iterdir())
    assert not children()


@pytest.mark.usefixtures("pretend")
def test_a_daemon_that_ends_ends_the_demo_with_its_last_words(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PRETEND", "die")
    said: list[str] = []

    assert run_demo(said.append, threading.Event()) == 1
    assert any("the state folder is locked" in line for line in said)
    assert not list(folder.iterdir())
    assert not children()


@pytest.mark.usefixtures("pretend")
def test_an_interrupt_inside_leaves_nothing_either(folder: Path) -> None:
    def say(line: str) -> None:
        if "ready" in line:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_demo(say, threading.Event())

    assert not list(folder.iterdir())
    assert not children()


@pytest.mark.usefixtures("pretend")
def test_event_time_stops_at_the_clocks_present(folder: Path) -> None:
    clock, said, last = JumpingClock(), list[str](), list[str]()

    def say(line: str) -> None:
        said.append(line)
        if "stopping" in line:
            last.extend(line for log in folder.glob("*/logs/*") for line in log.read_text().splitlines())

    run_demo(say, threading.Event(), DemoOptions(seconds=1.5), clock)

    assert any("reached the present" in line for line in said)
    assert last
    times = [datetime.fromisoformat(json.loads(line)["timestamp"]) for line in last]
    assert max(times) < clock.now()


def test_a_template_without_the_ports_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = tmp_path / "config.toml"
    other.write_text("[daemon]\n")
    monkeypatch.setattr("monitor.stage.template", lambda: other)

    with pytest.raises(DriftdError, match="9478"):
        configuration(1, 2)
