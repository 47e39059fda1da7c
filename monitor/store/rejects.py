"""Rejected rows beside the store: one JSON line each, exactly the committed ones.

The file's committed length is part of the commit, so rows written before a crash, and read again after it,
do not stand there twice: whatever lies behind the committed length is cut off before the next write.
"""

import json
import os
from collections.abc import Sequence
from pathlib import Path

from msgspec.structs import asdict

from monitor.types import EntryKey, Reject

SPACE = "rejects"


class RejectsFile:
    """The rejects of one model: state/rejects/MODEL.jsonl, at most `most` bytes; the rest is only counted."""

    def __init__(self, folder: Path, model: str, most: int) -> None:
        self._path = folder / f"{model}.jsonl"
        self._model = model
        self._most = most

    def prepare(self, rejects: Sequence[Reject], known: bytes | None) -> dict[EntryKey, bytes | None]:
        """Write rejects durably behind the committed length; returns the entry that commits them.

        `known` is that entry as last committed. Raises OSError when the disk does not take it.
        """
        length, unkept = json.loads(known) if known else (0, 0)
        if not rejects:
            return {}
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._path.touch(mode=0o600)
        with self._path.open("r+b") as file:
            length = min(length, file.seek(0, os.SEEK_END))  # someone may have cleared the file
            file.truncate(length)
            file.seek(length)
            for reject in rejects:
                line = json.dumps(asdict(reject), ensure_ascii=False).encode("utf-8", "replace") + b"\n"
                if length + len(line) > self._most:
                    unkept += 1
                    continue
                file.write(line)
                length += len(line)
            file.flush()
            os.fsync(file.fileno())
        return {(SPACE, self._model, ""): json.dumps([length, unkept]).encode()}


def unkept(entry: bytes | None) -> int:
    """Return how many rejects were counted but not kept."""
    return int(json.loads(entry)[1]) if entry else 0
