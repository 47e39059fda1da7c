"""Heavy monitors: detectors that look at whole rows, judged apart from closing, in the order of windows.

A window that closes leaves its sample in the same commit, as a job. Whoever has the time computes what the
monitors say of it; what comes of that is applied, and the job removed, in one commit more. In between nothing
is lost by a crash: the job is computed again, and with the same seed it says the same.
"""

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from hashlib import blake2b

from detectors.alibi import ALIBI as OF_ALIBI
from detectors.alibi import PREFIX
from detectors.base import Level, Verdict
from detectors.joint import Comparison, Joint, Option
from detectors.monitors import MonitorSpec, judged, unjudged
from detectors.multivariate import MULTIVARIATE
from detectors.profile import Grid
from detectors.sample import Sample
from detectors.window_level import LEAST_WINDOWS
from monitor.config import Model, Monitor
from monitor.core.closing import Closed
from monitor.core.heavy_null import HeavyNull, Place, heavy_null_changes, runs_of, samples_of
from monitor.core.jobs import MOST, Job, JobKey, bounded, job_changes
from monitor.core.plan import Plan, targets
from monitor.core.profiles import ALL, Rows, Run
from monitor.core.state import ModelState, dump_book
from monitor.core.windows import NEVER
from monitor.fields import JOINT
from monitor.types import Changes, Micros

POOL, ALIBI = "pool", "alibi"
"""Lanes: who computes what a monitor says."""
GIVEN_UP = "heavy_given_up"
HALF = 0.5
COLUMNS = ("features", "numeric", "categorical")
"""What a heavy monitor may be on by one word, beside the name of an embedding."""
SHOWN = 3
"""Columns that a verdict names."""
Fires = Callable[[Micros], Micros]
"""A schedule: its first time at or after a point in event time."""


@dataclass(frozen=True, slots=True)
class HeavySpec:
    """One heavy monitor. line: its lane, and its schedule where it has one. every: time between two runs."""

    feature: str
    detector: str
    line: str
    wish: Monitor
    every: Micros

    @property
    def id(self) -> str:
        """Name what its p-values depend on."""
        wish, on = self.wish, self.wish.on
        known = [self.detector, self.line, on, sorted(wish.parameters.items())]
        return json.dumps(known, separators=(",", ":"), ensure_ascii=False)

    def verdict(self, level: Level, n: int, note: str) -> Verdict:
        """Return a verdict without a score."""
        return unjudged(self._spec, level, n, note)

    def judge(self, n: int, found: Comparison) -> Verdict:
        """Return what a comparison of n rows comes to."""
        limit = found.threshold if self.wish.threshold is None else self.wish.threshold
        verdict = judged(self._spec, n, (found.score, limit), found.effect, found.pvalue)
        vectors = (
            isinstance(self.wish.on, str) and self.wish.on not in COLUMNS
        )  # whose numbers mean nothing alone
        shares = () if vectors else found.parts[:SHOWN]
        parts = ", ".join(f"{name} {share:.0%}" for name, share in shares)
        note = "; ".join(text for text in (found.note, f"most of it in {parts}" if parts else "") if text)
        return replace(verdict, note=(verdict.note or note)[:200])

    @property
    def _spec(self) -> MonitorSpec:
        return MonitorSpec(self.feature, self.detector, "drift", self.wish.threshold)


@dataclass(frozen=True, slots=True, eq=False)
class Question:
    """What a detector is asked: as `detectors.joint.Compare` takes it."""

    spec: HeavySpec
    reference: Joint
    window: Joint
    level: float
    options: Mapping[str, Option]
    seed: int


def heavy_names() -> frozenset[str]:
    """Return the names of the detectors that are judged apart."""
    return frozenset([*MULTIVARIATE, *(f"{PREFIX}{name}" for name in OF_ALIBI)])


def heavy_monitors(model: Model) -> tuple[Monitor, ...]:
    """Return the configured monitors that are judged apart."""
    known = heavy_names()
    return tuple(m for m in model.monitors if m.detector in known)


def feature_of(monitor: Monitor) -> str:
    """Name what a heavy monitor is on, in the place of a feature."""
    on = monitor.name or ("+".join(monitor.on) if isinstance(monitor.on, tuple) else monitor.on)
    return JOINT if on == "features" else f"{JOINT}:{on}"


def is_joint(feature: str) -> bool:
    """Tell whether a monitor of this feature looks at whole rows."""
    return feature.partition(":")[0] == JOINT


class Heavy:
    """The heavy monitors of one model. fires: by schedule. level: what one may spend on a window."""

    def __init__(self, plan: Plan, fires: Mapping[str, Fires], level: Callable[[Grid, int], float]) -> None:
        self._plan = plan
        self._fires = fires
        self._level = level
        found = {(s.feature, s.detector): s for s in map(self._spec, heavy_monitors(plan.model))}
        self.specs = tuple(found.values())
        self.lines = tuple(dict.fromkeys(spec.line for spec in self.specs))

    def _spec(self, monitor: Monitor) -> HeavySpec:
        lane = ALIBI if monitor.detector.startswith(PREFIX) else POOL
        line = f"{lane} {monitor.schedule}" if monitor.schedule else lane
        every = self._plan.window
        if monitor.schedule:
            every = max(every, period(self._fires[monitor.schedule]))
        return HeavySpec(feature_of(monitor), monitor.detector, line, monitor, every)

    @property
    def recipe(self) -> str:
        """Name what is learnt from a reference's own windows."""
        return json.dumps([self._plan.window, sorted(spec.id for spec in self.specs)], separators=(",", ":"))

    def taught(self, state: ModelState, rows: Rows, run: Run) -> tuple[ModelState, Changes]:
        """Leave samples of the newest reference's own windows; rows: those that it was made of."""
        baseline = state.newest_baseline
        if baseline is None or not self.specs:
            return state, {}
        lines = {line: partial(self._due, line) for line in self.lines}
        null = samples_of(baseline, rows, lines, self._plan.model.alarms.min_rows, run)
        return self.learnt(state, replace(null, recipe=self.recipe))

    def runs(self, spec: HeavySpec, rows: Rows) -> int:
        """Return how many runs of a monitor a reference's rows have; rows: as for `taught`."""
        return runs_of(rows, partial(self._due, spec.line), self._plan.model.alarms.min_rows)

    def learnt(self, state: ModelState, null: HeavyNull) -> tuple[ModelState, Changes]:
        """Take on what is known of a reference's windows."""
        changes = heavy_null_changes(state.model, state.heavy_nulls.get(null.number), null)
        return replace(state, heavy_nulls={**state.heavy_nulls, null.number: null}), changes

    def lacks(self, null: HeavyNull) -> bool:
        """Tell whether comparisons failed that would have taught something, as without their environment."""
        enough = [spec for spec in self.specs if null.windows.get(spec.line, 0) >= LEAST_WINDOWS]
        few = any(len(null.pvalues.get(spec.id, ())) < LEAST_WINDOWS for spec in enough)
        return few and not null.waiting

    def untaught(self, state: ModelState, lane: str) -> tuple[HeavyNull, Place] | None:
        """Return the next of a reference's own samples that is to be compared with it."""
        for number in sorted(state.heavy_nulls):
            null = state.heavy_nulls[number]
            place = min((at for at in null.waiting if at[0].partition(" ")[0] == lane), default=None)
            if place is not None:
                return null, place
        return None

    def ask_of_reference(self, state: ModelState, null: HeavyNull, place: Place) -> Iterator[Question]:
        """Yield what each monitor has to find out about a reference's own sample."""
        key = JobKey(place[1], "", place[0], null.number)
        for asked in self._asked(state, key, null.waiting[place], None):
            if isinstance(asked, Question):
                yield replace(asked, level=HALF)

    def level(self, spec: HeavySpec, grid: Grid, groups: int) -> float:
        """Return what a monitor may spend on one run: the more, the more seldom it runs."""
        return min(self._level(grid, groups) * spec.every / self._plan.window, 0.5)

    def left(self, before: ModelState, closed: Closed, most: int | None = MOST) -> Closed:
        """Leave jobs of the windows that have closed; most: of the model that wait, None: any number."""
        over = before.windows.keys() - closed.state.windows.keys() if self.lines else frozenset()
        if not over:
            return closed
        groups = Counter(key.start for key in over)
        jobs = dict(closed.state.jobs)
        for key in sorted((k for k in over if k.segment == ALL), key=lambda k: (k.start, k.version)):
            baseline, sample = before.baseline_at(key.start), before.windows[key].sample
            if baseline is None or sample is None:
                continue
            fresh = Job(key.start, key.start, 1, groups[key.start], sample)
            for line in self.lines:
                place = JobKey(self._due(line, key.start), key.version, line, baseline.number)
                jobs[place] = jobs[place].then(fresh) if place in jobs else fresh
        return _kept(closed, jobs if most is None else bounded(jobs, most))

    def _due(self, line: str, start: Micros) -> Micros:
        end, schedule = start + self._plan.window, line.partition(" ")[2]
        return self._fires[schedule](end) if schedule else end

    def due(self, state: ModelState, lane: str) -> JobKey | None:
        """Return the oldest job of a lane that is complete: everything before its time has closed."""
        unknown = {(n.number, line) for n in state.heavy_nulls.values() for line, _ in n.waiting}
        ready = (k for k in complete(self._plan, state) if (k.number, k.line) not in unknown)
        return min((k for k in ready if k.lane == lane), default=None)

    def ask(self, state: ModelState, key: JobKey) -> Iterator[Question | Verdict]:
        """Yield what each monitor of a job has to find out, or its verdict where there is nothing to."""
        null = state.heavy_nulls.get(key.number)
        known = null if null is not None and null.recipe == self.recipe else None
        return self._asked(state, key, state.jobs[key], known)

    def _asked(
        self, state: ModelState, key: JobKey, job: Job, known: HeavyNull | None
    ) -> Iterator[Question | Verdict]:
        baseline = next((b for b in state.baselines if b.number == key.number), None)
        for spec in self.specs:
            if spec.line != key.line:
                continue
            if job.sample is None:
                note = f"given up: {job.windows} windows, as newer ones waited"
                yield spec.verdict(Level.ERROR, 0, note)
            elif baseline is None or (usual := baseline.profiles[ALL].sample) is None:
                yield spec.verdict(Level.NO_REFERENCE, 0, "the reference is gone")
            else:
                level, why = self.level(spec, baseline.grid, job.groups), ""
                if known is not None and spec.wish.threshold is None:
                    level, why = known.level(spec.id, spec.line, level, job.last - job.first)
                samples, seed = (usual, job.sample), _seed(state, key, spec)
                if why:
                    yield spec.verdict(Level.INSUFFICIENT_DATA, len(job.sample.keys), why)
                else:
                    yield self._question(spec, baseline.grid, samples, level, seed)

    def _question(
        self, spec: HeavySpec, grid: Grid, samples: tuple[Sample, Sample], level: float, seed: int
    ) -> Question | Verdict:
        names = targets(self._plan.model, grid, spec.wish)
        reference, window = (joint(grid, names, sample) for sample in samples)
        least = self._plan.model.alarms.min_rows
        if not names:
            return spec.verdict(Level.ERROR, window.rows, "no column of the reference is meant")
        if min(reference.rows, window.rows) < least:
            note = f"{window.rows} rows in the window, {reference.rows} in the reference"
            return spec.verdict(Level.INSUFFICIENT_DATA, window.rows, note)
        return Question(spec, reference, window, level, spec.wish.parameters, seed)


def complete(plan: Plan, state: ModelState) -> list[JobKey]:
    """Return the jobs that nothing is added to any more: all windows before their time have closed."""
    closed = NEVER if state.book.last_closed is None else state.book.last_closed + plan.window
    reached = max(closed, state.book.progress.watermark(plan.lateness))
    return [key for key in state.jobs if key.due <= reached]


def joint(grid: Grid, names: Sequence[str], sample: Sample) -> Joint:
    """Take columns by name out of a sample on a grid, the numeric ones first; or an embedding's vectors."""
    for place, embedding in enumerate(grid.embeddings):
        if embedding.name in names:
            return Joint.of_vectors(embedding.name, sample.vectors[place])
    numeric = [(i, f.name) for i, f in enumerate(grid.numeric) if f.name in names]
    codes = [(i, f.name) for i, f in enumerate(grid.categorical) if f.name in names]
    columns = tuple(name for _, name in (*numeric, *codes))
    return Joint.of(columns, sample, [i for i, _ in numeric], [i for i, _ in codes])


def period(fires: Fires) -> Micros:
    """Return the mean time between two runs of a schedule, over its first hundred."""
    first = at = fires(0)
    for _ in range(100):
        at = fires(at + 1)
    return (at - first) // 100


def _seed(state: ModelState, key: JobKey, spec: HeavySpec) -> int:
    """Return the same number for the same windows of the same monitor."""
    text = "\x1f".join([state.model, key.version, spec.feature, spec.detector, str(key.due)])
    return int.from_bytes(blake2b(text.encode(), digest_size=4).digest(), "big")


def _kept(closed: Closed, jobs: Mapping[JobKey, Job]) -> Closed:
    before, state = closed.state.jobs, closed.state
    lost = _lost(jobs) - _lost(before)
    changes = {**closed.changes, **job_changes(state.model, before, jobs)}
    if lost:
        state = replace(state, book=state.book.counted({("", GIVEN_UP, ""): lost}))
        changes[("book", state.model, "")] = dump_book(state.book)
    return replace(closed, state=replace(state, jobs=jobs), changes=changes)


def _lost(jobs: Mapping[JobKey, Job]) -> int:
    return sum(job.windows for job in jobs.values() if job.sample is None)
