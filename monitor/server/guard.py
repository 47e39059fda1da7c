"""The door: who may read and who may write, before any request reaches an answer."""

import json
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from monitor.server.credentials import BusyError, Credentials, Tell
from monitor.web import Web

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]
Refusal = tuple[int, str, dict[str, str]]
"""Status, what is wrong, headers."""

READS = {"GET", "HEAD", "OPTIONS"}
GROUPS = {"/metrics": "metrics", "/healthz": "health", "/readyz": "health"}
"""What `daemon.web.open` opens; every other path is "status"."""
WHO = "driftd.who"
"""Where in the scope an answer finds whose credentials came with the request."""
CONFIGURE = (
    "writing needs credentials, and none are configured; set token_files or users_file in [daemon.web]"
)
LONGEST_PATH = 200
LONGEST_METHOD = 20
FAULT = 500


class Heard:
    """Passes an answer on; tells its status once, before the first part of it goes out."""

    def __init__(self, send: Send, tell: Callable[[int], None]) -> None:
        self._send = send
        self._tell = tell
        self._told = False

    async def __call__(self, message: MutableMapping[str, Any]) -> None:
        """Pass a part of the answer on."""
        if message["type"] == "http.response.start":
            self.tell(message["status"])
        await self._send(message)

    def tell(self, status: int) -> None:
        """Tell the status, unless one was told."""
        if not self._told:
            self._told = True
            self._tell(status)


class Guard:
    """Lets a request through to `app`, or answers 401, 403 or 429 as one line of JSON.

    Every request that is no mere reading leaves one line in the audit log, whatever becomes of it.
    """

    def __init__(self, app: App, web: Web, tell: Tell) -> None:
        self._app = app
        self._tell = tell
        self._open = frozenset(web.open)
        self._credentials = Credentials(web, tell) if web.protected else None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["method"] in READS:
            refusal = await self._refusal(scope, writes=False)
            await self._serve(scope, receive, send, refusal)
            return
        refusal = await self._refusal(scope, writes=True)
        event = "write" if refusal is None else "write refused"
        heard = Heard(send, lambda status: self._note(event, scope, status))
        try:
            await self._serve(scope, receive, heard, refusal)
        finally:
            heard.tell(FAULT)

    def _note(self, event: str, scope: Scope, status: int) -> None:
        self._tell(
            event,
            method=scope["method"][:LONGEST_METHOD],
            path=scope["path"][:LONGEST_PATH],
            status=status,
            by=scope.get(WHO, ""),
            client=client_of(scope),
        )

    async def _serve(self, scope: Scope, receive: Receive, send: Send, refusal: Refusal | None) -> None:
        if refusal is None:
            await self._app(scope, receive, send)
        else:
            status, says, headers = refusal
            await answer(send, status, {"error": says}, headers)

    async def _refusal(self, scope: Scope, *, writes: bool) -> Refusal | None:
        if self._credentials is None:
            return (403, CONFIGURE, {}) if writes else None
        if not writes and GROUPS.get(scope["path"], "status") in self._open:
            return None
        header = next((value for name, value in scope["headers"] if name == b"authorization"), b"")
        try:
            scope[WHO] = await self._credentials.who(header)
        except BusyError:
            return 429, "too many passwords wait to be looked at; try again", {"retry-after": "1"}
        if scope[WHO]:
            return None
        says = "these credentials are not known" if header else "this needs credentials"
        return 401, says, {"www-authenticate": self._credentials.schemes}


def client_of(scope: Scope) -> str:
    """Return the address that a request came from."""
    return scope["client"][0] if scope.get("client") else ""


async def answer(send: Send, status: int, document: object, headers: dict[str, str] | None = None) -> None:
    """Send a document as one line of JSON."""
    body = json.dumps(document, ensure_ascii=False).encode() + b"\n"
    told = {
        "content-type": "application/json",
        "content-length": str(len(body)),
        "cache-control": "no-store",
        **(headers or {}),
    }
    lines = [(name.encode(), value.encode("latin-1")) for name, value in told.items()]
    await send({"type": "http.response.start", "status": status, "headers": lines})
    await send({"type": "http.response.body", "body": body})
