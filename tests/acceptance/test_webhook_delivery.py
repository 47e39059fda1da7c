"""Retraining webhooks from the real daemon to a receiver in a process of its own: delivered once."""

import json
import os
import re
import secrets
import signal
import sys
import threading
import time
from base64 import b64encode
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import polars as pl
import pytest
import standardwebhooks

from exporters.base import Reason
from monitor.core.outbox import Note, NoteState
from tests.drifting import ASKS, DRIFTS, drifting
from tests.ports import free_port
from tests.programs import Daemon, Program, Project, eventually

pytestmark = pytest.mark.acceptance

MODEL = "car-loan"


@dataclass(frozen=True, slots=True)
class Setting:
    """A project whose log drifts, and the port where its webhook goes."""

    project: Project
    port: int

    @property
    def secret(self) -> str:
        return (self.project.folder / "secret").read_text()

    def receiver(self, *options: str) -> Program:
        """Start the receiver that the package brings."""
        secret = str(self.project.folder / "secret")
        command = [
            sys.executable,
            "-m",
            "monitor.receiver",
            "--secret-file",
            secret,
            "--port",
            str(self.port),
        ]
        return Program([*command, *options], self.project.folder / "receiver.log", self.project.environment)

    def note(self) -> Note:
        """Return the one note of the committed outbox."""
        (note,) = self.project.notes()
        return note


@pytest.fixture
def setting(tmp_path: Path, car_loans: pl.DataFrame) -> Iterator[Setting]:
    port = free_port()
    made = drifting(tmp_path, car_loans, DRIFTS + ASKS.replace("URL", f"http://127.0.0.1:{port}/hook"))
    (tmp_path / "secret").write_bytes(b64encode(b"\t" + secrets.token_bytes(30) + b"\n") + b"\n")
    (tmp_path / "secret").chmod(0o600)
    yield Setting(made, port)
    for said in (made.metrics(), json.dumps(made.status()), *(p.read_text() for p in tmp_path.glob("*.log"))):
        assert (tmp_path / "secret").read_text().strip() not in said


def heard(receiver: Program) -> list[tuple[str, str]]:
    """Return the verdict and the id of every request that the receiver heard."""
    return re.findall(r"^(verified|duplicate|refused|failed) webhook '?(\w+)", receiver.text, re.MULTILINE)


def settled(daemon: Daemon, setting: Setting) -> None:
    """Wait until nothing waits to be sent any more."""
    eventually(lambda: daemon.samples().get("driftd_outbox_pending") is not None and setting.project.notes())
    eventually(lambda: daemon.samples().get("driftd_outbox_pending") == 0)


def test_a_receiver_that_was_down_gets_it_once_and_on_schedule(setting: Setting) -> None:
    with setting.project.start() as daemon:
        daemon.wait_for("webhook not delivered")
        eventually(lambda: setting.note().attempts > 0)
        assert daemon.stop() == 0
    failed = setting.note()
    assert (failed.state, failed.last_reason) == (NoteState.PENDING, Reason.CONNECT)
    with setting.receiver() as receiver:
        receiver.wait_for("listening")
        with setting.project.start() as daemon:
            settled(daemon, setting)
            assert daemon.stop() == 0
        for _ in range(2):
            setting.project.once()

        assert heard(receiver) == [("verified", failed.id)]
        assert f"model {MODEL}" in receiver.text
    delivered = setting.note()
    assert (delivered.state, delivered.attempts) == (NoteState.DELIVERED, failed.attempts + 1)
    told = re.search(r'"webhook delivered".*"timestamp": "([^"]+)"', daemon.text)
    assert told is not None
    assert datetime.fromisoformat(told[1]).timestamp() * 10**6 >= failed.next_due
    assert setting.project.status()["outbox"] == {"pending": 0, "delivered": 1, "dead": 0}


def test_run_once_delivers_what_is_due_and_never_again(setting: Setting) -> None:
    with setting.receiver() as receiver:
        receiver.wait_for("listening")
        for _ in range(2):
            assert "1 delivered" in setting.project.once("--flush")

        assert [verdict for verdict, _ in heard(receiver)] == ["verified"]


def test_a_receiver_that_refuses_for_a_while_gets_it_once(setting: Setting) -> None:
    with setting.receiver("--fail-first", "1") as receiver:
        receiver.wait_for("listening")
        with setting.project.start() as daemon:
            settled(daemon, setting)
            assert daemon.stop() == 0

        note = setting.note()
        assert heard(receiver) == [("failed", note.id), ("verified", note.id)]
        assert (note.state, note.attempts) == (NoteState.DELIVERED, 2)


def test_a_receiver_that_is_gone_for_good_is_not_asked_again(setting: Setting) -> None:
    with setting.receiver("--fail-first", "9", "--status", "410") as receiver:
        with setting.project.start() as daemon:
            settled(daemon, setting)
            assert daemon.samples().get("driftd_outbox_dead_letters") == 1
            assert daemon.stop() == 0
        setting.project.once("--flush")

        assert [verdict for verdict, _ in heard(receiver)] == ["failed"]


def is_stopped(pid: int) -> bool:
    """Tell whether every thread stands still: a signal reaches them one by one."""
    stats = Path(f"/proc/{pid}/task").glob("*/stat")
    return all(stat.read_text().rpartition(")")[2].split()[0] == "T" for stat in stats)


@dataclass(slots=True)
class Killer:
    """A receiver that answers 204 and lets nobody hear it: the sender is stopped before, and killed after."""

    victim: int = 0
    requests: list[tuple[dict[str, str], bytes]] = field(default_factory=list)

    def hear(self, handler: BaseHTTPRequestHandler) -> None:
        headers = {name.lower(): value for name, value in handler.headers.items()}
        self.requests.append((headers, handler.rfile.read(int(headers["content-length"]))))
        if self.victim:
            os.kill(self.victim, signal.SIGSTOP)
            eventually(lambda: is_stopped(self.victim))
        handler.send_response(204)
        handler.end_headers()
        handler.wfile.flush()
        if self.victim:
            os.kill(self.victim, signal.SIGKILL)
            self.victim = 0


@pytest.fixture
def killer(setting: Setting) -> Iterator[Killer]:
    found = Killer()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            found.hear(self)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - http.server's name
            """Say nothing."""

    with HTTPServer(("127.0.0.1", setting.port), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        yield found
        server.shutdown()
        thread.join()


def test_killed_between_the_answer_and_the_record_it_sends_the_same_id_again(
    setting: Setting, killer: Killer
) -> None:
    with setting.project.start() as daemon:
        killer.victim = daemon.process.pid
        assert daemon.process.wait(60) == -signal.SIGKILL
    assert setting.note().state is NoteState.PENDING
    time.sleep(1.1)  # the next attempt's stamp, in whole seconds, is another one
    with setting.project.start() as daemon:
        settled(daemon, setting)
        assert daemon.stop() == 0

    (first, body), (second, again) = killer.requests
    assert first["webhook-id"] == second["webhook-id"] == setting.note().id
    assert int(first["webhook-timestamp"]) < int(second["webhook-timestamp"])
    assert first["webhook-signature"] != second["webhook-signature"]
    assert body == again
    for headers in (first, second):
        assert standardwebhooks.Webhook(setting.secret).verify(body, headers)["data"]["model"] == MODEL
    assert setting.note().state is NoteState.DELIVERED
