"""One piece of work of heavy monitors: a sample to judge, or one of a reference's own to learn from."""

import threading
from collections import Counter
from collections.abc import Mapping

from msgspec import Struct, field

from detectors.base import Level, Verdict
from detectors.joint import Comparison
from exporters.catalog import Histogram, Sample
from exporters.heavy_metrics import HEAVY_BUCKETS
from monitor.clock import Clock
from monitor.comparing import Comparer, Failure
from monitor.core.closing import Closed
from monitor.core.heavy import Heavy, Question
from monitor.core.heavy_null import AGAIN, TRIES
from monitor.core.jobs import Job, JobKey
from monitor.core.later import Said, applied
from monitor.core.lessons import Finding, Lesson, learnt, next_lesson, waits_still
from monitor.core.plan import Plan
from monitor.core.state import ModelState
from monitor.logs import logger
from monitor.worker import Amendment, Worker

NOTHING = Histogram((0,) * len(HEAVY_BUCKETS), 0.0, 0, HEAVY_BUCKETS)
LEVELS: Mapping[str, Level] = {"refused": Level.INSUFFICIENT_DATA}
"""What a failure makes of a verdict, where it is no error."""
SLOW = 60.0
"""Seconds of a comparison from which on others do not wait until its monitor has learnt."""


class Figures(Struct):
    """What is counted of comparisons, by model and detector, and of work done, by model and lane."""

    clock: Clock
    seconds: dict[tuple[str, str], Histogram] = field(default_factory=dict)
    failures: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    done: Counter[tuple[str, str]] = field(default_factory=Counter)
    guard: threading.Lock = field(default_factory=threading.Lock)

    def asked(
        self, comparer: Comparer, model: str, question: Question
    ) -> tuple[Comparison | Failure, float] | None:
        """Have a question answered, and count it; returns also how long it took, in seconds.

        None where the daemon stops meanwhile.
        """
        detector, began = question.spec.detector, self.clock.monotonic()
        found = comparer.compare(question.asked)
        took = self.clock.monotonic() - began
        if isinstance(found, Failure) and found.reason == "stopped":
            return None
        with self.guard:
            before = self.seconds.get((model, detector), NOTHING)
            self.seconds = {**self.seconds, (model, detector): before.observed(took)}
            if isinstance(found, Failure) and found.reason not in LEVELS:
                self.failures[model, detector, found.reason] += 1
        return found, took

    def finished(self, model: str, lane: str) -> None:
        """Count a piece of work that is committed."""
        with self.guard:
            self.done[model, lane] += 1

    def samples(self) -> list[Sample]:
        """Return what is exported of it."""
        with self.guard:
            found = [Sample("driftd_heavy_duration_seconds", k, h) for k, h in self.seconds.items()]
            found += [Sample("driftd_heavy_failures_total", k, n) for k, n in self.failures.items()]
            return [*found, *(Sample("driftd_heavy_done_total", k, n) for k, n in self.done.items())]


class Judging(Struct, frozen=True, eq=False):
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
        found: list[Said] = []
        for asked in self.heavy.ask(self.state, self.key):
            if isinstance(asked, Question):
                answer = figures.asked(comparer, self.plan.name, asked)
                if answer is None:
                    return None
                found.append((asked, _verdict(asked, answer[0])))
            else:
                found.append((None, asked))
        return lambda state, *who: applied(self.plan, self.heavy, state, (self.key, found), *who)


class Learning(Struct, frozen=True, eq=False):
    """A sample of the reference's own to compare."""

    plan: Plan
    heavy: Heavy
    state: ModelState
    lesson: Lesson

    def still(self, worker: Worker) -> bool:
        """Tell whether it waits as it did."""
        return worker.heavy is self.heavy and waits_still(self.heavy, worker.state, self.lesson)

    def done(self, figures: Figures, comparer: Comparer) -> Amendment | None:
        """Return what keeps the p-values, None where the daemon stops meanwhile."""
        found: dict[str, Finding] = {}
        for spec in self.lesson.specs:
            asked = self.heavy.ask_of_reference(self.state, self.lesson.null, self.lesson.due, spec)
            found[spec.id] = Finding()
            if isinstance(asked, Question):
                answer = figures.asked(comparer, self.plan.name, asked)
                if answer is None:
                    return None
                found[spec.id] = _finding(*answer)
        self._tell(found)
        return lambda state, *_: Closed(*learnt(self.plan, self.heavy, state, self.lesson, found))

    def _tell(self, found: Mapping[str, Finding]) -> None:
        """Say it where a monitor is given up for the first time."""
        for spec in self.lesson.specs:
            finding, trouble = found[spec.id], self.lesson.null.troubles.get(spec.id)
            failures = trouble.failures if trouble is not None else 0
            if finding.failure in AGAIN and failures < TRIES <= failures + 1:
                says = "what is usual for it is not learnt, tried again later; its verdicts are errors"
                names = {"feature": spec.feature, "detector": spec.detector, "reason": finding.failure}
                logger("heavy", model=self.plan.name).warning(says, **names)


def _verdict(asked: Question, found: Comparison | Failure) -> Verdict:
    rows = asked.window.rows
    if isinstance(found, Failure):
        return asked.spec.verdict(LEVELS.get(found.reason, Level.ERROR), rows, found.note)
    return asked.spec.judge(rows, found)


def _finding(found: Comparison | Failure, took: float) -> Finding:
    if isinstance(found, Failure):
        return Finding(None, found.reason, found.note)
    return Finding(found.pvalue, slow=took > SLOW)


def next_work(worker: Worker, lane: str) -> Judging | Learning | None:
    """Return what there is to do of a model's committed state.

    First what a reference teaches, then what waits, last what those learn that nobody waits for.
    """
    plan, heavy, state = worker.plan, worker.heavy, worker.state
    if heavy is None:
        return None
    lesson = next_lesson(plan, heavy, state, lane, late=False)
    if lesson is None:
        key = heavy.due(state, lane)
        if key is not None:
            return Judging(plan, heavy, state, key, state.jobs[key])
        lesson = next_lesson(plan, heavy, state, lane, late=True)
    return Learning(plan, heavy, state, lesson) if lesson is not None else None
