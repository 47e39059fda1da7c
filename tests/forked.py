"""driftd in a process of its own that need not import it first: for tests that start it dozens of times.

A process is forked off one that has imported driftd and done nothing else; it runs the command as a user's
does, and dies by its signals. Only the imports are saved: nine tenths of what a start costs.
"""

import multiprocessing
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from multiprocessing.context import ForkServerContext, ForkServerProcess
from pathlib import Path

IMPORTED = [
    *("monitor.cli", "monitor.daemon", "monitor.loading", "monitor.reloading", "monitor.supervisor"),
    *("monitor.clients", "scipy.special", "anyio._backends._asyncio", "uvicorn.loops.auto"),
]
"""The second line is what a start imports when it comes to it."""
STILL = {"_RJEM_MALLOC_CONF": "background_thread:false", "OPENBLAS_NUM_THREADS": "1"}
"""Has Polars and NumPy start no threads when they are imported: a fork would not have them."""


class Forked:
    """A running `driftd`, with what tests use of subprocess.Popen. output, errors: where its streams go."""

    def __init__(
        self, arguments: Sequence[str], environment: Mapping[str, str], output: Path, errors: Path
    ) -> None:
        what = (list(arguments), dict(environment), str(Path.cwd()), str(output), str(errors))
        self._process: ForkServerProcess = _server().Process(target=_run, args=what)
        kept = dict(os.environ)
        os.environ |= STILL  # for the server, which begins with the first process
        try:
            self._process.start()
        finally:
            os.environ.clear()
            os.environ |= kept

    @property
    def pid(self) -> int:
        """Its number."""
        return self._process.pid or 0

    @property
    def returncode(self) -> int | None:
        """How it ended, as far as is known."""
        return self._process.exitcode

    def poll(self) -> int | None:
        """Return how it ended, None while it runs."""
        return self._process.exitcode

    def wait(self, timeout: float | None = None) -> int:
        """Wait for its end; raises subprocess.TimeoutExpired."""
        self._process.join(timeout)
        if self._process.exitcode is None:
            raise subprocess.TimeoutExpired("driftd", timeout or 0.0)
        return self._process.exitcode

    def send_signal(self, number: int) -> None:
        """Send it a signal, if it still runs."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        """End it by SIGTERM."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """End it by SIGKILL."""
        self.send_signal(signal.SIGKILL)


def _server() -> ForkServerContext:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(IMPORTED)
    return context


def _run(arguments: list[str], environment: dict[str, str], folder: str, *streams: str) -> None:
    """Run a command as `driftd` does, in the process forked for it."""
    from monitor.cli import main  # noqa: PLC0415 - imported already where this runs

    os.environ.clear()
    os.environ |= environment
    os.chdir(folder)
    for name, stream in zip(streams, (sys.stdout, sys.stderr), strict=True):
        written = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(written, stream.fileno())
        os.close(written)
    main(arguments, prog_name="driftd")
