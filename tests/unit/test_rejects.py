"""Rejected rows in their file: each committed one exactly once, whatever happens in between."""

import json
from pathlib import Path

import pytest

from monitor.store.rejects import RejectsFile, unkept
from monitor.types import Reject

KEY = ("rejects", "m", "")


def reject(i: int, text: str = "x") -> Reject:
    return Reject("log", i, "bad_json", text)


def kept(folder: Path) -> list[int]:
    lines = (folder / "m.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line)["offset"] for line in lines]


def test_rejects_are_lines_with_file_offset_reason_and_text(tmp_path: Path) -> None:
    file = RejectsFile(tmp_path / "rejects", "m", 10_000)
    file.prepare([Reject("a/b.jsonl", 17, "bad_json", 'ü "\n\0 \udc80')], None)

    (line,) = (tmp_path / "rejects" / "m.jsonl").read_text(encoding="utf-8").splitlines()
    assert json.loads(line) == {"file": "a/b.jsonl", "offset": 17, "reason": "bad_json", "text": 'ü "\n\0 ?'}


def test_rejected_lines_are_for_the_user_of_the_daemon_only(tmp_path: Path) -> None:
    folder = tmp_path / "rejects"
    file = RejectsFile(folder, "m", 10_000)
    entry = file.prepare([reject(1)], None)[KEY]
    assert [path.stat().st_mode & 0o777 for path in (folder, folder / "m.jsonl")] == [0o700, 0o600]
    (folder / "m.jsonl").chmod(0o640)
    file.prepare([reject(2)], entry)
    assert (folder / "m.jsonl").stat().st_mode & 0o777 == 0o640
    assert kept(folder) == [1, 2]


def test_without_rejects_there_is_nothing_to_commit_and_no_file(tmp_path: Path) -> None:
    assert RejectsFile(tmp_path, "m", 100).prepare([], None) == {}
    assert list(tmp_path.iterdir()) == []


def test_a_crash_between_write_and_commit_leaves_no_row_twice(tmp_path: Path) -> None:
    committed = RejectsFile(tmp_path, "m", 10_000).prepare([reject(1)], None)[KEY]
    RejectsFile(tmp_path, "m", 10_000).prepare([reject(2), reject(3)], committed)  # never committed
    after = RejectsFile(tmp_path, "m", 10_000).prepare([reject(2)], committed)[KEY]
    assert kept(tmp_path) == [1, 2]
    RejectsFile(tmp_path, "m", 10_000).prepare([reject(3), reject(4)], after)
    assert kept(tmp_path) == [1, 2, 3, 4]


def test_a_crash_in_the_middle_of_a_line_is_cut_off(tmp_path: Path) -> None:
    file = RejectsFile(tmp_path, "m", 10_000)
    committed = file.prepare([reject(1)], None)[KEY]
    with (tmp_path / "m.jsonl").open("ab") as open_file:
        open_file.write(b'{"file": "lo')
    file.prepare([reject(2)], committed)
    assert kept(tmp_path) == [1, 2]


def test_what_does_not_fit_is_counted_and_a_shorter_one_still_fits(tmp_path: Path) -> None:
    line = len(json.dumps({"file": "log", "offset": 1, "reason": "bad_json", "text": "x"})) + 1
    file = RejectsFile(tmp_path, "m", 2 * line)
    entry = file.prepare([reject(1), reject(2, "x" * 50), reject(3), reject(4)], None)[KEY]
    assert kept(tmp_path) == [1, 3]
    assert unkept(entry) == 2
    entry = file.prepare([reject(5)], entry)[KEY]
    assert unkept(entry) == 3
    assert (tmp_path / "m.jsonl").stat().st_size == 2 * line
    assert unkept(None) == 0


@pytest.mark.parametrize("gone", [True, False])
def test_a_file_that_someone_cleared_begins_anew(tmp_path: Path, gone: bool) -> None:  # noqa: FBT001 - a parameter
    file = RejectsFile(tmp_path, "m", 10_000)
    entry = file.prepare([reject(1), reject(2)], None)[KEY]
    (tmp_path / "m.jsonl").unlink() if gone else (tmp_path / "m.jsonl").write_bytes(b"")
    file.prepare([reject(3)], entry)
    assert kept(tmp_path) == [3]


def test_a_folder_that_cannot_be_made_is_an_os_error(tmp_path: Path) -> None:
    (tmp_path / "rejects").touch()
    with pytest.raises(OSError, match="rejects"):
        RejectsFile(tmp_path / "rejects", "m", 100).prepare([reject(1)], None)
