"""What heavy monitors say of the reference's own windows: learnt once per reference, apart as all they do.

When a reference is made, samples of its own windows are left, as jobs are: at most MOST_WINDOWS, spread
evenly over it. Each is compared with the whole reference, and its p-values stay. Until all of them are known
the jobs of those monitors wait.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

import numpy as np
import polars as pl
from numpy.typing import NDArray

from detectors.window_level import LEAST_WINDOWS, window_level
from monitor.core.codec import pack, unpack
from monitor.core.jobs import Job
from monitor.core.profiles import GroupKey, Rows, Run, profile_rows
from monitor.core.reference import Baseline
from monitor.core.windows import NEVER
from monitor.types import Changes, Micros

SPACE, ROWS = "heavy_null", "heavy_rows"
MOST_WINDOWS = 60
WHOLE = 0.8
"""Of the time that runs usually cover: those that cover less, as the log's first one, are not whole."""
Ints = NDArray[np.int64]
Place = tuple[str, Micros]
"""A line of monitors, and when the run of the reference was due."""


@dataclass(frozen=True)
class HeavyNull:
    """One reference's windows as heavy monitors see them.

    recipe: what it was learnt for. windows: by line, how many runs the reference has. pvalues: by monitor.
    waiting: samples that are not compared yet. shortest: by line, how much time a whole run covers at least,
    from the first of its windows' starts to the last.
    """

    number: int
    recipe: str = ""
    windows: Mapping[str, int] = field(default_factory=dict)
    pvalues: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    waiting: Mapping[Place, Job] = field(default_factory=dict)
    shortest: Mapping[str, Micros] = field(default_factory=dict)

    def level(self, monitor: str, line: str, level: float, covers: Micros) -> tuple[float, str]:
        """Return the level at which a monitor is asked, that its false alarms come at this level.

        covers: how much time the run does. Where it cannot be judged the level is 0, and why is said.
        """
        if covers < self.shortest.get(line, 0):
            return 0.0, "too short a time beside the reference's own runs"
        known = np.array(self.pvalues.get(monitor, ()))
        found = window_level(known, level, self.windows.get(line, len(known)))
        return found, "" if found else "the reference's own runs differ too much for this detector"

    def learnt(self, place: Place, found: Mapping[str, float]) -> "HeavyNull":
        """Return it with what was found at one of the samples; monitors that could not say anything lack."""
        pvalues = dict(self.pvalues)
        for monitor, pvalue in found.items():
            pvalues[monitor] = (*pvalues.get(monitor, ()), pvalue)
        waiting = {at: job for at, job in self.waiting.items() if at != place}
        return replace(self, pvalues=pvalues, waiting=waiting)


HeavyNulls = Mapping[int, HeavyNull]


def samples_of(
    baseline: Baseline, rows: Rows, lines: Mapping[str, Callable[[Micros], Micros]], least: int, run: Run
) -> HeavyNull:
    """Take samples of a reference's own runs; lines: when a window is due, by its start.

    rows: as `monitor.core.nulls.learn_nulls` takes them. Runs of fewer rows than `least` tell nothing.
    """
    timed = np.flatnonzero(rows.start != NEVER)
    rows = rows.take(timed)
    flat = replace(rows, frame=rows.frame.with_columns(version=pl.lit("")))
    waiting: dict[Place, Job] = {}
    windows: dict[str, int] = {}
    shortest: dict[str, Micros] = {}
    starts, inverse, counts = np.unique(rows.start, return_inverse=True, return_counts=True)
    for line, due_of in lines.items():
        due_at = _due_at(starts, due_of)
        runs, covered = _whole(due_at, starts, counts, least)
        windows[line] = len(runs)
        if len(runs) < LEAST_WINDOWS:
            continue
        dues, shortest[line] = due_at[inverse], covered
        chosen = runs[np.linspace(0, len(runs) - 1, min(len(runs), MOST_WINDOWS)).astype(int)]
        some = np.flatnonzero(np.isin(dues, chosen))
        profiles = profile_rows(baseline.grid, replace(flat, start=dues).take(some), {}, run)
        for due in chosen.tolist():
            waiting[line, due] = Job(due, due, 1, 1, profiles[GroupKey(due, "")].sample)
    return HeavyNull(baseline.number, windows=windows, waiting=waiting, shortest=shortest)


def runs_of(rows: Rows, due_of: Callable[[Micros], Micros], least: int) -> int:
    """Return how many whole runs of a line a reference's rows have."""
    starts, counts = np.unique(rows.start[rows.start != NEVER], return_counts=True)
    return len(_whole(_due_at(starts, due_of), starts, counts, least)[0])


def _due_at(starts: Ints, due_of: Callable[[Micros], Micros]) -> Ints:
    return np.array([due_of(start) for start in starts.tolist()], np.int64)


def _whole(due_at: Ints, starts: Ints, counts: Ints, least: int) -> tuple[Ints, Micros]:
    """Return the runs that have rows enough and are whole, and how much time such a one covers at least."""
    runs, first, windows = np.unique(due_at, return_index=True, return_counts=True)
    rows = np.bincount(np.repeat(np.arange(len(runs)), windows), weights=counts, minlength=len(runs))
    covered = starts[first + windows - 1] - starts[first]
    enough = rows >= least
    shortest = int(WHOLE * np.median(covered[enough])) if enough.any() else 0
    return runs[enough & (covered >= shortest)], shortest


def load_heavy_nulls(spaces: Mapping[str, Mapping[str, bytes]]) -> dict[int, HeavyNull]:
    """Read them from the store's entries."""
    waiting: dict[int, dict[Place, Job]] = {}
    for key, data in spaces.get(ROWS, {}).items():
        number, line, due = json.loads(key)
        waiting.setdefault(number, {})[line, due] = Job.load(data)
    found = {}
    for data in spaces.get(SPACE, {}).values():
        head, arrays = unpack(data)
        pvalues = {name: tuple(values.tolist()) for name, values in arrays.items()}
        number = head["number"]
        left, shortest = waiting.get(number, {}), head.get("shortest", {})
        found[number] = HeavyNull(number, head["recipe"], head["windows"], pvalues, left, shortest)
    return found


def heavy_null_changes(model: str, before: HeavyNull | None, after: HeavyNull) -> Changes:
    """Return the entries that turn one into the other."""
    old = before.waiting if before is not None else {}
    changes: Changes = {
        _rows(model, after, at): job.dump() for at, job in after.waiting.items() if old.get(at) is not job
    }
    changes |= {_rows(model, after, at): None for at in old.keys() - after.waiting.keys()}
    head = {
        "number": after.number,
        "recipe": after.recipe,
        "windows": dict(after.windows),
        "shortest": dict(after.shortest),
    }
    arrays = {name: np.array(values, np.float64) for name, values in after.pvalues.items()}
    return changes | {(SPACE, model, str(after.number)): pack(head, arrays)}


def _rows(model: str, null: HeavyNull, at: Place) -> tuple[str, str, str]:
    return (ROWS, model, json.dumps([null.number, *at], separators=(",", ":"), ensure_ascii=False))
