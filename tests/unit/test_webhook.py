"""One signed POST: what is sent, what an answer means, and what never shows."""

import base64
import logging
import ssl
import subprocess
import sys
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
import standardwebhooks
from hypothesis import given
from hypothesis import strategies as st

from exporters.base import Delivered, Delivery, Notification, Reason, Refused, Retry
from exporters.contract import MARK, Answer, ScriptedReceiver
from exporters.webhook import Webhook, outcome, seconds_until
from monitor.clock import SystemClock
from monitor.receiver import Receiver
from tests.signing import by, key_of

NOW = datetime(2026, 3, 1, 12, 0, 0, 700_000, tzinfo=UTC)
SECRET = b"a-very-secret-key-of-32-bytes-ab"
BODY = '{"data":{"feature":"größe"}}'.encode()
NOTE_ID = "msg_0123456789abcdef01234567"


def send(url: str, seconds: float = 5.0, now: datetime = NOW, tls: ssl.SSLContext | None = None) -> Delivery:
    return Webhook(url, by(SECRET), seconds, tls, allow_private=True).send(
        Notification(NOTE_ID, url, BODY, 0), now
    )


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
        webhook = Webhook(receiver.url, by(SECRET), 5, allow_private=True)
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


def test_a_raw_key_may_begin_and_end_with_white_space() -> None:
    heard: list[str] = []
    for key in (b"\t" + SECRET, SECRET + b"\n", b" " + SECRET + b"\r"):
        with Receiver(b"whsec_" + base64.b64encode(key), lambda h: heard.append(h.verdict)) as receiver:
            note = Notification(NOTE_ID, receiver.url, BODY, 0)
            webhook = Webhook(receiver.url, by(key), 5, allow_private=True)
            assert webhook.send(note, SystemClock().now()) == Delivered(204)
    assert heard == ["verified"] * 3


def test_a_library_in_another_process_verifies_it(tmp_path: Path) -> None:
    key = tmp_path / "secret"
    key.write_bytes(base64.b64encode(SECRET) + b"\n")
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


def test_the_environment_sets_no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    with ScriptedReceiver(Answer(200)) as receiver:
        assert send(receiver.url) == Delivered(200)


def test_no_log_and_no_repr_shows_a_secret(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    with ScriptedReceiver(Answer(302, (("location", "/"),))) as receiver:
        webhook = Webhook(receiver.url, by(SECRET), 5, allow_private=True)
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
        Webhook(url, by(SECRET), 5)
    assert "pw" not in str(caught.value)


def test_every_reason_is_documented() -> None:
    page = (Path(__file__).parents[2] / "docs" / "webhooks.md").read_text()
    assert [reason for reason in Reason if f"| `{reason}` |" not in page] == []


def test_a_note_for_another_endpoint_is_never_signed() -> None:
    with pytest.raises(ValueError, match="another endpoint"):
        Webhook("http://h/", by(SECRET), 5).send(Notification(NOTE_ID, "http://evil/", BODY, 0), NOW)


def test_a_time_without_a_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="zone"):
        send("http://127.0.0.1:1/", now=NOW.replace(tzinfo=None))


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
        webhook = Webhook(receiver.url, by(key_of(secret)), 5, allow_private=True)
        webhook.send(Notification("msg_p5jXN8AQM9LWM0D4loKWxJek", receiver.url, body, 0), moment)
    expected = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
    assert receiver.seen[0].headers["webhook-signature"] == expected
    assert (
        standardwebhooks.Webhook(secret.decode()).sign("msg_p5jXN8AQM9LWM0D4loKWxJek", moment, body.decode())
        == expected
    )
