"""Was a process, killed by SIGKILL, inside a commit? What it left in the state folder tells.

A commit writes its rejects first, durably, and then the database. So it had begun and not ended when there
are rejected lines that the database does not know, or frames in the write-ahead log that no transaction's
end follows.
"""

import json
import shutil
import sqlite3
import struct
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Traces:
    """What commits leave in a state folder: size and time of the rejects and of the write-ahead log."""

    rejects: tuple[int, int]
    log: tuple[int, int]

    @classmethod
    def of(cls, state: Path) -> "Traces":
        return cls(_stat(state / "rejects" / "car-loan.jsonl"), _stat(state / "driftd.sqlite-wal"))


def _stat(path: Path) -> tuple[int, int]:
    try:
        found = path.stat()
    except FileNotFoundError:
        return 0, 0
    return found.st_size, found.st_mtime_ns


def inside_commit(state: Path, before: Traces, scratch: Path) -> bool:
    """Tell whether the process that ran since `before`, now dead, was inside a commit."""
    now = Traces.of(state)
    unknown = now.rejects != before.rejects and now.rejects[0] > committed_rejects(state, scratch)
    return unknown or (now.log != before.log and is_torn(state / "driftd.sqlite-wal"))


def committed_rejects(state: Path, scratch: Path) -> int:
    """Read from a copy how long the rejects file is to be: opening the database itself would repair it."""
    scratch.mkdir(exist_ok=True)
    for name in ("driftd.sqlite", "driftd.sqlite-wal"):
        (scratch / name).write_bytes((state / name).read_bytes() if (state / name).exists() else b"")
    db = sqlite3.connect(scratch / "driftd.sqlite")
    try:
        rows = db.execute("SELECT value FROM entries WHERE space = 'rejects'").fetchall()
    except sqlite3.OperationalError:
        return 0
    finally:
        db.close()
        shutil.rmtree(scratch)
    return int(json.loads(rows[0][0])[0]) if rows else 0


def is_torn(log: Path) -> bool:
    """Tell whether valid frames follow the last one that ends a transaction (sqlite.org/fileformat2.html).

    A frame's head is page, database size (0 except at the end of a transaction), the log's two salts, and
    a checksum that continues the one of the frame before it. What remains of an earlier torn transaction
    behind a newer end does not continue its checksum.
    """
    data = log.read_bytes()
    size = int.from_bytes(data[8:12], "big")
    frames = [data[at : at + 24 + size] for at in range(32, len(data) - size - 23, 24 + size)]
    frames = [frame for frame in frames if frame[8:16] == data[16:24]]
    ends = [place for place, frame in enumerate(frames) if frame[4:8] != bytes(4)]
    following = ends[-1] + 1 if ends else 0
    if following >= len(frames):
        return False
    start = frames[following - 1][16:24] if following else data[24:32]
    order = ">" if data[3] & 1 else "<"
    return checksum(start, frames[following], order) == frames[following][16:24]


def checksum(start: bytes, frame: bytes, order: str) -> bytes:
    """Continue SQLite's checksum over a frame: its head's first 8 bytes and its page."""
    one, two = struct.unpack(">2I", start)
    words = struct.unpack(f"{order}{(len(frame) - 16) // 4}I", frame[:8] + frame[24:])
    for x, y in zip(words[::2], words[1::2], strict=True):
        one = (one + x + two) & 0xFFFFFFFF
        two = (two + y + one) & 0xFFFFFFFF
    return struct.pack(">2I", one, two)
