"""A reference from the log's first part: rows are held until that part is over, then become the grid.

Held rows are segments that merge like an LSM tree, each an entry of the store, so a crash loses none. Of the
reference's own part at most `most_rows` stay, those with the smallest keys: a uniform sample. Rows that
come after it wait in full; they are profiled once the grid exists. The reference never grows afterwards.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

import numpy as np
from msgspec.structs import replace

from detectors.profile import empty, merge
from monitor.core.heavy import Heavy
from monitor.core.judging import null_models
from monitor.core.plan import Plan
from monitor.core.profiles import ALL, Rows, Run, profile_rows
from monitor.core.reference import Watched, build
from monitor.core.segments import dump_rows, joined, lowest
from monitor.core.state import ModelState, dump_book, key_of, moved, nulls_changes, window_changes
from monitor.core.vectors import values_of
from monitor.types import Changes

MOST_ROWS = 300_000
MOST_VALUES = 10_000_000
LEAST_ROWS = 5_000
SPACE = "learning"


def end_of_learning(first_start: int, first: int, window: int) -> int:
    """Return where the reference's part ends: a window's edge, microseconds."""
    return first_start + -(-first // window) * window


def most_rows(columns: int) -> int:
    """Return how many rows of the reference's part are held: fewer of wide tables, never too few."""
    return max(min(MOST_ROWS, MOST_VALUES // max(columns, 1)), LEAST_ROWS)


def hold(state: ModelState, parts: Sequence[Rows]) -> tuple[ModelState, Changes]:
    """Hold a batch's rows: the state with them, and the entries that say so."""
    rows = joined(parts)
    segments = dict(state.learning)
    number = max(segments, default=0) + 1
    gone: Changes = {}
    while segments and len(segments[max(segments)].start) <= 2 * len(rows.start):
        last = max(segments)
        rows = joined([segments.pop(last), rows])
        gone[(SPACE, state.model, key_of(last))] = None
    rows = _thinned(rows, state.book.learn_until)
    segments[number] = rows
    changes = gone | {(SPACE, state.model, key_of(number)): dump_rows(rows)}
    return replace(state, learning=segments), changes


def _thinned(rows: Rows, until: int | None) -> Rows:
    mine = rows.start < (until or 0)
    most = most_rows(values_of(rows.frame))
    if np.count_nonzero(mine) <= 2 * most:
        return rows
    return joined([lowest(rows.take(np.flatnonzero(mine)), most), rows.take(np.flatnonzero(~mine))])


def learned(
    plan: Plan, state: ModelState, watched: Watched, columns: frozenset[str], run: Run
) -> tuple[ModelState, Changes]:
    """Make the baseline of the held rows, and profile those that came after its part."""
    until = state.book.learn_until or 0
    rows = joined(list(state.learning.values()))
    later = rows.take(np.flatnonzero(rows.start >= until))
    early = lowest(rows.take(np.flatnonzero(rows.start < until)), most_rows(values_of(rows.frame)))
    made = build(
        early,
        watched,
        f"log before {datetime.fromtimestamp(until // 10**6, UTC):%Y-%m-%dT%H:%M:%SZ}",
        columns | state.book.columns,
        run,
    )
    baseline = replace(made, number=1, since=until)
    windows = {k: p for k, p in state.windows.items() if k.start < until}
    for key, profile in profile_rows(baseline.grid, later, baseline.segments, run).items():
        windows[key] = merge(baseline.grid, empty(baseline.grid, sample=key.segment == ALL), profile)
    book = replace(state.book, columns=frozenset())
    changes = forget_held(state) | window_changes(state.model, moved(state.windows, windows))
    changes[("baseline", state.model, "1")] = baseline.dump()
    changes[("book", state.model, "")] = dump_book(book)
    nulls = null_models(plan, baseline, early, run)
    changes |= nulls_changes(state.model, nulls)
    after = replace(state, book=book, windows=windows, learning={}, baselines=(baseline,))
    return replace(after, nulls={1: nulls}), changes


def with_held(
    heavy: Heavy, state: ModelState, held: Mapping[int, Rows], until: int, run: Run
) -> tuple[ModelState, Changes]:
    """Leave samples of the reference's own windows for heavy monitors; held: before it was learnt."""
    rows = joined(list(held.values()))
    return heavy.taught(state, rows.take(np.flatnonzero(rows.start < until)), run)


def forget_held(state: ModelState) -> Changes:
    """Return the entries that let go of the held rows."""
    return {(SPACE, state.model, key_of(n)): None for n in state.learning}
