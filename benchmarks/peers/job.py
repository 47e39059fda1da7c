"""What every peer does alike: read its order from the command line, answer with one line of JSON.

Called as `PEER.py REFERENCE LOG WINDOWS`: the drift of 25 features and the score against the reference, in
each of the first WINDOWS hourly windows. Standard library only: this file runs in each peer's environment.
"""

import json
import sys
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from importlib.metadata import version
from pathlib import Path
from time import perf_counter

NUMERIC = [*(f"num_{i:02d}" for i in range(20)), "score"]
CATEGORICAL = [f"cat_{size}" for size in (3, 10, 50, 200, 1000)]
WATCHED = [*NUMERIC, *CATEGORICAL]
TIME = "timestamp"
START = datetime(2025, 1, 6, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Job:
    """The files to read and how many hourly windows to judge."""

    reference: str
    log: str
    windows: int

    @property
    def end(self) -> datetime:
        """The end of the last window to judge; later rows need not be read."""
        return START + timedelta(hours=self.windows)


@dataclass(slots=True)
class Answer:
    """What a peer measured. seconds: reading and judging; compute_seconds: judging alone.

    setup_seconds: the reference's profile, not part of the rate, as the daemon's start-up is not.
    """

    tool: str
    version: str
    what: str
    rows: int = 0
    windows: int = 0
    scores: int = 0
    setup_seconds: float = 0.0
    seconds: float = 0.0
    compute_seconds: float = 0.0
    peak_rss_mb: float = 0.0

    def add(self, rows: int, scores: int) -> None:
        """Count one judged window."""
        self.rows += rows
        self.scores += scores
        self.windows += 1


class Stopwatch:
    """Adds up the time spent inside `with` blocks."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self._start = 0.0

    def __enter__(self) -> None:
        self._start = perf_counter()

    def __exit__(self, *_: object) -> None:
        self.seconds += perf_counter() - self._start


def read_job() -> Job:
    """Return what the command line orders."""
    reference, log, windows = sys.argv[1:]
    return Job(reference, log, int(windows))


def begin(package: str, what: str) -> Answer:
    """Return an empty answer for the installed version of `package`."""
    return Answer(package, version(package), what)


def finish(answer: Answer, setup: Stopwatch, reading: Stopwatch, computing: Stopwatch) -> None:
    """Add the times and the peak of this process's memory (VmHWM), and print the answer as the last line."""
    status = Path("/proc/self/status").read_text("utf-8")
    peak = next(line for line in status.splitlines() if line.startswith("VmHWM"))
    answer.peak_rss_mb = int(peak.split()[1]) * 1024 / 1e6
    answer.setup_seconds = setup.seconds
    answer.compute_seconds = computing.seconds
    answer.seconds = reading.seconds + computing.seconds
    print(json.dumps(asdict(answer)), flush=True)
