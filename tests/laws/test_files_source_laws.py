"""Whatever writers, rotation, crashes and restarts do: every line arrives once."""

import gzip
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from monitor.sources.files import FilesSource, Format
from monitor.sources.identity import FULL
from monitor.sources.reading import Limits
from monitor.types import Batch, Chunk, Position

MAX_LINE = 600
LIMITS = Limits(rows=9, bytes=900, max_line=MAX_LINE)
HEADER = b"t,padding,and,a,long,header," + b"h" * 300 + b"\n"
WRITERS = ("app.log", "web.log")


class LogFolder(RuleBasedStateMachine):
    """A folder of logs and their rotation, followed by a source that crashes and restarts."""

    format: Format = "jsonl"

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="driftd-laws-"))
        self.next = 0
        self.written: set[int] = set()
        self.renamed: set[str] = set()
        self.may_be_lost: set[int] = set()
        self.finished_late: set[int] = set()
        self.tail: dict[str, tuple[int, bytes]] = {}
        self.delivered: list[int] = []
        self.truncations = 0
        self.truncations_seen = 0
        self.watermark = -1
        self.committed = Position()
        self.source = self.open()

    @initialize()
    def start(self) -> None:
        for name in WRITERS:
            self.write(name, b"")

    def open(self) -> FilesSource:
        return FilesSource("logs", f"{self.folder}/*.log*", self.format, self.peek, LIMITS)

    def time_of(self, line: bytes) -> int:
        return int(json.loads(line)["t"]) if self.format == "jsonl" else int(line.split(b",")[0])

    def peek(self, chunk: Chunk) -> int | None:
        assert isinstance(chunk.data, bytes)
        assert chunk.data.count(b"\n") == 1
        return self.time_of(chunk.data)

    def line(self, padding: int) -> tuple[int, bytes]:
        self.next += 1
        pad = "x" * padding
        text = json.dumps({"t": self.next, "p": pad}) if self.format == "jsonl" else f"{self.next},é{pad}"
        return self.next, text.encode() + b"\n"

    def write(self, name: str, data: bytes) -> None:
        path = self.folder / name
        with path.open("ab") as file:
            if self.format == "csv" and path.stat().st_size == 0:
                file.write(HEADER)
            file.write(data)

    def finish_line(self, name: str) -> None:
        if name in self.tail:
            number, rest = self.tail.pop(name)
            self.write(name, rest)
            self.written.add(number)
            self.finished_late.add(number)

    @rule(
        name=st.sampled_from(WRITERS),
        paddings=st.lists(st.sampled_from((0, 5, 90, 500, 2000)), min_size=1, max_size=6),
    )
    def append(self, name: str, paddings: list[int]) -> None:
        self.finish_line(name)
        for padding in paddings:
            number, line = self.line(padding)
            self.write(name, line)
            self.written.add(number)

    @rule(name=st.sampled_from(WRITERS), padding=st.sampled_from((0, 90, 2000)), share=st.floats(0, 1))
    def stop_in_mid_line(self, name: str, padding: int, share: float) -> None:
        self.finish_line(name)
        number, line = self.line(padding)
        at = 1 + int(share * (len(line) - 2))
        self.write(name, line[:at])
        self.tail[name] = (number, line[at:])

    @rule(name=st.sampled_from(WRITERS))
    def rotate_by_rename(self, name: str) -> None:
        self.finish_line(name)
        self.shift(name)
        (self.folder / name).rename(self.folder / f"{name}.1")
        self.renamed.add(name)
        self.write(name, b"")

    @rule(name=st.sampled_from(WRITERS))
    def write_on_after_rename(self, name: str) -> None:
        path = self.folder / f"{name}.1"
        if path.exists() and name in self.renamed:
            number, line = self.line(5)
            self.write(path.name, line)
            self.written.add(number)

    @rule(name=st.sampled_from(WRITERS))
    def rotate_by_copy_and_truncate(self, name: str) -> None:
        self.finish_line(name)
        self.shift(name)
        self.renamed.discard(name)
        shutil.copyfile(self.folder / name, self.folder / f"{name}.1")
        os.truncate(self.folder / name, 0)
        self.write(name, b"")

    @rule(name=st.sampled_from(WRITERS), late=st.booleans())
    def poll_between_copy_and_truncate(self, name: str, late: bool) -> None:  # noqa: FBT001 -- hypothesis draws it
        self.finish_line(name)
        content = (self.folder / name).stat().st_size - (len(HEADER) if self.format == "csv" else 0)
        if content < FULL or self.committed == Position():
            return  # a copy of a short file is known as one only once the original is cut back
        self.poll_and_commit()  # until a file has been seen, its copy is another file
        self.shift(name)
        self.renamed.discard(name)
        shutil.copyfile(self.folder / name, self.folder / f"{name}.1")
        if late:
            number, line = self.line(5)
            self.write(name, line)
            self.written.add(number)
            self.may_be_lost.add(number)
        self.poll_and_commit()
        os.truncate(self.folder / name, 0)
        self.write(name, b"")

    def shift(self, name: str) -> None:
        for number in range(30, 0, -1):
            for ending in ("", ".gz"):
                path = self.folder / f"{name}.{number}{ending}"
                if path.exists():
                    path.rename(self.folder / f"{name}.{number + 1}{ending}")

    @rule(name=st.sampled_from(WRITERS), number=st.integers(1, 3), poll=st.booleans())
    def compress(self, name: str, number: int, poll: bool) -> None:  # noqa: FBT001 -- hypothesis draws it
        path = self.folder / f"{name}.{number}"
        if path.exists():
            with gzip.open(f"{path}.gz", "wb") as file:
                file.write(path.read_bytes())
            if poll:
                self.poll_and_commit()
            path.unlink()

    @precondition(lambda self: self.delivered)
    @rule(name=st.sampled_from(WRITERS), number=st.integers(1, 3))
    def delete_what_was_read(self, name: str, number: int) -> None:
        path = self.folder / f"{name}.{number}"
        if path.exists():
            lines = path.read_bytes().removeprefix(HEADER if self.format == "csv" else b"").splitlines()
            if {self.time_of(line) for line in lines} <= set(self.delivered):
                path.unlink()

    @rule()
    def delete_unread_while_running(self) -> None:
        self.append("app.log", [5])
        self.drain()  # opens the file
        self.append("app.log", [5, 90])
        (self.folder / "app.log").unlink()
        self.poll_and_commit()
        self.drain()
        self.write("app.log", b"")

    @rule()
    def poll_and_commit(self) -> None:
        batch = self.source.poll(self.committed, 100)
        if batch is not None:
            self.commit(batch)

    @rule()
    def poll_and_crash(self) -> None:
        self.source.poll(self.committed, 100)
        self.restart()

    @rule()
    def poll_without_commit(self) -> None:
        self.source.poll(self.committed, 100)

    @rule()
    def restart(self) -> None:
        self.source.close()
        self.source = self.open()

    def commit(self, batch: Batch) -> None:
        self.committed = Position(dict(batch.position.entries))
        self.truncations_seen += batch.truncations
        for chunk in batch.chunks:
            numbers = [self.time_of(line) for line in self.lines_of(chunk)]
            assert numbers == sorted(numbers)
            early = [number for number in numbers if number < self.watermark]
            assert set(early) <= self.finished_late, "the watermark went past a row that was still unread"
            self.watermark = max(self.watermark, min(numbers[-1], chunk.hold or numbers[-1]))
            self.delivered += numbers
        for reject in batch.rejects:
            assert reject.reason == "line_too_long"
            digits = "".join(c for c in reject.text[:14] if c.isdigit())
            self.delivered.append(int(digits))

    def lines_of(self, chunk: Chunk) -> Iterator[bytes]:
        assert isinstance(chunk.data, bytes)
        assert chunk.data.endswith(b"\n")
        assert chunk.header == (HEADER if self.format == "csv" else b"")
        yield from chunk.data.splitlines()

    def drain(self) -> None:
        for _ in range(500):
            batch = self.source.poll(self.committed, 100)
            if batch is None:
                return
            self.commit(batch)
        pytest.fail("the source never came to an end")

    @invariant()
    def nothing_arrives_twice_or_from_nowhere(self) -> None:
        assert len(self.delivered) == len(set(self.delivered))
        assert set(self.delivered) <= self.written

    def teardown(self) -> None:
        try:
            self.drain()
            assert self.written - set(self.delivered) <= self.may_be_lost
            assert not self.source.problems or all("copy" in text for text in self.source.problems.values())
            self.restart()
            assert self.source.poll(self.committed, 100) is None
        finally:
            self.source.close()
            shutil.rmtree(self.folder)


class CsvFolder(LogFolder):
    format: Format = "csv"


CALM = settings(
    max_examples=80,
    stateful_step_count=25,
    deadline=None,
    report_multiple_bugs=False,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
TestJsonLines = LogFolder.TestCase
TestJsonLines.settings = CALM
TestCsv = CsvFolder.TestCase
TestCsv.settings = CALM
