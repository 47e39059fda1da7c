"""Every model's waiting rows on disk: files named by the store's entries, and none besides."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TypeVar

from monitor.core.labels import Labels
from monitor.core.state import Changes, EntryKey
from monitor.store.segments import Filed, Segments, Shelf

Value = TypeVar("Value")

FOLDER = "segments"
HELD = (Labels().predictions.space, Labels().outcomes.space)
"""The spaces whose entries may name a file; those of others may begin with any byte."""


class Shelves:
    """One folder per model. Files that no entry names are left of a crash and go at once."""

    def __init__(self, state: Path, models: Iterable[str], entries: Mapping[EntryKey, bytes]) -> None:
        self._segments = {name: Segments(state / FOLDER / name) for name in models}
        self._filed = {
            name: Filed().after({k: v for k, v in _held(entries).items() if k[1] == name})[0]
            for name in self._segments
        }
        for name, segments in self._segments.items():
            segments.sweep(self._filed[name].values.values())

    @property
    def by_model(self) -> Mapping[str, Shelf]:
        """Each model's shelf."""
        return self._segments

    def after(self, model: str, changes: Changes) -> None:
        """Delete the files that a commit of these changes let go."""
        self._filed[model], gone = self._filed[model].after(_held(changes))
        self._segments[model].forget(gone)


def _held(changes: Mapping[EntryKey, Value]) -> dict[EntryKey, Value]:
    return {key: value for key, value in changes.items() if key[0] in HELD}
