"""The bundled receiver: what it verifies, what it says, and what it survives."""

import json
import socket
from datetime import UTC, datetime
from pathlib import Path

import pytest
import standardwebhooks

from exporters.base import Delivered, Delivery, Notification, Reason, Retry
from exporters.webhook import Webhook
from monitor.cast import TAKEN
from monitor.clock import SystemClock
from monitor.core.retrain import ClosedWindow, Firing, RetrainState, Rule, request
from monitor.receiver import Heard, Judge, Receiver, main
from tests.signing import by, key_of

SECRET = b"whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3"
RULE = Rule("car-loan", "training", frozenset({"drift"}), 0, 2)


def retrain_body(count: int, version: str = "v2") -> bytes:
    firing = [
        Firing("drift", "ks", f"f{i}", "all", version, 0.6 - i / 100, 0.2, f"ep-{i}") for i in range(count)
    ]
    _, note, _ = request(RULE, RetrainState(), firing, ClosedWindow(0, 3_600_000_000, "ref"))
    assert note is not None
    return note.body.encode()


def send(url: str, body: bytes, note_id: str = "msg_1", secret: bytes = SECRET) -> Delivery:
    return Webhook(url, by(key_of(secret)), 5, allow_private=True).send(
        Notification(note_id, url, body, 0), SystemClock().now()
    )


def test_prints_a_line_that_a_person_can_read() -> None:
    heard: list[Heard] = []
    with Receiver(SECRET, heard.append) as receiver:
        for note_id, count in [("msg_1", 2), ("msg_1", 2), ("msg_2", 7)]:
            assert send(receiver.url, retrain_body(count), note_id) == Delivered(204)
    assert [h.line for h in heard] == [
        "verified webhook msg_1: model car-loan, version v2, 2 monitors: ks on f0, ks on f1",
        "duplicate webhook msg_1: model car-loan, version v2, 2 monitors: ks on f0, ks on f1",
        (
            "verified webhook msg_2: model car-loan, version v2, 7 monitors: "
            "ks on f0, ks on f1, ks on f2, ks on f3, ks on f4, ..."
        ),
    ]


def test_control_characters_never_reach_the_terminal() -> None:
    heard: list[Heard] = []
    with Receiver(SECRET, heard.append) as receiver:
        send(receiver.url, retrain_body(1, "v\x1b[31m\n"))
        send(receiver.url, b"{}", secret=b"whsec_" + b"QUJD" * 8)
    assert all(h.line.isprintable() for h in heard)


@pytest.mark.parametrize("body", [b'{"type":"other"}', b"[1]", b"{}", b'"text"'])
def test_another_message_is_verified_all_the_same(body: bytes) -> None:
    heard: list[Heard] = []
    with Receiver(SECRET, heard.append) as receiver:
        assert send(receiver.url, body) == Delivered(204)
    assert heard[0].line.startswith("verified webhook msg_1: type ")


def test_fails_as_often_as_it_is_told_to() -> None:
    heard: list[Heard] = []
    with Receiver(SECRET, heard.append, fail_first=2, status=429) as receiver:
        got = [send(receiver.url, b"{}") for _ in range(3)]
    assert got == [Retry(Reason.THROTTLED), Retry(Reason.THROTTLED), Delivered(204)]
    assert [h.verdict for h in heard] == ["failed", "failed", "verified"]


@pytest.mark.parametrize(
    "change",
    [
        {"webhook-signature": "nonsense"},
        {"webhook-signature": "v1,===="},
        {"webhook-signature": "v1a,AAAA v1,AAAA"},
        {"webhook-timestamp": "yesterday"},
        {"webhook-timestamp": "0"},
        {"webhook-id": "msg_2"},
        {"webhook-id": ""},
    ],
)
def test_a_request_that_does_not_verify_is_refused(change: dict[str, str]) -> None:
    key, now = standardwebhooks.Webhook(SECRET.decode()), SystemClock().now()
    headers = {
        "webhook-id": "msg_1",
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": key.sign("msg_1", now, "{}"),
    }
    judge = Judge(key)
    assert judge.judge(headers, b"{}")[0] == 204
    assert judge.judge(headers, b"{ }")[0] == 401
    assert judge.judge(headers | change, b"{}")[0] == 401


@pytest.mark.parametrize(
    ("request_bytes", "status"),
    [
        (b"POST / HTTP/1.1\r\n\r\n", b"411"),
        (b"POST / HTTP/1.1\r\ncontent-length: 99999999\r\n\r\n", b"413"),
        (b"POST / HTTP/1.1\r\ncontent-length: " + b"9" * 5_000 + b"\r\n\r\n", b"413"),
        (b"POST / HTTP/1.1\r\ncontent-length: -1\r\n\r\n", b"411"),
        (b"GET / HTTP/1.1\r\n\r\n", b"501"),
    ],
)
def test_a_request_that_is_no_webhook_gets_its_status(request_bytes: bytes, status: bytes) -> None:
    with (
        Receiver(SECRET, lambda _: None) as receiver,
        socket.create_connection(("127.0.0.1", int(receiver.url.split(":")[2][:-1])), 5) as client,
    ):
        client.sendall(request_bytes)
        assert client.recv(1_000).split()[1] == status


def test_a_port_that_is_taken_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "secret").write_bytes(SECRET)
    with Receiver(SECRET, lambda _: None) as first:
        port = first.url.split(":")[2][:-1]
        with pytest.raises(SystemExit) as ended:
            main(["--port", port, "--secret-file", str(tmp_path / "secret")])
    assert ended.value.code == 1
    said = capsys.readouterr().err
    assert said == f"{TAKEN} 127.0.0.1:{port}: Address already in use; choose another port\n"


def test_stopping_twice_and_before_the_start_is_fine() -> None:
    receiver = Receiver(SECRET, lambda _: None)
    receiver.stop()
    receiver.stop()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", int(receiver.url.split(":")[2][:-1])), 5)


def test_the_time_in_the_body_is_the_windows_end() -> None:
    moment = json.loads(retrain_body(1))["timestamp"]
    assert datetime.fromisoformat(moment) == datetime(1970, 1, 1, 1, tzinfo=UTC)
