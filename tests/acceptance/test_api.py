"""The API of a real daemon, and its commands: acknowledged, killed, and still acknowledged; over HTTPS."""

import json
import socket
import ssl
import subprocess
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from http.client import HTTPConnection, HTTPSConnection
from pathlib import Path
from typing import Any

import pytest

from tests.programs import DRIFTD, Daemon, Project, eventually
from tests.prometheus import scraping
from tests.seconds import config, lines, made
from tests.server import TOKEN, encrypted

pytestmark = pytest.mark.acceptance

WEB = """
[daemon.web]
token_files = ["token"]
"""
TLS = WEB + 'cert_file = "cert.pem"\nkey_file = "key.pem"\nusers_file = "users"\n'
CLIENTS = TLS + 'client_ca_file = "ca.pem"\n'


def drifting(folder: Path, web: str) -> Project:
    """Make a project whose log drifts: x has one value only."""
    (folder / "token").write_text(TOKEN)
    head, rest = config("1h", "1m").split("[[models]]", 1)
    project = made(folder, f"{head}{web}\n[[models]]{rest}")
    project.append("a.jsonl", b"".join(lines(0, 10_000)).replace(b'"x": ', b'"x": 9'))
    return project


def ask(daemon: Daemon, path: str, body: object = None, context: ssl.SSLContext | None = None) -> Any:  # noqa: ANN401
    where = daemon.address
    connection = (
        HTTPSConnection(where, timeout=30, context=context) if context else HTTPConnection(where, timeout=30)
    )
    headers = {"authorization": f"Bearer {TOKEN}", "content-type": "application/json"}
    connection.request("POST" if body else "GET", path, json.dumps(body) if body else None, headers)
    answer = connection.getresponse()
    found = answer.status, json.loads(answer.read())
    connection.close()
    return found


def first_episode(daemon: Daemon, context: ssl.SSLContext | None = None) -> str:
    def firing() -> list[Any]:
        found: list[Any] = ask(daemon, "/api/v1/episodes?state=firing", None, context)[1]["episodes"]
        return found

    eventually(firing, "an episode")
    id_: str = firing()[0]["id"]
    return id_


def test_an_acknowledgement_outlives_the_daemon(tmp_path: Path) -> None:
    project = drifting(tmp_path, WEB)
    with project.start() as daemon:
        episode = first_episode(daemon.ready())
        status, said = ask(daemon, f"/api/v1/episodes/{episode}/ack", {"who": "anna", "why": "late"})
        assert (status, said["acknowledged"]["who"]) == (200, "anna")
        finished = {"state": "finished", "run": "r1", "version": "v3"}
        assert ask(daemon, f"/api/v1/episodes/{episode}/retrain", finished)[0] == 200
        daemon.kill()
    assert f"({episode}, acknowledged by anna, retraining finished: v3)" in project.ask("status").stdout
    assert project.samples().get("driftd_episodes_open", model="loans", acknowledged="true") == 1
    with project.start() as daemon:
        _, again = ask(daemon.ready(), f"/api/v1/episodes/{episode}")
        assert again["acknowledged"] == said["acknowledged"]
        assert again["retraining"]["version"] == "v3"
        assert daemon.stop() == 0
    (line,) = [one for one in project.driftd("episodes").stdout.splitlines() if episode in one]
    assert "acknowledged by anna" in line
    assert {e["id"] for e in json.loads(project.ask("episodes", "--json", "--all").stdout)["episodes"]} >= {
        episode
    }


def test_the_commands_work_over_https_and_no_secret_is_logged(tmp_path: Path) -> None:
    _, trusting = encrypted(tmp_path)
    trusting.load_cert_chain(tmp_path / "cert.pem", tmp_path / "key.pem")
    project = drifting(tmp_path, CLIENTS)
    made_line = subprocess.run(
        [DRIFTD, "password", "anna"], input="correct horse\n", capture_output=True, text=True, check=True
    ).stdout
    (tmp_path / "users").write_text(made_line)
    with project.start() as daemon:
        address = daemon.ready().address
        episode = first_episode(daemon, trusting)
        text = (tmp_path / "config.toml").read_text().replace("127.0.0.1:0", address)
        (tmp_path / "config.toml").write_text(text)
        nobody = project.driftd("ack", episode, "--who", "anna", "--why", "late", code=1)
        assert "the daemon wants a certificate of daemon.web.client_ca_file; give it by" in nobody.stderr
        shown = ("--cert", str(tmp_path / "cert.pem"), "--key", str(tmp_path / "key.pem"))
        done = project.driftd("ack", episode, "--who", "anna", "--why", "late", *shown)
        assert done.stdout == f"{episode}: acknowledged by anna\n"
        taken = project.driftd("ack", episode, "--who", "ben", "--why", "late", *shown, code=1)
        assert f"driftd: {episode}: acknowledged by anna already" in taken.stderr
        assert daemon.stop() == 0
        assert '"by": "token"' in daemon.text
        assert not [secret for secret in (TOKEN, "scrypt", "correct horse", "late") if secret in daemon.text]
    gone = project.ask("ack", episode, "--who", "anna", "--why", "late", code=1)
    assert "no daemon answers there" in gone.stderr


def test_slow_and_hostile_clients_disturb_neither_ingest_nor_scrapes(tmp_path: Path) -> None:
    project = drifting(tmp_path, "")
    with project.start() as daemon, ExitStack() as opened:
        host, _, port = daemon.ready().address.rpartition(":")
        first_episode(daemon)
        for said in [
            b"",
            b"GET /metrics HTTP/1.1\r\nx:",
            b"GET /metrics HTTP/1.1\r\nx: y\r\n\r\n" * 200,
        ] * 40:
            client = opened.enter_context(socket.create_connection((host, int(port)), timeout=30))
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            client.sendall(said)
        project.append("a.jsonl", b"".join(lines(10_000, 50_000)))
        with ThreadPoolExecutor(50) as pool:
            answers = list(pool.map(lambda _: daemon.get("/metrics")[0], range(200)))
        assert set(answers) == {200}
        eventually(lambda: daemon.samples().total("driftd_events_stored_total") == 60_000, "all rows")
        eventually(lambda: sockets(daemon) < 60, "those that sent no request are cut off")
        assert daemon.stop() == 0
        assert "Traceback" not in daemon.text


def sockets(daemon: Daemon) -> int:
    """Return how many sockets the daemon has open."""
    open_ = (Path("/proc") / str(daemon.process.pid) / "fd").iterdir()
    return sum(path.is_socket() for path in open_)


def test_a_prometheus_with_the_token_scrapes_over_https(
    tmp_path: Path, program: Callable[[str], str]
) -> None:
    encrypted(tmp_path)
    project = drifting(tmp_path, TLS.replace('users_file = "users"', ""))
    more = f"""    scheme: https
    authorization: {{credentials_file: {tmp_path / "token"}}}
    tls_config: {{ca_file: {tmp_path / "ca.pem"}}}
"""
    with (
        project.start() as daemon,
        scraping(program("prometheus"), daemon.ready().address, tmp_path, more=more) as prometheus,
    ):
        eventually(lambda: prometheus.query("driftd_episodes_open > 0"), "scraped")
        assert prometheus.query("up")[0]["value"][1] == "1"
        assert daemon.stop() == 0
