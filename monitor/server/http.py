"""HTTP on a thread of its own: /metrics, /healthz, /readyz, /-/reload. Reads a snapshot, waits for nobody."""

import socket
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from monitor.errors import DriftdError

STOP_SECONDS = 3.0


class Page(Protocol):
    """A body, and the headers that go with it."""

    @property
    def body(self) -> bytes:
        """The bytes to send."""

    @property
    def headers(self) -> Mapping[str, str]:
        """What they are."""


@dataclass(frozen=True, slots=True)
class Answers:
    """What the server says. metrics: Accept, Accept-Encoding -> a page; ready: why not, "" when ready.

    reload: takes on the configuration as it is now; returns complaints, None where nobody may ask.
    """

    metrics: Callable[[str, str], Page]
    ready: Callable[[], str]
    reload: Callable[[], tuple[str, ...] | None]


class HttpServer:
    """A uvicorn server in a daemon thread. Port 0 takes a free port; `address` says which."""

    def __init__(self, listen: str, answers: Answers) -> None:
        host, _, port = listen.rpartition(":")
        self._answers = answers
        self._socket = _bind(host.strip("[]"), int(port), listen)
        config = uvicorn.Config(
            self._app(),
            log_level="critical",
            access_log=False,
            lifespan="off",
            timeout_keep_alive=30,
            limit_concurrency=200,
        )
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(
            target=self._server.run, kwargs={"sockets": [self._socket]}, name="http", daemon=True
        )

    @property
    def address(self) -> str:
        """Return host:port as bound."""
        host, port = self._socket.getsockname()[:2]
        return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"

    def start(self) -> None:
        """Serve from now on."""
        self._thread.start()

    def close(self) -> None:
        """Stop serving within a few seconds; closing twice is fine."""
        self._server.should_exit = True
        if self._thread.is_alive():
            self._thread.join(STOP_SECONDS)
        self._socket.close()

    def _app(self) -> Starlette:
        routes = [
            Route("/metrics", self._metrics),
            Route("/healthz", self._healthz),
            Route("/readyz", self._readyz),
            Route("/-/reload", self._reload, methods=["POST"]),
        ]
        app = Starlette(routes=routes)
        app.router.redirect_slashes = False  # every other path is a 404
        return app

    def _metrics(self, request: Request) -> Response:
        asked = (", ".join(request.headers.getlist(name)) for name in ("accept", "accept-encoding"))
        page = self._answers.metrics(*asked)
        return Response(page.body, media_type=None, headers=page.headers)

    def _healthz(self, _: Request) -> Response:
        return PlainTextResponse("ok\n")

    def _readyz(self, _: Request) -> Response:
        reason = self._answers.ready()
        return PlainTextResponse(f"{reason or 'ready'}\n", status_code=503 if reason else 200)

    def _reload(self, _: Request) -> Response:
        complaints = self._answers.reload()
        if complaints is None:
            return PlainTextResponse("set [daemon] reload_endpoint = true to allow this\n", status_code=403)
        says = "".join(f"{line}\n" for line in complaints) or "reloaded\n"
        return PlainTextResponse(says, status_code=422 if complaints else 200)


def _bind(host: str, port: int, listen: str) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    found = socket.socket(family, socket.SOCK_STREAM)
    found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        found.bind((host, port))
        found.listen()  # from here on a client waits instead of being refused
    except OSError as error:
        found.close()
        raise DriftdError(
            f"daemon.listen: cannot listen on {listen}: {error.strerror}; choose another port"
        ) from error
    return found
