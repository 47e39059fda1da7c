"""The log of a model's service: rows are put into memory, and a thread appends them to files."""

import atexit
import logging
import os
import threading
import weakref
from collections import deque
from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Self
from uuid import uuid4

from monitor.client.files import Appender
from monitor.client.lines import FAILURES, encode, fault
from monitor.clock import Clock, SystemClock

PREDICTIONS, OUTCOMES = "predictions", "outcomes"
WRITE = 2**20
"""Bytes of lines that one write takes, unless a file is smaller or a single line longer."""
REFUSED = "a row was not logged"
AGAIN = 1.0
"""Seconds after which a file that could not be written is tried again."""
Time = datetime | str | int | float

_told = logging.getLogger("driftd.client")


class Log:
    r"""Writes `predictions-*.jsonl` and `outcomes-*.jsonl` into a folder; one for each process, or inherited.

    A row is encoded where it is logged and written by a thread: no request waits for a disk. Nothing that
    is logged raises; what cannot be written is counted in `dropped` and said once, by the logger
    `driftd.client`. Logged rows are written, waiting or dropped, and each is one of these.

    memory: bytes of lines that may wait; beyond it rows are dropped. rotate: bytes of a file before the next
    one begins. keep: full files of a process that stay. After a fork the child has a log of its own.

    >>> from tempfile import mkdtemp
    >>> folder = Path(mkdtemp())
    >>> with Log(folder) as log:
    ...     log.prediction(id="a", timestamp="2026-01-01", features={"age": 31}, prediction="yes", score=0.9)
    'a'
    >>> (folder / "predictions-0.jsonl").read_text()
    '{"id":"a","timestamp":"2026-01-01","prediction":"yes","score":0.9,"age":31}\n'
    >>> log.written, log.waiting, log.dropped
    (1, 0, 0)
    """

    def __init__(
        self,
        folder: str | Path,
        *,
        memory: int = 16 * 2**20,
        rotate: int = 64 * 2**20,
        keep: int = 20,
        clock: Clock | None = None,
    ) -> None:
        self._memory = memory
        self._most = min(WRITE, rotate)
        self._clock = clock or SystemClock()
        self._files = {n: Appender(Path(folder).absolute(), n, rotate, keep) for n in (PREDICTIONS, OUTCOMES)}
        self._begin()
        atexit.register(self.close)
        os.register_at_fork(after_in_child=_weakly(self))

    def _begin(self) -> None:
        self._changed = threading.Condition()
        self._lines: dict[str, deque[bytes]] = {name: deque() for name in self._files}
        self._bytes = self._waiting = self._written = self._dropped = 0
        self._thread: threading.Thread | None = None
        self._closed = False
        self._said: set[str] = set()

    def prediction(
        self,
        *,
        id: str | None = None,  # noqa: A002 - the column's name
        timestamp: Time | None = None,
        features: Mapping[str, object] | None = None,
        prediction: object = None,
        score: object = None,
        version: str | None = None,
    ) -> str:
        """Log a prediction; returns its id, a new one if none is given.

        timestamp: when it was made, now if not given; a datetime without a zone is taken for UTC. features:
        every other column: features, segments, groups, embeddings as lists. score: the probability, or one
        by class, which become the columns score_<class>. What is not given is no column of the row.
        """
        name = id if id is not None else uuid4().hex
        scores = (
            {f"score_{c}": s for c, s in score.items()} if isinstance(score, Mapping) else {"score": score}
        )
        own = {"prediction": prediction, **scores, "version": version}
        given = {column: value for column, value in own.items() if value is not None}
        more = {} if features is None else features
        self._put(PREDICTIONS, {"id": name, "timestamp": self._at(timestamp), **given}, more)
        return name

    def outcome(self, *, id: str, label: object, timestamp: Time | None = None) -> None:  # noqa: A002 - as above
        """Log what became of a prediction: its label, and when that became known, now if not given."""
        self._put(OUTCOMES, {"id": id, "timestamp": self._at(timestamp), "label": label}, {})

    @property
    def written(self) -> int:
        """Rows that are in files."""
        return self._written

    @property
    def waiting(self) -> int:
        """Rows that are in memory."""
        return self._waiting

    @property
    def dropped(self) -> int:
        """Rows that are lost: for want of memory, of a form in JSON, or of a disk when the log was closed."""
        return self._dropped

    def flush(self, timeout: float = 5.0) -> bool:
        """Wait until every row logged before is written or dropped; False when that took too long."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._waiting, timeout)

    def close(self, timeout: float = 5.0) -> None:
        """Write what waits, and end. What waits after that time is lost; what is logged later is dropped."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
            thread = self._thread
        if thread is not None:
            thread.join(timeout)
        atexit.unregister(self.close)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _at(self, timestamp: Time | None) -> Time:
        return self._clock.now() if timestamp is None else timestamp

    def _put(self, name: str, own: Mapping[str, object], features: Mapping[str, object]) -> None:
        """Queue a row, in an instant: nothing here waits for the disk."""
        line = self._encoded(own, features)
        if line is None:
            return
        with self._changed:
            if self._closed or self._bytes + len(line) > self._memory:
                self._lose(1, "rows were not logged: more wait than memory allows, or the log is closed")
                return
            self._lines[name].append(line)
            self._bytes += len(line)
            self._waiting += 1
            self._start()
            self._changed.notify_all()

    def _encoded(self, own: Mapping[str, object], features: Mapping[str, object]) -> bytes | None:
        """Return a row as a line; None where that cannot be, which is said without a value of it."""
        row: Mapping[str, object] = {}
        try:
            if clash := own.keys() & features.keys():
                self._lose(1, f"{REFUSED}: features have a column {min(clash)} that the log has itself")
                return None
            row = {**own, **features}
            return encode(row)
        except FAILURES as error:
            known = REFUSED in self._said
            where = "" if known else fault(row) if row else f"the features: {type(error).__name__}"
            self._lose(1, f"{REFUSED}: {where}")
            return None

    def _start(self) -> None:
        if self._thread is not None:
            return
        thread = threading.Thread(target=self._work, name="driftd-log", daemon=True)
        try:
            thread.start()
        except RuntimeError as error:  # the next row tries again
            self._say(f"rows wait for a thread: {error}")
            return
        self._thread = thread

    def _lose(self, rows: int, why: str) -> None:
        with self._changed:
            self._dropped += rows
            self._say(why)

    def _say(self, what: str) -> None:
        """Log it, once for each kind of trouble."""
        kind = what.partition(":")[0]
        if kind not in self._said:
            self._said.add(kind)
            _told.warning("%s", what)

    def _work(self) -> None:
        """Write until the log is closed and nothing waits: the thread."""
        while (batch := self._next()) is not None:
            name, lines = batch
            left = self._write(self._files[name], memoryview(b"".join(lines)))
            lost = bytes(left).count(b"\n")
            with self._changed:
                self._bytes -= sum(map(len, lines))
                self._waiting -= len(lines)
                self._written += len(lines) - lost
                self._dropped += lost
                self._changed.notify_all()
        for file in self._files.values():
            file.close()

    def _next(self) -> tuple[str, list[bytes]] | None:
        with self._changed:
            self._changed.wait_for(lambda: self._closed or any(self._lines.values()))
            for name, queue in self._lines.items():
                if queue:
                    lines = [queue.popleft()]
                    size = len(lines[0])
                    while queue and size + len(queue[0]) <= self._most:
                        size += len(queue[0])
                        lines.append(queue.popleft())
                    return name, lines
        return None

    def _write(self, file: Appender, rest: memoryview) -> memoryview:
        """Write it, however often it fails, until the log is closed; returns what is given up."""
        while rest:
            try:
                rest = rest[file.append(rest) :]
                self._said.discard("the log cannot be written")
            except OSError as error:
                with self._changed:
                    self._say(f"the log cannot be written: {error}")
                    if self._closed:
                        break
                    self._changed.wait_for(lambda: self._closed, AGAIN)
        return rest

    def _forked(self) -> None:
        """Begin anew in a child: what waits is the parent's to write, and so is its file."""
        for file in self._files.values():
            file.close()
        self._begin()


def _weakly(log: Log) -> Callable[[], None]:
    method = weakref.WeakMethod(log._forked)  # noqa: SLF001 - its own

    def begin() -> None:
        found = method()
        if found is not None:
            found()

    return begin
