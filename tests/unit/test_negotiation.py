"""What scrapers ask for in their headers."""

import pytest

from exporters.negotiation import Format, preferred, wants_gzip

OPEN, TEXT = Format.OPENMETRICS, Format.TEXT
NAME = "application/openmetrics-text"


@pytest.mark.parametrize(
    ("accept", "form"),
    [
        ("", TEXT),
        ("*/*", TEXT),
        ("text/html, */*;q=0.8", TEXT),
        (NAME, OPEN),
        (NAME.upper(), OPEN),
        (f"{NAME}; version=1.0.0; charset=utf-8", OPEN),
        (f'{NAME};version="1.0.0"', OPEN),
        (f"{NAME};version=0.0.1", TEXT),
        (f"{NAME};version=1.0.0;q=0", TEXT),
        (f"{NAME};q=0.3,text/plain;version=0.0.4;q=0.5", TEXT),
        (f"{NAME};q=0.5,text/plain;version=0.0.4;q=0.5", OPEN),
        # what Prometheus 2.42 sends, and what 3.0 sends
        (f"{NAME};version=1.0.0,{NAME};version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1", OPEN),
        (f"{NAME};version=1.0.0;escaping=allow-utf-8;q=0.5,text/plain;version=1.0.0;q=0.3,*/*;q=0.1", OPEN),
        (f"{NAME};q=lots", TEXT),
        (",;,=;q", TEXT),
    ],
)
def test_openmetrics_for_those_who_like_it_at_least_as_much(accept: str, form: Format) -> None:
    assert preferred(accept) is form


@pytest.mark.parametrize(
    ("header", "wanted"),
    [
        ("", False),
        ("gzip", True),
        ("GZIP", True),
        ("x-gzip", True),
        ("gzip, deflate, br, zstd", True),
        ("identity", False),
        ("deflate, br", False),
        ("gzip;q=0", False),
        ("gzip;q=0.000", False),
        ("gzip;q=0.001", True),
        ("*", True),
        ("*;q=0", False),
        ("*, gzip;q=0", False),
        ("identity;q=1, gzip;q=0.5", False),
        ("identity;q=0.5, gzip;q=1.0", True),
        ("gzip;q=much", False),
        (";;,,", False),
    ],
)
def test_gzip_for_those_who_take_it(header: str, *, wanted: bool) -> None:
    assert wants_gzip(header) is wanted
