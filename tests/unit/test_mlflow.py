"""An MLflow registry from the outside: pages, tags, and answers that are none."""

import json
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from exporters import mlflow
from exporters.auth import bearer, nobody
from exporters.base import Delivered, Notification, Reason, Retry
from exporters.mlflow import Access, Mlflow, Version

NOW = datetime(2026, 3, 1, tzinfo=UTC)
NAME = "car loan"
PREFIX = "/ml/api/2.0/mlflow/"
Answer = tuple[int, bytes]


class Registry:
    """A stand-in that keeps versions as MLflow does. broken: answers instead of its own, by what is asked."""

    def __init__(self) -> None:
        self.versions: dict[int, dict[str, Any]] = {}
        self.aliases: dict[str, int] = {}
        self.broken: dict[str, Callable[[], Answer]] = {}
        self.asked: list[str] = []
        self.written: list[str] = []
        self.tokens: set[str | None] = set()

    def add(self, number: int, **more: object) -> None:
        known = {"name": NAME, "version": str(number), "status": "READY", "tags": []}
        self.versions[number] = {**known, **more}

    def answer(self, method: str, url: str, body: bytes) -> Answer:
        parts = urlsplit(url)
        assert parts.path.startswith(PREFIX)
        what = parts.path.removeprefix(PREFIX)
        self.asked.append(what)
        if what in self.broken:
            return self.broken[what]()
        query = {key: values[0] for key, values in parse_qs(parts.query).items()}
        assert method == ("POST" if what.endswith("set-tag") else "GET")
        known: dict[str, Callable[[], dict[str, Any] | None]] = {
            "registered-models/get": lambda: self._model(query),
            "model-versions/search": lambda: self._search(query),
            "model-versions/get": lambda: self._version(query),
            "model-versions/set-tag": lambda: self._tag(json.loads(body)),
        }
        found = known[what]()
        return (200, json.dumps(found).encode()) if found is not None else (404, b'{"error_code": "NONE"}')

    def _model(self, query: dict[str, str]) -> dict[str, Any]:
        assert query == {"name": NAME}
        aliases = [{"alias": alias, "version": str(number)} for alias, number in self.aliases.items()]
        return {"registered_model": {"name": NAME, **({"aliases": aliases} if aliases else {})}}

    def _search(self, query: dict[str, str]) -> dict[str, Any]:
        assert query["filter"] == f"name='{NAME}'"
        assert query["order_by"] == "version_number DESC"
        start, size = int(query.get("page_token", "0")), int(query["max_results"])
        ordered = [self.versions[number] for number in sorted(self.versions, reverse=True)]
        more = {"next_page_token": str(start + size)} if start + size < len(ordered) else {}
        page = ordered[start : start + size]
        return {**({"model_versions": page} if page else {}), **more}

    def _version(self, query: dict[str, str]) -> dict[str, Any] | None:
        known = self.versions.get(int(query["version"]))
        return {"model_version": known} if known else None

    def _tag(self, body: dict[str, str]) -> dict[str, Any] | None:
        assert set(body) == {"name", "version", "key", "value"}
        self.written.append(body["key"])
        known = self.versions[int(body["version"])]
        known["tags"] = [tag for tag in known["tags"] if tag["key"] != body["key"]]
        known["tags"].append({"key": body["key"], "value": body["value"]})
        return {}


@pytest.fixture
def registry() -> Registry:
    return Registry()


@pytest.fixture
def url(registry: Registry) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", "0")))
            registry.tokens.add(self.headers.get("authorization"))
            status, text = registry.answer(self.command, self.path, body)
            self.send_response(status)
            self.send_header("content-length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        do_POST = do_GET  # noqa: N815 - the base class's name

        def log_message(self, *_args: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/ml/"
        server.shutdown()
        thread.join()


def client(url: str, *, allow_private: bool = True) -> Mlflow:
    return Mlflow(Access(url, nobody(), 5.0, allow_private), NAME)


def note(url: str, at: str, number: str = "3", score: str = "0.5") -> Notification:
    tags = {"driftd.episode": "ep-1", "driftd.score": score, "driftd.requested_at": at}
    body = json.dumps({"name": NAME, "version": number, "tags": tags})
    return Notification("msg_1_3", url, body.encode(), 0)


def tags(registry: Registry, number: int) -> dict[str, str]:
    return {tag["key"]: tag["value"] for tag in registry.versions[number]["tags"]}


def test_versions_of_all_pages_the_newest_first_with_aliases_and_tags(registry: Registry, url: str) -> None:
    for number in range(1, 2 * mlflow.PAGE + 2):
        registry.add(number)
    registry.add(7, tags=[{"key": "release", "value": "r7"}, {"key": "note", "value": ""}])
    registry.aliases = {"champion": 7, "best": 7}

    found = client(url).versions(NOW)

    assert isinstance(found, tuple)
    assert [version.number for version in found] == list(range(2 * mlflow.PAGE + 1, 0, -1))
    assert found[-7] == Version(7, ("champion", "best"), {"release": "r7", "note": ""})
    assert registry.asked == ["registered-models/get", *["model-versions/search"] * 3]


def test_a_version_that_is_not_ready_is_not_there(registry: Registry, url: str) -> None:
    registry.add(1)
    registry.add(2, status="PENDING_REGISTRATION")
    assert client(url).versions(NOW) == (Version(1),)


def test_a_model_without_versions_has_none(url: str) -> None:
    assert client(url).versions(NOW) == ()


def test_a_registry_whose_pages_never_end_is_left(registry: Registry, url: str) -> None:
    page = {"model_versions": [], "next_page_token": "0"}
    registry.broken["model-versions/search"] = lambda: (200, json.dumps(page).encode())
    assert client(url).versions(NOW) == ()
    assert len(registry.asked) == 1 + mlflow.PAGES


def versions(*items: object) -> bytes:
    return json.dumps({"model_versions": items}).encode()


HOSTILE = {
    "no JSON": b"<html>sign in</html>",
    "nothing": b"",
    "no UTF-8": b'{"model_versions": "\xff"}',
    "a list": b"[]",
    "deep": b"[" * 100_000,
    "a long number": b'{"model_versions": ' + b"9" * 5000 + b"}",
    "no list": b'{"model_versions": {}}',
    "no object": versions("x"),
    "another model": versions({"name": "other", "version": "1"}),
    "no number": versions({"name": NAME, "version": "one"}),
    "an odd number": versions({"name": NAME, "version": "٣"}),
    "a huge number": versions({"name": NAME, "version": "9" * 19}),
    "a number as such": versions({"name": NAME, "version": 1}),
    "tags of another form": versions({"name": NAME, "version": "1", "tags": [{"key": 1}]}),
    "a token that is no text": b'{"model_versions": [], "next_page_token": 5}',
    "too long": b'{"model_versions": [' + b" " * 2**20 + b"]}",
}


@pytest.mark.parametrize("body", HOSTILE.values(), ids=HOSTILE)
def test_an_answer_of_another_form_is_no_answer(registry: Registry, url: str, body: bytes) -> None:
    registry.broken["model-versions/search"] = lambda: (200, body)
    found = client(url).versions(NOW)
    assert isinstance(found, Retry)
    assert found.reason is Reason.PROTOCOL


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        (302, Reason.REDIRECT),
        (401, Reason.CLIENT_ERROR),
        (404, Reason.CLIENT_ERROR),
        (410, Reason.GONE),
        (429, Reason.THROTTLED),
        (500, Reason.SERVER_ERROR),
    ],
)
@pytest.mark.parametrize("what", ["registered-models/get", "model-versions/search"])
def test_a_status_that_is_no_success_is_said(
    registry: Registry, url: str, what: str, status: int, reason: Reason
) -> None:
    registry.broken[what] = lambda: (status, b"{}")
    found = client(url).versions(NOW)
    assert (found, found.status if isinstance(found, Retry) else 0) == (Retry(reason), status)


def test_nobody_there_and_a_private_address_are_said(url: str) -> None:
    assert client(url, allow_private=False).versions(NOW) == Retry(Reason.PRIVATE)
    assert client("http://127.0.0.1:1").versions(NOW) == Retry(Reason.CONNECT)


def test_the_token_is_sent_and_never_shown(registry: Registry, url: str) -> None:
    asking = Mlflow(Access(url, bearer(lambda: [b"hidden-token"]), 5.0, allow_private=True), NAME)
    registry.add(3)
    assert asking.versions(NOW) == (Version(3),)
    assert asking.send(note(url, "2026-03-01T00:00:00Z"), NOW) == Delivered(200)
    assert registry.tokens == {"Bearer hidden-token"}
    assert "hidden-token" not in repr(asking)


def test_evidence_becomes_tags_its_time_first(registry: Registry, url: str) -> None:
    registry.add(3, tags=[{"key": "team", "value": "risk"}])
    assert client(url).send(note(url, "2026-03-01T00:00:00Z"), NOW) == Delivered(200)
    wanted = {"driftd.requested_at": "2026-03-01T00:00:00Z", "driftd.episode": "ep-1", "driftd.score": "0.5"}
    assert tags(registry, 3) == {"team": "risk", **wanted}
    assert registry.written[0] == "driftd.requested_at"


def test_a_late_attempt_never_covers_newer_evidence(registry: Registry, url: str) -> None:
    registry.add(3)
    newer, older = note(url, "2026-03-01T00:00:00.5Z"), note(url, "2026-03-01T00:00:00Z", score="9")
    assert client(url).send(newer, NOW) == Delivered(200)
    before = tags(registry, 3)
    assert client(url).send(older, NOW) == Delivered(200)
    assert tags(registry, 3) == before


@pytest.mark.parametrize("known", ["", "yesterday", "2026-09-01T00:00:00"])
def test_a_time_that_driftd_has_not_written_holds_nothing_back(
    registry: Registry, url: str, known: str
) -> None:
    registry.add(3, tags=[{"key": "driftd.requested_at", "value": known}])
    client(url).send(note(url, "2026-03-01T00:00:00Z"), NOW)
    assert tags(registry, 3)["driftd.score"] == "0.5"


def test_an_attempt_that_breaks_off_is_made_again_as_a_whole(registry: Registry, url: str) -> None:
    registry.add(3)
    sent = note(url, "2026-03-01T00:00:00Z")
    registry.broken["model-versions/set-tag"] = lambda: (503, b"")
    assert client(url).send(sent, NOW) == Retry(Reason.SERVER_ERROR)
    del registry.broken["model-versions/set-tag"]
    assert client(url).send(sent, NOW) == Delivered(200)
    assert client(url).send(sent, NOW) == Delivered(200)
    assert len(tags(registry, 3)) == 3


def test_a_version_that_is_gone_is_a_failure_and_closes_no_endpoint(registry: Registry, url: str) -> None:
    found = client(url).send(note(url, "2026-03-01T00:00:00Z", "9"), NOW)
    assert found == Retry(Reason.CLIENT_ERROR)
    registry.broken["model-versions/get"] = lambda: (410, b"")
    assert client(url).send(note(url, "2026-03-01T00:00:00Z"), NOW) == Retry(Reason.GONE)
    registry.broken["model-versions/get"] = lambda: (200, b'{"model_version": []}')
    assert client(url).send(note(url, "2026-03-01T00:00:00Z"), NOW) == Retry(Reason.PROTOCOL)


def test_evidence_for_another_registry_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="another endpoint"):
        client(url).send(note("http://other", "2026-03-01T00:00:00Z"), NOW)
    with pytest.raises(ValueError, match="URL of a registry"):
        client("ftp://user:secret@host")
