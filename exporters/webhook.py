"""One POST, one attempt: by default a Standard Webhook (standardwebhooks.com, version 1.0.0).

The request goes straight to a connection of its own, not through an httpx2.Client: there are no proxies or
certificates from the environment, no redirects, no cookies and no connection kept, and the client's log
line, which holds the whole URL with its password and query, is never written.
"""

import base64
import re
from dataclasses import replace
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from importlib.metadata import version
from ssl import SSLContext

import httpx2

from exporters.auth import Attempt, Auth
from exporters.base import Delivered, Delivery, Notification, Reason, Refused, Retry
from exporters.bodies.message import BodyError, Event, Form, Message, standard
from exporters.bounded import Allowance, Headers, Target, post

RESPONSE_BYTES = 64 * 1024
RETRY_AFTER_MAX = 24 * 3600.0
GONE = 410
HONOURED = frozenset({429, 502, 503, 504})
"""The answers whose Retry-After counts."""


class Webhook:
    """An endpoint that takes webhooks. It keeps nothing open between attempts.

    url: http or https; user:password@ becomes basic authentication. auth: how attempts prove themselves.
    timeout_seconds: for the whole attempt. tls: for a private certificate authority; by default the system's
    certificates count. allow_private: whether the host may have an address that is no public one. form: of
    the body. Raises ValueError when the URL cannot be used; the message does not hold it.
    """

    def __init__(
        self,
        url: str,
        auth: Auth,
        timeout_seconds: float,
        tls: SSLContext | None = None,
        *,
        allow_private: bool = False,
        form: Form | None = None,
    ) -> None:
        parsed = _parse(url)
        self._given = url
        if tls is None and parsed.scheme == "https":
            tls = httpx2.create_ssl_context(trust_env=False)
        self._target = Target(
            parsed.raw_scheme, parsed.raw_host, parsed.port, parsed.raw_path, tls, allow_private
        )
        self._shown = f"{parsed.scheme}://{parsed.netloc.decode()}"
        self._headers = _headers(parsed)
        self._auth = auth
        self._form = form or standard()
        self._timeout = timeout_seconds

    def __repr__(self) -> str:
        return f"Webhook({self._shown})"

    def send(self, note: Notification, now: datetime) -> Delivery:
        """Make one attempt at `now` (aware); whatever the network or a template does is a Delivery.

        Raises ValueError when `now` has no zone or the note is for another endpoint: the secret is for this
        one alone.
        """
        if note.url != self._given:
            raise ValueError(f"notification {note.id} is for another endpoint")
        if now.tzinfo is None:
            raise ValueError("the time of an attempt needs a zone")
        try:
            message = self._form.write(Event(note.id, note.body))
        except BodyError:
            return Retry(Reason.BODY)
        headers = self._complete(message, Attempt(note.id, now, message.body))
        reply = post(self._at(message), headers, message.body, Allowance(self._timeout, RESPONSE_BYTES))
        if isinstance(reply, Reason):
            return Retry(reply)
        if reply.status in self._form.repeated:
            return Delivered(reply.status)
        return outcome(reply.status, reply.header(b"retry-after"), now)

    def _at(self, message: Message) -> Target:
        if not message.query:
            return self._target
        path = self._target.path
        return replace(self._target, path=path + (b"&" if b"?" in path else b"?") + message.query)

    def _complete(self, message: Message, attempt: Attempt) -> Headers:
        """Return all headers; of those of one name the most particular one."""
        found = dict(self._headers) | {
            b"content-type": message.content_type,
            b"content-length": str(len(message.body)).encode(),
            b"webhook-id": attempt.id.encode("ascii"),
        }
        return list((found | dict(message.headers) | dict(self._auth(attempt))).items())


def outcome(status: int, retry_after: str | None, now: datetime) -> Delivery:
    """Say what an HTTP status means: 2xx is success, 410 ends it, everything else is tried again."""
    if 200 <= status < 300:  # noqa: PLR2004 - HTTP's own classes
        return Delivered(status)
    if status == GONE:
        return Refused(Reason.GONE, disable=True, status=status)
    after = seconds_until(retry_after, now) if status in HONOURED and retry_after else None
    return Retry(_reason(status), after, status)


def _reason(status: int) -> Reason:
    if status == 429:  # noqa: PLR2004 - Too Many Requests
        return Reason.THROTTLED
    classes = {3: Reason.REDIRECT, 4: Reason.CLIENT_ERROR, 5: Reason.SERVER_ERROR}
    return classes.get(status // 100, Reason.PROTOCOL)


def seconds_until(retry_after: str, now: datetime) -> float | None:
    """Read Retry-After, seconds or an HTTP date, as 0 to 24 h from now; None when it is neither.

    >>> seconds_until("120", datetime(2026, 1, 1, tzinfo=UTC))
    120.0
    >>> seconds_until("Thu, 01 Jan 2026 00:01:00 GMT", datetime(2026, 1, 1, tzinfo=UTC))
    60.0
    """
    text = retry_after.strip()
    if re.fullmatch(r"[0-9]{1,15}", text):
        return min(float(text), RETRY_AFTER_MAX)
    try:
        date = parsedate_to_datetime(text)
        date = date.replace(tzinfo=date.tzinfo or UTC)
        seconds = (date - now).total_seconds()
    except (ValueError, TypeError, IndexError, OverflowError):  # each is raised for some malformed date
        return None
    return min(max(seconds, 0.0), RETRY_AFTER_MAX)


def _parse(url: str) -> httpx2.URL:
    try:
        parsed = httpx2.URL(url)
    except httpx2.InvalidURL:
        parsed = httpx2.URL()
    if parsed.scheme not in {"http", "https"} or not parsed.host:
        raise ValueError('a webhook\'s URL looks like "https://host/path"')
    if parsed.port is not None and not 0 < parsed.port < 2**16:
        raise ValueError("a webhook's port is between 1 and 65535")
    return parsed


def _headers(url: httpx2.URL) -> list[tuple[bytes, bytes]]:
    headers = [
        (b"host", url.netloc),
        (b"user-agent", f"driftd/{version('driftd')}".encode()),
        (b"accept", b"*/*"),
        (b"connection", b"close"),
    ]
    if url.username or url.password:
        login = base64.b64encode(f"{url.username}:{url.password}".encode())
        headers.append((b"authorization", b"Basic " + login))
    return headers
