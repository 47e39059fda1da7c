"""The laws that every notifier over HTTP keeps, and the scripted receiver that tries them.

A test gives `make(url)`, which builds the notifier under test for a URL with a timeout of about a second,
and calls each law; a broken law raises ContractBrokenError.
"""

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socket import create_server
from ssl import SSLContext
from threading import Thread
from types import TracebackType
from typing import Self

from exporters.base import Delivered, Delivery, Notification, Notifier, Reason, Refused, Retry

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
NOTE_ID = "msg_0123456789abcdef01234567"
BODY = b'{"type":"driftd.retrain.requested"}'
MARK = "s3cr3t-mark"
"""Stands in the URL's password and query; it must never be seen."""

Make = Callable[[str], Notifier]


class ContractBrokenError(AssertionError):
    """A notifier does not keep a law."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What the receiver says to every request."""

    status: int
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""


@dataclass(frozen=True, slots=True)
class Seen:
    """A request that reached the receiver. headers: names in lower case."""

    path: str
    headers: dict[str, str] = field(repr=False)
    body: bytes


def outcomes() -> dict[int, Delivery]:
    """Return what every status means, without a Retry-After: the whole table."""
    table: dict[int, Delivery] = {status: Delivered(status) for status in (200, 201, 202, 204, 206, 299)}
    redirects = (300, 301, 302, 303, 304, 305, 307, 308)
    table |= {status: Retry(Reason.REDIRECT) for status in redirects}
    clients = (400, 401, 402, 403, 404, 405, 406, 408, 409, 411, 413, 415, 418, 421, 422, 423, 425, 451, 499)
    table |= {status: Retry(Reason.CLIENT_ERROR) for status in clients}
    table |= {410: Refused(Reason.GONE, disable=True), 429: Retry(Reason.THROTTLED)}
    table |= {status: Retry(Reason.SERVER_ERROR) for status in (500, 501, 502, 503, 504, 507, 511, 520, 599)}
    return table | {status: Retry(Reason.PROTOCOL) for status in (600, 700, 999)}


class ScriptedReceiver:
    """A real HTTP server on 127.0.0.1 that gives one answer to every request and keeps what it saw.

    tls: speaks TLS with it.
    """

    def __init__(self, answer: Answer, tls: SSLContext | None = None) -> None:
        self.seen: list[Seen] = []
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(answer, self.seen))
        if tls is not None:
            self._server.socket = tls.wrap_socket(self._server.socket, server_side=True)
        self._thread = Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)

    @property
    def url(self) -> str:
        """Where it listens; the password and the query hold MARK."""
        return f"http://user:{MARK}@127.0.0.1:{self._server.server_address[1]}/hook?token={MARK}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


def _handler(answer: Answer, seen: list[Seen]) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        timeout = 10

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            headers = {name.lower(): value for name, value in self.headers.items()}
            seen.append(Seen(self.path, headers, body))
            self.send_response(answer.status)
            for name, value in answer.headers:
                self.send_header(name, value)
            self.send_header("content-length", str(len(answer.body)))
            self.end_headers()
            with suppress(ConnectionError):  # the notifier may hang up when it has read enough
                self.wfile.write(answer.body)

        do_GET = do_POST  # noqa: N815 - a redirect that is followed arrives here

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - http.server's name
            """Say nothing."""

    return Handler


def attempt(
    make: Make, answer: Answer, times: Sequence[datetime] = (NOW,)
) -> tuple[list[Delivery], list[Seen]]:
    """Send one note at each of the times to a receiver with that answer."""
    with ScriptedReceiver(answer) as receiver:
        notifier = make(receiver.url)
        note = Notification(NOTE_ID, receiver.url, BODY, 0)
        return [notifier.send(note, now) for now in times], receiver.seen


def law_status_decides(make: Make, status: int, expected: Delivery) -> None:
    """Check that each status has its outcome, after exactly one request."""
    deliveries, seen = attempt(make, Answer(status))
    _same(deliveries, [expected])
    _same(len(seen), 1)


def law_redirects_are_not_followed(make: Make) -> None:
    """Check that a redirect is a failure and that the place it names is not asked."""
    with ScriptedReceiver(Answer(200)) as other:
        for status in (301, 302, 303, 307, 308):
            deliveries, _ = attempt(make, Answer(status, (("location", other.url),)))
            _same(deliveries, [Retry(Reason.REDIRECT)])
        _same(other.seen, [])


def law_retry_after_is_honoured(make: Make) -> None:
    """Check that seconds and dates count for 429, 502, 503 and 504, up to 24 h; nonsense does not."""
    date = (NOW + timedelta(minutes=10)).strftime("%a, %d %b %Y %H:%M:%S GMT")
    table = {"120": 120.0, date: 600.0, "9999999": 86_400.0, "0": 0.0, "soon": None, "-5": None, "1.5": None}
    for status in (429, 502, 503, 504, 500, 404, 301):
        for text, seconds in table.items():
            [delivery], _ = attempt(make, Answer(status, (("Retry-After", text),)))
            expected = seconds if status in {429, 502, 503, 504} else None
            _same(delivery.after_seconds if isinstance(delivery, Retry) else delivery, expected)


def law_retries_are_the_same_message(make: Make) -> None:
    """Check that the body and whatever carries the id are the same in every attempt."""
    _, seen = attempt(make, Answer(503), (NOW, NOW + timedelta(hours=2)))
    _same([NOTE_ID in request.headers.values() for request in seen], [True, True])
    _same([request.body for request in seen], [BODY, BODY])


def law_nobody_there_is_a_retry(make: Make) -> None:
    """Check that a port that nobody listens on is tried again."""
    with create_server(("127.0.0.1", 0)) as free:
        url = f"http://127.0.0.1:{free.getsockname()[1]}/"
    delivery = make(url).send(Notification(NOTE_ID, url, BODY, 0), NOW)
    _same(delivery, Retry(Reason.CONNECT))


def law_silence_is_a_retry(make: Make) -> None:
    """Check that a receiver that never answers is left after the timeout."""
    with create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/"
        delivery = make(url).send(Notification(NOTE_ID, url, BODY, 0), NOW)
    _same(delivery, Retry(Reason.TIMEOUT))


def law_secrets_stay_inside(make: Make) -> None:
    """Check that neither notifier, note nor outcome shows the URL's password or query."""
    for status in (200, 302, 404, 410, 429, 500):
        with ScriptedReceiver(Answer(status)) as receiver:
            notifier = make(receiver.url)
            note = Notification(NOTE_ID, receiver.url, BODY, 0)
            shown = f"{notifier!r} {notifier!s} {note!r} {notifier.send(note, NOW)!r}"
        _same(MARK in shown, False)  # noqa: FBT003 - the expected value


LAWS: tuple[Callable[[Make], None], ...] = (
    law_redirects_are_not_followed,
    law_retry_after_is_honoured,
    law_retries_are_the_same_message,
    law_nobody_there_is_a_retry,
    law_silence_is_a_retry,
    law_secrets_stay_inside,
)
"""Those that need nothing but `make`; law_status_decides goes through `outcomes()`."""


def _same(got: object, expected: object) -> None:
    if got != expected:
        raise ContractBrokenError(f"got {got!r}, expected {expected!r}")
