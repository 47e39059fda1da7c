"""Whatever the network does to an attempt is an outcome, in time."""

import socket
import ssl
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exporters import bounded
from exporters.base import Delivered, Delivery, Notification, Reason, Refused, Retry
from exporters.contract import Answer, ScriptedReceiver
from exporters.webhook import Webhook
from tests.signing import by

NOW = datetime(2026, 3, 1, 12, 0, 0, 700_000, tzinfo=UTC)
SECRET = b"a-very-secret-key-of-32-bytes-ab"
BODY = '{"data":{"feature":"größe"}}'.encode()
NOTE_ID = "msg_0123456789abcdef01234567"
Speak = Callable[[socket.socket], None]


def send(url: str, seconds: float = 5.0, now: datetime = NOW, tls: ssl.SSLContext | None = None) -> Delivery:
    return Webhook(url, by(SECRET), seconds, tls, allow_private=True).send(
        Notification(NOTE_ID, url, BODY, 0), now
    )


def hear(connection: socket.socket) -> None:
    """Read a whole request, or the first bytes of anything else: unread bytes turn a close into a reset."""
    connection.settimeout(5)
    data = b""
    while not data.endswith(BODY) and b"POST ".startswith(data[:5]):
        more = connection.recv(65_536)
        if not more:
            return
        data += more


@contextmanager
def listener(speak: Speak) -> Iterator[str]:
    """Serve one connection: read the request, then do as `speak` says."""

    def serve() -> None:
        with suppress(OSError):
            connection, _ = server.accept()
            with connection:
                hear(connection)
                speak(connection)

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=serve)
        thread.start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}/hook"
        thread.join()


def say(*parts: bytes) -> Speak:
    return lambda connection: connection.sendall(b"".join(parts))


def trickle(head: bytes) -> Speak:
    def speak(connection: socket.socket) -> None:
        connection.sendall(head)
        pause = threading.Event()
        with suppress(OSError):
            while not pause.wait(0.02):
                connection.sendall(b"x")

    return speak


def reset(connection: socket.socket) -> None:
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")


@pytest.mark.parametrize(
    ("speak", "reason"),
    [
        pytest.param(reset, Reason.RESET, id="reset"),
        pytest.param(say(), Reason.RESET, id="closed without a word"),
        pytest.param(say(b"220 mail.example ESMTP\r\n"), Reason.PROTOCOL, id="another protocol"),
        pytest.param(say(b"HTTP/1.1 twohundred OK\r\n\r\n"), Reason.PROTOCOL, id="no number"),
        pytest.param(say(b"HTTP/1.1 200 OK\r\nbroken header\r\n\r\n"), Reason.PROTOCOL, id="broken header"),
        pytest.param(say(b"HTTP/1.1 101 Switch\r\nupgrade: x\r\n\r\n"), Reason.PROTOCOL, id="switch"),
        pytest.param(say(b"HTTP/1.1 200 OK\r\nx: ", b"y" * 200_000), Reason.PROTOCOL, id="endless header"),
        pytest.param(say(b"HTTP/1.1 100 Continue\r\n\r\n" * 9_000), Reason.PROTOCOL, id="endless continue"),
        pytest.param(say(b"\x00\xff" * 100), Reason.PROTOCOL, id="noise"),
    ],
)
def test_whatever_the_receiver_does_is_a_reason(speak: Speak, reason: Reason) -> None:
    with listener(speak) as url:
        assert send(url) == Retry(reason)


@pytest.mark.parametrize("head", [b"", b"HTTP/1.1 200 OK\r\nx: ", b"HTTP/1.1 100 Continue\r\n\r\n"])
def test_a_receiver_that_trickles_is_left_after_the_timeout(head: bytes) -> None:
    with listener(trickle(head)) as url:
        assert send(url, 0.5) == Retry(Reason.TIMEOUT)


@pytest.mark.parametrize(
    "speak",
    [
        pytest.param(trickle(b"HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\n"), id="body drop by drop"),
        pytest.param(say(b"HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\nshort"), id="body cut short"),
        pytest.param(say(b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\n\r\nnot gzip"), id="false encoding"),
    ],
)
def test_the_status_decides_whatever_the_body_does(speak: Speak) -> None:
    with listener(speak) as url:
        assert send(url, 1) == Delivered(200)


def test_an_endless_body_is_not_read() -> None:
    sent = 0

    def flood(connection: socket.socket) -> None:
        nonlocal sent
        connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 1000000000\r\n\r\n")
        with suppress(OSError):
            for _ in range(1_000):
                connection.sendall(bytes(1_000_000))
                sent += 1

    with listener(flood) as url:
        assert send(url) == Delivered(200)
    assert sent < 30  # what the kernel buffers, not what was read


def test_only_64_kib_are_read() -> None:
    got = 0
    with listener(say(bytes(100_000))) as url:
        backend = bounded.BoundedBackend(bounded.Allowance(5, 64 * 1024), allow_private=True)
        stream = backend.connect_tcp("127.0.0.1", int(url.split(":")[2].split("/")[0]))
        stream.write(b"hello")
        with suppress(bounded.TooLongError):
            while data := stream.read(10_000):
                got += len(data)
        stream.close()
    assert got == 64 * 1024


def test_a_name_without_an_address_is_a_dns_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    assert send(f"http://{'a' * 70}.invalid/") == Retry(Reason.DNS)

    def lookup(*_: object, **__: object) -> list[object]:
        """Say at once what a resolver says after a time that is its own."""
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", lookup)
    assert send("http://driftd-test.invalid/") == Retry(Reason.DNS)


def test_a_resolver_that_hangs_is_left_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    release = threading.Event()

    def lookup(*_: object, **__: object) -> list[object]:
        release.wait(10)
        return []

    monkeypatch.setattr(socket, "getaddrinfo", lookup)
    assert send("http://driftd-test.invalid/", 0.2) == Retry(Reason.TIMEOUT)
    release.set()


def test_the_second_address_is_tried_when_the_first_is_dead(monkeypatch: pytest.MonkeyPatch) -> None:
    real = socket.getaddrinfo

    def lookup(host: str, port: int, *_: object, **__: object) -> list[object]:
        hosts = ("127.0.0.77", "127.0.0.1") if host == "driftd-test.invalid" else (host,)
        return [entry for host in hosts for entry in real(host, port, type=socket.SOCK_STREAM)]

    with ScriptedReceiver(Answer(200)) as receiver:
        url = receiver.url.replace("127.0.0.1", "driftd-test.invalid")
        monkeypatch.setattr(socket, "getaddrinfo", lookup)
        assert send(url) == Delivered(200)
    assert receiver.seen[0].headers["host"].startswith("driftd-test.invalid:")


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("tls") / "cert.pem"
    subject = ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"]
    keys = ["-newkey", "rsa:2048", "-nodes", "-keyout", str(path.with_name("key.pem"))]
    command = ["openssl", "req", "-x509", *keys, "-out", str(path), "-days", "2", *subject]
    subprocess.run(command, check=True, capture_output=True)
    return path


@contextmanager
def tls_listener(certificate: Path) -> Iterator[str]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, certificate.with_name("key.pem"))

    def serve() -> None:
        with suppress(OSError):
            plain, _ = server.accept()
            plain.settimeout(5)
            with context.wrap_socket(plain, server_side=True) as connection:
                hear(connection)
                connection.sendall(b"HTTP/1.1 202 Accepted\r\ncontent-length: 0\r\n\r\n")

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=serve)
        thread.start()
        yield f"https://127.0.0.1:{server.getsockname()[1]}/"
        thread.join()


def test_an_unknown_certificate_is_a_tls_failure(certificate: Path) -> None:
    with tls_listener(certificate) as url:
        assert send(url) == Retry(Reason.TLS)


def test_a_private_authority_can_be_trusted(certificate: Path) -> None:
    with tls_listener(certificate) as url:
        assert send(url, tls=ssl.create_default_context(cafile=certificate)) == Delivered(202)


@pytest.mark.parametrize("speak", [say(b"no TLS here"), say()])
def test_a_plain_receiver_behind_https_is_a_tls_failure(speak: Speak) -> None:
    with listener(speak) as url:
        assert send(url.replace("http:", "https:")) == Retry(Reason.TLS)


def test_a_handshake_that_hangs_is_a_timeout() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"https://127.0.0.1:{silent.getsockname()[1]}/"
        assert send(url, 0.3) == Retry(Reason.TIMEOUT)


@settings(max_examples=60, deadline=None)
@given(st.sampled_from([b"", b"HTTP/1.1 ", b"HTTP/1.1 200 OK\r\n"]), st.binary(max_size=80))
def test_noise_is_an_outcome_and_never_an_exception(head: bytes, noise: bytes) -> None:
    with listener(say(head, noise)) as url:
        assert isinstance(send(url, 2), Delivered | Retry | Refused)
