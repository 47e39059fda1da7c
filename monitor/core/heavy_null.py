"""What heavy monitors say of the reference's own windows: learnt once per reference, apart as all they do.

When a reference is made, samples of its own windows are left, as jobs are: at most MOST_WINDOWS, spread
evenly over it. Each monitor compares each of them with the whole reference, and its p-values stay. Until it
knows all of them its windows wait; a monitor whose comparisons fail again and again is given up for a time.
"""

import json
from collections.abc import Callable, Container, Iterable, Mapping

import numpy as np
import polars as pl
from msgspec import Struct, field
from msgspec.structs import astuple, replace
from numpy.typing import NDArray

from detectors.window_level import LEAST_WINDOWS, Strictness
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
TRIES = 3
"""Comparisons that fail one after the other until a monitor is given up for a time."""
AGAIN = frozenset({"hung", "died", "memory", "absent", "torch"})
"""Failures of the process that compares, not of the comparison: it is tried again."""
AWAY = frozenset({"absent", "torch"})
"""Those of them that last until somebody installs something."""
LONGEST = 5
"""Doublings of the pause between two tries."""
Ints = NDArray[np.int64]
Place = tuple[str, Micros]
"""A line of monitors, and when the run of the reference was due."""


class Trouble(Struct, frozen=True):
    """Why a monitor has not learnt yet. failures: one after the other, none where it is only slow.

    reason, note: of the last one. again: event time before which it is not tried.
    """

    reason: str
    note: str = ""
    failures: int = 0
    again: Micros = NEVER

    @property
    def given_up(self) -> bool:
        """Tell whether its windows are judged meanwhile: as errors."""
        return self.failures >= TRIES

    def then(self, reason: str, note: str, reached: Micros, every: Micros) -> "Trouble":
        """Return it after one more failure; reached: event time of now; every: between two runs."""
        failures = max(self.failures + 1, TRIES if reason in AWAY else 0)
        doubled = 0 if reason in AWAY else min(max(failures - TRIES, 0), LONGEST)
        if failures < TRIES:
            return Trouble(reason, note, failures)
        return Trouble(reason, note, failures, reached + (1 if reached == NEVER else every << doubled))


class HeavyNull(Struct, frozen=True):
    """One reference's windows as heavy monitors see them.

    recipe: what it was learnt for. windows: by line, how many runs the reference has. pvalues: by monitor.
    waiting: samples that some monitor has not compared yet. shortest: by line, how much time a whole run
    covers at least, from the first of its windows' starts to the last. open: by monitor that has begun, which
    of the samples are left, in their order. troubles: by monitor that does not get on.
    """

    number: int
    recipe: str = ""
    windows: Mapping[str, int] = field(default_factory=dict)
    pvalues: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    waiting: Mapping[Place, Job] = field(default_factory=dict)
    shortest: Mapping[str, Micros] = field(default_factory=dict)
    open: Mapping[str, tuple[Micros, ...]] = field(default_factory=dict)
    troubles: Mapping[str, Trouble] = field(default_factory=dict)

    def left(self, monitor: str, line: str) -> tuple[Micros, ...]:
        """Return the samples that a monitor has yet to compare, the next one first."""
        found = self.open.get(monitor)
        if found is None:
            return tuple(sorted(due for of, due in self.waiting if of == line))
        return tuple(due for due in found if (line, due) in self.waiting)

    def given_up(self, monitor: str, line: str) -> Trouble | None:
        """Return why a monitor has not learnt what it should have, and is not waited for."""
        trouble = self.troubles.get(monitor)
        return trouble if trouble is not None and trouble.given_up and self.left(monitor, line) else None

    def waits(self, monitor: str, line: str) -> bool:
        """Tell whether a monitor's windows wait until it knows what is usual."""
        return bool(self.left(monitor, line)) and self.given_up(monitor, line) is None

    def lacks(self, monitor: str, line: str) -> bool:
        """Tell whether a monitor was never asked of windows that would have taught it something."""
        few = len(self.pvalues.get(monitor, ())) < LEAST_WINDOWS <= self.windows.get(line, 0)
        return few and not self.left(monitor, line) and self.open.get(monitor) != ()

    def strictness(self, monitor: str, line: str, level: float, covers: Micros) -> tuple[Strictness, str]:
        """Return how strictly a monitor is asked, that its false alarms come at this level.

        covers: how much time the run does. Where it cannot be judged, why is said.
        """
        known = self.pvalues.get(monitor, ())
        found = Strictness(level, known, self.windows.get(line, len(known)))
        if covers < self.shortest.get(line, 0):
            return found, "too short a time beside the reference's own runs"
        if len(known) < LEAST_WINDOWS <= self.windows.get(line, 0) and monitor in self.open:
            return found, "it could not compare the reference's own runs"
        return found, "" if found.level else "the reference's own runs differ too much for this detector"

    def learnt(self, monitor: str, line: str, due: Micros, pvalue: float | None) -> "HeavyNull":
        """Return it with what a monitor found at one of the samples; None where it could not say anything."""
        pvalues = dict(self.pvalues)
        if pvalue is not None:
            pvalues[monitor] = (*pvalues.get(monitor, ()), pvalue)
        left = tuple(at for at in self.left(monitor, line) if at != due)
        troubles = {name: trouble for name, trouble in self.troubles.items() if name != monitor}
        return replace(self, pvalues=pvalues, open={**self.open, monitor: left}, troubles=troubles)

    def failed(self, monitor: str, line: str, due: Micros, trouble: Trouble) -> "HeavyNull":
        """Return it after a comparison failed: the next one is of another sample."""
        left = (*(at for at in self.left(monitor, line) if at != due), due)
        troubles = {**self.troubles, monitor: trouble}
        return replace(self, open={**self.open, monitor: left}, troubles=troubles)

    def slowed(self, monitor: str, line: str) -> "HeavyNull":
        """Return it with a monitor that nobody shall wait for, if it has samples left."""
        if not self.left(monitor, line):
            return self
        return replace(self, troubles={**self.troubles, monitor: Trouble("slow")})

    def keeping(self, monitors: Iterable[tuple[str, str]]) -> "HeavyNull":
        """Return it with the samples that these monitors, each with its line, have yet to compare."""
        wanted = {(line, due) for monitor, line in monitors for due in self.left(monitor, line)}
        return replace(self, waiting={at: job for at, job in self.waiting.items() if at in wanted})

    def joined(self, fresh: "HeavyNull", begin: Container[str]) -> "HeavyNull":
        """Return it with fresh samples; begin: monitors that compare them, those before have them behind."""
        windows = {**self.windows, **fresh.windows}
        shortest = {**self.shortest, **fresh.shortest}
        open_ = {name: dues for name, dues in self.open.items() if name not in begin}
        open_ |= {name: () for name in self.pvalues.keys() - open_.keys() if name not in begin}
        pvalues = {name: known for name, known in self.pvalues.items() if name not in begin}
        troubles = {name: known for name, known in self.troubles.items() if name not in begin}
        waiting = {**self.waiting, **fresh.waiting}
        return HeavyNull(self.number, self.recipe, windows, pvalues, waiting, shortest, open_, troubles)

    def rested(self) -> "HeavyNull":
        """Return it with what is in trouble tried at once."""
        if all(trouble.again == NEVER for trouble in self.troubles.values()):
            return self
        return replace(self, troubles={n: replace(t, again=NEVER) for n, t in self.troubles.items()})


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
        null = HeavyNull(number, head["recipe"], head["windows"], pvalues, left, shortest)
        troubles = {monitor: Trouble(*parts) for monitor, parts in head.get("troubles", {}).items()}
        begun = {monitor: tuple(dues) for monitor, dues in head.get("open", {}).items()}
        found[number] = replace(null, open=begun, troubles=troubles)
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
        "open": dict(after.open),
        "troubles": {monitor: astuple(trouble) for monitor, trouble in after.troubles.items()},
    }
    arrays = {name: np.array(values, np.float64) for name, values in after.pvalues.items()}
    return changes | {(SPACE, model, str(after.number)): pack(head, arrays)}


def _rows(model: str, null: HeavyNull, at: Place) -> tuple[str, str, str]:
    return (ROWS, model, json.dumps([null.number, *at], separators=(",", ":"), ensure_ascii=False))
