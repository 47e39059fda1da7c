"""Frames that outlive a commit: small ones inside their entry, large ones as Arrow files beside the store.

A file is whole and on the disk before its entry is committed, and goes after the commit that removes the
entry; what a crash leaves between the two is swept at the next start. Polars 2.1 reads an Arrow file into
memory of its own. Only NumPy arrays does it take as they lie: so number columns without missing values are
given to it as arrays over the mapped file, found by their place in the file; all other columns are read.
"""

import hashlib
import io
import json
import mmap
import os
import secrets
import struct
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import IO, Protocol

import numpy as np
import polars as pl
from msgspec import Struct, field
from msgspec.structs import asdict

from monitor.errors import StateError, StoreUnavailableError
from monitor.failures import POLARS_FAILURES
from monitor.store.mapping import pages
from monitor.types import EntryKey

INLINE = 256 << 10
"""Bytes in memory from which a frame goes into a file."""
MAPPED = 1 << 20
"""Bytes from which a file is mapped. Linux allows a process 65,530 mappings: 64 GB in the smallest ones."""
ARROW, UNBORN = ".arrow", ".new"
WITHIN, BESIDE = b"A", b"F"
NUMBERS: Mapping[type[pl.DataType], str] = {
    pl.Int8: "<i1", pl.Int16: "<i2", pl.Int32: "<i4", pl.Int64: "<i8", pl.Float32: "<f4",
    pl.UInt8: "<u1", pl.UInt16: "<u2", pl.UInt32: "<u4", pl.UInt64: "<u8", pl.Float64: "<f8",
}  # fmt: skip
ANEW = "restore a backup of the state folder, or move that folder away to start anew from the logs"


class Note(Struct, frozen=True):
    """What the entry says of a file: name, rows, bytes, checksum, and each column's place (None: read it)."""

    file: str
    rows: int
    size: int
    sum: str
    columns: tuple[tuple[str, int | None], ...]

    def dump(self) -> bytes:
        """Write the entry."""
        return BESIDE + json.dumps(asdict(self), separators=(",", ":"), ensure_ascii=False).encode()

    @staticmethod
    def load(value: bytes) -> "Note":
        """Read the entry."""
        item = json.loads(value[len(BESIDE) :])
        return Note(**item | {"columns": tuple((name, place) for name, place in item["columns"])})


class Filed(Struct, frozen=True):
    """The committed entries that name a file."""

    values: Mapping[EntryKey, bytes] = field(default_factory=dict)

    def after(self, changes: Mapping[EntryKey, bytes | None]) -> tuple["Filed", list[bytes]]:
        """Return this after a commit of these changes, and the values that went with it, for `settle`."""
        kept = dict(self.values)
        gone = [kept.pop(key) for key in changes if key in kept]
        kept |= {key: value for key, value in changes.items() if value and value.startswith(BESIDE)}
        return Filed(kept), gone


class Shelf(Protocol):
    """Where the rows of a model wait: written for good, and opened again."""

    def keep(self, frame: pl.DataFrame) -> tuple[pl.DataFrame, bytes]:
        """Write a frame; returns what to use from now on, and what names it in the store."""

    def reopen(self, value: bytes) -> pl.DataFrame:
        """Open what was written."""


class MemorySegments:
    """Keeps every frame inside its entry: for the in-memory store, and for tests."""

    def keep(self, frame: pl.DataFrame) -> tuple[pl.DataFrame, bytes]:
        """Return a copy of the frame with memory of its own, and its entry."""
        value = WITHIN + _ipc(frame)
        owns = all(kind.is_numeric() for kind in frame.dtypes)  # gathered text shares its old buffers
        return frame[np.arange(frame.height)] if owns else self.reopen(value), value

    def reopen(self, value: bytes) -> pl.DataFrame:
        """Return the frame of an entry. Raises StateError when it holds none."""
        try:
            if not value.startswith(WITHIN):
                raise ValueError("unknown kind")
            return pl.read_ipc(io.BytesIO(value[len(WITHIN) :]))
        except POLARS_FAILURES as error:
            raise StateError(f"the state is damaged (held rows cannot be read: {error}); {ANEW}") from error


class Segments:
    """Keeps large frames as files in a folder that nobody else uses (one per model), small ones inside.

    Call `sweep` at the start, and `settle` when a commit went through or the work on one was given up.
    """

    def __init__(self, folder: Path, *, inline: int = INLINE, mapped: int = MAPPED) -> None:
        self._folder = folder
        self._inline = inline
        self._mapped = mapped
        self._small = MemorySegments()
        self._loose: set[str] = set()

    def keep(self, frame: pl.DataFrame) -> tuple[pl.DataFrame, bytes]:
        """Write a frame for good; returns the frame to use from now on, and its entry.

        Raises StoreUnavailableError when the disk does not take it; no half file stays.
        """
        if not frame.height or frame.estimated_size() < self._inline:
            return self._small.keep(frame)
        path = self._folder / f"{secrets.token_hex(8)}{ARROW}"
        self._loose.add(path.name)
        try:
            note = self._write(path, frame)
            return _open(path, note), note.dump()
        except POLARS_FAILURES as error:
            if _deleted(path):
                self._loose.remove(path.name)
            # without the file's name: the same trouble is the same message, and is logged once
            raise StoreUnavailableError(f"{self._folder}: nothing was recorded: {_reason(error)}") from error

    def _write(self, path: Path, frame: pl.DataFrame) -> Note:
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        unborn = path.with_suffix(UNBORN)
        note = _write(unborn, path.name, frame, self._mapped)
        unborn.rename(path)
        _sync(self._folder)
        return note

    def reopen(self, value: bytes) -> pl.DataFrame:
        """Return the frame of an entry. Raises StateError when its file is missing or has changed."""
        if not value.startswith(BESIDE):
            return self._small.reopen(value)
        note = Note.load(value)
        path = self._folder / note.file
        try:
            wrong = _wrong(path, note)
            if not wrong:
                return _open(path, note)
        except FileNotFoundError as error:
            raise StateError(f"{path}: is missing, and the state needs it; {ANEW}") from error
        except POLARS_FAILURES as error:
            raise StateError(f"{path}: cannot be read ({_reason(error)}); {ANEW}") from error
        raise StateError(f"{path}: is damaged ({wrong}); {ANEW}")

    def settle(self, named: Iterable[bytes] = (), gone: Iterable[bytes] = ()) -> None:
        """Delete what was written since the last call but for what `named` names, and what `gone` names.

        What the disk does not let go of now is tried again by the next call.
        """
        over = (self._loose | _files(gone)) - _files(named)
        self._loose = {name for name in over if not _deleted(self._folder / name)}

    def sweep(self, named: Iterable[bytes]) -> int:
        """Delete the files that none of these entries names, half ones too; returns how many.

        Raises StoreUnavailableError when the folder does not let go of one.
        """
        files = _files(named)
        try:
            present = list(self._folder.iterdir()) if self._folder.exists() else []
            stray = [p for p in present if p.suffix in {ARROW, UNBORN} and p.name not in files]
            for path in stray:
                path.unlink(missing_ok=True)
        except OSError as error:
            raise StoreUnavailableError(f"{self._folder}: cannot be tidied: {error.strerror}") from error
        return len(stray)


def _files(values: Iterable[bytes]) -> set[str]:
    return {Note.load(value).file for value in values if value.startswith(BESIDE)}


def _deleted(path: Path) -> bool:
    """Delete a file, and the half one that it was at first; returns whether both are gone."""
    try:
        path.with_suffix(UNBORN).unlink(missing_ok=True)
        path.unlink(missing_ok=True)
    except OSError:
        return False
    return True


def _reason(error: BaseException) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or str(error)


def _ipc(frame: pl.DataFrame) -> bytes:
    target = io.BytesIO()
    frame.write_ipc(target, compression="lz4")
    return target.getvalue()


def _write(unborn: Path, name: str, frame: pl.DataFrame, mapped: int) -> Note:
    """Write the file under its first name, durably. Columns that can be mapped come first in it."""
    numbers = [s.name for s in frame if s.dtype in NUMBERS and not s.null_count()]
    ordered = frame.select(*numbers, *(c for c in frame.columns if c not in numbers)).rechunk()
    unborn.touch(mode=0o600, exist_ok=False)
    with unborn.open("r+b") as file:
        ordered.write_ipc(file, compression="uncompressed", record_batch_size=frame.height)
        file.flush()
        os.fsync(file.fileno())
        size = file.seek(0, os.SEEK_END)
        places = _places(file, len(numbers)) if size >= mapped else []
        file.seek(0)
        found = dict(zip(numbers, places, strict=False))
        columns = tuple((c, found.get(c)) for c in frame.columns)
        return Note(name, frame.height, size, _digest(file), columns)


def _sync(folder: Path) -> None:
    opened = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)


def _digest(file: IO[bytes]) -> str:
    return hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=16)).hexdigest()  # type: ignore[arg-type]


def _wrong(path: Path, note: Note) -> str:
    """Say what is wrong with the file, nothing when it is as it was written."""
    with path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        if size != note.size:
            return f"{size} bytes instead of {note.size}"
        file.seek(0)
        return "" if _digest(file) == note.sum else "its checksum differs"


def _open(path: Path, note: Note) -> pl.DataFrame:
    """Return the frame of a file known to be whole: what has a place is mapped, the rest is read."""
    rest = [name for name, place in note.columns if place is None]
    with path.open("rb") as file:  # not by name: Polars would take some characters of a path for patterns
        found = {s.name: s for s in pl.read_ipc(file, columns=rest)} if rest else {}
        file.seek(0)
        kinds = pl.read_ipc_schema(file)
        if len(found) < len(note.columns):
            data = pages(file)
    for name, place in note.columns:
        if place is not None:
            values = np.frombuffer(data, NUMBERS[type(kinds[name])], note.rows, place)
            found[name] = pl.Series(name, values)
    return pl.DataFrame([found[name] for name, _ in note.columns])


def _places(file: IO[bytes], columns: int) -> list[int]:
    """Return where the values of the first columns begin in an Arrow file; nothing when it is no one batch.

    The file ends with its footer (a flat buffer), the footer's size and a magic word; the footer's fourth
    field lists the batches. A batch lists its buffers: two a column here, which rows are valid and values.
    """
    with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        tail = len(data) - len(b"ARROW1") - 4
        footer = tail - _int(data, tail)
        batches = _at(data, _field(data, footer + _int(data, footer), 3))
        if _int(data, batches) != 1:
            return []
        block = batches + 4
        start = struct.unpack_from("<q", data, block)[0]
        body = start + _int(data, block + 8)
        message = start + 8 + _int(data, start + 8)  # behind a mark and the message's size
        buffers = _at(data, _field(data, _at(data, _field(data, message, 2)), 2)) + 4
        return [body + struct.unpack_from("<q", data, buffers + 16 * (2 * i + 1))[0] for i in range(columns)]


def _int(data: mmap.mmap, at: int) -> int:
    return int(struct.unpack_from("<i", data, at)[0])


def _at(data: mmap.mmap, place: int) -> int:
    """Follow an offset, which counts from its own place."""
    return place + _int(data, place)


def _field(data: mmap.mmap, table: int, number: int) -> int:
    """Return the place of a table's field, as its list of offsets (which lies before it) says."""
    offsets = table - _int(data, table)
    return table + int(struct.unpack_from("<H", data, offsets + 4 + 2 * number)[0])
