"""How this process's allocator and its collector treat its memory."""

import ctypes
import gc
import os
from collections.abc import Iterator
from contextlib import contextmanager

MMAP_THRESHOLD, TRIM_THRESHOLD = -3, -1
"""glibc's names for mallopt's parameters, from malloc.h."""
LARGE = 32 * 2**20
"""The most that glibc takes as a threshold; a batch's columns are far below it."""
KEPT = 256 * 2**20


def share_freed() -> None:
    """Have Polars' threads share what they free; to be called before Polars is imported, which reads it then.

    Its allocator, jemalloc, has four arenas a core, and what is freed in one is no other's for half a second:
    a long log's batches came to 60 MB more than a short one's. Options that the user has set stay.
    """
    os.environ.setdefault("_RJEM_MALLOC_CONF", f"narenas:{max((os.cpu_count() or 1) // 2, 1)}")


def keep_freed() -> None:
    """Let glibc keep up to 256 MB of freed memory for the next batch, instead of handing it back each time.

    A batch's columns are a few megabytes each, beyond the size from which glibc asks the kernel for every
    single one: the kernel's clearing of these pages took a fifth of the time. Other C libraries are left
    as they are.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(MMAP_THRESHOLD, LARGE)
        mallopt(TRIM_THRESHOLD, KEPT)


@contextmanager
def lasting() -> Iterator[None]:
    """Have the garbage collector leave alone what is made inside: modules, which stay as long as the process.

    Else it looks at them again and again, the more the more there are: a tenth of a second of each start.
    """
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


def keep_still() -> None:
    """Have the garbage collector leave alone what is there now: configuration, and state as it was read.

    A full collection looks at all of it and keeps every thread waiting meanwhile: scrapes of 100,000 series
    were seen to take 45 ms longer for it, and 15 ms after this.
    """
    gc.collect()
    gc.freeze()
