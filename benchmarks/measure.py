"""Run a program to its end and measure it from outside: wall time, CPU time, peak memory."""

import os
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import IO


@dataclass(frozen=True, slots=True)
class Run:
    """A finished program. peak_mb: the largest resident size of the process, in units of 10**6 bytes."""

    seconds: float
    cpu_seconds: float
    peak_mb: float
    code: int
    output: str
    errors: str

    @property
    def complaint(self) -> str:
        """The last line of what the program said, for a table that must name the reason of a failure."""
        lines = (self.errors or self.output).strip().splitlines()
        return f"exit {self.code}: {lines[-1] if lines else 'no word'}"


def run(command: Sequence[str], environment: Mapping[str, str] | None = None) -> Run:
    """Run `command` to its end.

    Linux counts the parent's size at the moment of exec into the child's peak: keep the caller small.
    """
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        start = perf_counter()
        child = subprocess.Popen(
            command, stdout=out, stderr=err, env=environment and {**os.environ, **environment}
        )
        _, status, usage = os.wait4(child.pid, 0)
        seconds = perf_counter() - start
        child.returncode = os.waitstatus_to_exitcode(status)  # reaped here: Popen need not look for it
        texts = [_text(out), _text(err)]
    cpu = usage.ru_utime + usage.ru_stime
    return Run(seconds, cpu, usage.ru_maxrss * 1024 / 1e6, child.returncode, *texts)


def _text(file: IO[bytes]) -> str:
    file.seek(0)
    return file.read().decode("utf-8", "replace")
