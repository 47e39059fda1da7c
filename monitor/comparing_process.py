"""The process in which heavy detectors compute: one question at a time, until nobody asks any more.

Its own imports are light: how many threads the numerical libraries use is set before they are loaded.
"""

import os
import resource
import signal
from multiprocessing.connection import Connection

NICE = 10
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


def serve(line: Connection, memory: int) -> None:
    """Answer questions that come over the line; memory: bytes of address space, at most."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the daemon, which ends this process
    os.nice(NICE)
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    os.environ.update(dict.fromkeys(THREADS, "1"))
    from monitor.comparing import answered  # noqa: PLC0415 - the slow imports, after the limits

    while True:
        try:
            asked = line.recv()
        except (EOFError, OSError):  # the daemon is gone
            return
        line.send(answered(asked))
