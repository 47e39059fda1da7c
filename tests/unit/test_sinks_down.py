"""Receivers that fail in every way at once: each waits for itself, the others get theirs, all drain later."""

import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from exporters.webhook import Webhook
from monitor.auditing import Sent, lines
from monitor.clock import SystemClock
from monitor.core.outbox import HOUR, SECOND, Note
from monitor.outgoing import (
    Deliverer,
    enqueue,
    load_outbox,
    outcome,
    register,
    with_changes,
)
from monitor.store.memory import MemoryStore
from monitor.types import EntryKey
from tests.signing import by

SECRET = b"a-very-secret-key-of-32-bytes-ab"
GIGABYTE = 10**9
CHUNK = bytes(2**20)
ANSWERS = {"500": 500, "429": 429, "302": 302, "410": 410, "endless": 200, "works": 204}
REASONS = {
    "500": "server_error",
    "429": "throttled",
    "302": "redirect",
    "410": "gone",
    "hang": "timeout",
    "reset": "reset",
}
DONE = {"endless", "works"}
NAMES = (*REASONS, *sorted(DONE))


class Sink:
    """A receiver with a fault, until it is mended.

    heard: the ids that came; taken: those it said 2xx to; sent: bytes of its answers.
    """

    def __init__(self, fault: str) -> None:
        self.fault = fault
        self.heard: list[str] = []
        self.taken: list[str] = []
        self.sent = 0
        self.released = threading.Event()

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        id_ = handler.headers["webhook-id"]
        self.heard.append(id_)
        handler.rfile.read(int(handler.headers["content-length"]))
        if self.fault == "hang":
            self.released.wait(30)
            return
        if self.fault == "reset":
            handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
            return
        status = ANSWERS.get(self.fault, 204)
        if status < 300:
            self.taken.append(id_)
        handler.send_response(status)
        handler.send_header("retry-after", "7200")
        handler.send_header("location", "http://127.0.0.1:1/elsewhere")
        handler.send_header("content-length", str(GIGABYTE if self.fault == "endless" else 0))
        handler.end_headers()
        while self.fault == "endless" and self.sent < GIGABYTE:
            handler.wfile.write(CHUNK)
            self.sent += len(CHUNK)


@contextmanager
def listening(sink: Sink) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            with suppress(ConnectionError):  # the sender hangs up when it has read enough
                sink.answer(self)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - http.server's name
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}/"
        sink.released.set()
        server.shutdown()
        thread.join()


@pytest.fixture
def sinks() -> Iterator[dict[str, tuple[Sink, str]]]:
    with ExitStack() as stack:
        made = {name: Sink(name) for name in NAMES}
        yield {name: (sink, stack.enter_context(listening(sink))) for name, sink in made.items()}


class Sender:
    """The outbox on a store, as a daemon has it from its start on. order: whose outcomes came when."""

    def __init__(self, store: MemoryStore, urls: Mapping[str, str], now: int = 0) -> None:
        self.now, self.order = now, list[str]()
        self._store, self._guard = store, threading.Lock()
        self.outbox = load_outbox(store.load())
        self.write(register(self.outbox, urls))
        hooks = {name: Webhook(url, by(SECRET), 2.0, allow_private=True) for name, url in urls.items()}
        self._deliverer = Deliverer(hooks, urls, SystemClock())

    def write(self, changes: Mapping[EntryKey, bytes | None]) -> None:
        self._store.commit(changes)
        self.outbox = with_changes(self.outbox, changes)

    def _record(self, sent: Sent) -> None:
        with self._guard:
            self.order.append(sent.note.endpoint)
            self.write(outcome(self.outbox, sent, self.now))

    def deliver(self) -> int:
        self._deliverer.give_up(self.outbox, self.write)
        self._deliverer.start_due(self.outbox, self.now, self._record)
        return self._deliverer.finish()

    def note(self, name: str) -> Note:
        return self.outbox.queued[f"msg_{name}"].note


def test_each_fault_is_told_delays_no_other_and_all_drain_after_recovery(
    sinks: dict[str, tuple[Sink, str]],
) -> None:
    urls, store = {name: url for name, (_, url) in sinks.items()}, MemoryStore()
    store.commit(enqueue([Note(f"msg_{name}", name, "m", "{}", 0) for name in NAMES], 0))
    sender = Sender(store, urls)
    assert sender.deliver() == len(NAMES)
    assert {name: sender.note(name).last_reason for name in REASONS} == REASONS
    assert {name for name in NAMES if sender.note(name).state == "delivered"} == DONE
    assert sender.note("410").state == "dead"
    assert sender.order[-1] == "hang"  # nobody waited for it
    assert sinks["endless"][0].sent < GIGABYTE / 10  # what the kernel buffers, not what was read

    assert sender.deliver() == 0  # nothing is due yet
    for sink, _ in sinks.values():
        sink.fault = "mended"
    restarted = Sender(store, urls, now=HOUR)
    assert restarted.deliver() == 4  # all but those that are done, gone, or asked to be left for two hours
    assert 2 * HOUR <= restarted.note("429").next_due <= 2.2 * HOUR
    restarted.now = 3 * HOUR
    assert restarted.deliver() == 1

    waiting = [n for n in NAMES if restarted.note(n).state == "pending"]
    assert waiting == []
    assert {name: sink.taken for name, (sink, _) in sinks.items()} == {
        name: [] if name == "410" else [f"msg_{name}"] for name in NAMES
    }
    assert sinks["302"][0].heard == ["msg_302"] * 2
    assert restarted.outbox.settled == {
        **{("m", name, "delivered"): 1 for name in NAMES if name != "410"},
        ("m", "410", "dead"): 1,
    }
    log = lines(store.load())
    assert len(log) == len(NAMES) + 5
    assert {(e.webhook, e.status) for e in log if e.attempt == 1 and e.status and e.status >= 300} == {
        (name, int(name)) for name in ("500", "429", "302", "410")
    }
    assert restarted.note("500").next_due < 6 * SECOND  # the schedule's first step, kept over the restart
