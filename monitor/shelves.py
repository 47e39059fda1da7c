"""Every model's waiting rows on disk: files named by the store's entries, and none besides."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TypeVar

from monitor.core.state import PILES
from monitor.errors import StoreUnavailableError
from monitor.store.segments import Filed, Segments, Shelf
from monitor.types import Changes, EntryKey

Value = TypeVar("Value")

FOLDER = "segments"


class Shelves:
    """One folder per model. Files that no entry names are left of a crash and go at once."""

    def __init__(self, state: Path) -> None:
        self._state = state
        self._segments: dict[str, Segments] = {}
        self._filed: dict[str, Filed] = {}
        self._doubted: dict[str, Sequence[bytes]] = {}

    def add(self, name: str, entries: Mapping[EntryKey, bytes]) -> Shelf:
        """Open the folder of a model that does not run, as the store's entries have it; returns its shelf."""
        segments = self._segments[name] = Segments(self._state / FOLDER / name)
        self._filed[name] = Filed().after({k: v for k, v in _held(entries).items() if k[1] == name})[0]
        segments.sweep(self._filed[name].values.values())
        return segments

    @property
    def by_model(self) -> Mapping[str, Shelf]:
        """Each model's shelf."""
        return self._segments

    @contextmanager
    def committing(self, model: str, changes: Changes) -> Iterator[None]:
        """Follow the commit inside: what it lets go is deleted when it went through, what it brings if not.

        Only what a crash could bring back stays for now: the files of the last commit that failed in doubt.
        """
        try:
            yield
        except BaseException as error:
            if in_doubt(error):
                self._doubt(model, changes)
            raise
        self.after(model, changes)

    @contextmanager
    def committing_all(self, changes: Mapping[str, Changes]) -> Iterator[None]:
        """Follow a commit of several models' changes, as `committing` does."""
        with ExitStack() as each:
            for model, made in changes.items():
                each.enter_context(self.committing(model, made))
            yield

    def after(self, model: str, changes: Changes) -> None:
        """Delete the files that a commit of these changes let go, and those it does not name."""
        self._filed[model], gone = self._filed[model].after(_held(changes))
        self._segments[model].settle(_named(changes), [*gone, *self._doubted.pop(model, ())])

    def tidy(self, model: str) -> None:
        """Delete what was written since the last commit: the work on the next one has ended."""
        self._segments[model].settle()

    def _doubt(self, model: str, changes: Changes) -> None:
        named = _named(changes)
        self._segments[model].settle(named, self._doubted.get(model, ()))
        self._doubted[model] = named


def in_doubt(error: BaseException) -> bool:
    """Say whether a commit that failed so may prove, after a crash, to have happened.

    SQLite's end of a transaction is in its journal before the journal is synced. Where that fails, the
    transaction is undone only by the next one, which overwrites it; a crash before that brings it back.
    """
    reason: str = getattr(error.__cause__, "sqlite_errorname", "")
    return not isinstance(error, StoreUnavailableError) or reason.startswith("SQLITE_IOERR")


def _named(changes: Changes) -> list[bytes]:
    return [value for value in _held(changes).values() if value is not None]


def _held(changes: Mapping[EntryKey, Value]) -> dict[EntryKey, Value]:
    """Return the entries that may name a file; those of other spaces may begin with any byte."""
    return {key: value for key, value in changes.items() if key[0] in PILES}
