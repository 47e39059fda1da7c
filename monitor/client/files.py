"""One growing log of one process: held by a lock, rotated by its size, gone on with after a restart."""

import fcntl
import os
from itertools import count
from pathlib import Path

NEWLINE = b"\n"


class Appender:
    """Appends whole lines to `<name>-<place>.jsonl` in a folder, place being the first that no process holds.

    So as many files grow as processes write, and a worker that was replaced has its file gone on with. A
    file of `rotate` bytes is renamed to `<name>-<place>.<number>.jsonl`; of these the newest `keep` stay.
    """

    def __init__(self, folder: Path, name: str, rotate: int, keep: int) -> None:
        self._folder = folder
        self._name = name
        self._rotate = rotate
        self._keep = keep
        self._file: int | None = None
        self._stem = ""
        self._size = 0
        self._torn = False

    def append(self, lines: memoryview) -> int:
        """Append by one write; returns how many bytes were taken, the rest is to be given again.

        Raises OSError where nothing was taken.
        """
        file = self._ready()
        taken = os.write(file, lines)
        self._size += taken
        self._torn = bool(taken) and bytes(lines[taken - 1 : taken]) != NEWLINE
        return taken

    def close(self) -> None:
        """Let go of the file; closing twice is fine. In a forked child the parent's lock stays."""
        file, self._file, self._torn = self._file, None, False
        if file is not None:
            os.close(file)

    def _ready(self) -> int:
        """Return the open file. A line that was begun is ended where it was begun."""
        if self._file is not None and not self._torn:
            if not _is_at(self._path, self._file):
                self.close()  # renamed or removed by somebody else
            elif self._size >= self._rotate:
                self._turn()
        return self._file if self._file is not None else self._open()

    @property
    def _path(self) -> Path:
        return self._folder / f"{self._stem}.jsonl"

    def _open(self) -> int:
        self._folder.mkdir(parents=True, exist_ok=True)
        for place in count():
            self._stem = f"{self._name}-{place}"
            file = self._hold()
            if file is not None:
                self._file = file
                return file
        raise AssertionError("places never end")

    def _hold(self) -> int | None:
        """Open and lock the file of this place, its last line ended; None while another process has it."""
        while True:
            file = os.open(self._path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644)
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if _is_at(self._path, file):
                    self._size = _whole(file)
                    return file
            except BlockingIOError:
                os.close(file)
                return None
            except BaseException:
                os.close(file)
                raise
            os.close(file)  # rotated while it was opened

    def _turn(self) -> None:
        """Rename the full file, and remove the oldest of its kind."""
        known = self._folder.glob(f"{self._stem}.*.jsonl")
        rotated = sorted(path for path in known if path.name.split(".")[-2].isdecimal())
        number = 1 + (int(rotated[-1].name.split(".")[-2]) if rotated else 0)
        self._path.rename(self._folder / f"{self._stem}.{number:010d}.jsonl")
        self.close()
        for old in rotated[: max(len(rotated) + 1 - self._keep, 0)]:
            old.unlink(missing_ok=True)


def _is_at(path: Path, file: int) -> bool:
    try:
        found = path.stat()
    except FileNotFoundError:
        return False
    held = os.fstat(file)
    return (found.st_dev, found.st_ino) == (held.st_dev, held.st_ino)


def _whole(file: int) -> int:
    """End the line that a process left when it died; returns the file's size."""
    size = os.fstat(file).st_size
    if size and os.pread(file, 1, size - 1) != NEWLINE:
        size += os.write(file, NEWLINE)
    return size
