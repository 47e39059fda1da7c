"""How much memory a process of ours may take: never more than the daemon itself may allow it."""

import resource

from monitor.logs import logger
from monitor.quantities import format_size

ADDRESSES, DATA = resource.RLIMIT_AS, resource.RLIMIT_DATA
"""What is limited: all of the address space, or what is allocated."""


def allowed(kind: int, wanted: int) -> int:
    """Return the bytes that a new process can be limited to: what is wanted, or less.

    A process may lower its limits, not raise them above the hard one that it inherits from the daemon.
    """
    hard = resource.getrlimit(kind)[1]
    return wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)


def say_less(whose: str, wanted: int, found: int) -> None:
    """Say it where a process gets less than wanted."""
    if found < wanted:
        says = "its memory is bounded by the daemon's own limit (ulimit -Hv or -Hd, LimitAS or LimitDATA)"
        logger("memory").warning(says, process=whose, wanted=format_size(wanted), allowed=format_size(found))
