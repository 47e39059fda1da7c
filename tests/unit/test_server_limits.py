"""Slow, many and hostile clients: cut off, bounded, and no burden to the others."""

import gc
import socket
import ssl
import time
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPException

import pytest
from msgspec.structs import replace

from monitor.server.limits import Counted, Limits
from monitor.web import Web
from tests.programs import eventually
from tests.server import Served, encrypted, ended, page, served

SHORT = Limits(request=0.3, answer=0.6, idle=0.3)
ALONE = replace(SHORT, connections=1)
LARGE = b"x" * (32 * 2**20)


def serves(server: Served, tls: ssl.SSLContext | None = None) -> bool:
    """Tell whether there is a place for one more, who is answered."""
    try:
        return server.ask("/healthz", tls=tls).status == 200
    except (OSError, HTTPException):
        return False


def drip(client: socket.socket) -> None:
    """Send a byte now and then for as long as it goes."""
    while True:
        client.sendall(b"y")
        time.sleep(0.02)


@pytest.mark.parametrize(
    "said",
    [
        b"",
        b"GET /metrics",
        b"GET /metrics HTTP/1.1\r\nhost: x\r\n",
        b"POST /api/v1/episodes/ep_1/ack HTTP/1.1\r\nhost: x\r\ncontent-length: 10\r\n\r\nab",
        b"GET /metrics HTTP/1.1\r\nhost: x\r\ncontent-length: 10\r\n\r\nab",
        b"\r\n",
        b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n",
        b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\nGET /h",
    ],
)
def test_a_client_that_stops_in_the_middle_is_cut_off(said: bytes) -> None:
    with served(limits=SHORT) as server, server.connect() as client:
        client.sendall(said)
        ended(client)
        assert server.ask("/healthz").status == 200


def test_a_client_that_sends_a_byte_now_and_then_is_cut_off() -> None:
    with served(limits=SHORT) as server, server.connect() as client:
        client.sendall(b"GET /healthz HTTP/1.1\r\nx: ")
        with pytest.raises(ConnectionError):
            drip(client)


def test_a_scraper_that_never_reads_is_cut_off_and_its_answer_given_up() -> None:
    with served(limits=ALONE, metrics=page(LARGE)) as server, server.connect() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.sendall(b"GET /metrics HTTP/1.1\r\nhost: x\r\n\r\n" * 5)
        assert client.recv(1)
        eventually(lambda: serves(server), "its place is given up")
        assert len(ended(client)) < len(LARGE)


def test_a_slow_scraper_that_reads_gets_all() -> None:
    with served(limits=Limits(answer=30.0), metrics=page(LARGE)) as server, server.connect() as client:
        client.sendall(b"GET /metrics HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
        time.sleep(0.3)
        assert ended(client).endswith(LARGE)


def test_what_is_written_is_sent_at_once() -> None:
    """Else the second part of an answer waits for the client to acknowledge the first: 40 ms on Linux."""
    with served() as server, server.connect() as client:
        client.sendall(b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n")
        assert client.recv(1)
        accepted = [one for one in gc.get_objects() if isinstance(one, Counted) and one.fileno() >= 0]
        (found,) = [one for one in accepted if one.getpeername() == client.getsockname()]
        assert found.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) == 1


def test_fifty_scrapes_at_once_are_all_answered() -> None:
    with served(metrics=page(b"x" * 2**20)) as server, ThreadPoolExecutor(50) as pool:
        found = list(pool.map(lambda _: server.ask("/metrics"), range(200)))
    assert {(one.status, len(one.body)) for one in found} == {(200, 2**20)}


def test_connections_beyond_the_limit_are_closed_and_places_come_back() -> None:
    with served(limits=Limits(connections=3)) as server:
        for _ in range(2):
            clients = [server.connect() for _ in range(3)]
            with server.connect() as refused:
                assert ended(refused) == b""
            for client in clients:
                client.close()
            eventually(lambda: serves(server), "the places are free")


def test_a_head_that_is_too_large_is_refused() -> None:
    with served() as server, server.connect() as client:
        client.sendall(b"GET /healthz HTTP/1.1\r\nx: " + b"y" * 20_000)
        assert ended(client).startswith(b"HTTP/1.1 400 ")


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory) -> tuple[Web, ssl.SSLContext]:
    """Return what a server of 127.0.0.1 needs, and what trusts it."""
    return encrypted(tmp_path_factory.mktemp("tls"))


def test_a_client_that_begins_no_handshake_is_cut_off(tls: tuple[Web, ssl.SSLContext]) -> None:
    web, context = tls
    with served(web, Limits(request=0.3, connections=2)) as server:
        with server.connect() as one, server.connect() as other:
            assert ended(one) + ended(other) == b""
        eventually(lambda: serves(server, context), "their places are free")


def test_a_client_that_never_reads_over_tls_is_cut_off(tls: tuple[Web, ssl.SSLContext]) -> None:
    web, context = tls
    with served(web, ALONE, metrics=page(LARGE)) as server, server.connect() as raw:
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        with context.wrap_socket(raw, server_hostname="127.0.0.1") as client:
            client.sendall(b"GET /metrics HTTP/1.1\r\nhost: x\r\n\r\n")
            assert client.recv(1)
            eventually(lambda: serves(server, context), "its place is given up")
