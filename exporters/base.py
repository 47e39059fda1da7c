"""What a notifier takes and gives: one notification, one attempt, one word on how it went."""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Protocol


class Reason(StrEnum):
    """Why an attempt failed: a closed set, fit for a log field or a metric's label."""

    BODY = "body"
    INTERNAL = "internal"
    DNS = "dns"
    PRIVATE = "private"
    CONNECT = "connect"
    TLS = "tls"
    TIMEOUT = "timeout"
    RESET = "reset"
    PROTOCOL = "protocol"
    REDIRECT = "redirect"
    GONE = "gone"
    THROTTLED = "throttled"
    CLIENT_ERROR = "client_error"
    SERVER_ERROR = "server_error"


@dataclass(frozen=True, slots=True)
class Notification:
    """One message for one endpoint. Retries carry the same id and the same bytes.

    id: the idempotency key, ASCII without ".". url: where it goes; it may hold a password, so it is never
    printed. body: UTF-8 JSON. created_us: event time in microseconds since 1970 UTC.
    """

    id: str
    url: str = field(repr=False)
    body: bytes
    created_us: int


@dataclass(frozen=True, slots=True)
class Delivered:
    """The receiver took it: HTTP 2xx."""

    status: int


@dataclass(frozen=True, slots=True)
class Retry:
    """Not this time. after_seconds: how long the receiver asked to be left alone, None when it did not.

    status: what it answered, for people to read; None when it did not.
    """

    reason: Reason
    after_seconds: float | None = None
    status: int | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class Refused:
    """Never try this message again; disable: nor anything else for this endpoint. status: as in Retry."""

    reason: Reason
    disable: bool = False
    status: int | None = field(default=None, compare=False)


Delivery = Delivered | Retry | Refused


class Notifier(Protocol):
    """Sends to one endpoint. Retries, schedules and counting are the caller's."""

    def send(self, note: Notification, now: datetime) -> Delivery:
        """Make one attempt at the aware time `now`; nothing that the network does raises."""
