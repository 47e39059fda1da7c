"""The programs that the demo starts: each on its own port, or on another where someone else was quicker."""

import sys
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from monitor.children import Child
from monitor.errors import DriftdError
from monitor.stage import Say, Stage, moved

PYTHON = ("-P", "-u", "-m")
LISTENS, TAKEN = "listening", "cannot listen on"
"""What both programs say of their port."""
MOVES = 10
"""How often a program is moved to another port; the system hands out ports that nobody has."""


class Cast:
    """Starts the programs and looks after them; `running` ends them, the last first.

    That a port was free when it was chosen says nothing of the moment in which a program takes it: of two
    demos that start together both find it free. So a program that ends because its port is taken is started
    on another.
    """

    def __init__(self, stage: Stage, say: Say, running: ExitStack) -> None:
        self.stage = stage
        self._say = say
        self._running = running
        self._children: dict[str, Child] = {}
        self._moves: dict[str, int] = {}

    def start(self, name: str) -> None:
        """Start the daemon or the receiver."""
        command = COMMANDS[name](self.stage)
        child = Child((sys.executable, *PYTHON, *command), self._log(name))
        self._running.callback(child.stop)
        self._children[name] = child

    def listens(self, name: str) -> bool:
        """Return whether the program listens; one whose port was taken is started again on another.

        It is the program that is asked, not the port: someone else may answer there. Raises DriftdError when
        a program has ended for another reason.
        """
        child = self._children[name]
        if child.ended is not None and TAKEN in child.text and self._moves.get(name, 0) < MOVES:
            self._moves[name] = self._moves.get(name, 0) + 1
            self.stage = moved(self.stage, name, self._say)
            self.start(name)
            return False
        self.check()
        return LISTENS in child.text

    def check(self) -> None:
        """Raise DriftdError when a program has ended."""
        for name, child in self._children.items():
            if child.ended is not None:
                raise DriftdError(f"the {name} ended (exit {child.ended}): {child.last_lines()}")

    def new_lines(self, name: str) -> list[str]:
        """Return what a program printed since the last call."""
        return self._children[name].new_lines()

    def last_lines(self, name: str) -> str:
        """Return the end of what a program printed."""
        return self._children[name].last_lines() or "it printed nothing"

    def _log(self, name: str) -> Path:
        return self.stage.folder / f"{name}.log"


def _daemon(stage: Stage) -> tuple[str, ...]:
    return ("monitor.cli", "run", "--config", str(stage.config))


def _receiver(stage: Stage) -> tuple[str, ...]:
    return ("monitor.receiver", "--port", str(stage.ports["receiver"]), "--secret-file", str(stage.secret))


COMMANDS: dict[str, Callable[[Stage], tuple[str, ...]]] = {"daemon": _daemon, "receiver": _receiver}
