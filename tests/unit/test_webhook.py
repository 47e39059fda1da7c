"""One attempt against real sockets: what comes back, what is sent, and what never shows."""

import logging
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
import standardwebhooks
from hypothesis import given, settings
from hypothesis import strategies as st

from exporters import bounded
from exporters.base import Delivered, Delivery, Notification, Reason, Refused, Retry
from exporters.contract import MARK, Answer, ScriptedReceiver
from exporters.webhook import Webhook, outcome, seconds_until
from monitor.clock import SystemClock
from monitor.receiver import Receiver

NOW = datetime(2026, 3, 1, 12, 0, 0, 700_000, tzinfo=UTC)
SECRET = b"a-very-secret-key-of-32-bytes-ab"
BODY = '{"data":{"feature":"größe"}}'.encode()
NOTE_ID = "msg_0123456789abcdef01234567"
Speak = Callable[[socket.socket], None]


def send(url: str, seconds: float = 5.0, now: datetime = NOW, tls: ssl.SSLContext | None = None) -> Delivery:
    return Webhook(url, SECRET, seconds, tls).send(Notification(NOTE_ID, url, BODY, 0), now)


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


def test_sends_one_post_with_the_standard_headers() -> None:
    with ScriptedReceiver(Answer(204)) as receiver:
        assert send(receiver.url) == Delivered(204)
    [seen] = receiver.seen
    assert seen.path == f"/hook?token={MARK}"
    assert seen.body == BODY
    assert seen.headers["webhook-id"] == NOTE_ID
    assert seen.headers["webhook-timestamp"] == str(int(NOW.timestamp()))
    assert seen.headers["webhook-signature"].startswith("v1,")
    assert seen.headers["content-type"] == "application/json"
    assert seen.headers["user-agent"].startswith("driftd/0.")
    assert seen.headers["authorization"] == "Basic dXNlcjpzM2NyM3QtbWFyaw=="


def test_each_attempt_has_its_own_timestamp_and_signature() -> None:
    with ScriptedReceiver(Answer(503)) as receiver:
        note = Notification(NOTE_ID, receiver.url, BODY, 0)
        webhook = Webhook(receiver.url, SECRET, 5)
        for minutes in (0, 5):
            webhook.send(note, NOW + timedelta(minutes=minutes))
    first, second = (seen.headers for seen in receiver.seen)
    assert int(second["webhook-timestamp"]) - int(first["webhook-timestamp"]) == 300
    assert second["webhook-signature"] != first["webhook-signature"]
    assert second["webhook-id"] == first["webhook-id"]


@pytest.mark.parametrize("hours", [-11, 0, 2, 14])
def test_the_zone_of_the_time_does_not_change_the_signature(hours: int) -> None:
    with ScriptedReceiver(Answer(200)) as receiver:
        send(receiver.url, now=NOW)
        send(receiver.url, now=NOW.astimezone(timezone(timedelta(hours=hours))))
    first, second = (seen.headers for seen in receiver.seen)
    assert second["webhook-signature"] == first["webhook-signature"]
    assert second["webhook-timestamp"] == first["webhook-timestamp"]


def test_a_secret_with_its_prefix_is_the_key_behind_it() -> None:
    raw, serialized = b"0123456789abcdef01234567", b"whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3\n"
    with ScriptedReceiver(Answer(200)) as receiver:
        for secret in (raw, serialized):
            Webhook(receiver.url, secret, 5).send(Notification(NOTE_ID, receiver.url, BODY, 0), NOW)
    assert len({seen.headers["webhook-signature"] for seen in receiver.seen}) == 1


def test_a_library_in_another_process_verifies_it(tmp_path: Path) -> None:
    key = tmp_path / "secret"
    key.write_bytes(SECRET)
    command = [sys.executable, "-m", "monitor.receiver", "--secret-file", str(key), "--fail-first", "1"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as receiver:
        assert receiver.stdout is not None
        url = receiver.stdout.readline().split()[-1]
        now = SystemClock().now()
        try:
            got = [send(url, now=now.astimezone(timezone(timedelta(hours=9)))) for _ in range(3)]
            assert got == [Retry(Reason.SERVER_ERROR), Delivered(204), Delivered(204)]
            lines = [receiver.stdout.readline().split(":")[0].strip() for _ in got]
        finally:
            receiver.terminate()
    assert lines == [
        f"failed webhook '{NOTE_ID}'",
        f"verified webhook {NOTE_ID}",
        f"duplicate webhook {NOTE_ID}",
    ]


def test_a_stale_or_foreign_signature_is_refused_and_tried_again() -> None:
    heard: list[str] = []
    now = SystemClock().now()
    with Receiver(b"another-secret-key-of-32-bytes-a", lambda h: heard.append(h.verdict)) as receiver:
        assert send(receiver.url, now=now) == Retry(Reason.CLIENT_ERROR)
    with Receiver(SECRET, lambda h: heard.append(h.verdict)) as receiver:
        assert send(receiver.url, now=now - timedelta(minutes=6)) == Retry(Reason.CLIENT_ERROR)
    assert heard == ["refused", "refused"]


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
        backend = bounded.BoundedBackend(bounded.Allowance(5, 64 * 1024))
        stream = backend.connect_tcp("127.0.0.1", int(url.split(":")[2].split("/")[0]))
        stream.write(b"hello")
        with suppress(bounded.TooLongError):
            while data := stream.read(10_000):
                got += len(data)
        stream.close()
    assert got == 64 * 1024


def test_a_name_without_an_address_is_a_dns_failure() -> None:
    assert send("http://driftd-test.invalid/") == Retry(Reason.DNS)
    assert send(f"http://{'a' * 70}.invalid/") == Retry(Reason.DNS)


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


def test_the_environment_sets_no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    with ScriptedReceiver(Answer(200)) as receiver:
        assert send(receiver.url) == Delivered(200)


def test_no_log_and_no_repr_shows_a_secret(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    with ScriptedReceiver(Answer(302, (("location", "/"),))) as receiver:
        webhook = Webhook(receiver.url, SECRET, 5)
        note = Notification(NOTE_ID, receiver.url, BODY, 0)
        shown = f"{webhook!r} {webhook!s} {note!r} {webhook.send(note, NOW)!r} {caplog.text}"
    for secret in (SECRET.decode(), MARK, "user:", "dXNlcjpz", "token="):
        assert secret not in shown
    assert repr(webhook) == f"Webhook(http://127.0.0.1:{receiver.url.split(':')[3].split('/')[0]})"


@pytest.mark.parametrize(
    "url",
    ["", "hook", "ftp://u:pw@h/", "http://", "http://u:pw@h:99999/", "http://u:pw@\x00/", "http://u:pw@h:x/"],
)
def test_a_url_that_cannot_be_used_is_refused_without_being_shown(url: str) -> None:
    with pytest.raises(ValueError, match="a webhook's") as caught:
        Webhook(url, SECRET, 5)
    assert "pw" not in str(caught.value)


@pytest.mark.parametrize("secret", [b"", b" \n", b"whsec_", b"whsec_\xff", b"whsec_abcde"])
def test_a_secret_that_cannot_be_used_is_refused_without_being_shown(secret: bytes) -> None:
    with pytest.raises(ValueError, match="secret is empty") as caught:
        Webhook("http://h/", secret, 5)
    assert "abcde" not in str(caught.value)


def test_every_reason_is_documented() -> None:
    page = (Path(__file__).parents[2] / "docs" / "webhooks.md").read_text()
    assert [reason for reason in Reason if f"| `{reason}` |" not in page] == []


def test_a_note_for_another_endpoint_is_never_signed() -> None:
    with pytest.raises(ValueError, match="another endpoint"):
        Webhook("http://h/", SECRET, 5).send(Notification(NOTE_ID, "http://evil/", BODY, 0), NOW)


def test_a_time_without_a_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="zone"):
        send("http://127.0.0.1:1/", now=NOW.replace(tzinfo=None))


@settings(max_examples=60, deadline=None)
@given(st.sampled_from([b"", b"HTTP/1.1 ", b"HTTP/1.1 200 OK\r\n"]), st.binary(max_size=80))
def test_noise_is_an_outcome_and_never_an_exception(head: bytes, noise: bytes) -> None:
    with listener(say(head, noise)) as url:
        assert isinstance(send(url, 2), Delivered | Retry | Refused)


@given(st.text(max_size=60))
def test_any_retry_after_is_within_a_day_or_nothing(text: str) -> None:
    seconds = seconds_until(text, NOW)
    assert seconds is None or 0 <= seconds <= 86_400


@given(st.integers(100, 999), st.none() | st.text(max_size=20))
def test_only_2xx_is_success_and_only_410_is_final(status: int, retry_after: str | None) -> None:
    delivery = outcome(status, retry_after, NOW)
    assert isinstance(delivery, Delivered) == (200 <= status < 300)
    assert (delivery == Refused(Reason.GONE, disable=True)) == (status == 410)


def test_the_signature_is_the_one_of_the_specification() -> None:
    secret, body = b"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", b'{"test": 2432232314}'
    moment = datetime.fromtimestamp(1_614_265_330, UTC)
    with ScriptedReceiver(Answer(200)) as receiver:
        webhook = Webhook(receiver.url, secret, 5)
        webhook.send(Notification("msg_p5jXN8AQM9LWM0D4loKWxJek", receiver.url, body, 0), moment)
    expected = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
    assert receiver.seen[0].headers["webhook-signature"] == expected
    assert (
        standardwebhooks.Webhook(secret.decode()).sign("msg_p5jXN8AQM9LWM0D4loKWxJek", moment, body.decode())
        == expected
    )
