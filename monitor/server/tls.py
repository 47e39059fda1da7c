"""TLS for the daemon's own port: its files are read anew when they change."""

import ssl
from collections.abc import Callable
from pathlib import Path

from monitor.errors import DriftdError
from monitor.web import Web

VERSIONS = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}


class Certificates:
    """What new connections are protected by. Raises DriftdError when what is configured cannot be used.

    `context` is the one to listen with: it hands each handshake over to a context of what the files hold now,
    as one context can learn of new authorities, but cannot forget the old ones.
    """

    def __init__(self, web: Web) -> None:
        self._web = web
        self._seen = self._look()
        self._now = self.context = context_of(web)
        self._renewed = False
        self.context.sni_callback = self._hand_over

    def refresh(self, tell: Callable[..., object]) -> None:
        """Use what the files hold now, if they changed; where it cannot be used, the old one stays."""
        seen = self._look()
        if seen == self._seen:
            return
        self._seen = seen
        try:
            self._now = context_of(self._web)
        except DriftdError as error:
            tell("the new certificate is not used", error=str(error))
            return
        self._renewed = True
        tell("certificate renewed")

    def _hand_over(self, connection: ssl.SSLObject, *_: object) -> int | None:
        """Go on with the context of now; OpenSSL asks in each handshake, with or without a name of a host.

        Who resumes a session is not asked for a certificate again, so after a renewal nobody may.
        """
        if self._renewed and connection.session_reused and self._web.client_ca_file is not None:
            return ssl.ALERT_DESCRIPTION_HANDSHAKE_FAILURE
        connection.context = self._now
        return None

    def _look(self) -> tuple[tuple[int, int, int], ...]:
        files = (self._web.cert_file, self._web.key_file, self._web.client_ca_file)
        return tuple(seen(path) for path in files if path is not None)


def seen(path: Path) -> tuple[int, int, int]:
    """Return what changes when a file is replaced or written; zeros where there is none."""
    try:
        found = path.stat()
    except OSError:
        return (0, 0, 0)
    return found.st_ino, found.st_size, found.st_mtime_ns


def context_of(web: Web) -> ssl.SSLContext:
    """Make the context for what is configured. Raises DriftdError, naming the key."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = VERSIONS[web.min_version]
    context.set_alpn_protocols(["http/1.1"])
    _load(context, web)
    if web.client_ca_file is not None:
        try:
            context.load_verify_locations(web.client_ca_file)
        except (OSError, ssl.SSLError) as error:
            raise DriftdError("client_ca_file holds no certificate in PEM form that can be read") from error
        context.verify_mode = ssl.CERT_REQUIRED
        context.num_tickets = 0  # TLS 1.3 and 1.2: a ticket outlives the authority that it was given under
        context.options |= ssl.OP_NO_TICKET
    return context


def _load(context: ssl.SSLContext, web: Web) -> None:
    if web.cert_file is None or web.key_file is None:
        raise DriftdError("cert_file and key_file are needed both")
    try:
        context.load_cert_chain(web.cert_file, web.key_file, password=no_password)
    except FileNotFoundError as error:
        raise DriftdError("cert_file or key_file does not exist") from error
    except (OSError, ssl.SSLError, ValueError) as error:
        says = "cert_file and key_file are no certificate and its key, in PEM form and without a password"
        raise DriftdError(says) from error


def no_password() -> str:
    """Answer OpenSSL, which would ask at the terminal otherwise."""
    return ""
