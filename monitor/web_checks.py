"""What the models of the configuration cannot see of [daemon.web]: its files and its variable."""

from collections.abc import Iterator, Mapping

from monitor.complaints import Complaint, Place
from monitor.errors import DriftdError
from monitor.server.credentials import file_text, tokens
from monitor.server.passwords import users
from monitor.server.tls import context_of
from monitor.web import Web

AT: Place = ("daemon", "web")
MAKE = "make one with: openssl rand -hex 32"


def check_web(web: Web, environ: Mapping[str, str]) -> Iterator[Complaint]:
    """Yield everything wrong with what [daemon.web] names. No complaint quotes what a file holds."""
    yield from _tls(web)
    for i, path in enumerate(web.token_files):
        try:
            found = tokens(file_text(path), path.stem)
        except ValueError as error:
            yield Complaint((*AT, "token_files", i), f"{error}; {MAKE}")
        else:
            if not found:
                yield Complaint((*AT, "token_files", i), f"holds no token; {MAKE}")
    if web.token_env is not None:
        yield from _variable(environ.get(web.token_env))
    if web.users_file is not None:
        try:
            if not users(file_text(web.users_file)):
                yield Complaint((*AT, "users_file"), "holds no user; add a line with: driftd password NAME")
        except ValueError as error:
            yield Complaint((*AT, "users_file"), f"{error}; write a line with: driftd password NAME")


def _tls(web: Web) -> Iterator[Complaint]:
    names = ("cert_file", "key_file")
    there = [name for name in names if getattr(web, name) is not None]
    if len(there) == 1:
        (other,) = set(names) - set(there)
        yield Complaint((*AT, there[0]), f"needs {other} beside it; set both, or none for plain HTTP")
    elif not there and web.client_ca_file is not None:
        yield Complaint((*AT, "client_ca_file"), "needs TLS; set cert_file and key_file too")
    elif there:
        try:
            context_of(web)
        except DriftdError as error:
            at = "client_ca_file" if str(error).startswith("client_ca_file") else "cert_file"
            yield Complaint((*AT, at), f"cannot be used: {error}")


def _variable(value: str | None) -> Iterator[Complaint]:
    at = (*AT, "token_env")
    if value is None:
        yield Complaint(at, "names a variable that is not set; export it before the daemon starts")
        return
    try:
        if not tokens(value, ""):
            yield Complaint(at, f"names a variable without a token; {MAKE}")
    except ValueError as error:
        yield Complaint(at, f"names a variable that {error}; {MAKE}")
