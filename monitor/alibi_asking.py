"""Asking alibi-detect: its process is started when first asked, bounded in time and memory, started again."""

import os
from collections.abc import Mapping
from pathlib import Path
from threading import Event, Lock

from msgspec import Struct, field

from detectors.alibi import PREFIX
from detectors.alibi_answers import comparison
from detectors.alibi_arrays import Request, request
from detectors.joint import Asked, Comparison
from exporters.catalog import Sample
from monitor.alibi_frames import framed
from monitor.alibi_process import PROGRAM, SLICE, EndedError, Process
from monitor.alibi_table import Alibi
from monitor.clock import Clock
from monitor.comparing import Failure
from monitor.errors import DriftdError
from monitor.logs import logger
from monitor.memory_limit import DATA, allowed, say_less
from monitor.quantities import format_duration, format_size

LICENCE = (
    "alibi-detect is no part of driftd. It is under the Business Source License 1.1: use in production needs "
    "a licence from its maker, Seldon Technologies; non-profit educational institutions are granted it."
)
NOTHING = "no alibi-detect: run `make alibi` or `driftd alibi install`; [alibi] python is {python}"
LONGEST_PAUSE, DOUBLINGS = 60.0, 6
"""Seconds between two starts at most, when it fails again and again, and how often the pause doubles."""
MEMORY_SIGNS = (b"MemoryError", b"bad_alloc", b"allocate memory")
NOT_INSTALLED = b"No module named 'alibi_detect'"


class AlibiError(DriftdError):
    """There is no answer. reason: of the failure; the text is its note."""

    def __init__(self, reason: str, says: str) -> None:
        super().__init__(says)
        self.reason = reason


class AlibiDetect(Struct, eq=False):
    """Asks the process, one request at a time; any thread may. While nobody asks there is no process."""

    table: Alibi
    clock: Clock
    program: Path = PROGRAM
    starts: int = 0
    _process: Process | None = None
    _torch: bool = False
    _troubles: int = 0
    _not_before: float = 0.0
    _told: bool = False
    _trouble: str = ""
    _wished: Alibi | None = None
    _ending: Event = field(default_factory=Event)
    _lock: Lock = field(default_factory=Lock)

    def compare(self, asked: Asked) -> Comparison | Failure:
        """Return what `alibi.<name>` finds, or why it does not.

        After the process died, hung or took too much, the next question starts it again, after a pause that
        doubles while it fails.
        """
        try:
            question = request(asked.detector, asked.reference, asked.window, asked.options, asked.seed)
        except ValueError as error:
            return Failure("refused", str(error))
        with self._lock:
            self._take_on()
            try:
                found = self._ask(question, asked.level)
            except AlibiError as error:
                return self._failed(error)
            self._well()
        return found

    def configure(self, table: Alibi) -> None:
        """Run it as this table says; one that runs otherwise is ended, once it has answered.

        Waits for no answer: whoever reloads holds up the reading of rows.
        """
        self._wished = table
        if self._lock.acquire(blocking=False):
            try:
                self._take_on()
            finally:
                self._lock.release()

    def _take_on(self) -> None:
        wished, self._wished = self._wished, None
        if wished is not None and wished != self.table:
            self.table = wished
            self._end()

    @property
    def pid(self) -> int | None:
        """The process's id, None while there is none."""
        process = self._process
        return process.pid if process is not None else None

    def samples(self) -> list[Sample]:
        """Return whether it runs and how often it was started, once it was asked."""
        if not self.starts:
            return []
        up = Sample("driftd_alibi_up", (), float(self.pid is not None))
        return [up, Sample("driftd_alibi_starts_total", (), self.starts)]

    def close(self) -> None:
        """End the process and whoever waits for it; closing twice is fine."""
        self._ending.set()
        with self._lock:
            self._end()

    def _ask(self, asked: Request, level: float) -> Comparison:
        self._pause()
        deadline = self.clock.monotonic() + self.table.timeout.total_seconds()
        try:
            process = self._process
            if process is None or process.pid is None:
                process = self._start(deadline)
            if asked.offer.torch and not self._torch:
                raise AlibiError("torch", without_torch(f"{PREFIX}{asked.detector}"))
            answer = process.exchange(framed(asked), lambda: self._wanted(deadline))
        except EndedError as error:
            raise self._died(error) from error
        except ValueError as error:
            raise AlibiError("died", f"the process of alibi-detect answers nonsense: {error}") from error
        self._refused(asked, answer)
        try:
            return comparison(asked, answer, level)
        except ValueError as error:
            raise AlibiError("raised", f"{PREFIX}{asked.detector}: {error}") from error

    def _pause(self) -> None:
        """Wait until it may be started again."""
        while not self._ending.is_set() and self.pid is None:
            left = self._not_before - self.clock.monotonic()
            if left <= 0:
                return
            self._ending.wait(min(left, SLICE))
        self._wanted(float("inf"))

    def _wanted(self, deadline: float) -> None:
        if self._ending.is_set():
            raise AlibiError("died", "driftd ends")
        if self.clock.monotonic() > deadline:
            time = format_duration(self.table.timeout)
            says = f"alibi-detect gave no answer within {time} and was ended; it is started again"
            raise AlibiError("hung", f"{says} ([alibi] timeout, or the option rows)")

    def _start(self, deadline: float) -> Process:
        self._end()
        if says := missing(self.table.python):
            raise AlibiError("absent", says)
        memory = allowed(DATA, self.table.memory)
        if not self._told:
            logger("alibi").warning("licence", says=LICENCE)
            say_less("alibi-detect", self.table.memory, memory)
            self._told = True
        try:
            process = self._process = Process(self.table.python, self.program, memory)
        except OSError as error:
            raise AlibiError("absent", f"{self.table.python}: cannot be run: {error.strerror}") from error
        self.starts += 1
        installed = process.exchange(b"", lambda: self._wanted(deadline))
        self._torch = bool(installed.get("torch"))
        logger("alibi").info("started", pid=process.pid, **installed)
        return process

    def _refused(self, asked: Request, answer: Mapping[str, object]) -> None:
        """Raise what the process says that went wrong."""
        match answer.get("error"):
            case None:
                return
            case "memory":
                raise AlibiError("memory", self._memory())
            case _:
                kind = answer.get("kind", "an error")
                raise AlibiError("raised", f"alibi-detect's {asked.offer.title} raised {kind}")

    def _died(self, error: EndedError) -> AlibiError:
        if any(sign in error.printed for sign in MEMORY_SIGNS):
            return AlibiError("memory", self._memory())
        if NOT_INSTALLED in error.printed:
            return AlibiError(
                "absent",
                f"no alibi-detect there: run `driftd alibi install`; [alibi] python is {self.table.python}",
            )
        how = f"was ended by signal {-error.code}" if error.code < 0 else f"ended with code {error.code}"
        return AlibiError("died", f"the process of alibi-detect {how}; it is started again")

    def _memory(self) -> str:
        limit = format_size(allowed(DATA, self.table.memory))
        return f"alibi-detect needs more than {limit} of memory ([alibi] memory, or the option rows)"

    def _failed(self, error: AlibiError) -> Failure:
        """End a process that cannot be asked again, and let the next start wait longer."""
        if self._ending.is_set():
            return Failure("stopped", "the daemon stops")
        if error.reason not in {"torch", "raised"}:
            self._end()
        if error.reason in {"died", "hung", "memory"}:
            self._not_before = self.clock.monotonic() + min(
                LONGEST_PAUSE, 2.0 ** min(self._troubles, DOUBLINGS)
            )
            self._troubles += 1
        if error.reason != self._trouble:
            logger("alibi").warning("no answer", reason=error.reason, says=str(error))
        self._trouble = error.reason
        return Failure(error.reason, str(error))

    def _well(self) -> None:
        if self._trouble:
            logger("alibi").info("answers again")
        self._troubles, self._trouble = 0, ""

    def _end(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.end()


def missing(python: Path) -> str:
    """Return what to say where there is no environment, "" where there is one."""
    if os.access(python, os.X_OK):
        return ""
    return NOTHING.format(python=python)


def without_torch(detector: str) -> str:
    """Return what to say where a detector needs PyTorch and the environment has none."""
    return f"{detector} needs PyTorch: run `make alibi-torch` or `driftd alibi install --torch`"
