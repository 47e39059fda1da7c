"""One Grafana's HTTP API, by grafana-client: calls, and in one line each what came of them instead.

The library is the extra `grafana`, imported when something is first asked.

The client's session is replaced by one that makes no request nobody configured: no proxies, logins or
certificates from the environment, no redirects, no HTTP/3, no lists of revoked certificates. What Grafana
or the network does instead of answering becomes a GrafanaError, whose text is one line without the token.
"""

import json
import ssl
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.util import find_spec
from queue import Empty, SimpleQueue
from socket import gaierror
from threading import Thread
from time import monotonic
from typing import Any
from urllib.parse import urlsplit

from exporters.base import Reason

RESPONSE_BYTES = 16 * 2**20
CHUNK = 64 * 1024
GRACE = 0.5
"""Seconds beyond the allowance, in which the session may say itself that it is over."""
QUOTED = 160
"""Characters of Grafana's own words that a line quotes."""
MISSING_EXTRA = "needs the extra grafana, which is not installed; install driftd[grafana]"
STATUSES: Mapping[int, tuple[Reason, str]] = {
    400: (Reason.CLIENT_ERROR, "Grafana refuses it"),
    401: (Reason.CLIENT_ERROR, "Grafana does not know the token; make one for a service account"),
    403: (Reason.CLIENT_ERROR, "the token may not; give its service account the role Editor, or Admin"),
    404: (Reason.CLIENT_ERROR, "there is no such thing; if it is the API that is missing, correct url"),
    409: (Reason.CLIENT_ERROR, "it exists already, where the token cannot see it"),
    412: (Reason.CLIENT_ERROR, "Grafana holds another one, which it does not let driftd replace"),
    429: (Reason.THROTTLED, "Grafana asks for fewer requests; try again later"),
}  # fmt: skip
"""What an answer means, and what to do; every other 4xx and 5xx has a line of its own."""
NETWORK: tuple[tuple[type[BaseException], Reason, str], ...] = (
    (gaierror, Reason.DNS, "the host's name has no address; correct url"),
    (ssl.SSLError, Reason.TLS, "no TLS: the certificate is not trusted, or there is none; correct url"),
    (ConnectionRefusedError, Reason.CONNECT, "nobody listens there; start Grafana or correct url"),
    (ConnectionResetError, Reason.RESET, "the connection was closed before an answer; try again later"),
    (BrokenPipeError, Reason.RESET, "the connection was closed before an answer; try again later"),
    (TimeoutError, Reason.TIMEOUT, "no answer in time; try again later"),
)
"""What lies under an error of the client, and its word; the first that is there."""


class GrafanaError(Exception):
    """A request failed. Its text is one line; status: 0 where none was said; reason: for logs and metrics."""

    def __init__(self, says: str, reason: Reason, status: int = 0) -> None:
        super().__init__(says)
        self.reason = reason
        self.status = status


@dataclass(frozen=True, slots=True)
class Grafana:
    """Where a Grafana is, and how it is asked.

    url: http or https, with the path that it is served under, if any; it carries no password. token: returns
    a service account's token, asked anew by each `connected`. timeout_seconds: for each request.
    """

    url: str
    token: Callable[[], str] = field(repr=False)
    timeout_seconds: float

    @contextmanager
    def connected(self) -> "Iterator[Connection]":
        """Yield a connection, closed afterwards. Raises GrafanaError without the extra."""
        if not available():
            raise GrafanaError(f"Grafana: {MISSING_EXTRA}", Reason.CONNECT)
        from grafana_client.api import GrafanaApi  # noqa: PLC0415 - an extra
        from niquests import Session  # noqa: PLC0415 - comes with it

        parts, token = urlsplit(self.url), self.token()
        host = parts.hostname or ""
        path = parts.path.strip("/")
        api = GrafanaApi(
            token,
            host=f"[{host}]" if ":" in host else host,
            port=parts.port,
            url_path_prefix=f"{path}/" if path else "",
            protocol=parts.scheme,
            timeout=self.timeout_seconds,
        )
        api.client.s.close()
        with Session(
            disable_http3=True, revocation_configuration=None, allow_incoming_cookies=False
        ) as session:
            session.trust_env = False
            session.headers["User-Agent"] = api.client.user_agent
            api.client.s = _Bounded(session, self.timeout_seconds)  # type: ignore[assignment]  # all it asks for
            yield Connection(api, token)


def available() -> bool:
    """Tell whether the extra is installed, without importing it."""
    return find_spec("grafana_client") is not None


@dataclass(frozen=True, slots=True)
class Connection:
    """A Grafana to be asked."""

    _api: Any = field(repr=False)
    _token: str = field(repr=False)

    def ask(self, doing: str, request: Callable[[Any], Any], kind: type = dict) -> Any:  # noqa: ANN401 - JSON
        """Make one request of grafana-client's and return the JSON that Grafana answered.

        doing: what for, as a line begins with it. kind: what the answer must be. Raises GrafanaError.
        """
        from grafana_client.client import GrafanaException, GrafanaTimeoutError  # noqa: PLC0415 - an extra
        from niquests.exceptions import RequestException  # noqa: PLC0415 - comes with it

        try:
            answer = request(self._api)
        except GrafanaTimeoutError as error:
            raise GrafanaError(f"{doing}: no answer in time; try again later", Reason.TIMEOUT) from error
        except GrafanaException as error:
            raise self._answered(doing, error.status_code, error.response) from error
        except _NotServedError as error:
            raise GrafanaError(f"{doing}: {error}", error.reason) from error
        except RequestException as error:
            raise _unanswered(doing, error) from error
        except ValueError as error:
            raise _no_api(doing) from error
        if not isinstance(answer, kind):
            raise _no_api(doing)
        return answer

    def _answered(self, doing: str, status: int, response: object) -> GrafanaError:
        reason, means = STATUSES.get(status, (Reason.CLIENT_ERROR, "Grafana refuses it"))
        if status >= 500:  # noqa: PLR2004 - HTTP's own classes
            reason, means = Reason.SERVER_ERROR, "Grafana itself failed; its log says why, try again later"
        said = response if isinstance(response, dict) else {}
        words = " ".join(str(said[key]) for key in ("status", "message") if isinstance(said.get(key), str))
        words = (
            "".join(c if c.isprintable() else " " for c in words).strip().replace(self._token, "***")[:QUOTED]
        )
        return GrafanaError(f"{doing}: {means} ({f'{status}: {words}' if words else status})", reason, status)


class _NotServedError(Exception):
    """An answer that is not taken in: a redirect, or one without an end."""

    def __init__(self, says: str, reason: Reason) -> None:
        super().__init__(says)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class _Answer:
    """What the client looks at in a response."""

    status_code: int
    headers: Mapping[str, str]
    content: bytes

    @property
    def text(self) -> str:
        return self.content.decode(errors="replace")

    def json(self) -> Any:  # noqa: ANN401 - JSON
        return json.loads(self.content)


class _Bounded:
    """The session, for one allowance of seconds and bytes a request, and without following redirects.

    The session's own timeout is for each single read, and the resolver knows none: so each request is made in
    a thread, which is left behind when it takes too long.
    """

    def __init__(self, session: Any, seconds: float) -> None:  # noqa: ANN401 - of a library that is optional
        self._session = session
        self._seconds = seconds

    def request(self, method: str, url: str, **given: Any) -> _Answer:  # noqa: ANN401 - the client's own
        answers: SimpleQueue[_Answer | Exception] = SimpleQueue()
        Thread(target=self._ask, args=(answers, method, url, given), name="grafana", daemon=True).start()
        try:
            answer = answers.get(timeout=self._seconds + GRACE)
        except Empty:
            raise _NotServedError("no answer in time; try again later", Reason.TIMEOUT) from None
        if isinstance(answer, Exception):
            raise answer
        return answer

    def _ask(
        self, answers: "SimpleQueue[_Answer | Exception]", method: str, url: str, given: dict[str, Any]
    ) -> None:
        end = monotonic() + self._seconds
        try:
            answer = self._session.request(method, url, **given, stream=True, allow_redirects=False)
            try:
                answers.put(_Answer(_final(answer.status_code), answer.headers, _content(answer, end)))
            finally:
                answer.close()
        except Exception as error:  # noqa: BLE001 - raised again by the thread that asked
            answers.put(error)


def _final(status: int) -> int:
    if 300 <= status < 400:  # noqa: PLR2004 - HTTP's own classes
        says = f"it leads elsewhere, which is not followed; write the address that answers as url ({status})"
        raise _NotServedError(says, Reason.REDIRECT)
    return status


def _content(answer: Any, end: float) -> bytes:  # noqa: ANN401 - as above
    found = bytearray()
    for part in answer.iter_content(CHUNK):
        found += part
        if len(found) > RESPONSE_BYTES:
            raise _NotServedError("the answer is too long for Grafana's; correct url", Reason.PROTOCOL)
        if monotonic() > end:
            raise _NotServedError("no whole answer in time; try again later", Reason.TIMEOUT)
    return bytes(found)


def _no_api(doing: str) -> GrafanaError:
    return GrafanaError(f"{doing}: what answers there is not Grafana's API; correct url", Reason.PROTOCOL)


def _unanswered(doing: str, error: BaseException) -> GrafanaError:
    """Say what lies under an error of the network, looking at all that it was raised from."""
    under: list[BaseException] = []
    left: list[object] = [error]
    while left:
        found = left.pop()
        if isinstance(found, BaseException) and found not in under:
            under.append(found)
            left += [found.__cause__, found.__context__, getattr(found, "reason", None), *found.args]
    for kind, reason, says in NETWORK:
        if any(isinstance(one, kind) for one in under):
            return GrafanaError(f"{doing}: {says}", reason)
    return GrafanaError(f"{doing}: it cannot be reached; correct url", Reason.CONNECT)
