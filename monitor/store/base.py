"""The store's protocol: entries in, entries out, all of a commit or nothing."""

from collections.abc import Mapping
from typing import Protocol

from monitor.types import EntryKey

REQUESTS = "request"


class Store(Protocol):
    """Durable entries (space, model, key) -> bytes; one writer."""

    def load(self, model: str | None = None, *, without: str | None = None) -> dict[EntryKey, bytes]:
        """Return every entry of the last commit, or those of one model; without: a space that is left out."""

    def asked(self) -> dict[EntryKey, bytes]:
        """Return the entries of the space REQUESTS: what other processes ask of the one that writes.

        Raises StoreUnavailableError when they cannot be read now.
        """

    def commit(self, changes: Mapping[EntryKey, bytes | None]) -> None:
        """Put (bytes) and delete (None) in one transaction.

        Raises StoreUnavailableError when nothing was written (disk full, I/O error): trying again is safe.
        """

    def close(self) -> None:
        """Release the state; closing twice is fine."""
