"""The native library: found and loaded at first use, or why there is none.

Nothing but speed depends on it, so nothing here raises: without it the NumPy and Polars paths count.
"""

import ctypes
import os
from functools import cache
from pathlib import Path

from msgspec import Struct

from monitor.native.sources import digest

FOLDER = Path(__file__).parent
FILE = "_driftd.so"
SWITCH = "DRIFTD_NATIVE"
OFF = "off"


class Found(Struct, frozen=True):
    """The library, or None and why; `broken` where one lies there that cannot be used."""

    library: ctypes.CDLL | None
    why: str = ""
    broken: bool = False

    def __str__(self) -> str:
        return "native" if self.library else f"NumPy: {self.why}"


def library() -> ctypes.CDLL | None:
    """Return the native library, None where there is none: ask at each use and keep nothing of it.

    A call of its functions releases the GIL.
    """
    return found().library


@cache
def found() -> Found:
    """Look for the library, once in a process."""
    return look(FOLDER, os.environ.get(SWITCH, ""))


def look(folder: Path, switch: str) -> Found:
    """Load the folder's library, if `switch` is not "off" and it was built from the sources beside it."""
    if switch == OFF:
        return Found(None, f"the environment says {SWITCH}={OFF}")
    file = folder / FILE
    if not file.is_file():
        return Found(None, f"driftd was installed without a C compiler, or with {SWITCH}={OFF}")
    try:
        loaded = ctypes.CDLL(str(file))
        named = loaded.driftd_native_sources
        named.argtypes, named.restype = (), ctypes.c_char_p
        stale = named() != digest(folder).encode()
    except (OSError, AttributeError) as error:
        return Found(None, f"the native library cannot be loaded, install driftd again: {error}", broken=True)
    if stale:
        return Found(
            None, "the native library is stale, built from other C sources: install again", broken=True
        )
    return Found(loaded)
