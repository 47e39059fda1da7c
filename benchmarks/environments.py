"""The peers: an environment of its own for each, made once from its pinned list, and its measured run."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.logs import PARQUET, REFERENCE
from benchmarks.measure import run
from benchmarks.peers.job import Answer

HERE = Path(__file__).parent
QUIET = {
    "NML_DISABLE_USAGE_LOGGING": "1",
    "DO_NOT_TRACK": "1",
    "WHYLOGS_NO_ANALYTICS": "True",
    "PYTHONWARNINGS": "ignore",
}
"""Usage reporting off, for every peer."""


@dataclass(frozen=True, slots=True)
class Peer:
    """A tool to compare with; a slow one judges fewer windows, and its rate is per row all the same."""

    name: str
    windows: int = PARQUET.windows

    @property
    def python(self) -> Path:
        """The interpreter of the peer's environment."""
        return HERE / ".envs" / self.name / "bin" / "python"


SCOUTER = Peer("scouter")
PEERS = (Peer("whylogs"), Peer("evidently", windows=2), Peer("nannyml"))


@dataclass(frozen=True, slots=True)
class Measured:
    """A peer's runs; or none, and the reason why."""

    peer: Peer
    answers: tuple[Answer, ...] = ()
    reason: str = ""

    @property
    def rate(self) -> float:
        """Rows per second of the fastest run, reading and cutting into windows included."""
        return max(answer.rows / answer.seconds for answer in self.answers)

    @property
    def judging_rate(self) -> float:
        """Rows per second of the fastest judging alone."""
        return max(answer.rows / answer.compute_seconds for answer in self.answers)

    @property
    def peak(self) -> float:
        """The smallest peak of all runs, in MB."""
        return min(answer.peak_rss_mb for answer in self.answers)


def together(runs: Sequence[Measured]) -> Measured:
    """Return several measurements of one peer as one."""
    answers = tuple(answer for run in runs for answer in run.answers)
    return Measured(runs[0].peer, answers, next((run.reason for run in runs if run.reason), ""))


def measure(peer: Peer) -> Measured:
    """Make the peer's environment if need be, and run it."""
    reason = prepare(peer)
    if reason:
        return Measured(peer, reason=f"not installed: {reason}")
    command = [str(peer.python), str(HERE / "peers" / f"run_{peer.name}.py")]
    command += [str(REFERENCE.path), str(PARQUET.path), str(peer.windows)]
    finished = run(command, QUIET)
    if finished.code:
        return Measured(peer, reason=finished.complaint)
    return Measured(peer, (Answer(**json.loads(finished.output.splitlines()[-1])),))


def prepare(peer: Peer) -> str:
    """Make the environment unless it is there with this very list; return why it could not be made."""
    wanted = HERE / "peers" / f"{peer.name}.txt"
    folder = peer.python.parent.parent
    installed = folder / "installed.txt"
    if installed.exists() and installed.read_text("utf-8") == wanted.read_text("utf-8"):
        return ""
    for command in _install(folder, wanted):
        finished = subprocess.run(
            command, capture_output=True, text=True, check=False, env={**os.environ, **QUIET}
        )
        if finished.returncode:
            return _reason(finished)
    shutil.copy(wanted, installed)
    return ""


def _reason(finished: subprocess.CompletedProcess[str]) -> str:
    """Return the installer's last line, without the addresses that it may name."""
    last = (finished.stderr.strip().splitlines() or [f"exit {finished.returncode}"])[-1]
    return re.sub(r"\S+://\S+|host=\S+", "...", last)


def _install(folder: Path, wanted: Path) -> tuple[list[str], list[str]]:
    """Return the two commands that make an environment: with uv if it is at hand, else venv and pip."""
    python = str(folder / "bin" / "python")
    if uv := shutil.which("uv"):
        make = [uv, "venv", "--quiet", "--allow-existing", "--python", sys.executable, str(folder)]
        return make, [uv, "pip", "install", "--quiet", "--python", python, "-r", str(wanted)]
    make = [sys.executable, "-m", "venv", str(folder)]
    return make, [python, "-m", "pip", "install", "--quiet", "-r", str(wanted)]
