"""Grafana's token: read when the configuration is, and again before each use, so that it can be changed."""

import os
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

from exporters.grafana import MISSING_EXTRA, available
from monitor.complaints import Complaint, Place
from monitor.config import Config, Exporters
from monitor.grafana_table import Grafana
from monitor.last_good import LastGood
from monitor.logs import logger

TOKEN_BYTES = 4096
INLINE = "must not stand in this file; write token_file with a path, or token_env with a variable's name"
MAKE_ONE = "make a token for a service account in Grafana and put it there"
AT: Place = ("exporters", "grafana")


def checked(config: Config, environ: Mapping[str, str]) -> tuple[str, list[Complaint]]:
    """Return the token, "" without one, and what is wrong with it or with the installation."""
    grafana = config.exporters.grafana
    if grafana is None:
        return "", []
    wrong = [] if available() else [Complaint(AT, MISSING_EXTRA)]
    if (grafana.token_file is None) == (grafana.token_env is None):
        return "", wrong  # the cross checks say so
    key = "token_env" if grafana.token_file is None else "token_file"
    try:
        return read_token(grafana, environ), wrong
    except ValueError as error:
        return "", [*wrong, Complaint((*AT, key), str(error))]


def with_token(exporters: Exporters, token: str) -> Exporters:
    """Return the exporters with Grafana's token."""
    if exporters.grafana is None:
        return exporters
    return exporters.model_copy(update={"grafana": exporters.grafana.keyed(token)})


def inline_token(raw: Mapping[str, Any]) -> Iterator[Complaint]:
    """Take a token out of a parsed file, and complain of it: it must not stand there."""
    exporters = raw.get("exporters")
    table = exporters.get("grafana") if isinstance(exporters, dict) else None
    if isinstance(table, dict) and table.pop("token", None) is not None:
        yield Complaint((*AT, "token"), INLINE)


def current_token(grafana: Grafana) -> Callable[[], str]:
    """Return what returns the token as its file has it now, the last good one where it cannot be read."""
    first = grafana.token.get_secret_value()
    if grafana.token_file is None:
        return lambda: first
    return LastGood(partial(read_token, grafana, {}), first, logger("grafana"), "token_file")


def read_token(grafana: Grafana, environ: Mapping[str, str]) -> str:
    """Return the token as written. Raises ValueError without quoting: a pasted token is no file name."""
    if grafana.token_file is None:
        if (found := environ.get(grafana.token_env or "")) is None:
            raise ValueError("names a variable that is not set; export it before the daemon starts")
        return _token(found)
    if not os.path.isfile(grafana.token_file):  # noqa: PTH113  # Path.is_file raises on odd names
        raise ValueError(f"names a file that does not exist; {MAKE_ONE}")
    try:
        with grafana.token_file.open("rb") as file:
            text = file.read(TOKEN_BYTES + 1).decode("ascii")
    except UnicodeDecodeError as error:
        raise ValueError(f"holds no token; {MAKE_ONE}") from error
    except OSError as error:
        raise ValueError("names a file that cannot be read; check its permissions") from error
    if len(text) > TOKEN_BYTES:
        raise ValueError(f"holds more than {TOKEN_BYTES:,} bytes, which is no token; correct the path")
    return _token(text)


def _token(text: str) -> str:
    """Return a token that can stand in a header."""
    found = text.strip()
    if not found or not found.isascii() or not found.isprintable() or " " in found:
        raise ValueError(f"holds no token; {MAKE_ONE}")
    return found
