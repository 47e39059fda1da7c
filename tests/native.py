"""Both ways to the same bytes: with the native library, and by NumPy and Polars alone."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from monitor.native.library import OFF, SWITCH, found

NATIVE, NUMPY = "native", "numpy"
ASKED = os.environ.get(SWITCH, "")
"""How whoever started the tests wants them."""


@contextmanager
def counted_by(way: str) -> Iterator[None]:
    """Have this process, and those that it starts meanwhile, go one way: NATIVE or NUMPY.

    Where the library is not built, or DRIFTD_NATIVE=off says that the tests are to run without it, a test of
    NATIVE is skipped; it fails where the library is broken, or DRIFTD_REQUIRE_PROGRAMS=1 allows no skip.
    """
    before = os.environ.get(SWITCH, "")
    os.environ[SWITCH] = OFF if way == NUMPY else ASKED
    found.cache_clear()
    try:
        if way == NATIVE and found().library is None:
            _refuse()
        yield
    finally:
        os.environ[SWITCH] = before
        found.cache_clear()


def _refuse() -> None:
    said = f"{found().why}; python hatch_build.py builds the library"
    required = os.environ.get("DRIFTD_REQUIRE_PROGRAMS") == "1" and ASKED != OFF
    if found().broken or required:
        pytest.fail(said)
    pytest.skip(said)
