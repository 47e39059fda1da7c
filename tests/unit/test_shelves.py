"""The files of waiting rows, over all models: only the entries of waiting rows name them."""

import sqlite3
from contextlib import closing
from pathlib import Path

import polars as pl
import pytest

from monitor.core.state import PILES
from monitor.errors import StoreUnavailableError
from monitor.shelves import FOLDER, Shelves, in_doubt
from monitor.store.segments import BESIDE, INLINE, Note
from monitor.types import Changes
from tests.shelving import opened

FRAME = pl.DataFrame({"key": pl.int_range(INLINE, eager=True)})


def files(state: Path) -> list[Path]:
    return sorted((state / FOLDER).glob("*/*"))


@pytest.mark.parametrize("space", PILES)
def test_a_file_goes_with_the_commit_that_lets_it_go(tmp_path: Path, space: str) -> None:
    shelves = opened(tmp_path, ["m"], {})
    _, value = shelves.by_model["m"].keep(FRAME)
    shelves.after("m", {(space, "m", "[0,0]"): value})
    assert len(files(tmp_path)) == 1

    shelves.after("m", {(space, "m", "[0,0]"): None})

    assert not files(tmp_path)


@pytest.mark.parametrize("space", PILES)
def test_a_new_start_keeps_the_named_files_and_no_others(tmp_path: Path, space: str) -> None:
    shelf = opened(tmp_path, ["m"], {}).by_model["m"]
    (_, named), _ = shelf.keep(FRAME), shelf.keep(FRAME)

    again = opened(tmp_path, ["m"], {(space, "m", "[0,0]"): named})

    assert len(files(tmp_path)) == 1
    assert again.by_model["m"].reopen(named).equals(FRAME)


def test_an_entry_of_another_kind_may_begin_with_any_byte(tmp_path: Path) -> None:
    key = ("window", "m", "0")
    profile = BESIDE + b"\xa9 is no name of a file"

    shelves = opened(tmp_path, ["m"], {key: profile})
    shelves.after("m", {key: profile})
    shelves.after("m", {key: None})

    assert not files(tmp_path)


KEY = ("pending", "m", "[0,0]")


def caused(name: str) -> StoreUnavailableError:
    """Return what the store raises on an error of SQLite's."""
    cause = sqlite3.OperationalError()
    cause.sqlite_errorname = name
    error = StoreUnavailableError("nothing was recorded")
    error.__cause__ = cause
    return error


def named(value: bytes) -> str:
    return Note.load(value).file


def names(state: Path) -> set[str]:
    return {path.name for path in files(state)}


def commit(shelves: Shelves, changes: Changes, error: BaseException | None = None) -> None:
    with shelves.committing("m", changes):
        if error is not None:
            raise error


def fail(shelves: Shelves, changes: Changes, error: BaseException) -> None:
    with pytest.raises(type(error)):
        commit(shelves, changes, error)


def test_what_was_merged_away_before_its_commit_goes_with_the_commit(tmp_path: Path) -> None:
    shelves = opened(tmp_path, ["m"], {})
    keep = shelves.by_model["m"].keep
    (_, first), (_, merged) = keep(FRAME), keep(FRAME)

    commit(shelves, {KEY: None, ("pending", "m", "[0,1]"): merged})

    assert names(tmp_path) == {named(merged)}
    assert named(first) != named(merged)


@pytest.mark.parametrize("error", [StoreUnavailableError("full"), caused("SQLITE_FULL")], ids=["any", "full"])
def test_a_commit_that_fails_leaves_only_what_the_last_one_named(
    tmp_path: Path, error: StoreUnavailableError
) -> None:
    shelves = opened(tmp_path, ["m"], {})
    keep = shelves.by_model["m"].keep
    _, first = keep(FRAME)
    commit(shelves, {KEY: first})

    fail(shelves, {KEY: None, ("pending", "m", "[0,1]"): keep(FRAME)[1]}, error)
    shelves.tidy("m")

    assert names(tmp_path) == {named(first)}


def test_work_that_ends_without_a_commit_leaves_no_file(tmp_path: Path) -> None:
    shelves = opened(tmp_path, ["m"], {})
    shelves.by_model["m"].keep(FRAME)

    shelves.tidy("m")

    assert not files(tmp_path)


def test_what_a_crash_could_bring_back_stays_until_the_next_commit(tmp_path: Path) -> None:
    shelves = opened(tmp_path, ["m"], {})
    keep = shelves.by_model["m"].keep
    _, unnamed = keep(FRAME)
    _, doubted = keep(FRAME)
    fail(shelves, {KEY: doubted}, caused("SQLITE_IOERR_FSYNC"))
    shelves.tidy("m")
    assert names(tmp_path) == {named(doubted)}
    assert unnamed != doubted

    fail(shelves, {KEY: keep(FRAME)[1]}, caused("SQLITE_FULL"))
    shelves.tidy("m")
    assert names(tmp_path) == {named(doubted)}

    _, last = keep(FRAME)
    commit(shelves, {KEY: last})
    assert names(tmp_path) == {named(last)}


def test_only_the_last_doubtful_commit_can_come_back(tmp_path: Path) -> None:
    shelves = opened(tmp_path, ["m"], {})
    keep = shelves.by_model["m"].keep
    for _ in range(3):
        _, doubted = keep(FRAME)
        fail(shelves, {KEY: doubted}, caused("SQLITE_IOERR_FSYNC"))

    assert names(tmp_path) == {named(doubted)}


def test_what_a_doubtful_commit_lets_go_stays(tmp_path: Path) -> None:
    shelves = opened(tmp_path, ["m"], {})
    _, value = shelves.by_model["m"].keep(FRAME)
    commit(shelves, {KEY: value})

    fail(shelves, {KEY: None}, caused("SQLITE_IOERR_FSYNC"))
    shelves.tidy("m")

    assert names(tmp_path) == {named(value)}


def test_models_do_not_touch_each_others_files(tmp_path: Path) -> None:
    shelves = opened(tmp_path, ["m", "n"], {})
    _, value = shelves.by_model["n"].keep(FRAME)

    commit(shelves, {KEY: shelves.by_model["m"].keep(FRAME)[1]})
    shelves.tidy("m")

    assert named(value) in names(tmp_path)


@pytest.mark.parametrize(
    ("error", "doubtful"),
    [
        (StoreUnavailableError("full"), False),
        (caused("SQLITE_FULL"), False),
        (caused("SQLITE_BUSY"), False),
        (caused("SQLITE_IOERR"), True),
        (caused("SQLITE_IOERR_FSYNC"), True),
        (MemoryError(), True),
    ],
    ids=repr,
)
def test_a_commit_may_come_back_unless_the_store_is_sure(error: BaseException, doubtful: bool) -> None:  # noqa: FBT001
    assert in_doubt(error) is doubtful


def test_sqlite_says_that_the_disk_is_full(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "full.sqlite")) as db:
        db.execute("CREATE TABLE t (x)")
        db.execute("PRAGMA max_page_count=2")
        with pytest.raises(sqlite3.Error) as caught:
            db.execute("INSERT INTO t VALUES (zeroblob(100000))")

    assert caught.value.sqlite_errorname == "SQLITE_FULL"
