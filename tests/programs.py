"""driftd as its users run it: a project's folder, and its commands as processes of their own."""

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path
from tempfile import TemporaryDirectory
from types import TracebackType
from typing import Any, Self

import polars as pl
from click.testing import CliRunner, Result
from prometheus_client.parser import text_string_to_metric_families

from monitor.cli import main
from monitor.core.outbox import Note
from monitor.outgoing import load_outbox
from monitor.store.sqlite import SqliteStore
from monitor.types import EntryKey
from tests.forked import Forked

BIN = Path(sys.executable).parent
DRIFTD = BIN / "driftd"
BYTECODE = Path(__file__).parents[1] / ".pytest_cache" / "bytecode"
"""Where every program that a test starts keeps its byte code, so starts are quick."""
CAR_LOAN = """
[[models]]
name = "car-loan"
task = "binary"
columns.prediction_id = "id"
columns.timestamp = "timestamp"
columns.prediction = "y_pred"
reference.path = "reference.parquet"
"""
"""What every configuration for the real car loans begins with; more keys of the model may follow."""
PATIENCE = 240.0
"""Seconds after which a test gives up waiting; no test says how fast something is.

Heavy monitors are compared by a process that yields to all others: beside busy tests it takes minutes.
"""

OF_NOW = re.compile(r"^driftd_outbox_oldest_age_seconds .*\n", re.MULTILINE)
"""The one line of `driftd metrics` that depends on when it is asked."""

Labels = frozenset[tuple[str, str]]


def eventually(found: Callable[[], object], what: str = "", seconds: float = PATIENCE) -> None:
    """Wait until `found()` is true, no longer than that.

    Between two looks it rests three times as long as the last one took, half a second at most.
    """
    began = time.monotonic()
    deadline = began + seconds
    while not found():
        looked = time.monotonic()
        assert looked < deadline, f"not in {seconds} s: {what or found}"
        time.sleep(max(0.02, min(3 * (looked - began), 0.5)))
        began = time.monotonic()


def committed(state: Path) -> dict[EntryKey, bytes]:
    """Return what is committed in a state folder."""
    with closing(SqliteStore(state, read_only=True)) as store:
        return store.load()


class Program:
    """A running program whose output goes to a file; killed at the end of the `with`, if it still runs."""

    def __init__(
        self, command: Sequence[str | Path], log: Path, env: Mapping[str, str] | None = None
    ) -> None:
        self._log = log
        with log.open("ab") as output:
            self._begin = output.tell()
        self.process = self.started(command, log, env)

    @staticmethod
    def started(
        command: Sequence[str | Path], log: Path, env: Mapping[str, str] | None
    ) -> "subprocess.Popen[bytes] | Forked":
        """Start it."""
        with log.open("ab") as output:
            return subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, env=env
            )

    @property
    def folder(self) -> Path:
        """Where its output goes."""
        return self._log.parent

    @property
    def text(self) -> str:
        """What it printed so far."""
        return self._log.read_bytes()[self._begin :].decode()

    def wait_for(self, pattern: str) -> re.Match[str]:
        """Wait until it has printed the pattern."""
        expression = re.compile(pattern)

        def found() -> object:
            assert expression.search(self.text) or self.process.poll() is None, self.text
            return expression.search(self.text)

        eventually(found, f"{pattern} in {self.text}")
        match = expression.search(self.text)
        assert match is not None
        return match

    def kill(self) -> None:
        """End it by SIGKILL."""
        self.process.kill()
        self.process.wait()

    def stop(self) -> int:
        """End it by SIGTERM; returns the exit code."""
        self.process.terminate()
        return self.process.wait(30)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()


class Daemon(Program):
    """A running `driftd run`."""

    def ready(self) -> Self:
        """Wait until it listens."""
        self.wait_for(r'"listening"')
        return self

    @property
    def address(self) -> str:
        """Where it listens, as host:port."""
        return self.wait_for(r'"address": "([^"]+)".*"listening"')[1]

    def get(self, path: str, accept: str = "") -> tuple[int, str, str]:
        """Ask it by HTTP; returns status, content type and body."""
        connection = HTTPConnection(self.address, timeout=PATIENCE)
        try:
            connection.request("GET", path, headers={"accept": accept} if accept else {})
            answer = connection.getresponse()
            return answer.status, answer.headers.get("content-type", ""), answer.read().decode()
        finally:
            connection.close()

    def samples(self) -> "Samples":
        """Return what /metrics says."""
        return Samples.of(self.get("/metrics")[2])


class QuickDaemon(Daemon):
    """The same, without the imports of a start."""

    @staticmethod
    def started(command: Sequence[str | Path], log: Path, env: Mapping[str, str] | None) -> Forked:
        """Start it."""
        return Forked([str(part) for part in command[1:]], env or {}, log, log)


@dataclass(frozen=True, slots=True)
class Samples:
    """An exposition by name and labels."""

    values: Mapping[tuple[str, Labels], float]

    @classmethod
    def of(cls, text: str) -> Self:
        families = text_string_to_metric_families(text)
        return cls({(s.name, frozenset(s.labels.items())): s.value for f in families for s in f.samples})

    def get(self, name: str, **labels: str) -> float | None:
        """Return the sample that has exactly these labels, None without it."""
        return self.values.get((name, frozenset(labels.items())))

    def total(self, name: str, **labels: str) -> float:
        """Sum the samples that have these labels among theirs."""
        wanted = frozenset(labels.items())
        return sum(value for (n, have), value in self.values.items() if n == name and wanted <= have)


@dataclass(frozen=True, slots=True)
class Project:
    """A folder with a configuration, as a user has one."""

    folder: Path
    config: str = "config.toml"
    kept: str = "state"

    @property
    def state(self) -> Path:
        return self.folder / self.kept

    @property
    def environment(self) -> dict[str, str]:
        kept = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
        return {**kept, "PYTHONPYCACHEPREFIX": str(BYTECODE)}

    def configure(self, text: str, reference: pl.DataFrame | None = None) -> Self:
        """Write the configuration, and the rows that its reference.parquet is to hold."""
        (self.folder / self.config).write_text(text, encoding="utf-8")
        (self.folder / "logs").mkdir(exist_ok=True)
        if reference is not None:
            reference.write_parquet(self.folder / "reference.parquet")
        return self

    def append(self, name: str, data: bytes) -> None:
        """Append to a log, as the scoring service does."""
        with (self.folder / "logs" / name).open("ab") as log:
            log.write(data)

    def driftd(self, *arguments: str, code: int = 0) -> subprocess.CompletedProcess[str]:
        """Run a command to its end, which must be with this exit code."""
        command = [*arguments, "--config", str(self.folder / self.config)]
        with TemporaryDirectory() as kept:
            said, errors = Path(kept) / "output", Path(kept) / "errors"
            ended = Forked(command, self.environment, said, errors).wait()
            done = subprocess.CompletedProcess(command, ended, said.read_text(), errors.read_text())
        assert done.returncode == code, done.stderr + done.stdout
        return done

    def ask(self, *arguments: str, code: int = 0) -> Result:
        """Do the same without a process of its own: for commands that only look, and are not the point."""
        command = [*arguments, "--config", str(self.folder / self.config)]
        ended = CliRunner().invoke(main, command, prog_name="driftd", catch_exceptions=False)
        assert ended.exit_code == code, ended.output
        return ended

    def once(self, *options: str) -> str:
        """Run `driftd run --once`; returns the summary."""
        return self.driftd("run", "--once", *options).stdout

    def start(self, *, installed: bool = False) -> Daemon:
        """Start `driftd run`; use it as a context manager. installed: from nothing, as a user does."""
        command: list[str | Path] = [DRIFTD, "run", "--config", self.folder / self.config]
        kind = Daemon if installed else QuickDaemon
        return kind(command, self.folder / "daemon.log", self.environment)

    def metrics(self) -> str:
        """Return `driftd metrics`, less what depends on when it is asked."""
        return OF_NOW.sub("", self.ask("metrics").stdout)

    def samples(self) -> Samples:
        """Return what `driftd metrics` says."""
        return Samples.of(self.ask("metrics").stdout)

    def status(self) -> dict[str, Any]:
        """Return `driftd status --json`."""
        document: dict[str, Any] = json.loads(self.ask("status", "--json").stdout)
        return document

    def entries(self) -> Mapping[EntryKey, bytes]:
        """Return what is committed."""
        return committed(self.state)

    def notes(self) -> list[Note]:
        """Return every retraining request that is committed, whatever became of it."""
        return [queued.note for queued in load_outbox(self.entries()).queued.values()]

    def rejects(self, model: str) -> list[dict[str, Any]]:
        """Return the rejected rows kept in the state folder."""
        path = self.state / "rejects" / f"{model}.jsonl"
        return [json.loads(line) for line in path.read_bytes().splitlines()] if path.exists() else []
