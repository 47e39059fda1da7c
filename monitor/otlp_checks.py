"""What is wrong with [exporters.otlp] besides single values: endpoint, files, headers, a missing package."""

import os
import re
import ssl
from collections.abc import Iterator, Mapping
from importlib.util import find_spec
from urllib.parse import urlsplit

from monitor.complaints import Complaint, Place
from monitor.config import Config, Exporters
from monitor.otlp_table import Header, Otlp, header_value, usable

AT: Place = ("exporters", "otlp")
OURS = frozenset(
    {"host", "content-length", "content-type", "content-encoding", "connection", "transfer-encoding", "te"}
)


def otlp_complaints(config: Config) -> Iterator[Complaint]:
    """Yield what is wrong with the table, but for the values of headers."""
    otlp = config.exporters.otlp
    if otlp is None:
        return
    if problem := _endpoint(otlp):
        yield Complaint((*AT, "endpoint"), problem, ((*AT, "protocol"),))
    if otlp.protocol == "grpc" and find_spec("grpc") is None:
        says = '"grpc" needs a package that is not installed; run: pip install "driftd[otlp-grpc]"'
        yield Complaint((*AT, "protocol"), says)
    if otlp.ca_file is not None and (problem := _certificates(otlp)):
        yield Complaint((*AT, "ca_file"), problem)
    for name, header in otlp.headers.items():
        at: Place = (*AT, "headers", name)
        if name.lower() in OURS:
            yield Complaint(at, "is a header that driftd writes itself; remove it")
        if (header.file is None) == (header.env is None):
            found = "has neither file nor env" if header.file is None else "has both file and env"
            yield Complaint(at, f"{found}; write one of them")


def headers_of(config: Config, environ: Mapping[str, str] | None) -> tuple[dict[str, str], list[Complaint]]:
    """Return the values of the headers, and what is wrong with them; none where nothing is sent."""
    otlp = config.exporters.otlp
    return ({}, []) if otlp is None or environ is None else header_values(otlp, environ)


def with_headers(exporters: Exporters, values: dict[str, str]) -> Exporters:
    """Return the exporters with the values of OTLP's headers."""
    otlp = exporters.otlp
    return exporters.model_copy(update={"otlp": otlp.keyed(values)}) if otlp and values else exporters


def header_values(otlp: Otlp, environ: Mapping[str, str]) -> tuple[dict[str, str], list[Complaint]]:
    """Return the headers' values, and what is wrong with where they come from."""
    values: dict[str, str] = {}
    wrong: list[Complaint] = []
    for name, header in otlp.headers.items():
        if (header.file is None) == (header.env is None):
            continue  # otlp_complaints says so
        at: Place = (*AT, "headers", name, "env" if header.file is None else "file")
        try:
            values[name] = _value(header, environ)
        except ValueError as error:
            wrong.append(Complaint(at, str(error)))
    return values, wrong


def _value(header: Header, environ: Mapping[str, str]) -> str:
    if header.file is not None:
        return header_value(header.file)
    if (found := environ.get(header.env or "")) is None:
        raise ValueError("names a variable that is not set; export it before the daemon starts")
    return usable(found)


def _endpoint(otlp: Otlp) -> str:
    example = "http://127.0.0.1:4317" if otlp.protocol == "grpc" else "http://127.0.0.1:4318"
    try:
        parts = urlsplit(otlp.endpoint)
        port, host = parts.port, (parts.hostname or "").encode("idna")
    except (ValueError, UnicodeError):
        return f'is not a URL; write one like "{example}"'
    plain = re.search(r"[\s\x00-\x1f]", otlp.endpoint) is None
    if parts.scheme not in {"http", "https"} or not host or port == 0 or not plain:
        return f'is not an http or https URL with a host; write one like "{example}"'
    if parts.username is not None or parts.password is not None:
        return "carries a user or a password; remove them and write a header's file or env instead"
    if parts.query or parts.fragment:
        return "carries a query; remove it and write a header's file or env instead"
    if otlp.protocol == "grpc" and (port is None or parts.path not in {"", "/"}):
        return f'must be a host and a port for protocol "grpc", like "{example}"'
    return ""


def _certificates(otlp: Otlp) -> str:
    if not otlp.endpoint.startswith("https:"):
        return "is of no use for an endpoint without TLS; write https in endpoint, or remove it"
    if otlp.ca_file is None or not os.path.isfile(otlp.ca_file):  # noqa: PTH113  # Path.is_file raises
        return "names a file that does not exist; correct the path"
    try:
        ssl.create_default_context(cafile=str(otlp.ca_file))
    except OSError:  # SSLError is one
        return "names a file without certificates that can be read; write one in PEM"
    return ""
