"""One TCP or TLS connection that ends on time and reads no more than it may.

httpx2's timeouts hold for each single read: a receiver that sends one byte now and then is never cut off.
Its core, httpcore2, takes a network backend, and this one gives every operation only what is left of one
allowance: name lookup, all addresses, handshake, request and response together.
"""

import socket
import ssl
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue
from threading import Thread
from time import monotonic
from typing import Any

import httpcore2

from exporters.base import Reason
from exporters.ssrf import special

Headers = Sequence[tuple[bytes, bytes]]
Failure = OSError | UnicodeError


class LookupFailedError(httpcore2.ConnectError):
    """The host's name has no address."""


class PrivateAddressError(httpcore2.ConnectError):
    """The host's name leads to an address that is no public one."""


class HandshakeFailedError(httpcore2.ConnectError):
    """No TLS: a certificate that is not trusted, a wrong name, or no TLS on the other side."""


class TooLongError(httpcore2.RemoteProtocolError):
    """The response is longer than the allowance."""


class Allowance:
    """What one attempt may take: seconds from now on, and bytes of the response."""

    def __init__(self, seconds: float, size: int) -> None:
        self._end = monotonic() + seconds
        self._size = size

    def seconds(self) -> float:
        """Return the seconds that are left; raise httpcore2.ReadTimeout when there are none."""
        left = self._end - monotonic()
        if left <= 0:
            raise httpcore2.ReadTimeout("the attempt's time is over")
        return left

    def size(self, wanted: int) -> int:
        """Return how many of the wanted bytes may be read; raise TooLongError when none may."""
        if self._size <= 0:
            raise TooLongError("the response is too long")
        return min(wanted, self._size)

    def spend(self, size: int) -> None:
        """Note that so many bytes were read."""
        self._size -= size


class BoundedStream(httpcore2.NetworkStream):
    """A stream that lives on the allowance; the timeouts handed in are ignored."""

    def __init__(self, inner: httpcore2.NetworkStream, allowance: Allowance) -> None:
        self._inner = inner
        self._allowance = allowance
        self._heard = False

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        """Read what has come, within the allowance; a close before the first byte is a ReadError."""
        del timeout
        data = self._inner.read(self._allowance.size(max_bytes), self._allowance.seconds())
        if not data and not self._heard:
            raise httpcore2.ReadError("closed without a word")
        self._heard = True
        self._allowance.spend(len(data))
        return data

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        """Write all of it."""
        del timeout
        self._inner.write(buffer, self._allowance.seconds())

    def close(self) -> None:
        """Close the socket."""
        self._inner.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore2.NetworkStream:
        """Shake hands; the socket is closed when that fails, since nobody else holds it."""
        del timeout
        try:
            inner = self._inner.start_tls(ssl_context, server_hostname, self._allowance.seconds())
        except (httpcore2.ConnectError, ValueError) as error:  # ValueError: a name that TLS cannot carry
            self._inner.close()
            raise HandshakeFailedError("no TLS") from error
        except httpcore2.TimeoutException:
            self._inner.close()
            raise
        return BoundedStream(inner, self._allowance)

    def get_extra_info(self, info: str) -> Any:  # noqa: ANN401 - the base class says so
        """Return what the socket knows of itself."""
        return self._inner.get_extra_info(info)


class BoundedBackend(httpcore2.NetworkBackend):
    """Looks the name up, then tries its addresses in order, each with a fair part of the time left.

    The name is looked up once, and the connection goes to the addresses that were judged: a second answer
    could be another one. allow_private: whether they may be other than public.
    """

    def __init__(self, allowance: Allowance, *, allow_private: bool) -> None:
        self._allowance = allowance
        self._allow_private = allow_private
        self._inner = httpcore2.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore2.SOCKET_OPTION] | None = None,
    ) -> httpcore2.NetworkStream:
        """Connect to the first address that answers; to none when one of them is not allowed."""
        del timeout
        addresses = lookup(host, port, self._allowance.seconds())
        if not self._allow_private and any(map(special, addresses)):
            raise PrivateAddressError("not a public address")
        failure: Exception = LookupFailedError("no address")
        for i, address in enumerate(addresses):
            seconds = self._allowance.seconds() / (len(addresses) - i)
            try:
                stream = self._inner.connect_tcp(address, port, seconds, local_address, socket_options)
            except (httpcore2.ConnectError, httpcore2.ConnectTimeout) as error:
                failure = error
            else:
                return BoundedStream(stream, self._allowance)
        raise failure


@dataclass(frozen=True, slots=True)
class Target:
    """Where a request goes. path: with the query, never printed. tls: for https.

    allow_private: whether it may go to an address that is no public one.
    """

    scheme: bytes
    host: bytes
    port: int | None
    path: bytes = field(repr=False)
    tls: ssl.SSLContext | None = None
    allow_private: bool = False


@dataclass(frozen=True, slots=True)
class Reply:
    """What a receiver answered. body: as much of it as came."""

    status: int
    headers: Headers = field(repr=False)
    body: bytes = field(default=b"", repr=False)

    def header(self, name: bytes) -> str | None:
        """Return the first header of that name (lower case)."""
        found = (value for key, value in self.headers if key.lower() == name)
        value = next(found, None)
        return None if value is None else value.decode("latin-1")


FAILURES: tuple[tuple[type[Exception], Reason], ...] = (
    (LookupFailedError, Reason.DNS),
    (PrivateAddressError, Reason.PRIVATE),
    (HandshakeFailedError, Reason.TLS),
    (httpcore2.ConnectError, Reason.CONNECT),
    (httpcore2.TimeoutException, Reason.TIMEOUT),
    (httpcore2.ProtocolError, Reason.PROTOCOL),
    (httpcore2.NetworkError, Reason.RESET),
)
"""What the network does, and its word; the first that fits."""

NETWORK = tuple(error for error, _ in FAILURES)


def post(target: Target, headers: Headers, body: bytes, allowance: Allowance) -> Reply | Reason:
    """Make one POST on a connection of its own; whatever the network does instead of answering is a word."""
    return _exchange("POST", target, headers, body, allowance, _drain)


def ask(method: str, target: Target, headers: Headers, body: bytes, allowance: Allowance) -> Reply | Reason:
    """Make one request like `post`, whose answer's body has to come whole."""
    return _exchange(method, target, headers, body, allowance, lambda answer: b"".join(answer.iter_stream()))


def _exchange(
    method: str,
    target: Target,
    headers: Headers,
    body: bytes,
    allowance: Allowance,
    read: Callable[[httpcore2.Response], bytes],
) -> Reply | Reason:
    url = httpcore2.URL(scheme=target.scheme, host=target.host, port=target.port, target=target.path)
    backend = BoundedBackend(allowance, allow_private=target.allow_private)
    connection = httpcore2.HTTPConnection(url.origin, ssl_context=target.tls, network_backend=backend)
    try:
        response = connection.handle_request(httpcore2.Request(method, url, headers=headers, content=body))
        answer = read(response)
    except NETWORK as error:
        return next(reason for kind, reason in FAILURES if isinstance(error, kind))
    finally:
        connection.close()
    return Reply(response.status, response.headers, answer)


def _drain(response: httpcore2.Response) -> bytes:
    """Read the answer's body, so that an ordinary receiver is not cut off while it still speaks."""
    parts: list[bytes] = []
    try:
        parts.extend(response.iter_stream())
    except NETWORK:
        return b"".join(parts)  # the status has been said, and it alone decides
    return b"".join(parts)


def lookup(host: str, port: int, seconds: float) -> list[str]:
    """Return the host's addresses; raise LookupFailedError or httpcore2.ConnectTimeout.

    The resolver knows no timeout, so it runs in a thread that is left behind when it takes too long.
    """
    answers: SimpleQueue[list[str] | Failure] = SimpleQueue()
    Thread(target=_ask, args=(host, port, answers), name="lookup", daemon=True).start()
    try:
        answer = answers.get(timeout=seconds)
    except Empty:
        raise httpcore2.ConnectTimeout("the name lookup took too long") from None
    if isinstance(answer, Failure):
        raise LookupFailedError("no address") from answer
    return answer


def _ask(host: str, port: int, answers: "SimpleQueue[list[str] | Failure]") -> None:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:  # UnicodeError: a label longer than 63 characters
        answers.put(error)
    else:
        answers.put([str(entry[4][0]) for entry in found])
