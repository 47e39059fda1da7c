"""One process that runs alibi-detect: begun, asked and ended. `alibi_asking` decides when."""

import os
import selectors
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from types import MappingProxyType

from monitor.alibi_frames import answered

PROGRAM = Path(__file__).parent / "alibi" / "worker.py"
SLICE = 0.2
"""Seconds after which a wait looks whether the answer is still wanted."""
SECONDS_TO_END = 5.0
"""For a process that has closed its end of a pipe."""
PIECE = 2**16
LONGEST_ANSWER = 64 * 2**20
KEPT_OUTPUT = 2**14
"""Bytes of what it printed last that are looked through for why it ended."""
KEPT_VARIABLES = ("PATH", "LANG", "LD_LIBRARY_PATH")
SETTINGS: Mapping[str, str] = MappingProxyType({
    "HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1", "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1", "NUMBA_NUM_THREADS": "1",
})  # fmt: skip
"""It fetches nothing, and takes one core."""


class EndedError(Exception):
    """The process is no more. code: its exit code, below 0 the signal; printed: the last it printed."""

    def __init__(self, code: int, printed: bytes) -> None:
        super().__init__(f"code {code}")
        self.code = code
        self.printed = printed


class Process:
    """A process in a folder of its own, which goes with it. OSError: the interpreter cannot be run."""

    def __init__(self, python: Path, program: Path, memory: int) -> None:
        self._printed = b""
        self._folder = TemporaryDirectory(prefix="driftd-alibi-")
        home = self._folder.name
        places = dict.fromkeys(("HOME", "TMPDIR", "NUMBA_CACHE_DIR", "MPLCONFIGDIR"), home)
        kept = {name: os.environ[name] for name in KEPT_VARIABLES if name in os.environ}
        try:
            self._process = subprocess.Popen(  # noqa: S603  the user's own interpreter, our program, no shell
                [str(python), "-s", "-E", str(program), str(os.getpid()), str(memory)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                cwd=home,
                env={**kept, **SETTINGS, **places},
                process_group=0,
            )
        except OSError:
            self._folder.cleanup()
            raise

    @property
    def pid(self) -> int | None:
        """Its id, None once it has ended."""
        return self._process.pid if self._process.poll() is None else None

    def exchange(self, data: bytes, wanted: Callable[[], None]) -> Mapping[str, object]:
        """Write a request, which may be nothing, and return the answer.

        wanted: called again and again; what it raises ends the wait. Raises EndedError when the process ends
        meanwhile, ValueError when it answers nonsense.
        """
        stdin, stdout, stderr = self._pipes()
        left, received = memoryview(data), bytearray()
        os.set_blocking(stdin, False)
        with selectors.DefaultSelector() as ready:
            ready.register(stdout, selectors.EVENT_READ)
            ready.register(stderr, selectors.EVENT_READ)
            if left:
                ready.register(stdin, selectors.EVENT_WRITE)
            while (answer := answered(received)) is None:
                wanted()
                for key, _ in ready.select(SLICE):
                    if key.fd == stdin:
                        left = self._write(stdin, left)
                        if not left:
                            ready.unregister(stdin)
                    elif not self._read(key.fd, received if key.fd == stdout else None):
                        ready.unregister(key.fd)
                        if key.fd == stdout:
                            raise self._ended()
        return answer

    def _pipes(self) -> tuple[int, int, int]:
        found = [pipe.fileno() for pipe in self._own_pipes()]
        return found[0], found[1], found[2]

    def _own_pipes(self) -> list:  # type: ignore[type-arg]
        process = self._process
        return [pipe for pipe in (process.stdin, process.stdout, process.stderr) if pipe is not None]

    def _write(self, pipe: int, left: memoryview) -> memoryview:
        try:
            return left[os.write(pipe, left[:PIECE]) :]
        except BrokenPipeError as error:
            raise self._ended() from error

    def _read(self, pipe: int, received: bytearray | None) -> bool:
        """Read a piece of the answer, or of what is printed; False at the end."""
        piece = os.read(pipe, PIECE)
        if received is None:
            self._printed = (self._printed + piece)[-KEPT_OUTPUT:]
        else:
            received += piece
            if len(received) > LONGEST_ANSWER:
                raise ValueError("its answer is beyond all bounds")
        return bool(piece)

    def _ended(self) -> EndedError:
        """Return how it ended, after what it printed was read; processes of its own may hold stderr open."""
        try:
            code = self._process.wait(SECONDS_TO_END)
        except subprocess.TimeoutExpired:  # it answers no more, and lives
            self._process.kill()
            code = self._process.wait()
        _, _, stderr = self._pipes()
        with selectors.DefaultSelector() as ready:
            ready.register(stderr, selectors.EVENT_READ)
            while ready.select(0) and self._read(stderr, None):
                continue
        return EndedError(code, self._printed)

    def end(self) -> None:
        """End it at once; ending twice is fine."""
        self._process.kill()
        self._process.wait()
        for pipe in self._own_pipes():
            pipe.close()
        self._folder.cleanup()
