"""A reference from the log's first part: rows are held until that part is over, then become the grid.

Held rows are segments that merge like an LSM tree, each an entry of the store, so a crash loses none. Of the
reference's own part at most MOST_ROWS rows stay, those with the smallest keys: a uniform sample. Rows that
come after it wait in full; they are profiled once the grid exists. The reference never grows afterwards.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from detectors.profile import Profile, empty, merge
from monitor.core.profiles import ALL, GroupKey, Rows, Run, profile_rows
from monitor.core.reference import Watched, build
from monitor.core.segments import dump_rows, joined
from monitor.core.state import Changes, ModelState, key_of, window_changes

MOST_ROWS = 300_000
SPACE = "learning"


def end_of_learning(first_start: int, first: int, window: int) -> int:
    """Return where the reference's part ends: a window's edge, microseconds."""
    return first_start + -(-first // window) * window


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
    mine = np.flatnonzero(rows.start < (until or 0))
    if len(mine) <= 2 * MOST_ROWS:
        return rows
    kept = mine[np.argpartition(rows.keys[mine], MOST_ROWS)[:MOST_ROWS]]
    return rows.take(np.sort(np.concatenate([kept, np.flatnonzero(rows.start >= (until or 0))])))


def learned(
    state: ModelState, watched: Watched, columns: frozenset[str], run: Run
) -> tuple[ModelState, Changes]:
    """Make the baseline of the held rows, and profile those that came after its part."""
    until = state.book.learn_until or 0
    rows = joined(list(state.learning.values()))
    early, later = np.flatnonzero(rows.start < until), np.flatnonzero(rows.start >= until)
    if len(early) > MOST_ROWS:
        early = early[np.argpartition(rows.keys[early], MOST_ROWS)[:MOST_ROWS]]
    made = build(rows.take(early), watched, f"log before {until}", columns, run)
    baseline = replace(made, number=1, since=until)
    windows = {k: p for k, p in state.windows.items() if k.start < until}
    for key, profile in profile_rows(baseline.grid, rows.take(later), baseline.segments, run).items():
        windows[key] = merge(baseline.grid, empty(baseline.grid, sample=key.segment == ALL), profile)
    changes: Changes = {(SPACE, state.model, key_of(n)): None for n in state.learning}
    changes |= window_changes(state.model, _moved(state.windows, windows))
    changes[("baseline", state.model, "1")] = baseline.dump()
    return replace(state, windows=windows, learning={}, baselines=(baseline,)), changes


def _moved(
    before: Mapping[GroupKey, Profile], after: Mapping[GroupKey, Profile]
) -> dict[GroupKey, Profile | None]:
    return {key: after.get(key) for key in {*before, *after} if after.get(key) is not before.get(key)}
