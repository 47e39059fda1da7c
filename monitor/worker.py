"""One model at work: poll, decode, take in, close, commit. The next batches are read meanwhile."""

from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from functools import partial
from typing import Protocol

from msgspec import Struct
from msgspec.structs import replace

from exporters.catalog import Histogram
from exporters.tracing import NO_TRACER, NOTHING, Tracer, trace_id
from monitor.clock import Clock
from monitor.core.closing import Closed, Judge, close_until
from monitor.core.episode_log import turning
from monitor.core.heavy import Heavy
from monitor.core.jobs import MOST
from monitor.core.joining import Joining, with_losses
from monitor.core.learning import learned, with_held
from monitor.core.outbox import Note
from monitor.core.pipeline import Context, Taken, take_in, take_outcomes
from monitor.core.plan import Plan, known_columns
from monitor.core.policy import Transition, Trip, TripKey
from monitor.core.profiles import Run
from monitor.core.scenes import Witness
from monitor.core.schema import Schema
from monitor.core.state import ModelState
from monitor.core.stepping import Watch
from monitor.core.stream_state import stream_changes
from monitor.core.streaming import Streaming
from monitor.core.streams import feed_held
from monitor.core.windows import NEVER
from monitor.core.witness import Auditor
from monitor.episode_traces import followed, logged
from monitor.facts import ModelFacts
from monitor.logs import logger
from monitor.polling import Decode, Feed, Read, earliest, first_time, held, of_outcomes, poll, rank
from monitor.reading_ahead import Ahead
from monitor.references import watched
from monitor.remembering import with_episodes, with_members
from monitor.software import software
from monitor.sources.base import Source
from monitor.types import Changes, Position, Reject

FUTURE = 10 * 60 * 10**6
SECOND = 10**6

Commit = Callable[[str, Changes, Sequence[Reject], Sequence[Note]], None]
Amendment = Callable[[ModelState, Watch | None, Witness], Closed]
"""What comes later of windows that have closed; is given the state, who looks on, and who keeps records."""
Announce = Callable[[Plan, ModelState, ModelState, Sequence[Transition]], Sequence[Note]]


class Tools(Struct, frozen=True):
    """What the workers of a daemon share. commit raises StoreUnavailableError and has then done nothing.

    now_us: wall clock in microseconds. run: maps independent column jobs. ahead: reads the next batches.
    watch: is told of each verdict before it is committed: model, and as core.closing.Watch. announce: makes
    notes of what a commit changes, put into the outbox with it; takes what core.annotations.notes takes.
    tracer: is told what takes how long. heavy: judges what windows leave for heavy monitors.
    """

    clock: Clock
    now_us: Callable[[], int]
    commit: Commit
    run: Run
    ahead: Executor
    watch: Callable[[str, int, TripKey, Trip], None] | None = None
    announce: Announce | None = None
    tracer: Tracer = NO_TRACER
    heavy: "Aftermath | None" = None


class Aftermath(Protocol):
    """What follows the commits."""

    @property
    def most(self) -> int | None:
        """How many jobs of a model may wait."""

    def after(self, tools: Tools, worker: "Worker") -> None:
        """Judge what waits, or leave it to others."""


def _nothing(*_: object) -> tuple[Note, ...]:
    return ()


class Worker:
    """Owns one model's state; used by one thread at a time. `state` is what was last committed."""

    def __init__(
        self,
        plan: Plan,
        schema: Schema,
        judge: Judge,
        state: ModelState,
        joining: Joining | None = None,
        heavy: Heavy | None = None,
    ) -> None:
        self.plan = plan
        self.heavy = heavy
        self.schema = schema
        self.joining = joining
        self.state = state
        self.evaluation = Histogram()
        self.streaming = Streaming(plan.model)
        self._judge = judge
        self._auditor = Auditor(plan, software)
        self._watched = watched(schema)
        self._known = known_columns(plan.model)
        self._heard: float | None = None
        self._facts = ModelFacts(plan)
        self._log = logger("worker", model=plan.name)

    def follow(self, before: "Worker") -> None:
        """Take the place of another worker on the same model: its figures go on, and its log's silence."""
        self.evaluation = before.evaluation
        self._heard = before._heard  # noqa: SLF001 - of its own kind

    def drain(self, tools: Tools, source: Source, decode: Decode, stop: Callable[[], bool]) -> int:
        """Take in all that a source has; returns how many batches. Stops between batches when asked.

        Raises StoreUnavailableError; the state is then that of the last commit.
        """
        batches = 0
        if self.joining is not None and self.state.labels.standards:  # while the first batch is read
            tools.ahead.submit(self.joining.assessor.bench, self.state.labels.standards[-1])
        with Ahead(tools.ahead, tools.tracer, (source, decode), stop) as ahead:
            found = ahead.first(self._position(source))
            while found is not None:
                try:
                    self._take(tools, found, ahead.counted)
                finally:
                    self._heard = tools.clock.monotonic()  # also where it failed: rows are waiting
                batches += 1
                found = ahead.next()
        return batches

    def drain_all(self, tools: Tools, feeds: Sequence[Feed], stop: Callable[[], bool]) -> int:
        """Take in all that several sources have, always the one whose next row is the oldest, like `drain`.

        The frontier waits for the others' next rows: no source is late because another one was read first.
        """
        if len(feeds) == 1:
            return self.drain(tools, *feeds[0], stop)
        batches = 0
        polled = [poll(tools.tracer, source, decode, self._position(source)) for source, decode in feeds]
        while any(polled) and not (batches and stop()):
            units = self.state.book.units
            nexts = {i: first_time(self.schema.columns, units, read) for i, read in enumerate(polled) if read}
            first = min(nexts, key=lambda i: (rank(feeds[i][0], nexts[i]), nexts[i] or 0, i))
            read, hold = polled[first], earliest(time for i, time in nexts.items() if i != first)
            try:
                if read is not None:
                    self._take(tools, read if len(nexts) == 1 else held(read, hold))
            finally:
                if not of_outcomes(feeds[first][0].name):
                    self._heard = tools.clock.monotonic()
            batches += 1
            for i, (source, decode) in enumerate(feeds):  # one that had nothing may have got rows meanwhile
                if i == first or polled[i] is None:
                    polled[i] = poll(tools.tracer, source, decode, self._position(source))
        return batches

    def _position(self, source: Source) -> Position:
        return self.state.positions.get(source.name, Position())

    def _take(self, tools: Tools, read: Read, counted: Callable[[], object] = _nothing) -> None:
        """Take in a batch, in a trace that begins with its poll; tells when its rows are counted."""
        began, polled, begun, decoded = read.times
        source = read.batch.source
        with tools.tracer.span("ingest", start=began, model=self.plan.name, source=source):
            tools.tracer.record("poll", began, polled)
            tools.tracer.record("decode", begun, decoded)
            self._count(tools, read, counted)

    def _count(self, tools: Tools, read: Read, counted: Callable[[], object]) -> None:
        def settle(state: ModelState, watermark: int) -> Closed:
            return self._settle(tools, state, watermark)

        now = tools.now_us() + FUTURE
        context = Context(self.plan, self.schema, now, tools.run, settle, self.joining, self.streaming)
        take = take_outcomes if of_outcomes(read.batch.source) else take_in
        rows = sum(decoded.received for decoded in read.decoded)
        with tools.tracer.span("take in", rows=rows):
            taken = take(context, self.state, read.batch, read.decoded)
        read.forget()
        counted()
        watermark = taken.state.book.progress.watermark(self.plan.lateness)
        self._close(tools, taken.state, watermark, taken)

    def close_idle(self, tools: Tools) -> bool:
        """Close the last window of a silent log: after `lateness` without rows, once its time is over.

        With every window closed, outcomes go on to count: then the newest of them says how late it is. The
        frontier stays, so that no prediction is late for it.
        """
        now = tools.clock.monotonic()
        if self._heard is None:
            self._heard = now  # silence counts from the start, not from the machine's
        if now - self._heard < self.plan.lateness / SECOND:
            return False
        over = tools.now_us() - self.plan.lateness
        if not self.state.windows:
            return self._settle_idle(tools, over)
        ends = [k.start + self.plan.window for k in self.state.windows]
        return self.close_through(tools, max((e for e in ends if e <= over), default=NEVER))

    def _settle_idle(self, tools: Tools, over: int) -> bool:
        labels, window = self.state.labels, self.plan.window
        upto = min(labels.heard, over) // window * window
        if self.joining is None or upto <= labels.applied or not labels.outcomes.rows:
            return False
        with tools.tracer.span("settle", model=self.plan.name):
            self._close(tools, self.state, upto, Taken(self.state, {}))
        return True

    def flush(self, tools: Tools) -> bool:
        """Close every open window, whatever the watermark."""
        ends = [k.start + self.plan.window for k in self.state.windows]
        return self.close_through(tools, max(ends, default=NEVER), cut=True)

    def close_through(self, tools: Tools, watermark: int, *, cut: bool = False) -> bool:
        """Move the watermark there, close what it allows, and commit; False when nothing was to close."""
        if watermark == NEVER:
            return False
        progress = self.state.book.progress
        moved = replace(progress, frontier=max(progress.frontier, watermark + self.plan.lateness))
        state = replace(self.state, book=replace(self.state.book, progress=moved))
        with tools.tracer.span("settle", model=self.plan.name):
            self._close(tools, state, watermark, Taken(state, {}), cut=cut)
        return True

    def _close(
        self, tools: Tools, state: ModelState, watermark: int, taken: Taken, *, cut: bool = False
    ) -> None:
        closed = with_members(self._facts, self.state, self._settle(tools, state, watermark, cut=cut))
        transitions = (*taken.transitions, *closed.transitions)
        closed = with_episodes(self.state, replace(closed, changes={**taken.changes, **closed.changes}))
        changes = closed.changes
        announce = tools.announce or _nothing
        told = announce(self.plan, self.state, closed.state, transitions)
        with tools.tracer.span("commit", model=self.plan.name, entries=len(changes)):
            tools.commit(self.plan.name, changes, taken.rejects, (*taken.notes, *closed.notes, *told))
            trace = trace_id(tools.tracer.current())
        self.state = followed(closed.state, transitions, trace)
        for change in turning(transitions, self.state.episodes):
            logged(self._log, change, self.state.episodes.get(change.episode))
        if tools.heavy is not None and (closed.state.jobs or closed.state.heavy_nulls):
            tools.heavy.after(tools, self)

    def _settle(self, tools: Tools, state: ModelState, watermark: int, *, cut: bool = False) -> Closed:
        """Make the reference once its part of the log is over, then close what is over."""
        learnt: Changes = {}
        until = state.book.learn_until
        if not state.baselines and until is not None and watermark >= until:
            held = state.learning
            state, learnt = learned(self.plan, state, self._watched, self._known, tools.run)
            state = feed_held(self.streaming, state, held)
            learnt |= stream_changes(state.model, {}, state.streams)
            if self.heavy is not None:
                state, usual = with_held(self.heavy, state, held, until, tools.run)
                learnt |= usual
        over = any(key.start + self.plan.window <= watermark for key in state.windows)
        if self.joining is not None and over:
            state, losses = with_losses(self.joining, state)
            learnt |= losses
        began = tools.clock.monotonic()
        assessor = self.joining.assessor if self.joining else None
        watch = partial(tools.watch, self.plan.name) if tools.watch is not None else None
        due = over or (assessor is not None and watermark - state.labels.applied >= self.plan.window)
        with tools.tracer.span("close window") if due else NOTHING:
            closed = close_until(
                self.plan,
                self._judge,
                state,
                watermark,
                cut=cut,
                assessor=assessor,
                watch=watch,
                streaming=self.streaming,
                around=tools.tracer.span,
                witness=self._auditor,
            )
        if closed.state is not state:
            self.evaluation = self.evaluation.observed(tools.clock.monotonic() - began)
        if self.heavy is not None:
            closed = self.heavy.left(state, closed, MOST if tools.heavy is None else tools.heavy.most)
        return replace(closed, changes={**learnt, **closed.changes})

    def amend(self, tools: Tools, work: Amendment) -> None:
        """Commit what comes later of windows that have closed."""
        watch = partial(tools.watch, self.plan.name) if tools.watch is not None else None
        later = work(self.state, watch, self._auditor)
        taken = Taken(later.state, later.changes, (), later.transitions, later.notes)
        with tools.tracer.span("settle", model=self.plan.name):
            self._close(tools, later.state, NEVER, taken)
