"""Files of held rows on the disk: which ones go and when, and what a crash and a full disk leave."""

import errno
import json
import os
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest

from monitor.errors import StoreUnavailableError
from monitor.store.segments import INLINE, Filed, Segments


def numbers(rows: int = INLINE // 8, seed: int = 1) -> pl.DataFrame:
    return pl.DataFrame({"id": pl.int_range(seed, rows + seed, eager=True)})


def file_of(folder: Path) -> Path:
    (path,) = folder.iterdir()
    return path


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def named(value: bytes) -> str:
    """Return the file that an entry names."""
    return str(json.loads(value[1:])["file"])


def test_a_file_that_is_let_go_goes_and_its_frame_can_still_be_read(tmp_path: Path) -> None:
    segments = Segments(tmp_path)
    kept, value = segments.keep(numbers())
    _, small = segments.keep(numbers(3))
    segments.settle(named=[value, small])

    segments.settle(gone=[value, small, value])

    assert list(tmp_path.iterdir()) == []
    assert kept.equals(numbers())


def test_held_rows_are_for_the_user_of_the_daemon_only(tmp_path: Path) -> None:
    folder = tmp_path / "rows"
    Segments(folder).keep(numbers())
    assert [path.stat().st_mode & 0o777 for path in (folder, file_of(folder))] == [0o700, 0o600]


def test_what_was_written_and_not_named_goes(tmp_path: Path) -> None:
    segments = Segments(tmp_path)
    values = [segments.keep(numbers(seed=seed))[1] for seed in range(3)]

    segments.settle(named=values[1:2])

    assert names(tmp_path) == {named(values[1])}


def test_what_was_named_stays_until_it_is_let_go(tmp_path: Path) -> None:
    segments = Segments(tmp_path)
    _, first = segments.keep(numbers())
    segments.settle(named=[first])

    segments.keep(numbers(seed=2))
    segments.settle()

    assert names(tmp_path) == {named(first)}


def test_a_file_that_is_let_go_and_named_again_stays(tmp_path: Path) -> None:
    segments = Segments(tmp_path)
    _, value = segments.keep(numbers())

    segments.settle(named=[value], gone=[value])

    assert names(tmp_path) == {named(value)}


def test_a_file_that_cannot_be_deleted_is_tried_again(tmp_path: Path) -> None:
    segments = Segments(tmp_path)
    segments.keep(numbers())
    path = file_of(tmp_path)
    path.unlink()
    path.mkdir()
    segments.settle()
    assert path.exists()

    path.rmdir()
    path.touch()
    segments.settle()

    assert not path.exists()


def test_a_folder_that_cannot_be_swept_is_told(tmp_path: Path) -> None:
    (tmp_path / "0123.arrow").mkdir()

    with pytest.raises(StoreUnavailableError, match=f"^{tmp_path}: cannot be tidied"):
        Segments(tmp_path).sweep([])


def test_what_a_crash_left_is_swept(tmp_path: Path) -> None:
    segments = Segments(tmp_path)
    _, value = segments.keep(numbers())
    _, small = segments.keep(numbers(3))
    segments.keep(numbers(seed=2))
    (tmp_path / "0123.new").write_bytes(b"half")
    (tmp_path / "notes.txt").touch()

    assert Segments(tmp_path).sweep([value, small]) == 2
    assert names(tmp_path) == {named(value), "notes.txt"}
    assert segments.reopen(value).equals(numbers())


def test_there_may_be_nothing_to_sweep(tmp_path: Path) -> None:
    assert Segments(tmp_path / "none").sweep([]) == 0


def test_filed_entries_follow_the_commits(tmp_path: Path) -> None:
    segments = Segments(tmp_path)
    values = [segments.keep(numbers(seed=seed))[1] for seed in range(3)]
    small = segments.keep(numbers(3))[1]
    keys = [("pending", "m", str(i)) for i in range(4)]

    filed, gone = Filed().after({keys[0]: values[0], keys[1]: values[1], keys[2]: small})
    assert (dict(filed.values), gone) == ({keys[0]: values[0], keys[1]: values[1]}, [])

    filed, gone = filed.after({keys[0]: None, keys[1]: values[2], keys[2]: None, keys[3]: None})
    assert (dict(filed.values), gone) == ({keys[1]: values[2]}, values[:2])


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO])
@pytest.mark.parametrize("when", ["fsync", "rename"])
def test_a_disk_that_fails_leaves_no_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, when: str, code: int
) -> None:
    def fail(*_: object) -> None:
        raise OSError(code, os.strerror(code))

    with monkeypatch.context() as patch:
        patch.setattr(*((os, "fsync", fail) if when == "fsync" else (Path, "rename", fail)))
        with pytest.raises(StoreUnavailableError) as caught:
            Segments(tmp_path).keep(numbers())

    # the same at every retry: the name of the file is not in it
    assert str(caught.value) == f"{tmp_path}: nothing was recorded: {os.strerror(code)}"
    assert list(tmp_path.iterdir()) == []


def test_a_half_file_that_stayed_goes_later(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    segments = Segments(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", fail)
        patch.setattr(Path, "unlink", fail)
        with pytest.raises(StoreUnavailableError):
            segments.keep(numbers())
    assert file_of(tmp_path).suffix == ".new"

    segments.settle()

    assert names(tmp_path) == set()


NO_ROOM = """
import pathlib, resource, sys
import numpy, polars
from monitor.errors import StoreUnavailableError
from monitor.store.segments import Segments

segments, frame = Segments(pathlib.Path(sys.argv[1])), polars.DataFrame({"x": numpy.arange(100_000)})
limit = resource.getrlimit(resource.RLIMIT_FSIZE)
resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, limit[1]))
for _ in range(3):
    try:
        segments.keep(frame)
    except StoreUnavailableError as error:
        assert "nothing was recorded" in str(error) and "\\n" not in str(error), error
    else:
        raise SystemExit("it was kept")
    assert list(pathlib.Path(sys.argv[1]).iterdir()) == []
resource.setrlimit(resource.RLIMIT_FSIZE, limit)
assert segments.keep(frame)[0].equals(frame)
"""


def test_a_frame_that_finds_no_room_leaves_nothing_and_the_next_one_goes_on(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", NO_ROOM, str(tmp_path)], capture_output=True, text=True, check=False
    )

    assert (done.returncode, done.stderr) == (0, "")
    assert file_of(tmp_path).suffix == ".arrow"
