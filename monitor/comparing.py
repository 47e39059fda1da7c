"""Who answers what heavy monitors ask: a process of its own, bounded in time and memory, or this one."""

import multiprocessing
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Protocol

from msgspec import Struct

from detectors.joint import Asked, Comparison, RefusedError
from detectors.monitors import FAILURES
from detectors.multivariate import MULTIVARIATE
from monitor.comparing_process import one_thread, serve
from monitor.memory_limit import ADDRESSES, allowed, say_less

SECONDS = 300.0
MEMORY = 4 * 2**30


class Failure(Struct, frozen=True):
    """No comparison. note: for people.

    reason: refused (too few rows), raised, memory, died, hung, or stopped.
    """

    reason: str
    note: str


class Comparer(Protocol):
    """Answers questions, one at a time."""

    def compare(self, asked: Asked) -> Comparison | Failure:
        """Return what the detector finds, or why it does not."""

    def close(self) -> None:
        """End; a comparison under way fails with the reason `stopped`. From any thread."""


def answered(asked: Asked) -> Comparison | Failure:
    """Ask a detector; what it may raise becomes a failure."""
    try:
        return MULTIVARIATE[asked.detector](*asked[1:])
    except MemoryError:
        return Failure("memory", "there is not enough memory")
    except RefusedError as error:
        return Failure("refused", str(error))
    except FAILURES as error:  # only the type is told: a message may quote a value
        return Failure("raised", f"the detector failed: {type(error).__name__}")


class Here:
    """Answers in this process, as a backtest does."""

    def compare(self, asked: Asked) -> Comparison | Failure:
        """Return what the detector finds, or why it does not."""
        return answered(asked)

    def close(self) -> None:
        """Nothing is held."""


class Apart:
    """Answers in a process that is started when it is first asked, and anew after it died or was ended.

    seconds: a comparison may take. memory: bytes of address space; less where the system allows the daemon
    less, which is said once. entry: what the process runs.
    """

    def __init__(
        self,
        seconds: float = SECONDS,
        memory: int = MEMORY,
        entry: Callable[[Connection, int], None] = serve,
    ) -> None:
        self._seconds = seconds
        self._memory = memory
        self._entry = entry
        self._stopping = False
        self._told = False
        self._process: BaseProcess | None = None
        self._line: Connection | None = None

    def compare(self, asked: Asked) -> Comparison | Failure:
        """Return what the detector finds, or why it does not."""
        try:
            found = self._asked(asked)
        except TimeoutError:
            found = Failure("hung", f"ended after {self._seconds:g} s; a new process goes on")
        except (EOFError, OSError):
            found = Failure("died", "the process that compares died; a new one goes on")
        if isinstance(found, Failure) and found.reason in ("died", "hung", "stopped"):
            self._end()
        return Failure("stopped", "the daemon stops") if self._stopping else found

    def _asked(self, asked: Asked) -> Comparison | Failure:
        line, process = self._begun()
        if self._stopping:  # it may have begun too late for `close` to end it
            return Failure("stopped", "the daemon stops")
        with _bounded(process, self._seconds):
            line.send(asked)
            found: Comparison | Failure = line.recv()
        return found

    def _begun(self) -> tuple[Connection, BaseProcess]:
        """Return a process that lives, and the line to it."""
        if self._process is not None and not self._process.is_alive():
            self._end()
        if self._line is None or self._process is None:
            self._line, self._process = self._started()
        return self._line, self._process

    def _started(self) -> tuple[Connection, BaseProcess]:
        """Start a process; OSError where there is no room for one, and then nothing is held of it."""
        memory = allowed(ADDRESSES, self._memory)
        if not self._told:
            say_less("heavy monitors", self._memory, memory)
            self._told = True
        context = multiprocessing.get_context("spawn")
        line, other = context.Pipe()
        made = context.Process(target=self._entry, args=(other, memory), name="driftd-compare", daemon=True)
        try:
            with other, one_thread():
                made.start()
        except OSError:
            line.close()
            raise
        return line, made

    def _end(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.join()
        if self._line is not None:
            self._line.close()
        self._process = self._line = None

    def close(self) -> None:
        """End; a comparison under way fails with the reason `stopped`. From any thread."""
        self._stopping = True
        process = self._process
        if process is not None:
            process.kill()


@contextmanager
def _bounded(process: BaseProcess, seconds: float) -> Iterator[None]:
    """End a process that is still asked after so long, and raise TimeoutError; what waits for it fails.

    So neither a question that it does not read nor an answer that it does not finish is waited for.
    """
    over = threading.Event()

    def end() -> None:
        over.set()
        process.kill()

    timer = threading.Timer(seconds, end)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        timer.join()
        if over.is_set():
            raise TimeoutError
