"""Which rows were stored before: id hashes of the open windows, as sorted runs merged like an LSM tree.

A row is a duplicate when its id was stored in a window that is still open when the row comes. Ids are 64-bit
hashes: among n open ids a new one collides with probability n / 2**64 (10 million: 5e-13 per row).
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np
import polars as pl
from msgspec import Struct, field
from numpy.typing import NDArray

from monitor.core.windows import distinct
from monitor.native import hashes as native

Hashes = NDArray[np.uint64]
Ints = NDArray[np.int64]
Run = tuple[int, Hashes]
SEARCH_FACTOR = 4


class OpenIds(Struct, frozen=True):
    """Window start -> its runs, each a number that names it in the store and ascending hashes."""

    runs: Mapping[int, tuple[Run, ...]] = field(default_factory=dict)

    def __iter__(self) -> Iterator[tuple[int, Hashes]]:
        return ((start, ids) for start, runs in self.runs.items() for _, ids in runs)


class RunChange(Struct, frozen=True):
    """What a batch does to one window's runs: numbers that go, and the one that comes."""

    start: int
    gone: tuple[int, ...]
    added: Run


class Arrived(Struct, frozen=True, dict=True):
    """Rows in the log's order: the id of each, and the start of its window."""

    ids: Hashes
    starts: Ints

    @cached_property
    def by_window(self) -> Mapping[int, Hashes]:
        """The ids of each window, ascending: sorted once for both questions."""
        present = distinct(self.starts)
        alone = len(present) == 1
        return {s: ascending(self.ids if alone else self.ids[self.starts == s]) for s in present}


def duplicates(known: OpenIds, window: int, rows: Arrived, watermarks: Ints) -> NDArray[np.bool_]:
    """Tell which rows (none of them late) repeat an id stored in a window open at that row.

    watermarks: one per row; they never go back.
    """
    ids = rows.ids
    if not _any_repeated(known, rows):
        return np.zeros(len(ids), np.bool_)
    n = len(ids)
    order = np.argsort(ids, kind="stable")
    heads = np.flatnonzero(np.concatenate([[True], ids[order][1:] != ids[order][:-1]]))
    stops = np.append(heads[1:], n)
    group = np.repeat(np.arange(len(heads)), stops - heads)
    places = group * n + order

    def free_from(ends: Ints, groups: Ints) -> Ints:
        """Find the first row of each group at which windows with these ends are over."""
        return np.searchsorted(places, groups * n + np.searchsorted(watermarks, ends))

    current = free_from(_seen(known, window, ids[order[heads]]), np.arange(len(heads)))
    following = free_from(rows.starts[order] + window, group)
    repeated = np.ones(n, np.bool_)
    while len(current):  # one round for each time that an id may be stored anew
        alive = current < stops
        current, stops = current[alive], stops[alive]
        repeated[order[current]] = False
        current = following[current]
    return repeated


def _any_repeated(known: OpenIds, rows: Arrived) -> bool:
    """Settle the usual case, nothing repeated, by merging small runs: cheaper than searching."""
    fresh, most = rows.by_window.values(), SEARCH_FACTOR * len(rows.ids)
    merged = _merged([*fresh, *(run for _, run in known if len(run) <= most)])
    if (merged[1:] == merged[:-1]).any():
        return True
    return any(_hits(run, ids).any() for _, run in known if len(run) > most for ids in fresh)


def ascending(ids: Hashes) -> Hashes:
    """Sort by driftd's library, or by Polars: a third of NumPy's time where that cannot use AVX-512 well."""
    found = native.ascending(ids)
    return pl.Series(ids).sort().to_numpy() if found is None else found


def _merged(runs: Sequence[Hashes]) -> Hashes:
    merged = np.concatenate(runs)
    merged.sort(kind="stable")  # sorted runs are merged, 4 ns a value; in place: they may be megabytes
    return merged


def _hits(run: Hashes, needles: Hashes) -> NDArray[np.bool_]:
    at = np.minimum(np.searchsorted(run, needles), len(run) - 1)
    hits: NDArray[np.bool_] = run[at] == needles
    return hits


def _seen(known: OpenIds, window: int, needles: Hashes) -> Ints:
    """Return for each id (ascending) the latest end of a window that holds it, a very early time if none."""
    ends = np.full(len(needles), np.iinfo(np.int64).min)
    for start, run in known:
        hits = _hits(run, needles)
        ends[hits] = np.maximum(ends[hits], start + window)
    return ends


def added(known: OpenIds, rows: Arrived) -> tuple[RunChange, ...]:
    """Return how the runs change when these rows are stored: one new run per window, small ones merged in."""
    changes = []
    for start, ids in rows.by_window.items():
        fresh = ids
        runs = list(known.runs.get(start, ()))
        number = runs[-1][0] + 1 if runs else 0
        gone = []
        while runs and len(runs[-1][1]) <= 2 * len(fresh):
            last, old = runs.pop()
            gone.append(last)
            fresh = _merged([old, fresh])
        changes.append(RunChange(start, tuple(gone), (number, fresh)))
    return tuple(changes)


def apply(known: OpenIds, changes: tuple[RunChange, ...], closed: frozenset[int]) -> OpenIds:
    """Return the runs after a commit: changes made, closed windows forgotten."""
    runs = {start: kept for start, kept in known.runs.items() if start not in closed}
    for change in changes:
        if change.start not in closed:
            kept = tuple(r for r in runs.get(change.start, ()) if r[0] not in change.gone)
            runs[change.start] = (*kept, change.added)
    return OpenIds(runs)


def load_ids(found: Mapping[str, bytes]) -> OpenIds:
    """Read the runs from a model's entries."""
    runs: dict[int, list[tuple[int, Any]]] = {}
    for key, data in found.items():
        start, number = json.loads(key)
        runs.setdefault(start, []).append((number, np.frombuffer(data, "<u8")))
    return OpenIds({start: tuple(sorted(r, key=lambda run: run[0])) for start, r in runs.items()})
