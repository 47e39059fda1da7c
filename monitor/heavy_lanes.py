"""Heavy monitors at work: jobs of the models' states, compared apart and given back to the models."""

import threading
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

from detectors.base import Level, Verdict
from exporters.catalog import Histogram, Sample
from exporters.heavy_metrics import HEAVY_BUCKETS
from monitor.alibi_asking import AlibiDetect
from monitor.alibi_table import Alibi
from monitor.clock import Clock
from monitor.comparing import Apart, Comparer, Failure, Here
from monitor.core.closing import Closed
from monitor.core.heavy import ALIBI, POOL, Heavy, Question
from monitor.core.heavy_null import HeavyNull, Place
from monitor.core.jobs import MOST, Job, JobKey
from monitor.core.later import applied
from monitor.core.plan import Plan
from monitor.core.state import ModelState
from monitor.errors import UNEXPECTED, StoreUnavailableError
from monitor.logs import logger
from monitor.models import WatchedModel
from monitor.worker import Amendment, Tools, Worker

Amend = Callable[[str, Callable[[WatchedModel], None]], bool]
"""Changes one model between two batches; False where there is none of that name, or it is set aside."""
Every = Callable[[float, str, Callable[[], None]], None]
"""Has something done every so many seconds, by name."""
SECONDS = 1.0
"""Between two looks for jobs."""
NOTHING = Histogram((0,) * len(HEAVY_BUCKETS), 0.0, 0, HEAVY_BUCKETS)
LEVELS: Mapping[str, Level] = {"refused": Level.INSUFFICIENT_DATA}
"""What a failure makes of a verdict, where it is no error."""


@dataclass(slots=True)
class Figures:
    """What is counted of comparisons, by model and detector, since the start."""

    clock: Clock
    seconds: dict[tuple[str, str], Histogram] = field(default_factory=dict)
    failures: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    guard: threading.Lock = field(default_factory=threading.Lock)

    def asked(self, comparer: Comparer, model: str, question: Question) -> Verdict | None:
        """Have a question answered, and count it; None where the daemon stops meanwhile."""
        spec, began = question.spec, self.clock.monotonic()
        rows = question.reference, question.window
        found = comparer.compare(spec.detector, *rows, question.level, question.options, question.seed)
        took = self.clock.monotonic() - began
        if isinstance(found, Failure) and found.reason == "stopped":
            return None
        whose = model, spec.detector
        with self.guard:
            self.seconds = {**self.seconds, whose: self.seconds.get(whose, NOTHING).observed(took)}
            if isinstance(found, Failure) and found.reason not in LEVELS:
                self.failures[*whose, found.reason] += 1
        if isinstance(found, Failure):
            return spec.verdict(LEVELS.get(found.reason, Level.ERROR), question.window.rows, found.note)
        return spec.judge(question.window.rows, found)

    def samples(self) -> list[Sample]:
        """Return what is exported of it."""
        with self.guard:
            times = [Sample("driftd_heavy_duration_seconds", k, h) for k, h in self.seconds.items()]
            return [*times, *(Sample("driftd_heavy_failures_total", k, n) for k, n in self.failures.items())]


class HeavyLanes:
    """Judges the jobs of all models, each lane on its own, the oldest job of each model in turn.

    comparers: by lane. Until `start` jobs are judged as soon as they are left, by whoever leaves them: so a
    log that is read once gives the same, however long that takes.
    """

    def __init__(self, clock: Clock, comparers: Mapping[str, Comparer]) -> None:
        self._comparers = comparers
        self._figures = Figures(clock)
        self._apart = False
        self._busy = False
        self._stopping = False
        self._troubles: dict[tuple[str, str], str] = {}
        self._log = logger("heavy")

    def start(self, every: Every, look: Callable[["HeavyLanes", str], None]) -> None:
        """Leave jobs to the scheduler from now on; look: has one lane looked at, by name."""
        self._apart = True
        for lane in self._comparers:
            every(SECONDS, f"heavy {lane}", partial(look, self, lane))

    @property
    def most(self) -> int | None:
        """How many jobs of a model may wait; any number while it waits for them."""
        return MOST if self._apart else None

    def after(self, tools: Tools, worker: Worker) -> None:
        """Judge all that waits of a model, by the thread that owns it, and what that leaves in turn."""
        if self._apart or self._busy:  # its own commits come here too
            return
        self._busy = True
        try:
            for lane in self._comparers:
                while (work := _next(worker, lane)) is not None:
                    found = work.done(self._figures, self._comparers[lane])
                    if found is None:
                        return
                    worker.amend(tools, found)
        finally:
            self._busy = False

    def look(
        self, lane: str, tools: Tools, models: Callable[[], Sequence[WatchedModel]], amend: Amend
    ) -> None:
        """Judge what waits in a lane, one job of each model in turn, until nothing does."""
        going = True
        while going and not self._stopping:
            going = False
            for model in models():
                if not self._stopping:
                    going |= self._looked(model, lane, tools, amend)

    def _looked(self, model: WatchedModel, lane: str, tools: Tools, amend: Amend) -> bool:
        """Judge a job of a model that goes on meanwhile, if it has one; what fails stops no other model."""
        place, trouble = (model.worker.plan.name, lane), ""
        try:
            work = _next(model.worker, lane)
            if work is None or self._judge(work, lane, tools, amend):
                self._troubles.pop(place, None)
                return work is not None
        except StoreUnavailableError as error:
            trouble = str(error)
        except UNEXPECTED as error:  # a fault of ours; only the type is told: a message may quote a value
            trouble = type(error).__name__
        if trouble and trouble != self._troubles.get(place):
            self._troubles[place] = trouble
            self._log.error("not recorded, tried again", model=place[0], error=trouble)
        return False

    def _judge(self, work: "_Work | _Lesson", lane: str, tools: Tools, amend: Amend) -> bool:
        """Judge a job; tells whether it is done."""
        found = work.done(self._figures, self._comparers[lane])
        if found is None:
            return False

        def take(model: WatchedModel) -> None:
            if work.still(model.worker):  # else it is looked at anew
                model.worker.amend(tools, found)

        return amend(work.plan.name, take)

    def samples(self) -> list[Sample]:
        """Return what is exported of the comparisons."""
        found = self._figures.samples()
        for comparer in self._comparers.values():
            if isinstance(comparer, AlibiDetect):
                found += comparer.samples()
        return found

    def configure(self, table: Alibi) -> None:
        """Ask alibi-detect as this table says from now on."""
        for comparer in self._comparers.values():
            if isinstance(comparer, AlibiDetect):
                comparer.configure(table)

    def close(self) -> None:
        """End; what is under way is not judged, and waits for the next start."""
        self._stopping = True
        for comparer in self._comparers.values():
            comparer.close()


@dataclass(frozen=True, slots=True, eq=False)
class _Work:
    """A job to do. heavy, job: the very objects that it was taken by, as the state was."""

    plan: Plan
    heavy: Heavy
    state: ModelState
    key: JobKey
    job: Job

    def still(self, worker: Worker) -> bool:
        """Tell whether it waits as it did."""
        return worker.heavy is self.heavy and worker.state.jobs.get(self.key) is self.job

    def done(self, figures: Figures, comparer: Comparer) -> Amendment | None:
        """Return what applies what the monitors say, None where the daemon stops meanwhile."""
        found: list[Verdict] = []
        for asked in self.heavy.ask(self.state, self.key):
            answer = figures.asked(comparer, self.plan.name, asked) if isinstance(asked, Question) else asked
            if answer is None:
                return None
            found.append(answer)
        return lambda state, *who: applied(self.plan, self.heavy, state, (self.key, found), *who)


@dataclass(frozen=True, slots=True, eq=False)
class _Lesson:
    """A sample of the reference's own to compare."""

    plan: Plan
    heavy: Heavy
    state: ModelState
    null: HeavyNull
    place: Place

    def still(self, worker: Worker) -> bool:
        """Tell whether it waits as it did."""
        return worker.heavy is self.heavy and worker.state.heavy_nulls.get(self.null.number) is self.null

    def done(self, figures: Figures, comparer: Comparer) -> Amendment | None:
        """Return what keeps the p-values, None where the daemon stops meanwhile."""
        found: dict[str, float] = {}
        for asked in self.heavy.ask_of_reference(self.state, self.null, self.place):
            answer = figures.asked(comparer, self.plan.name, asked)
            if answer is None:
                return None
            if answer.pvalue is not None:
                found[asked.spec.id] = answer.pvalue
        after = self.null.learnt(self.place, found)
        return lambda state, *_: Closed(*self.heavy.learnt(state, after))


def _next(worker: Worker, lane: str) -> _Work | _Lesson | None:
    """Return what there is to do of a model's committed state; first what its reference teaches."""
    heavy, state = worker.heavy, worker.state
    if heavy is None:
        return None
    lesson = heavy.untaught(state, lane)
    if lesson is not None:
        return _Lesson(worker.plan, heavy, state, *lesson)
    key = heavy.due(state, lane)
    return _Work(worker.plan, heavy, state, key, state.jobs[key]) if key is not None else None


def lanes_apart(clock: Clock) -> HeavyLanes:
    """Return the lanes of a daemon: each compares in a process of its own."""
    return HeavyLanes(clock, {POOL: Apart(), ALIBI: AlibiDetect(Alibi(), clock)})


def lanes_here(clock: Clock, table: Alibi) -> HeavyLanes:
    """Return the lanes of a backtest: what can be is compared in this process."""
    return HeavyLanes(clock, {POOL: Here(), ALIBI: AlibiDetect(table, clock)})
