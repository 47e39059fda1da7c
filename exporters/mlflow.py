"""An MLflow registry: which versions a registered model has, and evidence attached to one of them as tags.

MLflow's REST interface, version 2.0, is asked with the same care as a webhook's receiver (see
exporters.bounded). What it answers is another program's word: of another form than documented, it is no
answer. Setting a tag twice is setting it once, so an attempt that broke off is simply made again.
"""

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from importlib.metadata import version
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

import httpx2

from exporters.auth import Attempt, Auth
from exporters.base import Delivered, Delivery, Notification, Reason, Refused, Retry
from exporters.bounded import Allowance, Reply, Target, ask
from exporters.webhook import outcome

API = "/api/2.0/mlflow"
OK = 200
ANSWER_BYTES = 2**20
PAGE = 100
PAGES = 100
"""The newest PAGE * PAGES versions are looked at."""
READY = "READY"
FIRST_TAG = "driftd.requested_at"
"""Says how old the evidence on a version is, so it is written first."""


class _WrongAnswerError(ValueError):
    """The answer is not of MLflow's form."""


class _FailedError(Exception):
    """There is no answer that could be used. retry: why."""

    def __init__(self, retry: Retry) -> None:
        super().__init__(str(retry.reason))
        self.retry = retry


@dataclass(frozen=True, slots=True)
class Version:
    """One version of a registered model."""

    number: int
    aliases: tuple[str, ...] = ()
    tags: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Access:
    """Where a registry is and how it is asked. url: http or https, a path before /api included.

    timeout: seconds for one request. allow_private: whether the host may have an address that is not public.
    """

    url: str = field(repr=False)
    auth: Auth = field(repr=False)
    timeout: float
    allow_private: bool = False


class Mlflow:
    """One registered model. As a notifier it attaches evidence; it keeps nothing open between requests.

    Raises ValueError for a URL that cannot be used, without showing it.
    """

    def __init__(self, access: Access, name: str) -> None:
        parsed = urlsplit(access.url)
        if parsed.scheme not in {"http", "https"} or not parsed.hostname:
            raise ValueError('the URL of a registry looks like "https://host"')
        self._access = access
        self._name = name
        self._base = httpx2.URL(access.url)
        self._tls = httpx2.create_ssl_context(trust_env=False) if parsed.scheme == "https" else None

    def __repr__(self) -> str:
        return f"Mlflow({self._base.host}, {self._name})"

    def versions(self, now: datetime) -> tuple[Version, ...] | Retry:
        """Return the versions that are ready, the newest first, or why they are not known."""
        try:
            aliases = _aliases(self._get("registered-models/get", {"name": self._name}, now))
            found = [replace(v, aliases=aliases.get(v.number, ())) for v in self._pages(now)]
        except _FailedError as error:
            return error.retry
        return tuple(found)

    def _pages(self, now: datetime) -> Iterator[Version]:
        wanted = {"filter": f"name='{self._name}'", "max_results": str(PAGE)}
        wanted["order_by"] = (
            "version_number DESC"  # by time, a tag set between two pages would hide a version
        )
        for _ in range(PAGES):
            page = self._get("model-versions/search", wanted, now)
            with _well_formed():
                yield from _versions(page, self._name)
                token = _text(page.get("next_page_token", ""))
            if not token:
                return
            wanted["page_token"] = token

    def send(self, note: Notification, now: datetime) -> Delivery:
        """Attach the evidence in the note at `now` (aware), unless the version has a newer one.

        Raises ValueError when the note is for another endpoint.
        """
        if note.url != self._access.url:
            raise ValueError(f"notification {note.id} is for another endpoint")
        evidence = json.loads(note.body)
        place, tags = {key: evidence[key] for key in ("name", "version")}, evidence["tags"]
        try:
            there = self._get("model-versions/get", place, now)
            with _well_formed():
                known = _tags(_object(there.get("model_version")))
            if not _newer(known.get(FIRST_TAG, ""), tags[FIRST_TAG]):
                for key in sorted(tags, key=lambda key: (key != FIRST_TAG, key)):
                    self._post("model-versions/set-tag", place | {"key": key, "value": tags[key]}, now)
        except _FailedError as error:
            return error.retry
        return Delivered(OK)

    def _get(self, what: str, query: Mapping[str, str], now: datetime) -> Mapping[str, Any]:
        path = f"{what}?{urlencode(query, quote_via=quote)}"
        reply = self._ask("GET", path, {}, b"", now)
        with _well_formed():
            return _parsed(reply.body)

    def _post(self, what: str, document: Mapping[str, str], now: datetime) -> None:
        body = json.dumps(document).encode()
        headers = {b"content-type": b"application/json", b"content-length": str(len(body)).encode()}
        self._ask("POST", what, headers, body, now)

    def _ask(
        self, method: str, what: str, headers: Mapping[bytes, bytes], body: bytes, now: datetime
    ) -> Reply:
        """Make one request; anything but 2xx fails for now, 410 too: a version is gone by it."""
        base, access = self._base, self._access
        path = f"{base.path.rstrip('/')}{API}/{what}".encode()
        target = Target(base.raw_scheme, base.raw_host, base.port, path, self._tls, access.allow_private)
        complete = {
            b"host": base.netloc,
            b"user-agent": f"driftd/{version('driftd')}".encode(),
            b"accept": b"application/json",
            b"connection": b"close",
            **headers,
            **dict(access.auth(Attempt("", now, body))),
        }
        reply = ask(method, target, list(complete.items()), body, Allowance(access.timeout, ANSWER_BYTES))
        if isinstance(reply, Reason):
            raise _FailedError(Retry(reply))
        said = outcome(reply.status, reply.header(b"retry-after"), now)
        if isinstance(said, Retry):
            raise _FailedError(said)
        if isinstance(said, Refused):
            raise _FailedError(Retry(said.reason, status=reply.status))
        return reply


@contextmanager
def _well_formed() -> Iterator[None]:
    try:
        yield
    except _WrongAnswerError as error:
        raise _FailedError(Retry(Reason.PROTOCOL, status=OK)) from error


def _newer(known: str, given: str) -> bool:
    """Tell whether the version has evidence of a later time; what is no time was not written by us."""
    try:
        return datetime.fromisoformat(known) > datetime.fromisoformat(given)
    except (ValueError, TypeError):  # TypeError: a time without a zone
        return False


def _parsed(body: bytes) -> Mapping[str, Any]:
    try:
        return _object(json.loads(body))
    except (ValueError, RecursionError) as error:  # ValueError: no UTF-8, no JSON, or a number too long
        raise _WrongAnswerError("no JSON object") from error


def _versions(page: Mapping[str, Any], name: str) -> Iterator[Version]:
    for item in _list(page.get("model_versions", [])):
        each = _object(item)
        number = _number(each.get("version"))
        if each.get("name") != name:
            raise _WrongAnswerError("a version of something else")
        if each.get("status", READY) == READY:
            yield Version(number, tags=_tags(each))


def _aliases(answer: Mapping[str, Any]) -> dict[int, tuple[str, ...]]:
    """Return the aliases by version; the search for versions leaves them out."""
    found: dict[int, tuple[str, ...]] = {}
    with _well_formed():
        for item in _list(_object(answer.get("registered_model")).get("aliases", [])):
            number = _number(_object(item).get("version"))
            found[number] = (*found.get(number, ()), _text(_object(item).get("alias")))
    return found


def _tags(item: Mapping[str, Any]) -> dict[str, str]:
    tags = [_object(tag) for tag in _list(item.get("tags", []))]
    return {_text(tag.get("key")): _text(tag.get("value", "")) for tag in tags}


def _number(item: object) -> int:
    if not re.fullmatch("[0-9]{1,18}", _text(item), re.ASCII):
        raise _WrongAnswerError("no number")
    return int(_text(item))


def _object(item: object) -> Mapping[str, Any]:
    if not isinstance(item, dict):
        raise _WrongAnswerError("no object")
    return item


def _list(item: object) -> list[Any]:
    if not isinstance(item, list):
        raise _WrongAnswerError("no list")
    return item


def _text(item: object) -> str:
    if not isinstance(item, str):
        raise _WrongAnswerError("no text")
    return item
