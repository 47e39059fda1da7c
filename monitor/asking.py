"""Asking the daemon that runs on this machine, with its configuration's token and certificate."""

import json
import re
import ssl
from collections.abc import Mapping
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from pathlib import Path
from urllib.parse import quote

from msgspec import Struct

from monitor.config import Config
from monitor.errors import DriftdError
from monitor.server.credentials import file_text, words
from monitor.server.tls import no_password
from monitor.web import Web

SECONDS = 30.0
ANYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - what a daemon may listen on, not what we do
OK = 200
CERTIFICATE = re.compile(rb"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", re.DOTALL)


class Shown(Struct, frozen=True):
    """What a client shows to a daemon with a client_ca_file: PEM files; the key may be in `cert`."""

    cert: Path
    key: Path | None = None


def acknowledge(
    config: Config,
    environ: Mapping[str, str],
    episode: str,
    body: Mapping[str, str],
    shown: Shown | None = None,
) -> str:
    """Post an acknowledgement; returns what to tell. Raises DriftdError with the daemon's own words."""
    token = _token(config.daemon.web, environ)
    headers = {"authorization": f"Bearer {token}", "content-type": "application/json"}
    connection = _connection(config, shown)
    try:
        connection.request(
            "POST", f"/api/v1/episodes/{quote(episode, safe='')}/ack", json.dumps(body), headers
        )
        answer = connection.getresponse()
        status, document = answer.status, json.loads(answer.read())
    except ssl.SSLCertVerificationError as error:
        says = "who answers there has another certificate than daemon.web.cert_file; nothing was sent"
        raise DriftdError(f"{config.daemon.listen}: {says}") from error
    except (ssl.SSLError, ConnectionError) as error:
        if config.daemon.web.client_ca_file is None or isinstance(error, ConnectionRefusedError):
            raise DriftdError(_nobody(config, error)) from error
        says = "the daemon wants a certificate of daemon.web.client_ca_file; give it by --cert and --key"
        raise DriftdError(f"{config.daemon.listen}: {says}") from error
    except (OSError, HTTPException, ValueError) as error:
        raise DriftdError(_nobody(config, error)) from error
    finally:
        connection.close()
    if status != OK:
        raise DriftdError(f"{episode}: {document['error']}")
    return f"{episode}: acknowledged by {document['acknowledged']['who']}"


def _nobody(config: Config, error: Exception) -> str:
    return f"{config.daemon.listen}: no daemon answers there; start `driftd run` ({type(error).__name__})"


def _token(web: Web, environ: Mapping[str, str]) -> str:
    """Return the first token that the configuration leads to."""
    try:
        texts = [file_text(path) for path in web.token_files[:1]]
    except ValueError as error:
        raise DriftdError(f"daemon.web.token_files[0]: {error}") from error
    texts += [environ.get(web.token_env, "")] if web.token_env else []
    found = [word for text in texts for word in words(text)]
    if not found:
        raise DriftdError("daemon.web.token_files: is needed, by the daemon and by this command")
    return found[0]


def _connection(config: Config, shown: Shown | None) -> HTTPConnection:
    """Connect; over TLS, to whoever has the configured certificate itself, whatever names are in it.

    Of a chain only the first one is trusted: the issuers that follow it have given others to others.
    """
    host, port = config.daemon.address
    host = ANYWHERE.get(host, host)
    cert = config.daemon.web.cert_file
    if cert is None:
        return HTTPConnection(host, port, timeout=SECONDS)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    try:
        context.load_verify_locations(cadata=_first(cert.read_bytes()))
    except (OSError, ValueError) as error:
        raise DriftdError("daemon.web.cert_file: holds no certificate that can be read") from error
    if shown is not None:
        try:
            context.load_cert_chain(shown.cert, shown.key, password=no_password)
        except (OSError, ValueError) as error:
            raise DriftdError(
                "--cert, --key: no certificate and its key, in PEM form and without a password"
            ) from error
    return HTTPSConnection(host, port, timeout=SECONDS, context=context)


def _first(chain: bytes) -> str:
    """Return the first certificate of a PEM file. Raises ValueError where there is none."""
    found = CERTIFICATE.search(chain)
    if found is None:
        raise ValueError
    return found[0].decode("ascii")
