"""A small local receiver of Standard Webhooks, for the demo, for tests and for trying a configuration.

python -m monitor.receiver --secret-file F [--port P] prints one line for each request it hears.
"""

import argparse
import sys
from collections.abc import Callable, Mapping, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Lock, Thread
from types import TracebackType
from typing import Any, Self

import standardwebhooks
from msgspec import Struct, field

BODY_MAX = 1_000_000
SECONDS = 10
SHOWN = 5


class Heard(Struct, frozen=True):
    """One request. verdict: verified, duplicate, refused or failed (on purpose). id: from its header."""

    verdict: str
    id: str
    payload: Mapping[str, Any] | None = None

    @property
    def line(self) -> str:
        """What a person wants to read."""
        if self.payload is None:
            return f"{self.verdict} webhook {self.id!a}"
        text = f"{self.verdict} webhook {self.id}: {describe(self.payload)}"
        return "".join(c if c.isprintable() else "?" for c in text)


def describe(payload: Mapping[str, Any]) -> str:
    """Say in a line what a retraining request asks for; any other message is named by its type."""
    if payload.get("type") != "driftd.retrain.requested":
        return f"type {payload.get('type')!r}"
    data = payload["data"]
    named = list(dict.fromkeys(f"{m['detector']} on {m['feature']}" for m in data["monitors"]))
    count = len(data["monitors"]) + data["omitted"]
    rest = ", ..." if len(named) > SHOWN or data["omitted"] else ""
    versions = ", ".join(data["versions"])
    return f"model {data['model']}, version {versions}, {count} monitors: {', '.join(named[:SHOWN])}{rest}"


class Judge(Struct):
    """Decides what each request is worth. fail_first: so many requests are answered with `status`."""

    key: standardwebhooks.Webhook
    fail_first: int = 0
    status: int = 503
    seen: set[str] = field(default_factory=set)
    lock: Lock = field(default_factory=Lock)

    def judge(self, headers: Mapping[str, str], body: bytes) -> tuple[int, Heard]:
        """Return the status to answer with, and what was heard."""
        name = headers.get("webhook-id", "")
        with self.lock:
            if self.fail_first > 0:
                self.fail_first -= 1
                return self.status, Heard("failed", name)
            try:
                payload = self.key.verify(body, dict(headers))
            except (standardwebhooks.WebhookVerificationError, ValueError):  # ValueError: a malformed header
                return 401, Heard("refused", name)
            verdict = "duplicate" if name in self.seen else "verified"
            self.seen.add(name)
            return 204, Heard(verdict, name, payload if isinstance(payload, dict) else {})


class Receiver:
    """Listens on 127.0.0.1 in a thread of its own. secret: as in exporters.webhook. port 0 picks a free one.

    `hear` is called for each request, before it is answered. Use it as a context manager.
    """

    def __init__(
        self,
        secret: bytes,
        hear: Callable[[Heard], None],
        port: int = 0,
        *,
        fail_first: int = 0,
        status: int = 503,
    ) -> None:
        text = secret.strip()
        signer = standardwebhooks.Webhook(text.decode() if text.startswith(b"whsec_") else secret)
        judge = Judge(signer, fail_first, status)
        self._server = _Server(("127.0.0.1", port), _handler(judge, hear))
        self._thread = Thread(target=self._server.serve_forever, args=(0.05,), name="receiver", daemon=True)

    @property
    def url(self) -> str:
        """Where to send to."""
        return f"http://127.0.0.1:{self._server.server_address[1]}/"

    def start(self) -> None:
        """Begin to listen."""
        self._thread.start()

    def wait(self) -> None:
        """Block until it is stopped."""
        self._thread.join()

    def stop(self) -> None:
        """Stop listening; a second time does nothing."""
        if self._thread.is_alive():
            self._server.shutdown()
            self._thread.join()
        self._server.server_close()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        """Leave a client that went away in mid-request unmentioned; anything else is a bug to be seen."""
        if not isinstance(sys.exception(), ConnectionError | TimeoutError):
            super().handle_error(request, client_address)  # type: ignore[arg-type]  # passed on as it came


def _handler(judge: Judge, hear: Callable[[Heard], None]) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        timeout = SECONDS

        def do_POST(self) -> None:
            length = self.headers.get("content-length", "")
            if not (length.isascii() and length.isdigit()):
                self.send_error(411)
                return
            if len(length) > len(str(BODY_MAX)) or int(length) > BODY_MAX:
                self.send_error(413)
                return
            headers = {name.lower(): value for name, value in self.headers.items()}
            status, heard = judge.judge(headers, self.rfile.read(int(length)))
            hear(heard)
            self.send_response(status)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - http.server's name
            """Say nothing: what was heard has been said."""

    return Handler


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def main(argv: Sequence[str] | None = None) -> int:
    """Listen until interrupted, one printed line per request."""
    parser = argparse.ArgumentParser(prog="python -m monitor.receiver", description="Receive webhooks.")
    parser.add_argument("--secret-file", type=Path, required=True)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--fail-first", type=int, default=0, help="answer the first N requests with --status")
    parser.add_argument("--status", type=int, default=503)
    options = parser.parse_args(argv)
    [text] = options.secret_file.read_bytes().split()[:1] or [
        b""
    ]  # as in driftd's own secret_file, the newest
    secret = b"whsec_" + text.removeprefix(b"whsec_")
    failing = {"fail_first": options.fail_first, "status": options.status}
    try:
        receiver = Receiver(secret, lambda heard: _say(heard.line), options.port, **failing)
    except OSError as error:
        parser.exit(1, f"cannot listen on 127.0.0.1:{options.port}: {error.strerror}; choose another port\n")
    with receiver:
        _say(f"listening on {receiver.url}")
        try:
            receiver.wait()
        except KeyboardInterrupt:
            return 0
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
