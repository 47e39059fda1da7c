"""The process in which heavy detectors compute: one question at a time, until nobody asks any more.

How many threads the numerical libraries use is told it by its environment: they are loaded before it runs,
with the program that started it.
"""

import os
import resource
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection

NICE = 10
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


@contextmanager
def one_thread() -> Iterator[None]:
    """Let processes that are started inside compute on one thread each."""
    before = {name: os.environ.get(name) for name in THREADS}
    os.environ.update(dict.fromkeys(THREADS, "1"))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def serve(line: Connection, memory: int) -> None:
    """Answer questions that come over the line; memory: bytes of address space, at most."""
    # Ctrl-C, and what systemd sends to all of a service, is for the daemon, which ends this process
    for wish in (signal.SIGINT, signal.SIGTERM):
        signal.signal(wish, signal.SIG_IGN)
    os.nice(NICE)
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    from monitor.comparing import answered  # noqa: PLC0415 - the slow imports, after the limits

    while True:
        try:
            asked = line.recv()
        except (EOFError, OSError):  # the daemon is gone
            return
        line.send(answered(asked))
