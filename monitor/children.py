"""Programs that the demo starts: their output in a file, and a certain end."""

import subprocess
from collections.abc import Sequence
from pathlib import Path

GRACE = 12.0
"""Seconds that a program gets to end by itself after SIGTERM; the daemon needs at most 10 to drain."""


class Child:
    """A running program. Its output goes to a file: a pipe that nobody reads would stop it when full.

    It is in a process group of its own, so that Ctrl-C in the terminal reaches only the parent, which then
    ends its children in order.
    """

    def __init__(self, command: Sequence[str], log: Path) -> None:
        self._log = log
        self._read = 0
        with log.open("wb") as output:
            self._process = subprocess.Popen(  # noqa: S603  the demo's own programs, no shell
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd=log.parent,
                process_group=0,
            )

    @property
    def ended(self) -> int | None:
        """The exit code, None while it runs."""
        return self._process.poll()

    def new_lines(self) -> list[str]:
        """Return the whole lines it printed since the last call."""
        with self._log.open("rb") as file:
            file.seek(self._read)
            fresh = file.read()
        whole = fresh[: fresh.rfind(b"\n") + 1]
        self._read += len(whole)
        return whole.decode(errors="replace").splitlines()

    @property
    def text(self) -> str:
        """All that it printed."""
        return self._log.read_text(errors="replace")

    def last_lines(self, count: int = 5) -> str:
        """Return the end of its output, for a complaint."""
        return "\n".join(self.text.splitlines()[-count:])

    def stop(self, grace: float = GRACE) -> None:
        """End it: SIGTERM, then SIGKILL after `grace` seconds. Stopping twice is fine."""
        self._process.terminate()
        try:
            self._process.wait(grace)
        except subprocess.TimeoutExpired:
            self._process.kill()
        finally:
            if self._process.returncode is None:
                self._process.kill()
            self._process.wait()
