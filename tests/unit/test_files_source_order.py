"""In which order unread files are taken, and the bound that each chunk sets to the watermark."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from monitor.sources import merge
from monitor.sources.files import FilesSource
from monitor.sources.reading import Limits
from monitor.types import Chunk, Position


class Peeks:
    """A peek that remembers what it was shown; a line is its timestamp."""

    def __init__(self) -> None:
        self.seen: list[bytes] = []

    def __call__(self, chunk: Chunk) -> int | None:
        assert isinstance(chunk.data, bytes)
        self.seen.append(chunk.data)
        return int(chunk.data) if chunk.data.strip().isdigit() else None


class Logs:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.peeks = Peeks()
        self.position = Position()
        self.opened: list[FilesSource] = []

    def source(self, **limits: int) -> FilesSource:
        self.opened.append(
            FilesSource("logs", f"{self.folder}/*.log*", "jsonl", self.peeks, Limits(**limits))
        )
        return self.opened[-1]

    def write(self, name: str, *lines: object) -> None:
        with (self.folder / name).open("a") as file:
            file.writelines(f"{line}\n" for line in lines)

    def batches(self, source: FilesSource) -> list[list[tuple[str, list[str], int | None]]]:
        """Return per batch and chunk: the file, its lines, the hold."""
        out = []
        while (batch := source.poll(self.position, 10**9)) is not None:
            self.position = batch.position
            out.append([_shown(chunk) for chunk in batch.chunks])
        return out


def _shown(chunk: Chunk) -> tuple[str, list[str], int | None]:
    assert isinstance(chunk.data, bytes)
    return Path(chunk.file).name, chunk.data.decode().splitlines(), chunk.hold


@pytest.fixture
def logs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Logs]:
    monkeypatch.setattr(merge, "SHARE_ROWS", 2)  # as several files share a batch of four lines
    made = Logs(tmp_path)
    yield made
    for source in made.opened:
        source.close()


def test_rotated_logs_come_by_time_not_by_name(logs: Logs) -> None:
    logs.write("a.log", 5, 6)
    logs.write("a.log.1", 3, 4)
    logs.write("a.log.2", 1, 2)
    assert logs.batches(logs.source()) == [
        [("a.log.2", ["1", "2"], 3), ("a.log.1", ["3", "4"], 5), ("a.log", ["5", "6"], None)]
    ]


def test_files_written_side_by_side_advance_together(logs: Logs) -> None:
    logs.write("a.log", 1, 3, 5, 7)
    logs.write("b.log", 2, 4, 6, 8)
    assert logs.batches(logs.source(rows=4)) == [
        [("a.log", ["1", "3"], 2), ("b.log", ["2", "4"], 5)],
        [("a.log", ["5", "7"], 6), ("b.log", ["6", "8"], None)],
    ]


def test_the_earliest_file_goes_on_as_long_as_it_is_the_earliest(logs: Logs) -> None:
    logs.write("a.log", 1, 2, 3, 4, 5, 6)
    logs.write("b.log", 100, 101)
    assert logs.batches(logs.source(rows=6)) == [
        [("a.log", ["1", "2", "3", "4", "5", "6"], 100)],
        [("b.log", ["100", "101"], None)],
    ]


def test_a_later_file_waits_for_one_that_goes_on_earlier(logs: Logs) -> None:
    logs.write("a.log", 1, 2, 2, 2, 30)
    logs.write("b.log", 2, 3, 3, 4)
    logs.write("c.log", 100)
    batches = logs.batches(logs.source(rows=100, bytes=10**6))
    assert [line for batch in batches for name, lines, _ in batch if name == "c.log" for line in lines] == [
        "100"
    ]
    assert batches[-1][-1][0] == "c.log"


def test_the_hold_is_below_every_row_left_in_other_files(logs: Logs) -> None:
    for number in range(5):
        logs.write(f"{number}.log", *range(number, 60, number + 2))
    unread = {f"{n}.log": list(range(n, 60, n + 2)) for n in range(5)}
    for batch in logs.batches(logs.source(rows=7)):
        for name, lines, hold in batch:
            others = [rows[0] for other, rows in unread.items() if other != name and rows]
            assert hold == min(others, default=None)
            assert unread[name][: len(lines)] == [int(line) for line in lines]
            del unread[name][: len(lines)]
    assert not any(unread.values())


def test_one_unread_file_is_never_peeked_into(logs: Logs) -> None:
    logs.write("a.log", 1, 2, 3)
    logs.write("b.log", 1)
    with (logs.folder / "b.log").open("a") as file:
        file.write("no newline yet")
    source = logs.source(rows=1)
    logs.batches(source)
    logs.peeks.seen.clear()
    logs.write("a.log", *range(10, 20))
    logs.batches(source)
    assert logs.peeks.seen == []


def test_a_row_is_peeked_at_once(logs: Logs) -> None:
    logs.write("a.log", *range(0, 20, 2))
    logs.write("b.log", *range(1, 20, 2))
    logs.batches(logs.source(rows=3))
    assert len(logs.peeks.seen) == len(set(logs.peeks.seen))
    assert all(line.count(b"\n") == 1 for line in logs.peeks.seen)


def test_a_bad_line_does_not_hide_the_timestamp_behind_it(logs: Logs) -> None:
    logs.write("a.log", "garbage", 7)
    logs.write("b.log", 5, 6)
    assert logs.batches(logs.source()) == [[("b.log", ["5", "6"], 7), ("a.log", ["garbage", "7"], None)]]


def test_a_line_too_long_does_not_hide_the_timestamp_behind_it(logs: Logs) -> None:
    logs.write("a.log", "x" * 50, 7)
    logs.write("b.log", 5, 6)
    assert logs.batches(logs.source(max_line=20)) == [[("b.log", ["5", "6"], 7), ("a.log", ["7"], None)]]


def test_files_without_timestamps_come_first_and_by_age(logs: Logs) -> None:
    logs.write("a.log", 1)
    for age, name in enumerate(("c.log", "b.log")):
        logs.write(name, *(["no time"] * 20))
        os.utime(logs.folder / name, (age, age))
    order = [name for batch in logs.batches(logs.source()) for name, _, _ in batch]
    assert order == ["c.log", "b.log", "a.log"]


def test_more_files_than_can_be_open_are_still_read_in_order(logs: Logs) -> None:
    for number in range(150):
        logs.write(f"{150 - number:03}.log", number)
    lines = [line for batch in logs.batches(logs.source(rows=40)) for _, rows, _ in batch for line in rows]
    assert lines == [str(number) for number in range(150)]
