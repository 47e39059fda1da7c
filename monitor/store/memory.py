"""The store's in-memory twin, for tests and rehearsals."""

from collections.abc import Mapping

from monitor.store.base import REQUESTS
from monitor.types import EntryKey


class MemoryStore:
    """Keeps entries in a dict."""

    def __init__(self) -> None:
        self.entries: dict[EntryKey, bytes] = {}
        self.commits = 0

    def load(self, model: str | None = None, *, without: str | None = None) -> dict[EntryKey, bytes]:
        """Return every entry, or those of one model, without those of a space."""
        return {k: v for k, v in self.entries.items() if model in (None, k[1]) and k[0] != without}

    def asked(self) -> dict[EntryKey, bytes]:
        """Return the requests."""
        return {key: value for key, value in self.entries.items() if key[0] == REQUESTS}

    def commit(self, changes: Mapping[EntryKey, bytes | None]) -> None:
        """Put and delete at once."""
        for key, value in changes.items():
            if value is None:
                self.entries.pop(key, None)
            else:
                self.entries[key] = value
        self.commits += 1

    def close(self) -> None:
        """Nothing to release."""
