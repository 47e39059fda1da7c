"""Bounds for clients that are slow, many or hostile: sockets counted, and a deadline for every step.

uvicorn times the pause between two requests only. What it leaves open: a connection that never sends a whole
request, an answer that is never read, and TLS handshakes, which it does not count.
"""

import asyncio
import socket
import struct
from collections.abc import Callable
from enum import Enum
from typing import Any

import uvicorn
from msgspec import Struct
from uvicorn.protocols.http.h11_impl import H11Protocol, RequestResponseCycle


class Limits(Struct, frozen=True):
    """What a client may take. Seconds, bytes and numbers.

    connections: open at once, handshakes included; further ones are closed unheard. request: until a request
    has come whole, the TLS handshake apart, which has as long. answer: from there until the answer has been
    taken. idle: between two requests. head: bytes of request line and headers.
    """

    connections: int = 200
    request: float = 10.0
    answer: float = 60.0
    idle: float = 30.0
    head: int = 16 * 2**10


class Counted(socket.socket):
    """An accepted connection that gives its place back when it is closed."""

    places: set[int]
    number: int

    def close(self) -> None:
        """Close it, and free its place."""
        self.places.discard(self.number)
        super().close()


class Listener(socket.socket):
    """A listening socket that keeps no more connections open than it has places for."""

    def bounded(self, connections: int) -> None:
        """Give it so many places."""
        self._room = connections
        self._places: set[int] = set()
        self._accepted = 0

    def accept(self) -> tuple[socket.socket, Any]:
        """Accept a connection; those beyond the places are closed. Raises BlockingIOError when none waits."""
        while True:
            plain, address = super().accept()
            if len(self._places) < self._room:
                break
            plain.close()
        found = Counted(plain.family, plain.type, plain.proto, plain.detach())
        self._accepted += 1
        found.places, found.number = self._places, self._accepted
        self._places.add(found.number)
        found.settimeout(0)
        return found, address


class Phase(Enum):
    """Where a connection stands, and so what it is given time for."""

    REQUEST = "request"
    ANSWER = "answer"
    IDLE = "idle"
    CLOSING = "closing"


class Impatient(H11Protocol):
    """uvicorn's HTTP with a deadline for each phase; a connection that misses one is cut."""

    limits = Limits()
    _phase = Phase.CLOSING
    _answered: RequestResponseCycle | None = None
    _deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Expect a request."""
        super().connection_made(transport)
        self._enter(Phase.REQUEST)

    def connection_lost(self, exc: Exception | None) -> None:
        """Expect nothing more."""
        super().connection_lost(exc)
        self._relax()

    def data_received(self, data: bytes) -> None:
        """Take bytes in."""
        super().data_received(data)
        self._follow()

    def on_response_complete(self) -> None:
        """Go on to the next request."""
        super().on_response_complete()
        self._follow()

    def timeout_keep_alive_handler(self) -> None:
        """Close an idle connection."""
        super().timeout_keep_alive_handler()
        self._follow()

    def _follow(self) -> None:
        """Enter the phase that the connection is in now; time given to a phase is given once."""
        phase, cycle = self._now(), self._cycle
        if phase is not self._phase or (phase is Phase.ANSWER and cycle is not self._answered):
            self._enter(phase)

    def _enter(self, phase: Phase) -> None:
        self._relax()
        self._phase, self._answered = phase, self._cycle
        seconds = {Phase.ANSWER: self.limits.answer, Phase.IDLE: self.limits.idle}
        self._deadline = self.loop.call_later(seconds.get(phase, self.limits.request), self._missed)

    def _now(self) -> Phase:
        cycle = self._cycle
        if self.transport.is_closing():
            return Phase.CLOSING
        if cycle is not None and not cycle.response_complete:
            return Phase.REQUEST if cycle.more_body else Phase.ANSWER
        if cycle is not None and self.transport.get_write_buffer_size():
            return Phase.ANSWER
        even = self.conn.our_state is self.conn.their_state  # else the rest of a body is still to come
        between = cycle is not None and even and not self.conn.trailing_data[0]
        return Phase.IDLE if between else Phase.REQUEST

    @property
    def _cycle(self) -> RequestResponseCycle | None:
        """The newest request; None before the first one, other than uvicorn says."""
        return self.cycle

    def _relax(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _missed(self) -> None:
        """Cut the connection, unless its answer has been taken meanwhile; an idle one is closed first."""
        self._deadline = None
        if self._phase is Phase.IDLE:
            self.transport.close()
        if self._phase in {Phase.IDLE, Phase.ANSWER} and self._now() is not self._phase:
            self._follow()
        else:
            self._cut()

    def _cut(self) -> None:
        """End the connection now; the kernel gives up what was not taken, too."""
        self.transport.get_extra_info("socket").setsockopt(
            socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)
        )
        self.transport.abort()


class Server(uvicorn.Server):
    """A uvicorn server on a given socket, with times for the TLS handshake too.

    greet: called when a connection has been accepted.
    """

    def __init__(self, config: uvicorn.Config, limits: Limits, greet: Callable[[], None]) -> None:
        super().__init__(config)
        self._limits = limits
        self._greet = greet

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen on the given sockets."""
        await self.lifespan.startup()
        loop = asyncio.get_running_loop()
        patience = self._limits.request if self.config.ssl else None
        self.servers = [
            await loop.create_server(
                self._protocol,
                sock=each,
                ssl=self.config.ssl,
                ssl_handshake_timeout=patience,
                ssl_shutdown_timeout=patience,
            )
            for each in sockets or ()
        ]
        self.started = True

    def _protocol(self) -> Impatient:
        self._greet()  # before the handshake
        found = Impatient(self.config, self.server_state, self.lifespan.state)
        found.limits = self._limits
        return found
