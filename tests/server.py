"""A server of the daemon's own kind, with answers that a test chooses, and raw clients for it."""

import json
import socket
import ssl
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPSConnection
from pathlib import Path
from typing import Any

import trustme
from msgspec.structs import replace

from monitor.errors import ConflictError, NotFoundError, StoreUnavailableError
from monitor.exposition import Answer
from monitor.server.http import Answers, HttpServer
from monitor.server.limits import Limits
from monitor.web import Web

TOKEN = "0123456789abcdef" * 2
WRITABLE = """
web.token_files = ["token"]
web.open = ["metrics", "health", "status"]
"""
"""Lines of [daemon] that let who has the token write, and everybody read."""
BEARER = {"authorization": f"Bearer {TOKEN}"}
PATIENCE = 30.0


def page(body: bytes) -> Callable[[str, str], Answer]:
    """Return what answers every scrape with this."""
    return lambda *_: Answer(body, {"content-type": "text/plain"})


@dataclass
class FakeDesk:
    """A desk with one episode, "ep_1"; `broken` stands for a full disk."""

    broken: bool = False
    asked: list[tuple[str, ...]] = field(default_factory=list)

    def episodes(self) -> list[dict[str, Any]]:
        return [
            {"id": "ep_1", "model": "m", "state": "firing"},
            {"id": "ep_0", "model": "n", "state": "ended"},
        ]

    def episode(self, id_: str) -> dict[str, Any]:
        if id_ != "ep_1":
            raise NotFoundError("no such episode")
        return {"id": id_, "asked": [list(one) for one in self.asked]}

    def acknowledge(self, id_: str, who: str, why: str) -> dict[str, Any]:
        return self._take(id_, "ack", who, why)

    def report(self, id_: str, state: str, run: str, version: str) -> dict[str, Any]:
        return self._take(id_, state, run, version)

    def _take(self, id_: str, *said: str) -> dict[str, Any]:
        if self.broken:
            raise StoreUnavailableError("nothing was recorded")
        if said[1] == "other":
            raise ConflictError("acknowledged by anna already")
        self.asked.append(said)
        return self.episode(id_)


class FakeViews:
    """Nothing to see."""

    def status(self) -> dict[str, Any]:
        return {"models": []}

    def page(self) -> dict[str, Any]:
        raise AssertionError("no test of the fake asks for the page")


@dataclass
class Told:
    """What the server wrote to the audit log."""

    lines: list[tuple[str, Mapping[str, Any]]] = field(default_factory=list)

    def __call__(self, event: str, **fields: object) -> None:
        self.lines.append((event, fields))


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer to a request."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def error(self) -> str:
        """What an error says; it must be one line of JSON."""
        assert self.body.count(b"\n") == 1
        said: str = json.loads(self.body)["error"]
        return said


@dataclass(frozen=True, slots=True)
class Served:
    """A running server."""

    server: HttpServer
    desk: FakeDesk
    told: Told

    @property
    def where(self) -> tuple[str, int]:
        host, _, port = self.server.address.rpartition(":")
        return host, int(port)

    def ask(
        self,
        path: str,
        body: object = None,
        token: str = "",
        headers: Mapping[str, str] | None = None,
        tls: ssl.SSLContext | None = None,
        method: str = "",
    ) -> Reply:
        """GET, or POST where there is a body, or `method`; a body is written as JSON unless it is bytes."""
        kind = {} if body is None else {"content-type": "application/json"}
        sent = {**kind, **({"authorization": f"Bearer {token}"} if token else {}), **(headers or {})}
        data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        host, port = self.where
        connection = (
            HTTPSConnection(host, port, timeout=PATIENCE, context=tls)
            if tls
            else HTTPConnection(host, port, timeout=PATIENCE)
        )
        try:
            connection.request(method or ("GET" if body is None else "POST"), path, data, sent)
            answer = connection.getresponse()
            return Reply(answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read())
        finally:
            connection.close()

    def connect(self) -> socket.socket:
        """Open a connection."""
        return socket.create_connection(self.where, timeout=PATIENCE)


def nothing_wrong() -> str:
    return ""


@contextmanager
def served(web: Web | None = None, limits: Limits | None = None, **answers: Any) -> Iterator[Served]:  # noqa: ANN401
    """Serve until the block ends. answers: what to put in place of the fake ones."""
    desk, told = FakeDesk(), Told()
    fake = Answers(page(b"driftd_up 1\n"), nothing_wrong, tuple, FakeViews(), desk, told)
    server = HttpServer("127.0.0.1:0", replace(fake, **answers), web or Web(), limits)
    server.start()
    try:
        yield Served(server, desk, told)
    finally:
        server.close()
        assert not any(
            t.name == "http" and t is not threading.current_thread() for t in threading.enumerate()
        )


def encrypted(folder: Path, name: str = "127.0.0.1") -> tuple[Web, ssl.SSLContext]:
    """Return what a server of that name needs for TLS, in files there, and a context that trusts it."""
    authority = trustme.CA()
    issued = authority.issue_cert(name)
    issued.private_key_pem.write_to_path(folder / "key.pem")
    issued.cert_chain_pems[0].write_to_path(folder / "cert.pem")
    authority.cert_pem.write_to_path(folder / "ca.pem")
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return Web(cert_file=folder / "cert.pem", key_file=folder / "key.pem"), context


def ended(client: socket.socket) -> bytes:
    """Read until the server ends the connection; returns what it said."""
    said = bytearray()
    try:
        while chunk := client.recv(65536):
            said += chunk
    except ConnectionError:
        return bytes(said)
    return bytes(said)
