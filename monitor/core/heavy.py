"""Heavy monitors: detectors that look at whole rows, judged apart from closing, in the order of windows.

A window that closes leaves its sample in the same commit, as a job. Whoever has the time computes what the
monitors say of it; what comes of that is applied, and the job removed, in one commit more. In between nothing
is lost by a crash: the job is computed again, and with the same seed it says the same.
"""

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from hashlib import blake2b

from msgspec import Struct
from msgspec.structs import replace

from detectors.alibi import ALIBI as OF_ALIBI
from detectors.alibi import PREFIX
from detectors.base import Level, Verdict
from detectors.joint import Asked, Comparison, Joint, Option
from detectors.monitors import MonitorSpec, judged, unjudged
from detectors.multivariate import MULTIVARIATE
from detectors.profile import Grid
from detectors.sample import Sample
from detectors.window_level import Strictness
from monitor.config import Model, Monitor
from monitor.core.closing import Closed
from monitor.core.heavy_null import HeavyNull, heavy_null_changes, runs_of, samples_of
from monitor.core.jobs import MOST, Job, JobKey, bounded
from monitor.core.joint_rows import joint
from monitor.core.leaving import complete, with_left
from monitor.core.plan import Plan, targets
from monitor.core.profiles import ALL, Rows, Run
from monitor.core.schedules import Fires, period
from monitor.core.state import ModelState
from monitor.fields import JOINT
from monitor.types import Changes, Micros

POOL, ALIBI = "pool", "alibi"
"""Lanes: who computes what a monitor says."""
HALF = 0.5
COLUMNS = ("features", "numeric", "categorical")
"""What a heavy monitor may be on by one word, beside the name of an embedding."""
SHOWN = 3
"""Columns that a verdict names."""


class HeavySpec(Struct, frozen=True):
    """One heavy monitor. line: its lane, and its schedule where it has one. every: time between two runs."""

    feature: str
    detector: str
    line: str
    wish: Monitor
    every: Micros

    @property
    def name(self) -> str:
        """Name it among the model's heavy monitors."""
        return f"{self.feature} {self.detector}"

    @property
    def lane(self) -> str:
        """Who computes what it says."""
        return self.line.partition(" ")[0]

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


class Question(Struct, frozen=True, eq=False):
    """What a monitor asks its detector, and how strict it is."""

    spec: HeavySpec
    reference: Joint
    window: Joint
    strict: Strictness
    options: Mapping[str, Option]
    seed: int

    @property
    def asked(self) -> Asked:
        """What the detector is to answer."""
        rows = self.reference, self.window
        return Asked(self.spec.detector, *rows, self.strict.level, self.options, self.seed)


def heavy_names() -> frozenset[str]:
    """Return the names of the detectors that are judged apart."""
    return frozenset([*MULTIVARIATE, *(f"{PREFIX}{name}" for name in OF_ALIBI)])


def heavy_monitors(model: Model) -> tuple[Monitor, ...]:
    """Return the configured monitors that are judged apart."""
    known = heavy_names()
    return tuple(m for m in model.monitors if m.detector in known)


def lane_of(monitor: Monitor) -> str:
    """Return who computes what a heavy monitor says."""
    return ALIBI if monitor.detector.startswith(PREFIX) else POOL


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
        lane = lane_of(monitor)
        line = f"{lane} {monitor.schedule}" if monitor.schedule else lane
        every = self._plan.window
        if monitor.schedule:
            every = max(every, period(self._fires[monitor.schedule]))
        return HeavySpec(feature_of(monitor), monitor.detector, line, monitor, every)

    @property
    def recipe(self) -> str:
        """Name what is learnt from a reference's own windows."""
        return json.dumps(
            [self._plan.window, sorted(spec.id for spec in self.learners)], separators=(",", ":")
        )

    @property
    def learners(self) -> list[HeavySpec]:
        """Return those that learn from a reference's own windows: a threshold of one's own needs none."""
        return [spec for spec in self.specs if spec.wish.threshold is None]

    def knows(self, null: HeavyNull) -> bool:
        """Tell whether what was learnt is about windows as they are now; each monitor has its own part."""
        return bool(null.recipe) and json.loads(null.recipe)[0] == self._plan.window

    def taught(self, state: ModelState, rows: Rows, run: Run) -> tuple[ModelState, Changes]:
        """Leave samples of the newest reference's own windows; rows: those that it was made of.

        What monitors have learnt of it before stays.
        """
        baseline = state.newest_baseline
        if baseline is None or not self.specs:
            return state, {}
        before = state.heavy_nulls.get(baseline.number)
        known = before if before is not None and self.knows(before) else HeavyNull(baseline.number)
        lacking = [s for s in self.learners if s.line not in known.windows or known.lacks(s.id, s.line)]
        lines = {spec.line: partial(self._due, spec.line) for spec in lacking}
        fresh = samples_of(baseline, rows, lines, self._plan.model.alarms.min_rows, run)
        return self.learnt(state, replace(known.joined(fresh, {s.id for s in lacking}), recipe=self.recipe))

    def runs(self, spec: HeavySpec, rows: Rows) -> int:
        """Return how many runs of a monitor a reference's rows have; rows: as for `taught`."""
        return runs_of(rows, partial(self._due, spec.line), self._plan.model.alarms.min_rows)

    def learnt(self, state: ModelState, null: HeavyNull) -> tuple[ModelState, Changes]:
        """Take on what is known of a reference's windows."""
        null = null.keeping((spec.id, spec.line) for spec in self.learners)
        changes = heavy_null_changes(state.model, state.heavy_nulls.get(null.number), null)
        return replace(state, heavy_nulls={**state.heavy_nulls, null.number: null}), changes

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
        return with_left(closed, jobs if most is None else bounded(jobs, most))

    def _due(self, line: str, start: Micros) -> Micros:
        end, schedule = start + self._plan.window, line.partition(" ")[2]
        return self._fires[schedule](end) if schedule else end

    def of(self, key: JobKey, job: Job) -> list[HeavySpec]:
        """Return the monitors that have yet to judge a job."""
        return [s for s in self.specs if s.line == key.line and (job.left is None or s.name in job.left)]

    def ready(self, state: ModelState, key: JobKey) -> list[HeavySpec]:
        """Return those of them that need not wait for what the reference teaches."""
        null = self._null(state, key.number)
        waiting = {s.id for s in self.learners if null is not None and null.waits(s.id, s.line)}
        return [spec for spec in self.of(key, state.jobs[key]) if spec.id not in waiting]

    def _null(self, state: ModelState, number: int) -> HeavyNull | None:
        null = state.heavy_nulls.get(number)
        return null if null is not None and self.knows(null) else None

    def due(self, state: ModelState, lane: str) -> JobKey | None:
        """Return the oldest job of a lane that a monitor can judge: everything before its time has closed."""
        whole = sorted(key for key in complete(self._plan, state) if key.lane == lane)
        return next((key for key in whole if self.ready(state, key)), None)

    def ask(self, state: ModelState, key: JobKey) -> Iterator[Question | Verdict]:
        """Yield what each monitor that is ready has to find out, or its verdict where there is nothing to."""
        null = self._null(state, key.number)
        return (self._asked(state, key, state.jobs[key], spec, null) for spec in self.ready(state, key))

    def ask_of_reference(
        self, state: ModelState, null: HeavyNull, due: Micros, spec: HeavySpec
    ) -> Question | Verdict:
        """Return what a monitor has to find out about a reference's own sample."""
        job = null.waiting[spec.line, due]
        asked = self._asked(state, JobKey(due, "", spec.line, null.number), job, spec, None)
        return replace(asked, strict=Strictness(HALF)) if isinstance(asked, Question) else asked

    def _asked(
        self, state: ModelState, key: JobKey, job: Job, spec: HeavySpec, known: HeavyNull | None
    ) -> Question | Verdict:
        baseline = next((b for b in state.baselines if b.number == key.number), None)
        if job.sample is None:
            return spec.verdict(Level.ERROR, 0, f"given up: {job.windows} windows, as newer ones waited")
        if baseline is None or (usual := baseline.profiles[ALL].sample) is None:
            return spec.verdict(Level.NO_REFERENCE, 0, "the reference is gone")
        strict = Strictness(self.level(spec, baseline.grid, job.groups))
        if known is not None and spec.wish.threshold is None:
            if (trouble := known.given_up(spec.id, spec.line)) is not None:
                note = f"the reference's own runs cannot be compared, tried again later: {trouble.note}"
                return spec.verdict(Level.ERROR, len(job.sample.keys), note)
            strict, why = known.strictness(spec.id, spec.line, strict.wished, job.last - job.first)
            if why:
                return spec.verdict(Level.INSUFFICIENT_DATA, len(job.sample.keys), why)
        return self._question(spec, baseline.grid, (usual, job.sample), strict, _seed(state, key, spec))

    def _question(
        self, spec: HeavySpec, grid: Grid, samples: tuple[Sample, Sample], strict: Strictness, seed: int
    ) -> Question | Verdict:
        names = targets(self._plan.model, grid, spec.wish)
        reference, window = (joint(grid, names, sample) for sample in samples)
        least = self._plan.model.alarms.min_rows
        if not names:
            return spec.verdict(Level.ERROR, window.rows, "no column of the reference is meant")
        if min(reference.rows, window.rows) < least:
            note = f"{window.rows} rows in the window, {reference.rows} in the reference"
            return spec.verdict(Level.INSUFFICIENT_DATA, window.rows, note)
        return Question(spec, reference, window, strict, spec.wish.parameters, seed)


def _seed(state: ModelState, key: JobKey, spec: HeavySpec) -> int:
    """Return the same number for the same windows of the same monitor."""
    text = "\x1f".join([state.model, key.version, spec.feature, spec.detector, str(key.due)])
    return int.from_bytes(blake2b(text.encode(), digest_size=4).digest(), "big")
