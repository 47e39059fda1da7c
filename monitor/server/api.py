"""The API under /api/v1: episodes, and what people and pipelines answer to them."""

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Protocol

from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from monitor.errors import ConflictError, DriftdError, NotFoundError, StoreUnavailableError
from monitor.server.bodies import AckBody, RetrainBody, read_body

BODY_BYTES = 16 * 2**10
JSON = "application/json"
STATES = ("firing", "stale", "ended")
STATUS: dict[type[DriftdError], int] = {NotFoundError: 404, ConflictError: 409, StoreUnavailableError: 503}
Document = dict[str, Any]
Answer = Callable[[Request], Awaitable[Response]]


class Desk(Protocol):
    """What takes answers to episodes. Raises NotFoundError, ConflictError and StoreUnavailableError."""

    def episodes(self) -> list[Document]:
        """Return every known episode."""

    def episode(self, id_: str) -> Document:
        """Return one episode."""

    def acknowledge(self, id_: str, who: str, why: str) -> Document:
        """Note that somebody looks after an episode."""

    def report(self, id_: str, state: str, run: str, version: str) -> Document:
        """Note how a retraining goes."""


class Line(JSONResponse):
    """A document as one line."""

    def __init__(self, content: object, status_code: int = 200) -> None:
        super().__init__(content, status_code, {"cache-control": "no-store"})

    def render(self, content: object) -> bytes:
        """Write it, with an end of line."""
        return super().render(content) + b"\n"


class RefusedError(Exception):
    """A request that cannot be served, before anyone was asked: its status, and what is wrong."""

    def __init__(self, status: int, says: str) -> None:
        super().__init__(says)
        self.status = status


class Api:
    """The routes."""

    def __init__(self, desk: Desk, status: Callable[[], Document]) -> None:
        self._desk = desk
        self._status = status

    def routes(self) -> list[Route]:
        """Return the routes."""
        one = "/api/v1/episodes/{id}"
        return [
            Route("/api/v1/status", self._status_now),
            Route("/api/v1/openapi.json", self._openapi),
            Route("/api/v1/episodes", self._episodes),
            Route(one, self._episode),
            Route(f"{one}/ack", self._ack, methods=["POST"]),
            Route(f"{one}/retrain", self._retrain, methods=["POST"]),
        ]

    async def _status_now(self, _: Request) -> Response:
        return await _served(self._status)

    async def _openapi(self, _: Request) -> Response:
        text = await run_in_threadpool(Path(__file__).with_name("openapi.json").read_bytes)
        return Response(text, media_type="application/json")

    async def _episodes(self, request: Request) -> Response:
        wanted = dict(request.query_params)
        if unknown := wanted.keys() - {"model", "state"}:
            return Line({"error": f"unknown parameter {min(unknown)[:100]}; model and state are known"}, 400)
        if wanted.get("state", STATES[0]) not in STATES:
            return Line({"error": f"state must be one of {', '.join(STATES)}"}, 400)

        def found() -> Document:
            return {"episodes": [e for e in self._desk.episodes() if wanted.items() <= e.items()]}

        return await _served(found)

    async def _episode(self, request: Request) -> Response:
        id_ = request.path_params["id"]
        return await _served(lambda: self._desk.episode(id_))

    async def _ack(self, request: Request) -> Response:
        id_ = request.path_params["id"]
        return await self._write(request, AckBody, lambda b: self._desk.acknowledge(id_, b.who, b.why))

    async def _retrain(self, request: Request) -> Response:
        id_ = request.path_params["id"]
        return await self._write(
            request, RetrainBody, lambda b: self._desk.report(id_, b.state, b.run, b.version)
        )

    async def _write(self, request: Request, kind: type[Any], work: Callable[[Any], Document]) -> Response:
        try:
            body = await _body(request, kind)
        except RefusedError as error:
            return Line({"error": str(error)}, error.status)
        return await _served(lambda: work(body))


async def _served(work: Callable[[], Document]) -> Response:
    """Do the work in a thread of the pool: it may wait for a commit."""
    try:
        return Line(await run_in_threadpool(work))
    except DriftdError as error:
        return Line({"error": str(error)}, STATUS.get(type(error), 500))


def check_bare(request: Request) -> None:
    """Look at a write that needs no body. Raises RefusedError where a web page could have had it sent.

    A browser sends such a request to another host unasked, with the password that it remembers, but says then
    from where, or with a body of another type.
    """
    kind = _content_type(request)
    if kind not in {"", JSON}:
        raise RefusedError(415, "a body is not needed; one must come as content-type: application/json")
    if not kind and "origin" in request.headers:
        raise RefusedError(403, "web pages may not ask for this; send content-type: application/json")


def _content_type(request: Request) -> str:
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


async def _body(request: Request, kind: type[Any]) -> Any:  # noqa: ANN401  # one of the bodies
    """Read a body of at most BODY_BYTES. Raises RefusedError.

    Only JSON is taken: no web page can make a browser send that to another host unasked.
    """
    if _content_type(request) != JSON:
        raise RefusedError(415, "the body must come as content-type: application/json")
    data = bytearray()
    try:
        async for chunk in request.stream():
            data += chunk
            if len(data) > BODY_BYTES:
                raise RefusedError(413, f"the body is larger than {BODY_BYTES} bytes")
    except ClientDisconnect as error:
        raise RefusedError(400, "the body did not come whole") from error
    try:
        return read_body(kind, bytes(data))
    except ValueError as error:
        raise RefusedError(400, str(error)) from error
