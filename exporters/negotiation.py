"""What a scraper asks for in its headers: which text format, and whether compressed."""

import re
from collections.abc import Iterator
from enum import Enum

NUMBER = re.compile(r"[01](\.\d{0,3})?")


class Format(Enum):
    """The formats of /metrics, each with its content type."""

    TEXT = "text/plain; version=0.0.4; charset=utf-8"
    OPENMETRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8"


def preferred(accept: str) -> Format:
    """Return the format that an Accept header likes best.

    OpenMetrics only for those who name it, in version 1.0.0 or without a version; of two that are liked
    equally well it is the one. Everybody else gets the plain text, whatever they ask for.

    >>> preferred("application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.3")
    <Format.OPENMETRICS: 'application/openmetrics-text; version=1.0.0; charset=utf-8'>
    >>> preferred("application/openmetrics-text; q=0.2, text/plain").name
    'TEXT'
    """
    plain = named = 0.0
    for kind, options, liked in _wishes(accept):
        if kind == "application/openmetrics-text" and options.get("version", "1.0.0") == "1.0.0":
            named = max(named, liked)
        elif kind == "text/plain":
            plain = max(plain, liked)
    return Format.OPENMETRICS if named > 0.0 and named >= plain else Format.TEXT


def wants_gzip(accept_encoding: str) -> bool:
    """Tell whether an Accept-Encoding header takes gzip, and likes it no less than plain bytes.

    >>> wants_gzip("gzip"), wants_gzip("gzip;q=0"), wants_gzip("br, *;q=0.1"), wants_gzip("")
    (True, False, True, False)
    """
    liked = {kind: value for kind, _, value in _wishes(accept_encoding)}
    zipped = liked.get("gzip", liked.get("x-gzip", liked.get("*", 0.0)))
    return zipped > 0.0 and zipped >= liked.get("identity", 0.0)


def _wishes(header: str) -> Iterator[tuple[str, dict[str, str], float]]:
    """Yield what a header lists: the thing, its options, and how much it is liked (q, from 0 to 1)."""
    for part in header.lower().split(","):
        kind, *rest = (piece.strip() for piece in part.split(";"))
        options = {
            name.strip(): value.strip().strip('"') for name, _, value in (o.partition("=") for o in rest)
        }
        liked = options.pop("q", "1")
        if kind:
            yield kind, options, min(float(liked), 1.0) if NUMBER.fullmatch(liked) else 0.0
