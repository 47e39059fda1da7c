"""A stand-in for Grafana: its HTTP API for folders, dashboards, data sources and annotations, as published.

https://grafana.com/docs/grafana/latest/developers/http_api/: folder, dashboard, data_source, annotations.
Each request is held against that; what does not fit is answered as Grafana would and kept in `broken`.
"""

import json
import re
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit

TOKEN = "glsa_0123456789abcdefghijABCDEFGHIJ_01234567"  # noqa: S105 - the stand-in's
TAGS_BYTES = 500
"""Grafana's own limit, annotations.tags_length: of all tags together, written as a JSON list."""
Json = Any
Answer = tuple[int, Json]


@dataclass(frozen=True, slots=True)
class Asked:
    """One request that was answered. path: without /api; query: as given, by name."""

    method: str
    path: str
    query: Mapping[str, list[str]]
    body: Json


@dataclass
class GrafanaApi:
    """The server, on a free port of 127.0.0.1; use it as a context manager.

    prefix: the path that it is served under. failing: (method, part of a path) -> what to answer instead: a
    status with a body, or an event that is waited for without a word. rights: of the token.
    """

    prefix: str = ""
    failing: dict[tuple[str, str], Answer | threading.Event] = field(default_factory=dict)
    token: str = TOKEN
    asked: list[Asked] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)
    folders: list[dict[str, Any]] = field(default_factory=list)
    boards: dict[str, dict[str, Any]] = field(default_factory=dict)
    sources: dict[str, dict[str, Any]] = field(default_factory=dict)
    annotations: dict[int, dict[str, Any]] = field(default_factory=dict)
    server: ThreadingHTTPServer = field(init=False)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def __enter__(self) -> Self:
        api = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def answer(self) -> None:
                body = self.rfile.read(int(self.headers.get("content-length", 0)))
                status, said, headers = api.answer(self.command, self.path, dict(self.headers), body)
                text = said if isinstance(said, bytes) else json.dumps(said).encode()
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header(
                    "content-type", "text/html" if isinstance(said, bytes) else "application/json"
                )
                self.send_header("content-length", str(len(text)))
                self.end_headers()
                with suppress(ConnectionError):  # the client has given up
                    self.wfile.write(text)

            do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = answer  # noqa: N815 - the base class's names

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - as it is called there
                """Say nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for given in self.failing.values():
            if isinstance(given, threading.Event):
                given.set()
        self.server.shutdown()
        self.server.server_close()

    @property
    def url(self) -> str:
        """Where people find it."""
        return f"http://127.0.0.1:{self.server.server_address[1]}{self.prefix}"

    def changes(self) -> list[tuple[str, str]]:
        """Return the method and path of each request that was not a GET."""
        return [(a.method, a.path) for a in self.asked if a.method != "GET"]

    def answer(
        self, method: str, target: str, headers: Mapping[str, str], body: bytes
    ) -> tuple[int, Any, dict[str, str]]:
        """Answer one request: status, body and headers."""
        parts = urlsplit(target)
        given = next((v for (m, p), v in self.failing.items() if m == method and p in parts.path), None)
        if isinstance(given, threading.Event):
            given.wait(60)
            return 503, {"message": "too late"}, {}
        if given is not None:
            return given[0], given[1], {"location": "http://127.0.0.1:9/"} if given[0] == 302 else {}
        names = {name.lower(): value for name, value in headers.items()}
        if not parts.path.startswith(f"{self.prefix}/api/"):
            return 404, b"<!DOCTYPE html>no page", {}
        if names.get("authorization") != f"Bearer {self.token}":
            return 401, {"message": "Invalid API key", "messageId": "api-key.invalid"}, {}
        path = parts.path.removeprefix(f"{self.prefix}/api")
        with self.lock:
            status, said = self._routed(method, path, parse_qs(parts.query), names, body)
        return status, said, {}

    def _routed(
        self, method: str, path: str, query: dict[str, list[str]], headers: Mapping[str, str], body: bytes
    ) -> Answer:
        sent = None
        if method in {"POST", "PUT", "PATCH"}:
            if headers.get("content-type", "").split(";")[0] != "application/json":
                return self._bad(method, path, "content-type is not application/json")
            sent = json.loads(body)
        self.asked.append(Asked(method, path, query, sent))
        for wanted, pattern, handler in self._routes():
            found = re.fullmatch(pattern, path)
            if wanted == method and found:
                return handler(found.groups(), query, sent)
        return 404, {"message": "Not found"}

    def _routes(self) -> list[tuple[str, str, Callable[..., Answer]]]:
        uid = r"([A-Za-z0-9_-]{1,40})"
        return [
            ("GET", "/folders", self._list_folders),
            ("POST", "/folders", self._create_folder),
            ("GET", f"/dashboards/uid/{uid}", self._get_board),
            ("POST", "/dashboards/db", self._save_board),
            ("GET", f"/datasources/uid/{uid}", self._get_source),
            ("POST", "/datasources", self._create_source),
            ("PUT", f"/datasources/uid/{uid}", self._update_source),
            ("GET", "/annotations", self._find_annotations),
            ("POST", "/annotations", self._create_annotation),
            ("PATCH", r"/annotations/(\d+)", self._patch_annotation),
        ]  # fmt: skip

    def _bad(self, method: str, path: str, says: str) -> Answer:
        self.broken.append(f"{method} {path}: {says}")
        return 400, {"message": says}

    def _wrong(self, what: str, body: Json, required: Mapping[str, Any], optional: Mapping[str, Any]) -> str:
        """Say what is wrong with a body: each key's type as published, nothing more, nothing missing."""
        if not isinstance(body, dict):
            return f"{what} is no object"
        known = {**required, **optional}
        wrong = [key for key in body if key not in known]
        wrong += [key for key in required if body.get(key) in (None, "")]
        wrong += [k for k, v in body.items() if k in known and v is not None and type(v) is not known[k]]
        return f"{what}: {', '.join(wrong)}" if wrong else ""

    def _list_folders(self, *_: Json) -> Answer:
        return 200, [{key: folder[key] for key in ("id", "uid", "title")} for folder in self.folders]

    def _create_folder(self, _: Json, __: Json, body: Json) -> Answer:
        if says := self._wrong("folder", body, {"title": str}, {"uid": str, "parentUid": str}):
            return self._bad("POST", "/folders", says)
        if any(f["title"] == body["title"] for f in self.folders):
            return 409, {"message": "a folder with the same name already exists in the current location"}
        number = len(self.folders) + 1
        uid = body.get("uid") or f"folder-{number}"
        made = {"id": number, "uid": uid, "title": body["title"], "version": 1}
        made["url"] = f"{self.prefix}/dashboards/f/{uid}/{body['title'].lower()}"
        self.folders.append(made)
        return 200, made

    def _get_board(self, found: tuple[str], _: Json, __: Json) -> Answer:
        known = self.boards.get(found[0])
        return (200, known) if known else (404, {"message": "Dashboard not found"})

    def _save_board(self, _: Json, __: Json, body: Json) -> Answer:
        optional = {"folderUid": str, "message": str, "overwrite": bool, "folderId": int}
        if says := self._wrong("save", body, {"dashboard": dict}, optional):
            return self._bad("POST", "/dashboards/db", says)
        board = body["dashboard"]
        uid = board.get("uid")
        if (
            not board.get("title")
            or board.get("id") is not None
            or not re.fullmatch(r"[\w-]{1,40}", uid or "")
        ):
            return self._bad(
                "POST", "/dashboards/db", "a dashboard has a title and a uid, and its id is null"
            )
        if body.get("folderUid") not in {f["uid"] for f in self.folders}:
            return self._bad("POST", "/dashboards/db", "folder not found")
        known = self.boards.get(uid)
        if known and not body.get("overwrite"):
            return 412, {"status": "name-exists", "message": "A dashboard with the same uid already exists"}
        number = known["dashboard"]["id"] if known else len(self.boards) + 1
        version = known["dashboard"]["version"] + 1 if known else 1
        slug = re.sub(r"\W+", "-", board["title"].lower())
        meta = {"url": f"{self.prefix}/d/{uid}/{slug}", "folderUid": body["folderUid"], "version": version}
        self.boards[uid] = {"dashboard": {**board, "id": number, "version": version}, "meta": meta}
        return 200, {
            "id": number,
            "uid": uid,
            "url": meta["url"],
            "status": "success",
            "version": version,
            "slug": slug,
        }

    def _get_source(self, found: tuple[str], _: Json, __: Json) -> Answer:
        known = self.sources.get(found[0])
        return (200, known) if known else (404, {"message": "Data source not found"})

    def _create_source(self, _: Json, __: Json, body: Json) -> Answer:
        required = {"name": str, "type": str, "access": str}
        optional = {"url": str, "uid": str, "isDefault": bool, "jsonData": dict, "basicAuth": bool}
        if says := self._wrong("data source", body, required, optional):
            return self._bad("POST", "/datasources", says)
        if any(s["name"] == body["name"] for s in self.sources.values()):
            return 409, {"message": "data source with the same name already exists"}
        made = {
            "id": len(self.sources) + 1,
            "orgId": 1,
            "isDefault": False,
            "readOnly": False,
            "version": 1,
            **body,
        }
        self.sources[body["uid"]] = made
        return 200, {
            "datasource": made,
            "id": made["id"],
            "message": "Datasource added",
            "name": body["name"],
        }

    def _update_source(self, found: tuple[str], _: Json, body: Json) -> Answer:
        known = self.sources.get(found[0])
        if known is None:
            return 404, {"message": "Data source not found"}
        if not {"name", "type", "access"} <= body.keys():
            return self._bad("PUT", "/datasources/uid", "name, type and access are required")
        known |= {**body, "version": known["version"] + 1}
        return 200, {
            "datasource": known,
            "id": known["id"],
            "message": "Datasource updated",
            "name": known["name"],
        }

    def _find_annotations(self, _: Json, query: dict[str, list[str]], __: Json) -> Answer:
        unknown = query.keys() - {"from", "to", "limit", "alertId", "dashboardId", "dashboardUID", "panelId"}
        if unknown - {"userId", "type", "tags", "matchAny"}:
            return self._bad("GET", "/annotations", f"unknown {sorted(unknown)}")
        wanted = set(query.get("tags", ()))
        fit = [a for a in self.annotations.values() if wanted <= set(a["tags"])]
        return 200, sorted(fit, key=lambda a: -a["timeEnd"])[: int(query.get("limit", ["100"])[0])]

    def _create_annotation(self, _: Json, __: Json, body: Json) -> Answer:
        optional = {
            "dashboardUID": str,
            "dashboardId": int,
            "panelId": int,
            "time": int,
            "timeEnd": int,
            "tags": list,
        }
        if says := self._wrong("annotation", body, {"text": str}, optional) or _tags(body):
            return self._bad("POST", "/annotations", says)
        number = len(self.annotations) + 1
        time = body.get("time") or 0
        end = max(body.get("timeEnd") or time, time)
        made = {
            "id": number,
            "alertId": 0,
            "dashboardId": 0,
            "panelId": 0,
            "userId": 1,
            "newState": "",
            "prevState": "",
        }
        made |= {
            "time": time,
            "timeEnd": end,
            "text": body["text"],
            "tags": body.get("tags") or [],
            "data": {},
        }
        self.annotations[number] = made
        return 200, {"message": "Annotation added", "id": number}

    def _patch_annotation(self, found: tuple[str], _: Json, body: Json) -> Answer:
        fields = {"text": str, "tags": list, "time": int, "timeEnd": int}
        if says := self._wrong("annotation", body, {}, fields) or _tags(body):
            return self._bad("PATCH", "/annotations", says)
        known = self.annotations.get(int(found[0]))
        if known is None:
            return 404, {"message": "Could not find annotation to update"}
        if body.get("tags") is not None:  # an empty list takes them all away
            known["tags"] = body["tags"]
        known |= {key: body[key] for key in ("text", "time", "timeEnd") if body.get(key)}
        return 200, {"message": "Annotation patched"}


def _tags(body: Mapping[str, Any]) -> str:
    tags = body.get("tags") or []
    if not all(isinstance(tag, str) and tag for tag in tags):
        return "tags are texts"
    return "tags are too long" if length_of(tags) > TAGS_BYTES else ""


def length_of(tags: Sequence[str]) -> int:
    """Return what Grafana holds against its limit: the bytes of the tags, quotes, commas and brackets."""
    return sum(len(tag.encode()) + 3 for tag in tags) + 1
