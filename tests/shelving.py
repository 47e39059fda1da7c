"""Folders of waiting rows, opened as a daemon's start opens them."""

from collections.abc import Iterable, Mapping
from pathlib import Path

from monitor.shelves import Shelves
from monitor.types import EntryKey


def opened(state: Path, models: Iterable[str], entries: Mapping[EntryKey, bytes]) -> Shelves:
    """Return the shelves of these models, as the store's entries have them."""
    shelves = Shelves(state)
    for name in models:
        shelves.add(name, entries)
    return shelves
