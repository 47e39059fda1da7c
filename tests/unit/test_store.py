"""The SQLite store when things go wrong: a second daemon, damage, a newer schema, a full disk."""

import hashlib
import os
import signal
import sqlite3
import subprocess
import sys
import threading
from contextlib import closing
from pathlib import Path

import pytest

from monitor.errors import StateError, StoreUnavailableError
from monitor.store.sqlite import DATABASE, LOCK, MARKER, SCHEMA, UNBORN, SqliteStore

ENTRY = ("book", "m", "")


def filled(folder: Path, size: int = 3000) -> bytes:
    """Make a state folder with some entries; returns what is in the database file then."""
    store = SqliteStore(folder)
    store.commit({ENTRY: b"first", **{("window", "m", str(i)): bytes([i % 251]) * size for i in range(40)}})
    store.close()
    return (folder / DATABASE).read_bytes()


def digest(folder: Path) -> str:
    return hashlib.sha256((folder / DATABASE).read_bytes()).hexdigest()


def test_a_second_daemon_on_the_folder_is_refused_by_name(tmp_path: Path) -> None:
    first = SqliteStore(tmp_path)
    with pytest.raises(
        StateError, match=f"{tmp_path}: another driftd .process {os.getpid()}. uses this state"
    ):
        SqliteStore(tmp_path)
    first.commit({ENTRY: b"1"})
    first.close()
    again = SqliteStore(tmp_path)
    assert again.load() == {ENTRY: b"1"}
    again.close()


def test_what_a_commit_replaces_is_not_wiped_and_the_journal_is_copied_seldom(tmp_path: Path) -> None:
    with closing(SqliteStore(tmp_path)) as store:
        found = {
            name: store._db.execute(f"PRAGMA {name}").fetchone()[0]  # noqa: SLF001 - SQLite keeps no trace of it
            for name in ("journal_mode", "synchronous", "secure_delete", "wal_autocheckpoint")
        }

    assert found == {"journal_mode": "wal", "synchronous": 2, "secure_delete": 2, "wal_autocheckpoint": 4000}


def test_a_killed_daemon_leaves_the_folder_free_and_its_commits_there(tmp_path: Path) -> None:
    code = f"""
import pathlib, sys, time
from monitor.store.sqlite import SqliteStore
store = SqliteStore(pathlib.Path({str(tmp_path)!r}))
store.commit({{("book", "m", ""): b"1"}})
print("up", flush=True)
time.sleep(60)
"""
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == b"up\n"
        with pytest.raises(StateError, match=f"process {child.pid}"):
            SqliteStore(tmp_path)
        child.send_signal(signal.SIGKILL)
    assert (tmp_path / MARKER).exists()
    store = SqliteStore(tmp_path)
    assert store.load() == {ENTRY: b"1"}
    store.close()
    assert not (tmp_path / MARKER).exists()


def test_a_reader_sees_the_last_commit_while_the_daemon_runs(tmp_path: Path) -> None:
    with pytest.raises(StateError, match="no state yet"):
        SqliteStore(tmp_path, read_only=True)
    store = SqliteStore(tmp_path)
    store.commit({ENTRY: b"1"})
    reader = SqliteStore(tmp_path, read_only=True)
    store.commit({ENTRY: b"2"})
    assert reader.load() == {ENTRY: b"2"}
    with pytest.raises(StoreUnavailableError):
        reader.commit({ENTRY: b"3"})
    reader.close()
    store.close()


def test_raw_values_are_for_the_user_of_the_daemon_only(tmp_path: Path) -> None:
    old, new = tmp_path / "old", tmp_path / "new"
    filled(old)
    old.chmod(0o755)
    (old / DATABASE).chmod(0o640)
    for folder, modes in ((old, {0o755, 0o640}), (new, {0o700, 0o600})):
        with closing(SqliteStore(folder)) as store:
            store.commit({ENTRY: b"1"})
            files = [folder, *folder.glob(f"{DATABASE}*")]
            assert len(files) == 4
            assert {path.stat().st_mode & 0o777 for path in files} == modes


def test_another_users_state_is_no_damaged_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    filled(tmp_path)
    monkeypatch.setattr(os, "access", lambda *_: False)  # root may read everything
    with pytest.raises(StateError, match=r"another user's; run this as the user that driftd runs as$"):
        SqliteStore(tmp_path, read_only=True)


@pytest.mark.parametrize("name", ["100%", "a?b", "c#d", "e f", "ü"])
def test_a_folder_may_have_any_name(tmp_path: Path, name: str) -> None:
    filled(tmp_path / name)
    for read_only in (False, True):
        store = SqliteStore(tmp_path / name, read_only=read_only)
        assert store.load()[ENTRY] == b"first"
        store.close()
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_a_newer_schema_is_refused_and_the_file_keeps_its_bytes(tmp_path: Path) -> None:
    filled(tmp_path)
    with closing(sqlite3.connect(tmp_path / DATABASE)) as db:
        db.execute(f"PRAGMA user_version={SCHEMA + 1}")
        db.execute("ALTER TABLE entries ADD COLUMN what TEXT")
        db.commit()
    before = digest(tmp_path)
    for read_only in (False, True):
        with pytest.raises(StateError, match=r"driftd.sqlite: was written by a newer driftd .schema 2, this"):
            SqliteStore(tmp_path, read_only=read_only)
    assert digest(tmp_path) == before


def test_a_newer_schema_that_only_the_journal_knows_is_refused_too(tmp_path: Path) -> None:
    filled(tmp_path)
    code = f"""
import os, sqlite3
db = sqlite3.connect({str(tmp_path / DATABASE)!r})
db.execute("PRAGMA wal_autocheckpoint=0")
db.execute("PRAGMA user_version={SCHEMA + 1}")
db.commit()
os._exit(0)
"""
    subprocess.run([sys.executable, "-c", code], check=True)
    before = digest(tmp_path), (tmp_path / f"{DATABASE}-wal").read_bytes()
    assert before[1]
    with pytest.raises(StateError, match="newer driftd"):
        SqliteStore(tmp_path)
    assert (digest(tmp_path), (tmp_path / f"{DATABASE}-wal").read_bytes()) == before


@pytest.mark.parametrize("read_only", [False, True])
@pytest.mark.parametrize("what", ["empty", "garbage", "head", "half", "foreign"])
def test_a_damaged_file_is_refused_by_name_and_kept(tmp_path: Path, what: str, read_only: bool) -> None:  # noqa: FBT001 - a parameter
    good = filled(tmp_path)
    foreign = tmp_path / "foreign"
    with closing(sqlite3.connect(foreign)) as db:
        db.execute("CREATE TABLE mine (x)")
    bad = {
        "empty": b"",
        "garbage": b"not a database, but long enough to be one " * 200,
        "head": b"\0" * 100 + good[100:],
        "half": good[: len(good) // 2],
        "foreign": foreign.read_bytes(),
    }[what]
    (tmp_path / DATABASE).write_bytes(bad)
    with pytest.raises(
        StateError, match=rf"^{tmp_path}/driftd\.sqlite: .*(damaged|cannot be read).*restore a backup"
    ):
        SqliteStore(tmp_path, read_only=read_only).load()
    assert (tmp_path / DATABASE).read_bytes()[:16] == bad[:16]


def test_a_flipped_bit_is_never_taken_for_state(tmp_path: Path) -> None:
    good = filled(tmp_path, size=300)
    (tmp_path / MARKER).unlink(missing_ok=True)
    expected = {ENTRY: b"first", **{("window", "m", str(i)): bytes([i % 251]) * 300 for i in range(40)}}
    refused = 0
    for place in range(100, len(good), 97):
        flipped = bytearray(good)
        flipped[place] ^= 4
        (tmp_path / DATABASE).write_bytes(flipped)
        try:
            store = SqliteStore(tmp_path, read_only=True)
            found = store.load()
        except StateError:
            refused += 1
            continue
        assert found == expected, place
        store.close()
    assert refused > 50


def test_a_leftover_of_a_creation_that_was_cut_off_is_no_state(tmp_path: Path) -> None:
    (tmp_path / UNBORN).write_bytes(b"half")
    store = SqliteStore(tmp_path)
    assert store.load() == {}
    store.close()
    assert not (tmp_path / UNBORN).exists()


def test_a_folder_that_is_none_is_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StateError, match="file: cannot be used as state folder"):
        SqliteStore(tmp_path / "file")


FULL = """
import pathlib, resource, sys
from monitor.errors import StoreUnavailableError
from monitor.store.sqlite import SqliteStore

store = SqliteStore(pathlib.Path(sys.argv[1]))
store.commit({("book", "m", ""): b"1"})
limit = resource.getrlimit(resource.RLIMIT_FSIZE)
resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, limit[1]))
for _ in range(3):
    try:
        store.commit({("book", "m", ""): b"2", **{("window", "m", str(i)): bytes(20_000) for i in range(40)}})
    except StoreUnavailableError as error:
        assert "nothing was recorded" in str(error)
    else:
        raise SystemExit("the commit went through")
    assert store.load() == {("book", "m", ""): b"1"}
resource.setrlimit(resource.RLIMIT_FSIZE, limit)
store.commit({("book", "m", ""): b"3", ("window", "m", "0"): bytes(500_000)})
store.close()
"""


def test_a_commit_that_finds_no_room_records_nothing_and_the_next_one_goes_on(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", FULL, str(tmp_path)], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    store = SqliteStore(tmp_path)
    assert store.load() == {ENTRY: b"3", ("window", "m", "0"): bytes(500_000)}
    store.close()
    with closing(sqlite3.connect(tmp_path / DATABASE)) as db:
        assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)


NO_ROOM = """
import pathlib, resource, sys
from monitor.errors import StateError
from monitor.store.sqlite import SqliteStore

resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]), resource.getrlimit(resource.RLIMIT_FSIZE)[1]))
try:
    SqliteStore(pathlib.Path(sys.argv[1]))
except StateError as error:
    print(error)
"""


@pytest.mark.parametrize("room", ["0", "5000"])
def test_a_start_without_room_is_one_clear_line(tmp_path: Path, room: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", NO_ROOM, str(tmp_path / "state"), room],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(str(tmp_path / "state"))
    store = SqliteStore(tmp_path / "state")
    assert store.load() == {}
    store.close()


def test_threads_commit_one_after_the_other(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path)

    def work(name: str) -> None:
        for i in range(20):
            store.commit({("a", name, str(i)): name.encode() * i, ("a", name, str(i - 1)): None})

    threads = [threading.Thread(target=work, args=(name,)) for name in "wxyz"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert store.load() == {("a", name, "19"): name.encode() * 19 for name in "wxyz"}
    store.close()


def test_the_lock_file_names_the_process(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path)
    assert (tmp_path / LOCK).read_text() == str(os.getpid())
    store.close()
