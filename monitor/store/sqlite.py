"""SQLite: one file, one writer, one transaction per commit.

Measured (faults.md): WAL with synchronous=FULL costs 0.65 ms per commit of 200 kB and lost nothing in 80
kill -9. A folder lock keeps a second daemon out; it is freed by the kernel when the process dies. SQLite
does not notice a flipped bit in a value, so every entry has a checksum of its own.

Another process may open the folder to read, or as a guest, who leaves requests (entries of their own) for
the owner to find: SQLite lets one commit at a time happen, so neither can undo what the other wrote.
"""

import fcntl
import os
import sqlite3
import threading
import zlib
from collections.abc import Iterable, Mapping
from contextlib import closing
from pathlib import Path
from typing import IO

from monitor.errors import StateError, StoreUnavailableError
from monitor.store.base import REQUESTS
from monitor.types import EntryKey

SCHEMA = 1
DATABASE = "driftd.sqlite"
UNBORN = "driftd.sqlite.new"
LOCK = "lock"
MARKER = "unclean"
PRAGMAS = (
    *("journal_mode=WAL", "synchronous=FULL", "busy_timeout=5000", "foreign_keys=ON"),
    "secure_delete=FAST",  # some builds would write zeros over all that each commit replaces: as much again
    "wal_autocheckpoint=4000",  # pages, 16 MB: what one commit after the other replaces is copied once
)
GUEST_PATIENCE = 60
"""Seconds: SQLite promises no turn to who waits beside a busy writer."""
ANEW = "restore a backup, or move the file away to start anew from the logs"
SAME_USER = "run this as the user that driftd runs as"
TABLE = (
    "CREATE TABLE entries (space TEXT NOT NULL, model TEXT NOT NULL, key TEXT NOT NULL, value BLOB NOT NULL,"
    " checksum INTEGER NOT NULL, PRIMARY KEY (space, model, key))"
)

ENTRIES = "SELECT space, model, key, value, checksum FROM entries"
LOADED = f"{ENTRIES} WHERE (:model IS NULL OR model=:model) AND space IS NOT :without"
REQUESTED = f"{ENTRIES} WHERE space=?"


class SqliteStore:
    """The default store, in the folder [daemon] state. Thread-safe; commits wait for each other.

    read_only: look at the last commit, beside an owner or not. guest: leave requests, as the module says.
    """

    def __init__(self, folder: Path, *, read_only: bool = False, guest: bool = False) -> None:
        self._folder = folder
        self._guard = threading.Lock()
        self._lock: IO[str] | None = None
        self._path = folder / DATABASE
        self._db = self._open_beside(guest=guest) if read_only or guest else self._open_writer()

    def _open_beside(self, *, guest: bool) -> sqlite3.Connection:
        self._refuse_unseen(os.R_OK | os.W_OK if guest else os.R_OK)
        try:
            where = f"{_uri(self._path)}?mode={'rw' if guest else 'ro'}"
            patience = GUEST_PATIENCE if guest else 5
            db = sqlite3.connect(
                where, uri=True, timeout=patience, check_same_thread=False, isolation_level=None
            )
            try:
                self._check_version(db)
                db.execute("PRAGMA synchronous=FULL")
            except BaseException:
                db.close()
                raise
        except sqlite3.Error as error:
            raise StateError(f"{self._path}: the state cannot be read ({error}); {ANEW}") from error
        return db

    def _refuse_unseen(self, wished: int) -> None:
        """Say that there is no state yet, or that it is another user's."""
        try:
            self._path.stat()
        except (FileNotFoundError, NotADirectoryError) as error:
            raise StateError(f"{self._path}: no state yet; start `driftd run` first") from error
        except OSError as error:
            raise StateError(f"{self._path}: cannot be read: {error.strerror}; {SAME_USER}") from error
        if not os.access(self._path, wished):
            raise StateError(f"{self._path}: the state is another user's; {SAME_USER}")

    def _open_writer(self) -> sqlite3.Connection:
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._lock = (self._folder / LOCK).open("a+", encoding="utf-8")
        except OSError as error:
            raise StateError(f"{self._folder}: cannot be used as state folder: {error.strerror}") from error
        try:
            self._take_lock(self._lock)
            return self._open_database()
        except BaseException:
            self._lock.close()
            raise

    def _take_lock(self, lock: IO[str]) -> None:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            lock.seek(0)
            owner = lock.read().strip() or "unknown"
            raise StateError(
                f"{self._folder}: another driftd (process {owner}) uses this state folder; "
                "stop it, or give this one its own [daemon] state"
            ) from error

    def _open_database(self) -> sqlite3.Connection:
        try:
            self._sign(self._lock)
            if self._path.exists():
                self._refuse_unreadable()
            else:
                self._create()
            db = sqlite3.connect(self._path, timeout=5, check_same_thread=False, isolation_level=None)
            try:
                self._prepare(db)
            except BaseException:
                db.close()
                raise
        except sqlite3.Error as error:
            raise StateError(f"{self._path}: the state cannot be read ({error}); {ANEW}") from error
        except OSError as error:
            raise StateError(
                f"{self._folder}: the state folder cannot be written: {error.strerror}; "
                "make room, or let this user write there"
            ) from error
        return db

    def _sign(self, lock: IO[str] | None) -> None:
        if lock is not None:
            lock.truncate(0)
            os.write(lock.fileno(), str(os.getpid()).encode())

    def _create(self) -> None:
        """Make the database under another name first: under its own one it is never half made."""
        unborn = self._folder / UNBORN
        unborn.unlink(missing_ok=True)
        unborn.touch(mode=0o600)  # it holds raw values; its journals get the same mode from SQLite
        with closing(sqlite3.connect(unborn, isolation_level=None)) as db:
            db.execute("PRAGMA synchronous=FULL")
            db.execute("BEGIN IMMEDIATE")
            db.execute(TABLE)
            db.execute(f"PRAGMA user_version={SCHEMA}")
            db.execute("COMMIT")
        unborn.rename(self._path)
        folder = os.open(self._folder, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    def _refuse_unreadable(self) -> None:
        """Look at the version without opening the file for writing, so that a newer one keeps its bytes."""
        if not self._path.stat().st_size:
            raise sqlite3.DatabaseError("it is empty")
        journal = self._path.with_name(f"{DATABASE}-wal")
        pending = journal.exists() and journal.stat().st_size > 0
        how = "mode=ro" if pending else "mode=ro&immutable=1"  # what was not checkpointed is in the journal
        with closing(sqlite3.connect(f"{_uri(self._path)}?{how}", uri=True)) as db:
            self._check_version(db)

    def _check_version(self, db: sqlite3.Connection) -> None:
        (version,) = db.execute("PRAGMA user_version").fetchone()
        if version > SCHEMA:
            raise StateError(
                f"{self._path}: was written by a newer driftd (schema {version}, this one knows {SCHEMA}); "
                "run that version, or give this one another [daemon] state"
            )
        if version < 1:
            raise sqlite3.DatabaseError("it is no state of driftd")

    def _prepare(self, db: sqlite3.Connection) -> None:
        for pragma in PRAGMAS:
            db.execute(f"PRAGMA {pragma}")
        marker = self._folder / MARKER
        if marker.exists():
            (verdict,) = db.execute("PRAGMA quick_check(1)").fetchone()
            if verdict != "ok":
                raise sqlite3.DatabaseError(verdict)
        marker.touch()

    def load(self, model: str | None = None, *, without: str | None = None) -> dict[EntryKey, bytes]:
        """Return every entry of the last commit, or those of one model; without: a space that is left out.

        Raises StateError when damaged.
        """
        try:
            with self._guard:
                rows = self._db.execute(LOADED, {"model": model, "without": without}).fetchall()
        except sqlite3.Error as error:
            raise StateError(f"{self._path}: is damaged ({error}); {ANEW}") from error
        return self._checked(rows)

    def asked(self) -> dict[EntryKey, bytes]:
        """Return the requests of other processes. Raises StoreUnavailableError, or StateError as `load`."""
        try:
            with self._guard:
                rows = self._db.execute(REQUESTED, [REQUESTS]).fetchall()
        except sqlite3.Error as error:
            raise StoreUnavailableError(f"{self._path}: cannot be read now: {error}") from error
        return self._checked(rows)

    def _checked(self, rows: Iterable[tuple[str, str, str, bytes, int]]) -> dict[EntryKey, bytes]:
        entries: dict[EntryKey, bytes] = {}
        for space, owner, key, value, checksum in rows:
            entries[(space, owner, key)] = value
            if not _intact((space, owner, key), value, checksum):
                raise StateError(f"{self._path}: is damaged (a {space} of {owner} has changed); {ANEW}")
        return entries

    def commit(self, changes: Mapping[EntryKey, bytes | None]) -> None:
        """Put and delete in one transaction; raises StoreUnavailableError when nothing was written."""
        put = [(*key, value, _checksum(key, value)) for key, value in changes.items() if value is not None]
        gone = [key for key, value in changes.items() if value is None]
        with self._guard:
            try:
                self._db.execute("BEGIN IMMEDIATE")
                try:
                    self._db.executemany("INSERT OR REPLACE INTO entries VALUES (?, ?, ?, ?, ?)", put)
                    self._db.executemany("DELETE FROM entries WHERE space=? AND model=? AND key=?", gone)
                    self._db.execute("COMMIT")
                except BaseException:
                    if self._db.in_transaction:
                        self._db.execute("ROLLBACK")
                    raise
            except sqlite3.Error as error:
                raise StoreUnavailableError(f"{self._path}: nothing was recorded: {error}") from error

    def close(self) -> None:
        """Release the database and the folder; closing twice is fine."""
        with self._guard:
            self._db.close()
            if self._lock is not None and not self._lock.closed:
                (self._folder / MARKER).unlink(missing_ok=True)
                self._lock.close()


def _uri(path: Path) -> str:
    """Return the path as SQLite's URI: names may hold ?, # and %."""
    return path.absolute().as_uri()


def _checksum(key: EntryKey, value: bytes) -> int:
    return zlib.crc32(value, zlib.crc32("\0".join(key).encode()))


def _intact(key: EntryKey, value: bytes, checksum: int) -> bool:
    try:
        return _checksum(key, value) == checksum
    except TypeError:  # SQLite gives whatever type the damaged file says
        return False
