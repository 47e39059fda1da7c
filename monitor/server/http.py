"""HTTP on a thread of its own: metrics, health, reload, the API and the status page. Waits for nobody."""

import socket
import ssl
import threading
from collections.abc import Callable, Mapping
from typing import Protocol

import uvicorn
from msgspec import Struct
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response
from starlette.routing import Route

from monitor.errors import DriftdError
from monitor.server.api import Api, Desk, Document, Line, RefusedError, check_bare
from monitor.server.credentials import Tell
from monitor.server.guard import Guard
from monitor.server.limits import Impatient, Limits, Listener, Server
from monitor.server.page import StatusPage
from monitor.server.tls import Certificates
from monitor.web import Web

STOP_SECONDS = 3.0


class Views(Protocol):
    """What people are shown, as plain data."""

    def status(self) -> Document:
        """Return the whole status."""

    def page(self) -> Document:
        """Return what the status page shows."""


class Page(Protocol):
    """A body, and the headers that go with it."""

    @property
    def body(self) -> bytes:
        """The bytes to send."""

    @property
    def headers(self) -> Mapping[str, str]:
        """What they are."""


class Answers(Struct, frozen=True):
    """What the server says. metrics: Accept, Accept-Encoding -> a page; ready: why not, "" when ready.

    reload: takes on the configuration as it is now; returns complaints.
    views: the status, and what the page shows; desk: takes answers to episodes; tell: writes the audit log.
    """

    metrics: Callable[[str, str], Page]
    ready: Callable[[], str]
    reload: Callable[[], tuple[str, ...]]
    views: Views
    desk: Desk
    tell: Tell


class HttpServer:
    """A uvicorn server in a daemon thread. Port 0 takes a free port; `address` says which."""

    def __init__(self, listen: str, answers: Answers, web: Web, limits: Limits | None = None) -> None:
        host, _, port = listen.rpartition(":")
        limits = limits or Limits()
        self._answers = answers
        self._page = StatusPage()
        self._certificates = Certificates(web) if web.encrypted else None
        self._socket = _bind(host.strip("[]"), int(port), listen)
        self._socket.bounded(limits.connections)
        config = uvicorn.Config(
            Guard(self._app(), web, answers.tell),
            http=Impatient,
            ws="none",
            log_config=None,
            log_level="critical",
            access_log=False,
            lifespan="off",
            proxy_headers=False,
            server_header=False,
            timeout_keep_alive=round(limits.idle),
            h11_max_incomplete_event_size=limits.head,
            ssl_context_factory=self._context if self._certificates else None,
        )
        self._server = Server(config, limits, self._renew)
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

    def _context(self, *_: object) -> ssl.SSLContext:
        if self._certificates is None:
            raise DriftdError("TLS is not configured")
        return self._certificates.context

    def _renew(self) -> None:
        if self._certificates is not None:
            self._certificates.refresh(self._answers.tell)

    def _app(self) -> Starlette:
        routes = [
            Route("/metrics", self._metrics),
            Route("/healthz", self._healthz),
            Route("/readyz", self._readyz),
            Route("/-/reload", self._reload, methods=["POST"]),
            Route("/", self._status_page),
            *Api(self._answers.desk, self._answers.views.status).routes(),
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

    def _reload(self, request: Request) -> Response:
        try:
            check_bare(request)
        except RefusedError as error:
            return Line({"error": str(error)}, error.status)
        complaints = self._answers.reload()
        says = "".join(f"{line}\n" for line in complaints) or "reloaded\n"
        return PlainTextResponse(says, status_code=422 if complaints else 200)

    def _status_page(self, _: Request) -> Response:
        return HTMLResponse(self._page.render(self._answers.views.page()), headers=self._page.headers)


def _bind(host: str, port: int, listen: str) -> Listener:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # a socket that says that it is TCP gets TCP_NODELAY of asyncio: without it answers wait 40 ms for an ACK
    found = Listener(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
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
