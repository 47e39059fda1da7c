"""The daemon while it lives: how soon it is ready, how soon a new row is committed, what it costs idle."""

import os
import random
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from itertools import islice
from pathlib import Path
from time import perf_counter, sleep

from benchmarks.daemon import DRIFTD, fresh_folder, stored_rows, write_config
from benchmarks.logs import LINES
from benchmarks.measure import run

FIRST_ROWS = 1000
TRIES = 20
STARTS = 3
IDLE_SECONDS = 30
PATIENCE = 60
LIBRARIES = (
    *("click", "structlog", "numpy", "polars", "polars_hash", "pydantic", "prometheus_client"),
    *("apscheduler.schedulers.background", "starlette.applications", "uvicorn"),
)
POLL = 0.005


@dataclass(frozen=True, slots=True)
class Live:
    """Seconds: of each start on an empty and on an existing state, of each appended row; cores used idle.

    first: of the very first start, whose program may have to be read from disk. libraries: of a Python that
    imports what a start does of others' and no more, after each start.
    """

    first: float = 0.0
    libraries: tuple[float, ...] = ()
    fresh_starts: tuple[float, ...] = ()
    restarts: tuple[float, ...] = ()
    latencies: tuple[float, ...] = ()
    idle: float = 0.0
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Process:
    """A running daemon, where it answers, and how long it took to be ready."""

    child: subprocess.Popen[bytes]
    port: int
    ready: float


class NotInTimeError(Exception):
    """What was to be measured did not happen."""


def measure() -> Live:
    """Measure everything; what goes wrong ends up as the reason, not as a crash of the whole benchmark."""
    try:
        with fresh_folder() as folder:
            return _measure(folder)
    except NotInTimeError as error:
        return Live(reason=str(error))


def _measure(folder: Path) -> Live:
    first, *others = (_start_and_stop(folder, f"state-{i}") for i in range(STARTS + 1))
    fresh, libraries = tuple(start for start, _ in others), [alone for _, alone in others]
    log = folder / "log.jsonl"
    with LINES.path.open("rb") as lines:
        log.write_bytes(b"".join(islice(lines, FIRST_ROWS)))
        with daemon(folder, log) as process:
            _wait(lambda: stored(process) == FIRST_ROWS, f"the first {FIRST_ROWS} rows were not stored")
            latencies = tuple(_append(log, line, process) for line in islice(lines, TRIES))
            sleep(3)
            idle = _idle(process.child.pid)
    restarts = []
    for _ in range(STARTS):
        with daemon(folder, log) as process:
            restarts.append(process.ready)
        libraries.append(_libraries())
    return Live(first[0], tuple(libraries), fresh, tuple(restarts), latencies, idle)


def _start_and_stop(folder: Path, name: str) -> tuple[float, float]:
    empty = folder / name
    empty.mkdir()
    with daemon(empty, empty / "log.jsonl") as process:
        ready = process.ready
    return ready, _libraries()


def _libraries() -> float:
    done = run([sys.executable, "-c", f"import {', '.join(LIBRARIES)}"])
    if done.code:
        raise NotInTimeError(f"the libraries cannot be imported: {done.complaint}")
    return done.seconds


@contextmanager
def daemon(folder: Path, log: Path) -> Iterator[Process]:
    """Start driftd on the folder's state, wait until it is ready, and end it as an operator would."""
    port = free_port()
    with running(write_config(folder, log, ".jsonl", f"127.0.0.1:{port}"), port) as process:
        yield process


@contextmanager
def running(config: Path, port: int) -> Iterator[Process]:
    """Run driftd on a configuration that listens on the port."""
    start = perf_counter()
    with (config.parent / "daemon.log").open("wb") as out:
        child = subprocess.Popen([DRIFTD, "run", "--config", config], stdout=out, stderr=out)
    try:
        _wait(lambda: _ready(port, child), "the daemon was not ready")
        yield Process(child, port, perf_counter() - start)
    finally:
        child.send_signal(signal.SIGTERM)
        try:
            child.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()


def _ready(port: int, child: subprocess.Popen[bytes]) -> bool:
    if child.poll() is not None:
        raise NotInTimeError(f"the daemon ended with exit code {child.returncode} before it was ready")
    return _get(port, "/readyz")[0] == 200


def stored(process: Process) -> int:
    """Return how many rows the last committed state holds, as /metrics says."""
    return stored_rows(_get(process.port, "/metrics")[1])


def _append(log: Path, line: bytes, process: Process) -> float:
    """Append one row at a random moment and return the seconds until it is committed."""
    before = stored(process)
    sleep(random.uniform(0.3, 1.3))
    with log.open("ab") as out:
        out.write(line)
    start = perf_counter()
    _wait(lambda: stored(process) > before, "an appended row was not committed")
    return perf_counter() - start


def _idle(pid: int) -> float:
    """Return the share of one core that the process uses while nothing happens and nobody asks."""
    before = _cpu_seconds(pid)
    sleep(IDLE_SECONDS)
    return (_cpu_seconds(pid) - before) / IDLE_SECONDS


def _cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text("utf-8").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _wait(happened: Callable[[], bool], otherwise: str) -> None:
    end = perf_counter() + PATIENCE
    while not happened():
        if perf_counter() > end:
            raise NotInTimeError(f"{otherwise} within {PATIENCE} s")
        sleep(POLL)


def _get(port: int, path: str) -> tuple[int, str]:
    """Return status and body; status 0 while nobody listens."""
    connection = HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read().decode("utf-8")
    except (OSError, HTTPException):
        return 0, ""
    finally:
        connection.close()


def free_port() -> int:
    """Return a port that the system gives to nobody else: it stays bound as long as this process lives."""
    kept = socket.socket()
    kept.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    kept.bind(("127.0.0.1", 0))
    port = int(kept.getsockname()[1])
    kept.detach()
    return port
