"""One batch through the core: rows in, a new state and one commit's entries out. No I/O, no clock."""

from collections.abc import Callable, Iterator, Sequence

import numpy as np
from msgspec import Struct, field
from msgspec.structs import replace
from numpy.typing import NDArray

from detectors.profile import Grid, empty, merge
from monitor.core import dedup, windows
from monitor.core.closing import Closed
from monitor.core.joining import Joining, await_outcomes, hear_own
from monitor.core.learning import end_of_learning, hold
from monitor.core.ledger import hear
from monitor.core.outbox import Note
from monitor.core.outcomes import Limits, type_outcomes
from monitor.core.plan import Plan
from monitor.core.policy import Transition
from monitor.core.profiles import ALL, GroupKey, Profiling, Rows, Run
from monitor.core.reference import Baseline
from monitor.core.schema import Schema, type_rows
from monitor.core.segments import fitted
from monitor.core.state import ModelState, dump_book, position_changes, run_changes, window_changes
from monitor.core.stream_state import stream_changes
from monitor.core.streaming import Streaming
from monitor.core.streams import feed_rows
from monitor.core.timestamps import detect_unit
from monitor.core.unknown import columns_of, note_unknown
from monitor.core.versions import capped
from monitor.fields import TimeUnit
from monitor.types import Batch, Changes, Chunk, Decoded, Position, Reject, TypedRows

NO_GRID = Grid(())
MOST_OPEN = 64
"""Windows that the frontier may pass before what is over is closed, even within one batch."""
Counts = dict[tuple[str, str, str], int]
Settle = Callable[[ModelState, int], Closed]
"""Closes what is over at a watermark."""


class Taken(Struct, frozen=True):
    """A batch's rows taken in. rejects go to the rejects file; the rest came of windows closed on the way."""

    state: ModelState
    changes: Changes
    rejects: tuple[Reject, ...] = ()
    transitions: tuple[Transition, ...] = ()
    notes: tuple[Note, ...] = ()


class Context(Struct, frozen=True):
    """What taking in a batch needs beside the state.

    now_limit: the largest credible timestamp. settle: called within a batch that goes through many
    windows, so that they are not all open at once; without it they stay open.
    """

    plan: Plan
    schema: Schema
    now_limit: int
    run: Run = map
    settle: Settle | None = None
    joining: Joining | None = None
    streaming: Streaming | None = None


class _Tally(Struct):
    """What one chunk after the other adds up to."""

    state: ModelState
    counts: Counts = field(default_factory=dict)
    rejects: list[Reject] = field(default_factory=list)
    changes: Changes = field(default_factory=dict)
    touched: set[GroupKey] = field(default_factory=set)
    transitions: list[Transition] = field(default_factory=list)
    notes: list[Note] = field(default_factory=list)
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
    _hold_all(tally)
    return _done(tally, state, batch)


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
    for stretch in windows.stretches(frontiers, context.plan.window, MOST_OPEN):
        if stretch.start:
            _settle(context, tally, int(frontiers[stretch.start - 1]))
        stored = _store_rows(context, tally, source, _part(rows, stretch), frontiers[stretch])
        for columns, starts in columns_of(stored, decoded):
            tally.state = note_unknown(context.plan.model, tally.state, starts, columns)


def _part(rows: TypedRows, stretch: slice) -> TypedRows:
    if stretch == slice(0, len(rows.time)):
        return rows
    return TypedRows(
        rows.time[stretch],
        None if rows.ids is None else rows.ids[stretch],
        rows.keys[stretch],
        rows.frame[stretch],
        {name: failed[stretch] for name, failed in rows.invalid.items()},
        None if rows.shape is None else rows.shape[stretch],
        None if rows.checks is None else rows.checks[stretch],
    )


def _settle(context: Context, tally: _Tally, frontier: int) -> None:
    if context.settle is None:
        return
    _hold_all(tally)
    closed = context.settle(tally.state, frontier - context.plan.lateness)
    tally.state = closed.state
    tally.changes |= closed.changes
    tally.transitions += closed.transitions
    tally.notes += closed.notes


def _hold_all(tally: _Tally) -> None:
    if tally.held:
        tally.state, held = hold(tally.state, tally.held)
        tally.changes |= held
        tally.held = []


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
) -> TypedRows:
    """Add what is neither late nor a duplicate to the open windows; returns those rows, by window start."""
    plan = context.plan
    starts = windows.starts(rows.time, plan.window)
    late = windows.late(starts, frontiers, plan.window, plan.lateness)
    tally.count(source, "late", int(np.count_nonzero(late)))
    rows = replace(rows, time=starts, made=rows.time)
    if late.any():
        _hear_again(context, tally, rows.take(late))
        rows, frontiers = rows.take(~late), frontiers[~late]
    arrived = None
    if rows.ids is not None and plan.model.deduplicate and len(rows.time):
        watermarks, arrived = frontiers - plan.lateness, dedup.Arrived(rows.ids, rows.time)
        repeated = dedup.duplicates(tally.state.ids, plan.window, arrived, watermarks)
        tally.count(source, "duplicate", int(np.count_nonzero(repeated)))
        if repeated.any():
            _hear_again(context, tally, rows.take(repeated))
            rows = rows.take(~repeated)
            arrived = dedup.Arrived(arrived.ids[~repeated], rows.time)
    tally.count(source, "stored", len(rows.time))
    if not len(rows.time):
        return rows
    versions = rows.frame["version"]
    version = capped(versions, rows.time, tally.state.windows)
    frame = rows.frame if version is versions else rows.frame.with_columns(version)  # which copies all of it
    counted = Rows(rows.time, rows.keys, frame, rows.invalid)
    if plan.first and not tally.state.baselines:
        _hold(plan, tally, counted)
    begun = _begun(context, tally.state, counted)
    if arrived is not None:
        _remember(tally, arrived)
    if context.streaming is not None:
        tally.state = feed_rows(context.streaming, tally.state, counted)
    if context.joining is not None:
        tally.state, waits = await_outcomes(context.joining, tally.state, replace(rows, frame=counted.frame))
        tally.changes |= waits
    _profile(tally, begun)
    return rows


def _hear_again(context: Context, tally: _Tally, rows: TypedRows) -> None:
    """Take the outcomes of rows that are not stored: a prediction logged again, now with its outcome."""
    if context.joining is not None and rows.ids is not None:
        tally.state, heard = hear_own(context.joining, tally.state, rows)
        tally.changes |= heard


def take_outcomes(context: Context, state: ModelState, batch: Batch, decoded: Sequence[Decoded]) -> Taken:
    """Take in a batch of outcomes: they wait for the end of the window in which they became known."""
    tally, joining = _Tally(state), context.joining
    if joining is None or joining.keep is None:
        raise ValueError("outcomes without anything to join them to")
    _reject(tally, batch.source, batch.rejects, received=len(batch.rejects))
    for chunk, columns in zip(batch.chunks, decoded, strict=True):
        units = _units(context, tally, batch.source, columns)
        known = tally.state.book.progress.newest
        limits = Limits(context.now_limit, context.now_limit if known == windows.NEVER else known)
        found, rejects = type_outcomes(joining.assessor.vocabulary, chunk, columns, units, limits)
        _reject(tally, batch.source, (*columns.rejects, *rejects), received=columns.received)
        kept, late = hear(context.plan, tally.state.labels, found, joining.keep)
        tally.count(batch.source, "late", late)
        tally.count(batch.source, "stored", found.height - late)
        tally.state = replace(tally.state, labels=kept.labels)
        tally.changes |= kept.changes
    return _done(tally, state, batch)


def _done(tally: _Tally, state: ModelState, batch: Batch) -> Taken:
    if not batch.more:
        book = tally.state.book
        tally.state = replace(tally.state, book=replace(book, progress=windows.caught_up(book.progress)))
    before = state.positions.get(batch.source, Position())
    after = replace(
        tally.state,
        positions={**state.positions, batch.source: batch.position},
        book=tally.state.book.counted(tally.counts),
    )
    changes = tally.changes | {("book", state.model, ""): dump_book(after.book)}
    changes |= position_changes(state.model, batch.source, before, batch.position)
    changes |= window_changes(state.model, {key: after.windows.get(key) for key in tally.touched})
    changes |= stream_changes(state.model, state.streams, after.streams)
    rejects = sorted(tally.rejects, key=lambda r: (r.file, r.offset))  # as in the log, however it was cut
    return Taken(after, changes, tuple(rejects), tuple(tally.transitions), tuple(tally.notes))


def _hold(plan: Plan, tally: _Tally, rows: Rows) -> None:
    book = tally.state.book
    if book.learn_until is None:
        until = end_of_learning(int(rows.start[0]), plan.first, plan.window)
        tally.state = replace(tally.state, book=replace(book, learn_until=until))
    tally.held.append(rows)


def _remember(tally: _Tally, rows: dedup.Arrived) -> None:
    changes = dedup.added(tally.state.ids, rows)
    tally.changes |= run_changes(tally.state.model, changes, {})
    tally.state = replace(tally.state, ids=dedup.apply(tally.state.ids, changes, frozenset()))


def _begun(context: Context, state: ModelState, rows: Rows) -> list[Profiling]:
    """Have the rows counted, beside whatever is done before `_profile`."""
    begun = []
    for baseline, part in _by_baseline(state, rows):
        grid = baseline.grid if baseline else NO_GRID
        segments = baseline.segments if baseline else {}
        begun.append(Profiling(grid, fitted(part, grid, segments), segments, context.run))
    return begun


def _profile(tally: _Tally, begun: Sequence[Profiling]) -> None:
    merged = dict(tally.state.windows)
    for profiling in begun:
        grid = profiling.grid
        for key, profile in profiling.result().items():
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
