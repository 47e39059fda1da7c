"""The rows of an audit record as files in a folder, to be verified where the state is not.

They hold raw values: they are written only where somebody asks for it, and readable by that user only.
"""

import os
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

from monitor.core.records import AuditRecord
from monitor.errors import DriftdError


def write_rows(record: AuditRecord, folder: Path) -> None:
    """Write a record's files, each by the name of its hash. Raises DriftdError where that fails."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for data in record.files.values():
            place = folder / sha256(data).hexdigest()
            handle = os.open(place, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            with os.fdopen(handle, "wb") as file:
                file.write(data)
    except OSError as error:
        raise DriftdError(f"{folder}: cannot be written: {error.strerror}") from error


def rows_in(folder: Path | None) -> Callable[[str], bytes | None]:
    """Return what finds a file by its hash in a folder, and nothing without one."""

    def find(hash_: str) -> bytes | None:
        place = folder / Path(hash_).name if folder is not None else None
        try:
            return place.read_bytes() if place is not None and place.is_file() else None
        except OSError as error:
            raise DriftdError(f"{place}: cannot be read: {error.strerror}") from error

    return find
