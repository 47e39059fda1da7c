"""The daemon: built from a configuration, started, stopped; owns the threads and the scheduler."""

import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack, nullcontext

from detectors.pvalues import warm_up
from exporters.catalog import Histogram, Sample
from monitor.auditing import Sent
from monitor.bringing_in import bring_in
from monitor.building import Built, Memory, build, rejects_files
from monitor.clock import Clock, micros
from monitor.config import Config
from monitor.core.outbox import Note
from monitor.core.plan import Plan
from monitor.core.row_files import SPACE as FILES
from monitor.core.state import ModelState
from monitor.endpoints import addresses, notifiers
from monitor.errors import DriftdError, StoreUnavailableError
from monitor.exposition import Exposition, Live, Moment
from monitor.fleet import Fleet, Summary
from monitor.heavy_lanes import lanes_apart
from monitor.logs import logger
from monitor.memory import keep_still
from monitor.models import WatchedModel
from monitor.outgoing import Deliverer, enqueue, load_outbox, outcome, register, retired, with_changes
from monitor.process import Process
from monitor.reading_ahead import READERS
from monitor.registries import Registries
from monitor.reloading import Change, ConfigFile, Reloads, changes_between
from monitor.requests import obeyed
from monitor.responses import Desk, load_responses
from monitor.schedule import Schedule
from monitor.shelves import Shelves
from monitor.store.base import Store
from monitor.store.rejects import SPACE, RejectsFile
from monitor.supervisor import Supervisor
from monitor.telemetry import Facts, telemetry
from monitor.telling import announcer, caught_up
from monitor.types import Changes, EntryKey, Reject
from monitor.views import Views
from monitor.worker import Tools

THREADS = 2
DELIVERY_SECONDS = 3.0


class Daemon:
    """Everything between the configuration and the world. One thread at a time ingests; one delivers."""

    def __init__(
        self,
        config: Config,
        store: Store,
        clock: Clock,
        supervisor: Supervisor | None = None,
        source: ConfigFile | None = None,
    ) -> None:
        self.config = config
        self._supervisor = supervisor or Supervisor({})
        self._store = store
        self._clock = clock
        self._cleanup = ExitStack()
        self._stopping = False  # no Event: its lock may be held by what the signal handler interrupts
        self._guard = threading.Lock()
        self._recording = threading.Lock()
        self._log = logger("daemon")
        self._commits = Histogram()
        self._process = Process()
        self.exposition = Exposition(self._moment, clock.monotonic)
        entries = store.load(without=FILES)
        self._rejects = {key[1]: value for key, value in entries.items() if key[0] == SPACE}
        self._files: Mapping[str, RejectsFile] = {}
        self.outbox = load_outbox(entries)
        facts = Facts(clock.now, self.samples)
        self._telemetry = telemetry(config.exporters.otlp, facts, entries, self._write)
        self.desk = Desk(load_responses(entries), self._watching, self._write, self.now_us)
        self.views = Views(self._watching, lambda: self.outbox, self.desk, self.ready, clock)
        self._deliverer = Deliverer({}, {}, clock)
        pool = ThreadPoolExecutor(THREADS, thread_name_prefix="count")
        ahead = ThreadPoolExecutor(READERS, thread_name_prefix="read")
        self._cleanup.callback(pool.shutdown, cancel_futures=True)
        self._cleanup.callback(ahead.shutdown, cancel_futures=True)
        tracer, announce = self._telemetry.tracer, announcer(lambda: self.config)
        self._heavy = lanes_apart(clock)
        self._cleanup.callback(self._heavy.close)
        own = self.now_us, self.commit, pool.map, ahead
        self.tools = Tools(clock, *own, announce=announce, tracer=tracer, heavy=self._heavy)
        self._coming = ahead.submit(warm_up if source is None else bring_in)  # at once SciPy is needed soon
        self._shelves = Shelves(config.daemon.state)
        self.fleet = Fleet(self.tools, self._shelves, lambda: self._stopping)
        self.registries = Registries(clock, self.tools, self.fleet.amend)
        self._schedule = Schedule(clock)
        self.reloads = Reloads(source, self.change, lambda: self.config, clock, self._supervisor)
        self._take_on(build(config, Memory(store, self._shelves, {}, entries), self.tools))

    @property
    def models(self) -> tuple[WatchedModel, ...]:
        """The models at work."""
        return self.fleet.models

    def change(self, config: Config) -> Change | None:
        """Take on another configuration between two batches; returns what is other, None when nothing is.

        Models that it leaves alone go on meanwhile. Raises DriftdError, and then all stays as it was.
        """
        if config == self.config:
            return None
        change = changes_between(self.config, config)
        memory = Memory(self._store, self._shelves, {m.worker.plan.name: m for m in self.models})
        with self.fleet.aside({*change.removed, *change.changed}):
            built = build(config, memory, self.tools)
            with self.fleet.still():
                if self._stopping:
                    raise DriftdError("the daemon stops; the next start reads the configuration")
                self._take_on(built)
        return change

    def _take_on(self, built: Built) -> None:
        """Commit what opening the models changed, and put all in its place. Raises StoreUnavailableError."""
        made, urls = notifiers(built.config), addresses(built.config)
        with self._recording:
            changes = dict(register(self.outbox, urls))
            changes |= caught_up(built, self.outbox, self._store.load, self.now_us())
            for opened in built.changes.values():
                changes |= opened
            self._write(changes, self._shelves.committing_all(built.changes))
        self.config, self._files = built.config, rejects_files(built.config)
        self._deliverer.configure(self._telemetry.traced(made), urls)
        self.fleet.take_on(built.models)
        self.registries.configure(built.config.models)
        self._heavy.configure(built.config.alibi)
        period = self.config.daemon.commit_every.total_seconds() / 2
        self._schedule.every(min(period, self._supervisor.patience), "read", self._tick)
        self.exposition.changed()

    def now_us(self) -> int:
        """Return the wall clock in microseconds since 1970 UTC."""
        return micros(self._clock.now())

    def commit(self, model: str, changes: Changes, rejects: Sequence[Reject], notes: Sequence[Note]) -> None:
        """Write one model's changes, its rejects and new notes: all of it or nothing."""
        try:
            kept = self._files[model].prepare(rejects, self._rejects.get(model))
        except OSError as error:
            raise StoreUnavailableError(
                f"rejects of {model}: nothing was recorded: {error.strerror}"
            ) from error
        self._telemetry.wrote(notes)
        written = {**changes, **kept, **enqueue(notes, self.now_us())}
        self._write(written, self._shelves.committing(model, changes))
        self._rejects.update({key[1]: value for key, value in kept.items() if value is not None})
        self._supervisor.alive(self._clock.monotonic())

    def _write(
        self, changes: Mapping[EntryKey, bytes | None], around: AbstractContextManager[None] | None = None
    ) -> None:
        if not changes:
            return
        began = self._clock.monotonic()
        with around or nullcontext():
            self._store.commit(changes)
        with self._guard:
            self._commits = self._commits.observed(self._clock.monotonic() - began)
            self.outbox = with_changes(self.outbox, changes)
        self.exposition.changed()

    def ingest(self) -> Summary:
        """Take in all that the sources have now. A model that cannot go on is tried again next time."""
        return self.fleet.ingest()

    def flush(self) -> Summary:
        """Close every open window of every model."""
        return self.fleet.flush()

    def deliver(self) -> None:
        """Start the attempts that are due; each one's outcome is committed when it is known."""
        with self._recording:
            self._write(obeyed(self.outbox, self._store.asked()))
            self._deliverer.give_up(self.outbox, self._write)
        self._deliverer.start_due(self.outbox, self.now_us(), self._record)

    def deliver_and_wait(self) -> int:
        """Make the attempts that are due now; returns how many. `close` tells the collector of them."""
        self._telemetry.start()
        self.deliver()
        return self._deliverer.finish()

    def _record(self, sent: Sent) -> None:
        with self._recording:
            self._quietly(lambda: self._write(outcome(self.outbox, sent, self.now_us())))

    def retain(self) -> None:
        """Forget what is kept for people only, beyond the number kept."""
        with self._recording:
            self._write(retired(self.outbox))
        self.desk.forget()

    def samples(self) -> list[Sample]:
        """Return every sample of now: committed state, and the process's own speed."""
        return self.exposition.samples()

    def _moment(self) -> Moment:
        own = (self._telemetry, self.registries, self._heavy, self._process)
        parts = (self.reloads, self.views, *own)
        return Moment(
            [
                Live(m.worker.plan, m.worker.state, m.worker.evaluation, tuple(m.problems()))
                for m in self.models
            ],
            self._rejects,
            self.outbox,
            self.now_us(),
            self._commits,
            not self.fleet.problem,
            [s for part in parts for s in part.samples()],
        )

    def _watching(self) -> list[tuple[Plan, ModelState]]:
        return [(m.worker.plan, m.worker.state) for m in self.models]

    def ready(self) -> str:
        """Return why the daemon is not ready, "" when it is."""
        return self.fleet.problem

    def run(self, started: Callable[[str], None]) -> None:
        """Serve until `stop`: HTTP, polling, delivery, retention. `started` is told the address."""
        self._coming.result()
        from monitor.server.http import Answers, HttpServer  # noqa: PLC0415 - `bring_in` has begun it

        self.exposition.answer("", "")  # the first one takes longest: no scrape waits for it
        keep_still()
        tell = logger("audit", audit="http").info
        answers = Answers(
            self.exposition.answer, self.ready, self.reloads.reload, self.views, self.desk, tell
        )
        server = HttpServer(self.config.daemon.listen, answers, self.config.daemon.web)
        server.start()
        self._cleanup.callback(server.close)
        self._plan()
        self._schedule.start()
        self._telemetry.start()
        started(server.address)
        self._supervisor.ready()
        self.tools.ahead.submit(warm_up)
        while not self._stopping:
            self._clock.wait(3600)
        self._supervisor.stopping()
        with self.fleet.still():  # the batch under way ends and is committed
            self._schedule.stop()
            self._log.info("stopped reading")
        self._schedule.close()

    def _plan(self) -> None:
        self._schedule.every(1, "deliver", lambda: self._quietly(self.deliver))
        self._schedule.every(3600, "retain", lambda: self._quietly(self.retain))
        self._schedule.every(1, "reload", self._look_for_reload)
        self._schedule.every(1, "registries", self.registries.look)
        self._heavy.start(self._schedule.every, self.fleet.look)

    def _look_for_reload(self) -> None:
        self.reloads.look(watch=self.config.daemon.watch_config)

    def _tick(self) -> None:
        self.fleet.read()
        self._supervisor.alive(self._clock.monotonic())
        self.exposition.changed()  # a scrape during the commit may have kept the state before it

    def _quietly(self, work: Callable[[], object]) -> None:
        """Run scheduled work; a store that is full says so once, by `ingest`, and is tried again."""
        try:
            work()
        except StoreUnavailableError as error:
            self.fleet.problem = self.fleet.problem or str(error)

    def stop(self) -> None:
        """Ask `run` to end; safe from a signal handler, and twice."""
        self._stopping = True
        self._clock.wake()

    def close(self) -> bool:
        """Release everything, the last made first; closing twice is fine.

        Returns False when a thread cannot be ended: a webhook attempt still waits for its receiver, a look
        at a registry for its answer, or a reload is being built.
        """
        self._stopping = True
        delivered = (
            self._deliverer.close(DELIVERY_SECONDS) & self._telemetry.close() & self.registries.close()
        )
        for model in self.models:
            model.close()
        self._cleanup.close()
        self._store.close()
        return delivered and not self.reloads.busy
