"""How a request proves itself, and what happens when the secret changes under it."""

import base64
import logging
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import standardwebhooks
from structlog.testing import capture_logs

from exporters import auth
from exporters.base import Delivered, Notification, Reason, Retry
from exporters.contract import MARK, Answer, ScriptedReceiver
from exporters.webhook import Webhook as Endpoint
from monitor.clients import notifier
from monitor.clock import SystemClock
from monitor.config import Webhook
from monitor.keys import SECRET_FILE_BYTES, Keys, read_keys
from monitor.receiver import Receiver

OLD, NEW = b"the-old-key-of-thirty-two-bytes!", b"the-new-key-of-thirty-two-bytes!"
ID = "msg_0123456789abcdef01234567"
BODY = b'{"type":"driftd.retrain.requested"}'


def written(*keys: bytes) -> str:
    return "".join(f"whsec_{base64.b64encode(key).decode()}\n" for key in keys)


def webhook(url: str, folder: Path, text: str, **more: Any) -> Webhook:  # noqa: ANN401 - any key of the table
    """Return a webhook with its secret in a file, read as the loader does."""
    (folder / "secret").write_text(text)
    found = Webhook.model_validate(
        {"url": url, "secret_file": "secret", "allow_private": True, **more}, context={"folder": folder}
    )
    return found.keyed(*read_keys(found, {}))


def headers(way: auth.Auth, at: datetime | None = None) -> dict[str, str]:
    attempt = auth.Attempt(ID, at or SystemClock().now(), BODY)
    return {name.decode(): value.decode() for name, value in way(attempt)}


def test_each_way_has_its_header() -> None:
    keys = (b"s3cret",)

    assert headers(auth.nobody()) == {}
    assert headers(auth.bearer(lambda: keys)) == {"authorization": "Bearer s3cret"}
    assert headers(auth.header("X-Api-Key", lambda: keys)) == {"x-api-key": "s3cret"}
    # RFC 7617's own example
    basic = auth.basic("Aladdin", lambda: (b"open sesame",))
    assert headers(basic) == {"authorization": "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="}


@pytest.mark.parametrize("key", [OLD, NEW])
def test_two_keys_sign_so_that_either_verifies(key: bytes) -> None:
    found = headers(auth.signed(lambda: (NEW, OLD)))

    assert len(found["webhook-signature"].split(" ")) == 2
    assert standardwebhooks.Webhook(key).verify(BODY, {**found, "webhook-id": ID})
    with pytest.raises(standardwebhooks.WebhookVerificationError):
        standardwebhooks.Webhook(b"another-key-of-thirty-two-bytes!").verify(
            BODY, {**found, "webhook-id": ID}
        )


def test_a_signature_of_either_key_ends_after_five_minutes() -> None:
    found = headers(auth.signed(lambda: (NEW, OLD)), SystemClock().now() - timedelta(minutes=6))
    for key in (OLD, NEW):
        with pytest.raises(standardwebhooks.WebhookVerificationError, match="too old"):
            standardwebhooks.Webhook(key).verify(BODY, {**found, "webhook-id": ID})


def test_a_key_is_exchanged_without_a_lost_request(tmp_path: Path) -> None:
    verdicts: list[str] = []

    def attempt(sender: Endpoint, receiver: Receiver) -> object:
        return sender.send(Notification(ID, receiver.url, BODY, 0), SystemClock().now())

    with Receiver(OLD, lambda h: verdicts.append(h.verdict)) as old:
        hook = webhook(old.url, tmp_path, written(OLD))
        sender = notifier("training", hook)
        assert isinstance(sender, Endpoint)
        assert attempt(sender, old) == Delivered(204)
        (tmp_path / "secret").write_text(written(NEW, OLD))
        assert attempt(sender, old) == Delivered(204)
        port = int(old.url.split(":")[2].rstrip("/"))
    with Receiver(NEW, lambda h: verdicts.append(h.verdict), port) as new:
        assert attempt(sender, new) == Delivered(204)
        (tmp_path / "secret").write_text(written(NEW))
        assert attempt(sender, new) == Delivered(204)
    assert verdicts == ["verified", "duplicate", "verified", "duplicate"]


def test_a_renewed_token_is_used_by_the_next_attempt(tmp_path: Path) -> None:
    with ScriptedReceiver(Answer(401)) as receiver:
        hook = webhook(receiver.url, tmp_path, "token-1\n", auth="bearer")
        sender = notifier("training", hook)
        note = Notification(ID, receiver.url, BODY, 0)
        for text in ("token-1\n", "token-2"):
            (tmp_path / "secret").write_text(text)
            assert sender.send(note, SystemClock().now()) == Retry(Reason.CLIENT_ERROR)

    # the login of the receiver's URL gives way
    assert [s.headers["authorization"] for s in receiver.seen] == ["Bearer token-1", "Bearer token-2"]
    assert all("webhook-signature" not in s.headers and s.headers["webhook-id"] == ID for s in receiver.seen)


@pytest.mark.parametrize("broken", ["", "two words of no base64", "\x00", None])
def test_while_the_file_is_unusable_the_last_good_secret_is_used(tmp_path: Path, broken: str | None) -> None:
    hook = webhook("https://h/", tmp_path, written(NEW, OLD))
    keys = Keys("training", hook)
    (tmp_path / "secret").unlink()
    if broken is not None:
        (tmp_path / "secret").write_text(broken)

    with capture_logs() as said:
        assert (keys(), keys()) == ((NEW, OLD), (NEW, OLD))
        (tmp_path / "secret").write_text(written(NEW))
        assert (keys(), keys()) == ((NEW,), (NEW,))
    assert [line["event"] for line in said] == ["the last good secret is used", "secret changed"]


@pytest.mark.parametrize("kind", ["hmac", "bearer", "basic", "header"])
def test_nothing_is_sent_without_the_secret(kind: str) -> None:
    hook = Webhook.model_validate({"url": "https://h/", "secret_env": "KEY", "auth": kind})

    with pytest.raises(ValueError, match="webhook training has no secret"):
        notifier("training", hook)


def test_a_variable_stays_as_it_was_read() -> None:
    hook = Webhook(url="https://h/", secret_env="KEY")  # noqa: S106  # a variable's name
    keys = Keys("training", hook.keyed(*read_keys(hook, {"KEY": written(NEW, OLD)})))

    assert keys() == (NEW, OLD)


@pytest.mark.parametrize(
    ("kind", "text", "says"),
    [
        ("hmac", written(NEW, OLD, NEW), "holds no base64 text"),
        ("hmac", f"{base64.b64encode(NEW).decode()}\n{base64.b64encode(OLD).decode()}", "holds two lines"),
        ("hmac", written(b"short", NEW), "fewer than 24 bytes"),
        ("bearer", "a b", "cannot be sent"),
        ("bearer", "a\r\nhost: b", "cannot be sent"),
        ("bearer", " \n", "holds nothing"),
        ("header", "a\nb", "cannot be sent"),
        ("header", "grün", "cannot be sent"),
        ("basic", "a\nb", "cannot be sent"),
        ("bearer", "x" * (SECRET_FILE_BYTES + 1), "is no secret"),
    ],
)
def test_a_secret_that_cannot_be_used_is_named_and_not_shown(
    tmp_path: Path, kind: str, text: str, says: str
) -> None:
    with pytest.raises(ValueError, match=says) as caught:
        webhook("https://h/", tmp_path, text, auth=kind, username="u", header="X-Key")

    assert not any(word in str(caught.value) for word in text.split() if len(word) > 3)


def test_a_password_may_hold_any_letter(tmp_path: Path) -> None:
    hook = webhook("https://h/", tmp_path, "grün und blau\n", auth="basic", username="größe")
    login = headers(auth.basic(hook.username, Keys("training", hook)))["authorization"]

    assert base64.b64decode(login.removeprefix("Basic ")).decode() == "größe:grün und blau"


def test_a_secret_is_in_no_repr_and_no_log(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    for kind in ("bearer", "basic", "header"):
        hook = webhook("http://127.0.0.1:1/", tmp_path, MARK, auth=kind, username="u", header="X-Key")
        sender, keys = notifier("training", hook), Keys("training", hook)
        note = Notification(ID, hook.url, BODY, 0)
        with capture_logs() as said:
            for text in (f"{MARK}-2", f"{MARK}\n{MARK}"):
                (tmp_path / "secret").write_text(text)
                assert sender.send(note, datetime.now(UTC)) == Retry(Reason.CONNECT)
                assert keys()[0].startswith(MARK.encode())
        shown = (
            f"{hook!r} {hook.model_dump_json()} {keys!r} {sender!r} {vars(sender)!r} {said!r} {caplog.text}"
        )
        assert len(said) == 4  # the sender and the keys: changed, then unusable
        assert MARK not in shown
