"""One batch through the core: rows in, a new state and one commit's entries out. No I/O, no clock."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from detectors.profile import Grid, empty, merge
from monitor.config import TimeUnit
from monitor.core import dedup, windows
from monitor.core.learning import end_of_learning, hold
from monitor.core.plan import Plan, known_columns
from monitor.core.profiles import ALL, GroupKey, Rows, Run, profile_rows
from monitor.core.reference import Baseline
from monitor.core.schema import Schema, type_rows
from monitor.core.state import (
    Changes,
    ModelState,
    dump_book,
    position_changes,
    run_changes,
    window_changes,
)
from monitor.core.timestamps import detect_unit
from monitor.types import Batch, Chunk, Decoded, Position, Reject, TypedRows

NO_GRID = Grid(())
UNKNOWN_NAMES = 100
Counts = dict[tuple[str, str, str], int]


@dataclass(frozen=True, slots=True)
class Taken:
    """A batch's rows taken in, before windows close. rejects go to the rejects file."""

    state: ModelState
    changes: Changes
    rejects: tuple[Reject, ...] = ()
    touched: frozenset[GroupKey] = frozenset()


@dataclass(frozen=True, slots=True)
class Context:
    """What taking in a batch needs beside the state. now_limit: the largest credible timestamp."""

    plan: Plan
    schema: Schema
    now_limit: int
    run: Run = map


@dataclass(slots=True)
class _Tally:
    """What one chunk after the other adds up to."""

    state: ModelState
    counts: Counts = field(default_factory=dict)
    rejects: list[Reject] = field(default_factory=list)
    runs: Changes = field(default_factory=dict)
    touched: set[GroupKey] = field(default_factory=set)
    held: list[Rows] = field(default_factory=list)

    def count(self, source: str, what: str, n: int, reason: str = "") -> None:
        if n:
            key = (source, what, reason)
            self.counts[key] = self.counts.get(key, 0) + n


def take_in(context: Context, state: ModelState, batch: Batch, decoded: Sequence[Decoded]) -> Taken:
    """Take in a batch: type, drop what is late or a duplicate, add the rest to the open windows."""
    tally = _Tally(state)
    tally.count(batch.source, "truncations", batch.truncations)
    _reject(tally, batch.source, batch.rejects, received=len(batch.rejects))
    for chunk, columns in zip(batch.chunks, decoded, strict=True):
        _take_chunk(context, tally, batch.source, chunk, columns)
    if tally.held:
        tally.state, held = hold(tally.state, tally.held)
        tally.runs |= held
    before = state.positions.get(batch.source, Position())
    after = replace(
        tally.state,
        positions={**state.positions, batch.source: batch.position},
        book=tally.state.book.counted(tally.counts),
    )
    changes = tally.runs | {("book", state.model, ""): dump_book(after.book)}
    changes |= position_changes(state.model, batch.source, before, batch.position)
    changes |= window_changes(state.model, {key: after.windows[key] for key in tally.touched})
    return Taken(after, changes, tuple(tally.rejects), frozenset(tally.touched))


def _reject(tally: _Tally, source: str, rejects: Sequence[Reject], received: int = 0) -> None:
    tally.count(source, "received", received)
    for reject in rejects:
        tally.count(source, "rejected", 1, reject.reason)
    tally.rejects.extend(rejects)


def _take_chunk(context: Context, tally: _Tally, source: str, chunk: Chunk, decoded: Decoded) -> None:
    units = _units(context, tally, source, decoded)
    rows, rejects = type_rows(context.schema, chunk, decoded, units, context.now_limit)
    _reject(tally, source, (*decoded.rejects, *rejects), received=decoded.received)
    book = tally.state.book
    frontiers, progress = windows.advance(book.progress, rows.time, chunk.hold)
    tally.state = replace(tally.state, book=replace(book, progress=progress))
    if len(rows.time):
        _store_rows(context, tally, source, rows, frontiers)
        _note_unknown(context, tally, rows, decoded.columns)


def _units(context: Context, tally: _Tally, source: str, decoded: Decoded) -> TimeUnit:
    """Return what timestamps count: configured, or detected once per source and then written down."""
    columns = context.schema.columns
    known = tally.state.book.units.get(source)
    if columns.timestamp_unit != "auto" or columns.timestamp not in decoded.frame.columns:
        return columns.timestamp_unit
    if known is not None:
        return known
    found = detect_unit(decoded.frame[columns.timestamp])
    if found is None:
        return "auto"
    book = tally.state.book
    tally.state = replace(tally.state, book=replace(book, units={**book.units, source: found}))
    return found


def _store_rows(
    context: Context, tally: _Tally, source: str, rows: TypedRows, frontiers: NDArray[np.int64]
) -> None:
    plan = context.plan
    starts = windows.starts(rows.time, plan.window)
    late = windows.late(starts, frontiers, plan.window, plan.lateness)
    tally.count(source, "late", int(np.count_nonzero(late)))
    rows = replace(rows, time=starts)
    if late.any():
        rows, frontiers = rows.take(~late), frontiers[~late]
    if rows.ids is not None and plan.model.deduplicate and len(rows.time):
        watermarks = frontiers - plan.lateness
        repeated = dedup.duplicates(tally.state.ids, plan.window, rows.ids, rows.time, watermarks)
        tally.count(source, "duplicate", int(np.count_nonzero(repeated)))
        if repeated.any():
            rows = rows.take(~repeated)
        if rows.ids is not None:
            _remember(tally, rows.ids, rows.time)
    tally.count(source, "stored", len(rows.time))
    counted = Rows(rows.time, rows.keys, rows.frame, rows.invalid)
    if plan.first and not tally.state.baselines and len(rows.time):
        _hold(plan, tally, counted)
    _profile(context, tally, counted)


def _hold(plan: Plan, tally: _Tally, rows: Rows) -> None:
    book = tally.state.book
    if book.learn_until is None:
        until = end_of_learning(int(rows.start[0]), plan.first, plan.window)
        tally.state = replace(tally.state, book=replace(book, learn_until=until))
    tally.held.append(rows)


def _remember(tally: _Tally, ids: NDArray[np.uint64], starts: NDArray[np.int64]) -> None:
    changes = dedup.added(tally.state.ids, ids, starts)
    tally.runs |= run_changes(tally.state.model, changes, {})
    tally.state = replace(tally.state, ids=dedup.apply(tally.state.ids, changes, frozenset()))


def _profile(context: Context, tally: _Tally, rows: Rows) -> None:
    merged = dict(tally.state.windows)
    for baseline, part in _by_baseline(tally.state, rows):
        grid = baseline.grid if baseline else NO_GRID
        segments = baseline.segments if baseline else {}
        for key, profile in profile_rows(grid, part, segments, context.run).items():
            held = merged.get(key) or empty(grid, sample=key.segment == ALL)
            merged[key] = merge(grid, held, profile)
            tally.touched.add(key)
    tally.state = replace(tally.state, windows=merged)


def _by_baseline(state: ModelState, rows: Rows) -> Iterator[tuple[Baseline | None, Rows]]:
    if not len(rows.start) or not state.baselines or state.baselines[-1].since <= rows.start.min():
        yield state.newest_baseline, rows
        return
    places = np.searchsorted([b.since for b in state.baselines], rows.start, side="right")
    for place in np.unique(places).tolist():
        chosen = np.flatnonzero(places == place)
        part = rows if len(chosen) == len(places) else rows.take(chosen)
        yield (state.baselines[place - 1] if place else None), part


def _note_unknown(context: Context, tally: _Tally, rows: TypedRows, columns: frozenset[str]) -> None:
    """Remember columns that neither the configuration nor the reference knows, for every window touched."""
    baseline = tally.state.newest_baseline
    unknown = columns - known_columns(context.plan.model) - (baseline.columns if baseline else columns)
    if not unknown:
        return
    book = tally.state.book
    touched = windows.distinct(windows.starts(rows.time, context.plan.window))
    noted = {s: _capped(book.unknown.get(s, frozenset()) | unknown) for s in touched}
    tally.state = replace(tally.state, book=replace(book, unknown={**book.unknown, **noted}))


def _capped(names: frozenset[str]) -> frozenset[str]:
    return names if len(names) <= UNKNOWN_NAMES else frozenset(sorted(names)[:UNKNOWN_NAMES])
