"""How a request says who it is from: a signature, a token, a password, a header, or nothing.

Secrets are asked for at each attempt, so that the one after a rotation uses the new ones; none of them is
kept where a repr would find it.
"""

import base64
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

import standardwebhooks

from exporters.bounded import Headers

Keys = Callable[[], Sequence[bytes]]
"""The secrets of now, the newest first, at least one."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """One request about to be made. at: aware."""

    id: str
    at: datetime
    body: bytes = field(repr=False)


Auth = Callable[[Attempt], Headers]
"""Gives the headers that one attempt proves itself with."""


def nobody() -> Auth:
    """Return the way to say nothing."""
    return lambda _attempt: []


def signed(keys: Keys) -> Auth:
    """Return Standard Webhooks' signature, with every key there is: two while they are exchanged."""

    def headers(attempt: Attempt) -> Headers:
        stamp = attempt.at.astimezone(UTC)  # the library takes any other zone's hours for UTC
        text = attempt.body.decode()
        found = [standardwebhooks.Webhook(key).sign(attempt.id, stamp, text) for key in keys()]
        return [
            (b"webhook-timestamp", str(int(stamp.timestamp())).encode()),
            (b"webhook-signature", " ".join(found).encode()),
        ]

    return headers


def bearer(keys: Keys) -> Auth:
    """Return a token in the Authorization header."""
    return lambda _attempt: [(b"authorization", b"Bearer " + keys()[0])]


def basic(username: str, keys: Keys) -> Auth:
    """Return a user and a password in the Authorization header."""
    user = username.encode()
    return lambda _attempt: [(b"authorization", b"Basic " + base64.b64encode(user + b":" + keys()[0]))]


def header(name: str, keys: Keys) -> Auth:
    """Return the secret itself in a header of that name."""
    field_name = name.lower().encode()
    return lambda _attempt: [(field_name, keys()[0])]
