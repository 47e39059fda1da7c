"""Columns that neither the configuration nor the reference knows."""

from collections.abc import Iterator

import numpy as np
from msgspec.structs import replace
from numpy.typing import NDArray

from monitor.config import Model
from monitor.core import windows
from monitor.core.plan import known_columns
from monitor.core.state import ModelState
from monitor.types import Decoded, TypedRows

UNKNOWN_NAMES = 100
"""Names remembered per window at most."""


def columns_of(rows: TypedRows, decoded: Decoded) -> Iterator[tuple[frozenset[str], NDArray[np.int64]]]:
    """Yield sets of columns and the window starts of the rows that have them.

    Where rows have columns of their own, those of the rows that were looked at: not of the whole chunk,
    which may reach over many windows or end before the next.
    """
    if rows.shape is None:
        yield decoded.columns, rows.time
        return
    seen = np.flatnonzero(rows.shape)
    for code in np.unique(rows.shape[seen]).tolist():
        yield decoded.shapes[code - 1], rows.time[seen[rows.shape[seen] == code]]


def note_unknown(
    model: Model, state: ModelState, starts: NDArray[np.int64], columns: frozenset[str]
) -> ModelState:
    """Remember the unknown ones of the columns, for every window touched."""
    baseline, book = state.newest_baseline, state.book
    unknown = columns - known_columns(model) - (baseline.columns if baseline else frozenset())
    if not unknown or not len(starts):
        return state
    noted = {s: _capped(book.unknown.get(s, frozenset()) | unknown) for s in windows.distinct(starts)}
    learning = baseline is None and book.learn_until is not None and int(starts.min()) < book.learn_until
    learnt = _capped(book.columns | unknown) if learning else book.columns
    return replace(state, book=replace(book, unknown={**book.unknown, **noted}, columns=learnt))


def _capped(names: frozenset[str]) -> frozenset[str]:
    return names if len(names) <= UNKNOWN_NAMES else frozenset(sorted(names)[:UNKNOWN_NAMES])
