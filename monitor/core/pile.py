"""Rows held until their partner comes or their time is over, by bucket, as runs merged like an LSM tree.

A bucket is a stretch of event time, named by its start (microseconds). Within a bucket rows keep the order
in which they came. Runs of one bucket that differ in their columns stand side by side, never merged.
"""

import json
from collections.abc import Callable, Iterator, Mapping

import numpy as np
import polars as pl
from msgspec import Struct, field
from msgspec.structs import replace
from numpy.typing import NDArray

from monitor.types import Changes, EntryKey

Ints = NDArray[np.int64]
Keep = Callable[[pl.DataFrame], tuple[pl.DataFrame, bytes]]
"""Write a frame for good; returns the frame to use from now on and the value that names it in the store."""
Reopen = Callable[[bytes], pl.DataFrame]
MERGE_FACTOR = 2


class Run(Struct, frozen=True):
    """Rows of one bucket; the number names them in the store and grows with the time of writing."""

    number: int
    frame: pl.DataFrame


class Pile(Struct, frozen=True):
    """All rows held under one space of the store: bucket -> its runs, oldest first."""

    space: str
    runs: Mapping[int, tuple[Run, ...]] = field(default_factory=dict)

    @property
    def rows(self) -> int:
        """Return how many rows are held."""
        return sum(run.frame.height for runs in self.runs.values() for run in runs)

    def frames(self, first: int | None = None, last: int | None = None) -> list[pl.DataFrame]:
        """Return the frames of the buckets in [first, last], None being no bound: by bucket, oldest first."""
        wanted = sorted(b for b in self.runs if (first is None or b >= first) and (last is None or b <= last))
        return [run.frame for bucket in wanted for run in self.runs[bucket]]


def added(pile: Pile, model: str, buckets: Ints, frame: pl.DataFrame, keep: Keep) -> tuple[Pile, Changes]:
    """Return the pile with these rows, and the entries that change: one new run for each bucket present.

    buckets: one int64 per row. A new run takes in the newest runs of its bucket while these are at most
    twice as large. What `keep` raises passes through; the pile given stays as it was.
    """
    runs, changes = dict(pile.runs), Changes()
    for bucket, fresh in _parted(buckets, frame):
        before = pile.runs.get(bucket, ())
        stay = _unmerged(before, fresh)
        merged = [run.frame for run in before[stay:]]
        number = before[-1].number + 1 if before else 0
        kept, value = keep(pl.concat([*merged, fresh], rechunk=True) if merged else fresh)
        changes |= {_key(pile, model, bucket, run.number): None for run in before[stay:]}
        changes[_key(pile, model, bucket, number)] = value
        runs[bucket] = (*before[:stay], Run(number, kept))
    return replace(pile, runs=runs), changes


def dropped(pile: Pile, model: str, before: int) -> tuple[Pile, Changes]:
    """Forget every bucket that starts before this time; returns also the entries that go."""
    over = {bucket: runs for bucket, runs in pile.runs.items() if bucket < before}
    changes: Changes = {_key(pile, model, b, run.number): None for b, runs in over.items() for run in runs}
    left = {bucket: runs for bucket, runs in pile.runs.items() if bucket not in over}
    return replace(pile, runs=left), changes


def load_pile(space: str, entries: Mapping[str, bytes], reopen: Reopen) -> Pile:
    """Build the pile from its space's entries, key -> value. What `reopen` raises passes through."""
    found: dict[int, list[Run]] = {}
    for (bucket, number), value in sorted((json.loads(key), value) for key, value in entries.items()):
        found.setdefault(bucket, []).append(Run(number, reopen(value)))
    return Pile(space, {bucket: tuple(runs) for bucket, runs in found.items()})


def _key(pile: Pile, model: str, bucket: int, number: int) -> EntryKey:
    return pile.space, model, f"[{bucket},{number}]"


def _unmerged(runs: tuple[Run, ...], fresh: pl.DataFrame) -> int:
    """Return how many of the oldest runs stay as they are."""
    stay, rows = len(runs), fresh.height
    while stay:
        run = runs[stay - 1].frame
        if run.height > MERGE_FACTOR * rows or run.schema != fresh.schema:
            break
        rows += run.height
        stay -= 1
    return stay


def _parted(buckets: Ints, frame: pl.DataFrame) -> Iterator[tuple[int, pl.DataFrame]]:
    """Give each bucket's rows, buckets ascending, rows in their order."""
    if not len(buckets):
        return
    heads = _heads(buckets)
    if len(np.unique(buckets[heads])) < len(heads):  # a bucket is torn apart: rows must move
        order = np.argsort(buckets, kind="stable")
        buckets, frame = buckets[order], frame[order]
        heads = _heads(buckets)
    stops = np.append(heads[1:], len(buckets))
    for piece in np.argsort(buckets[heads]).tolist():
        head = int(heads[piece])
        yield int(buckets[head]), frame.slice(head, int(stops[piece]) - head)


def _heads(buckets: Ints) -> NDArray[np.intp]:
    """Return the places at which another bucket begins."""
    return np.flatnonzero(np.concatenate([[True], buckets[1:] != buckets[:-1]]))
