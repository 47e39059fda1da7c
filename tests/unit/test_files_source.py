"""Which lines a followed folder gives, through rotation, truncation, copies and restarts (faults 5-8)."""

import gzip
import json
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from monitor.errors import StateError
from monitor.sources import identity, opened
from monitor.sources.files import FilesSource
from monitor.sources.identity import FULL
from monitor.sources.reading import Limits
from monitor.types import Batch, Chunk, Position, Reject

LONG = "x" * (FULL + 100)


def peek(chunk: Chunk) -> int | None:
    assert isinstance(chunk.data, bytes)
    return int(json.loads(chunk.data)["t"])


@dataclass
class Follower:
    """A daemon's loop around one source: poll, commit, and count."""

    folder: Path
    position: Position = field(default_factory=Position)
    truncations: int = 0
    rejects: list[Reject] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.source = self.open()

    def restart(self) -> None:
        self.source.close()
        self.source = self.open()

    def open(self) -> FilesSource:
        return FilesSource("logs", f"{self.folder}/**/*.log*", "jsonl", peek, Limits())

    def batch(self) -> Batch | None:
        batch = self.source.poll(self.position, 1000)
        if batch is not None:
            self.position = batch.position
            self.truncations += batch.truncations
            self.rejects += batch.rejects
        return batch

    def read(self) -> list[int]:
        got: list[int] = []
        while (batch := self.batch()) is not None:
            for chunk in batch.chunks:
                assert isinstance(chunk.data, bytes)
                got += [int(json.loads(line)["t"]) for line in chunk.data.splitlines()]
        return got


@pytest.fixture
def logs(tmp_path: Path) -> Iterator[Follower]:
    follower = Follower(tmp_path)
    yield follower
    follower.source.close()


def append(path: Path, *times: int, padding: str = "") -> None:
    with path.open("a") as file:
        file.writelines(json.dumps({"t": time, "p": padding}) + "\n" for time in times)


def test_a_growing_file_is_followed(logs: Follower, tmp_path: Path) -> None:
    append(tmp_path / "a.log", 1, 2)
    assert logs.read() == [1, 2]
    append(tmp_path / "a.log", 3)
    assert logs.read() == [3]
    assert logs.batch() is None


def test_files_in_deeper_folders_are_found(logs: Follower, tmp_path: Path) -> None:
    (tmp_path / "x" / "y").mkdir(parents=True)
    append(tmp_path / "x" / "y" / "a.log", 1)
    assert logs.read() == [1]


@pytest.mark.parametrize("running", [True, False])
def test_several_rename_rotations_lose_nothing(logs: Follower, tmp_path: Path, running: bool) -> None:  # noqa: FBT001 -- a case
    log = tmp_path / "a.log"
    append(log, 1)
    assert logs.read() == [1]
    append(log, 2)
    log.rename(tmp_path / "a.log.2")
    append(log, 3)
    log.rename(tmp_path / "a.log.1")
    append(log, 4)
    if not running:
        logs.restart()
    assert logs.read() == [2, 3, 4]


@pytest.mark.parametrize("padding", ["", LONG])
@pytest.mark.parametrize("running", [True, False])
def test_a_rotated_file_goes_on_when_compressed(
    logs: Follower,
    tmp_path: Path,
    padding: str,
    running: bool,  # noqa: FBT001 -- a case
) -> None:
    log = tmp_path / "a.log"
    append(log, 1, padding=padding)
    assert logs.read() == [1]
    append(log, 2, padding=padding)
    rotated = log.rename(tmp_path / "a.log.1")
    (tmp_path / "a.log.1.gz").write_bytes(gzip.compress(rotated.read_bytes()))
    if running:
        assert logs.read() == [2]
    rotated.unlink()
    logs.restart()
    assert logs.read() == ([] if running else [2])


@pytest.mark.parametrize("padding", ["", LONG])
@pytest.mark.parametrize("running", [True, False])
def test_copytruncate_is_counted_once_and_loses_only_the_gap(
    logs: Follower,
    tmp_path: Path,
    padding: str,
    running: bool,  # noqa: FBT001 -- a case
) -> None:
    log = tmp_path / "a.log"
    append(log, 1, padding=padding)
    assert logs.read() == [1]
    append(log, 2, padding=padding)
    shutil.copyfile(log, tmp_path / "a.log.1")
    os.truncate(log, 0)
    if not running:
        logs.restart()
    assert logs.read() == [2]
    append(log, 3)
    assert logs.read() == [3]
    logs.restart()
    assert logs.batch() is None
    assert logs.truncations == 1


def test_a_truncation_alone_makes_a_batch_to_commit(logs: Follower, tmp_path: Path) -> None:
    append(tmp_path / "a.log", 1)
    logs.read()
    os.truncate(tmp_path / "a.log", 0)
    batch = logs.batch()
    assert batch is not None
    assert (batch.chunks, batch.truncations) == ((), 1)
    assert logs.batch() is None


def test_a_file_cut_back_and_begun_with_the_same_lines_is_read_again(logs: Follower, tmp_path: Path) -> None:
    append(tmp_path / "a.log", 1, 2, 3, padding=LONG)
    logs.read()
    os.truncate(tmp_path / "a.log", 0)
    append(tmp_path / "a.log", 1, 4, padding=LONG)
    assert logs.read() == [1, 4]
    assert logs.truncations == 1


def test_a_living_files_copy_is_not_read(logs: Follower, tmp_path: Path) -> None:
    append(tmp_path / "a.log", 1, 2, padding=LONG)
    assert logs.read() == [1, 2]
    shutil.copyfile(tmp_path / "a.log", tmp_path / "b.log")
    assert logs.read() == []
    logs.batch()
    assert list(logs.source.problems) == [str(tmp_path / "b.log")]


def test_short_files_that_are_alike_are_both_read(logs: Follower, tmp_path: Path) -> None:
    append(tmp_path / "a.log", 1)
    append(tmp_path / "b.log", 1)
    assert logs.read() == [1, 1]


def test_a_new_file_with_an_old_inode_is_read_from_its_start(logs: Follower, tmp_path: Path) -> None:
    append(tmp_path / "a.log", 1, 2)
    logs.read()
    # Rewriting under another name is what inode reuse looks like from outside.
    (tmp_path / "a.log").rename(tmp_path / "b.log")
    (tmp_path / "b.log").write_text('{"t": 7}\n{"t": 8}\n{"t": 9}\n')
    logs.restart()
    assert logs.read() == [7, 8, 9]
    assert logs.truncations == 0


def test_growth_past_the_fingerprint_reads_nothing_twice(logs: Follower, tmp_path: Path) -> None:
    append(tmp_path / "a.log", 1)
    assert logs.read() == [1]
    for time in range(2, 40):
        append(tmp_path / "a.log", time, padding="y" * 50)
        logs.restart()
        assert logs.read() == [time]


def test_a_deleted_file_is_read_to_its_end_while_the_daemon_runs(logs: Follower, tmp_path: Path) -> None:
    append(tmp_path / "a.log", 1)
    logs.read()
    append(tmp_path / "a.log", 2)
    (tmp_path / "a.log").unlink()
    assert logs.read() == [2]


def test_a_file_renamed_out_of_sight_is_read_to_its_end(logs: Follower, tmp_path: Path) -> None:
    append(tmp_path / "a.log", 1)
    logs.read()
    (tmp_path / "a.log").rename(tmp_path / "archive")
    append(tmp_path / "archive", 2)
    assert logs.read() == [2]


def test_a_deleted_file_is_let_go_in_the_end(logs: Follower, tmp_path: Path) -> None:
    append(tmp_path / "a.log", 1)
    logs.read()
    (tmp_path / "a.log").unlink()
    held = open_below(tmp_path)
    for _ in range(opened.FOLLOWED_POLLS + 2):
        logs.batch()
    assert held
    assert not open_below(tmp_path)


def open_below(folder: Path) -> list[Path]:
    links = [link for link in Path("/proc/self/fd").iterdir() if link.is_symlink()]
    return [link for link in links if str(folder) in str(link.readlink())]


def test_a_file_that_comes_back_is_not_read_again(logs: Follower, tmp_path: Path) -> None:
    append(tmp_path / "a.log", 1, 2)
    logs.read()
    shutil.move(tmp_path / "a.log", tmp_path / "away")
    logs.restart()
    assert logs.read() == []
    shutil.copyfile(tmp_path / "away", tmp_path / "back.log")
    assert logs.read() == []


def test_links_to_one_file_are_one_file(logs: Follower, tmp_path: Path) -> None:
    append(tmp_path / "a.log", 1)
    (tmp_path / "current.log").symlink_to(tmp_path / "a.log")
    (tmp_path / "hard.log").hardlink_to(tmp_path / "a.log")
    assert logs.read() == [1]


def test_the_oldest_entries_of_lost_files_go(
    logs: Follower, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(identity, "FORGET_BEYOND", 3)
    for time in range(8):
        append(tmp_path / f"{time}.log", time)
        assert logs.read() == [time]
        if time:
            (tmp_path / f"{time}.log").unlink()
            logs.restart()
    paths = [json.loads(text)["path"] for text in logs.position.entries.values()]
    assert [Path(path).name for path in paths] == ["0.log", "6.log", "7.log"]


def test_a_position_of_a_newer_program_is_refused(logs: Follower, tmp_path: Path) -> None:
    append(tmp_path / "a.log", 1)
    logs.read()
    (key, text), *_ = logs.position.entries.items()
    logs.position = Position({key: text.replace('"v":1', '"v":99')})
    with pytest.raises(StateError, match="version 99"):
        logs.batch()


def test_a_file_that_cannot_be_opened_is_a_problem_not_an_error(
    logs: Follower, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    append(tmp_path / "a.log", 1)
    append(tmp_path / "b.log", 2)
    real = os.open

    def refuse(path: str, flags: int) -> int:
        if path.endswith("a.log"):
            raise PermissionError(13, "Permission denied", path)
        return real(path, flags)

    monkeypatch.setattr(os, "open", refuse)
    assert logs.read() == [2]
    assert list(logs.source.problems) == [str(tmp_path / "a.log")]
    monkeypatch.undo()
    assert logs.read() == [1]
    assert logs.source.problems == {}
