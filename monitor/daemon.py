"""The daemon: built from a configuration, started, stopped; owns the threads and the scheduler."""

import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack, nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from apscheduler.executors.pool import ThreadPoolExecutor as PoolExecutor
from apscheduler.schedulers.background import BackgroundScheduler

from detectors.pvalues import warm_up
from exporters.base import Delivery, Notifier
from exporters.catalog import Histogram, Sample
from exporters.webhook import Webhook
from monitor.clock import Clock
from monitor.config import Config
from monitor.core.outbox import Note
from monitor.errors import UNEXPECTED, StoreUnavailableError
from monitor.exposition import Exposition, Live, Moment
from monitor.logs import logger
from monitor.memory import keep_still, resident
from monitor.models import WatchedModel, open_models
from monitor.outgoing import (
    Deliverer,
    abandoned,
    enqueue,
    load_outbox,
    outcome,
    register,
    retired,
    with_changes,
)
from monitor.server.http import Answers, HttpServer
from monitor.shelves import Shelves
from monitor.status import as_text, status
from monitor.store.base import Store
from monitor.store.rejects import SPACE, RejectsFile
from monitor.types import Changes, EntryKey, Reject
from monitor.worker import Tools

THREADS = 2
DELIVERY_SECONDS = 3.0
EPOCH = datetime.fromtimestamp(0, UTC)


@dataclass(frozen=True, slots=True)
class Summary:
    """What one pass did. problem: why it ended early, "" when it did not."""

    batches: int
    problem: str = ""


class Daemon:
    """Everything between the configuration and the world. One thread at a time ingests; one delivers."""

    def __init__(self, config: Config, store: Store, clock: Clock) -> None:
        self.config = config
        self._store = store
        self._clock = clock
        self._cleanup = ExitStack()
        self._stopping = False  # no Event: its lock may be held by what the signal handler interrupts
        self._ingesting = threading.Lock()
        self._guard = threading.Lock()
        self._recording = threading.Lock()
        self._log = logger("daemon")
        self._commits = Histogram()
        self._problem = ""
        self.exposition = Exposition(self._moment, clock.monotonic)
        entries = store.load()
        self._rejects = {key[1]: value for key, value in entries.items() if key[0] == SPACE}
        self._files = {
            m.name: RejectsFile(config.daemon.state / "rejects", m.name, config.daemon.rejects_max)
            for m in config.models
        }
        self.outbox = load_outbox(entries)
        self._deliverer = self._make_deliverer()
        pool = ThreadPoolExecutor(THREADS, thread_name_prefix="count")
        ahead = ThreadPoolExecutor(1, thread_name_prefix="read")
        self._cleanup.callback(pool.shutdown, cancel_futures=True)
        self._cleanup.callback(ahead.shutdown, cancel_futures=True)
        self.tools = Tools(clock, self.now_us, self.commit, pool.map, ahead)
        ahead.submit(warm_up)
        self._shelves = Shelves(config.daemon.state, [m.name for m in config.models], entries)
        self.models: tuple[WatchedModel, ...] = open_models(
            config, entries, self.tools, self._shelves.by_model
        )

    def _make_deliverer(self) -> Deliverer:
        hooks = self.config.webhooks
        notifiers: dict[str, Notifier] = {
            name: Webhook(hook.url, hook.secret.get_secret_value(), hook.timeout.total_seconds())
            for name, hook in hooks.items()
        }
        urls = {name: hook.url for name, hook in hooks.items()}
        self._write(register(self.outbox, urls))
        return Deliverer(notifiers, urls, self._clock)

    def now_us(self) -> int:
        """Return the wall clock in microseconds since 1970 UTC."""
        return (self._clock.now() - EPOCH) // timedelta(microseconds=1)

    def commit(self, model: str, changes: Changes, rejects: Sequence[Reject], notes: Sequence[Note]) -> None:
        """Write one model's changes, its rejects and new notes: all of it or nothing."""
        try:
            kept = self._files[model].prepare(rejects, self._rejects.get(model))
        except OSError as error:
            raise StoreUnavailableError(
                f"rejects of {model}: nothing was recorded: {error.strerror}"
            ) from error
        written = {**changes, **kept, **enqueue(notes, self.now_us())}
        self._write(written, self._shelves.committing(model, changes))
        self._rejects.update({key[1]: value for key, value in kept.items() if value is not None})

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
        batches = self._each(lambda model: model.drain(self.tools, lambda: self._stopping))
        return Summary(batches, self._problem)

    def _each(self, work: Callable[[WatchedModel], int]) -> int:
        """Do something for every model; what fails for one does not stop the others. Returns the sum."""
        total, problems = 0, []
        with self._ingesting:
            for model in self.models:
                try:
                    total += work(model)
                except StoreUnavailableError as error:
                    problems.append(str(error))
                except UNEXPECTED as error:  # a fault of ours in one model must not silence the others
                    # only the type is told: a message may quote a row
                    problems.append(f"{model.worker.plan.name}: stopped by {type(error).__name__}")
                finally:
                    self._shelves.tidy(model.worker.plan.name)  # nothing that was not committed is in use
        self._note("; ".join(problems))
        return total

    def _note(self, problem: str) -> None:
        """Keep what readiness says, and log it when it changes."""
        if problem and problem != self._problem:
            self._log.error("reading waits, nothing is lost", error=problem)
        elif self._problem and not problem:
            self._log.info("reading goes on")
        self._problem = problem

    def flush(self) -> Summary:
        """Close every open window of every model."""
        return Summary(self._each(lambda model: model.worker.flush(self.tools)), self._problem)

    def deliver(self) -> None:
        """Start the attempts that are due; each one's outcome is committed when it is known."""
        self._write(abandoned(self.outbox))
        self._deliverer.start_due(self.outbox, self.now_us(), self._record)

    def deliver_and_wait(self) -> int:
        """Make the attempts that are due now; returns how many."""
        self.deliver()
        return self._deliverer.finish()

    def _record(self, note: Note, delivery: Delivery) -> None:
        with self._recording:
            self._quietly(lambda: self._write(outcome(self.outbox, note, delivery, self.now_us())))

    def retain(self) -> None:
        """Forget what is kept for people only, beyond the number kept."""
        self._write(retired(self.outbox))

    def samples(self) -> list[Sample]:
        """Return every sample of now: committed state, and the process's own speed."""
        return self.exposition.samples()

    def _moment(self) -> Moment:
        return Moment(
            [
                Live(m.worker.plan, m.worker.state, m.worker.evaluation, tuple(m.problems()))
                for m in self.models
            ],
            self._rejects,
            self.outbox,
            self.now_us(),
            self._commits,
            not self._problem,
            resident(),
        )

    def status_text(self) -> str:
        """Return the status as a person reads it."""
        plans = [m.worker.plan for m in self.models]
        return as_text(status(plans, {m.worker.plan.name: m.worker.state for m in self.models}, self.outbox))

    def ready(self) -> str:
        """Return why the daemon is not ready, "" when it is."""
        return self._problem

    def run(self, started: Callable[[str], None]) -> None:
        """Serve until `stop`: HTTP, polling, delivery, retention. `started` is told the address."""
        self.exposition.answer("", "")  # the first one takes longest: no scrape waits for it
        keep_still()
        server = HttpServer(self.config.daemon.listen, Answers(self.exposition.answer, self.ready))
        server.start()
        self._cleanup.callback(server.close)
        scheduler = self._schedule()
        scheduler.start()
        started(server.address)
        while not self._stopping:
            self._clock.wait(3600)
        scheduler.remove_all_jobs()
        with self._ingesting:  # the batch under way ends and is committed
            self._log.info("stopped reading")
        scheduler.shutdown(wait=False)

    def _schedule(self) -> BackgroundScheduler:
        period = self.config.daemon.commit_every.total_seconds() / 2
        defaults = {"misfire_grace_time": None, "coalesce": True, "max_instances": 1}
        scheduler = BackgroundScheduler(
            executors={"default": PoolExecutor(3)}, job_defaults=defaults, timezone=UTC
        )
        now = self._clock.now()
        scheduler.add_job(self._tick, "interval", seconds=period, next_run_time=now)
        scheduler.add_job(self._guarded_deliver, "interval", seconds=1, next_run_time=now)
        scheduler.add_job(self._guarded_retain, "interval", hours=1)
        return scheduler

    def _tick(self) -> None:
        if not self.ingest().problem:
            self._each(lambda model: model.worker.close_idle(self.tools))
        self.exposition.changed()  # a scrape during the commit may have kept the state before it

    def _guarded_deliver(self) -> None:
        self._quietly(self.deliver)

    def _guarded_retain(self) -> None:
        self._quietly(self.retain)

    def _quietly(self, work: Callable[[], object]) -> None:
        """Run scheduled work; a store that is full says so once, by `ingest`, and is tried again."""
        try:
            work()
        except StoreUnavailableError as error:
            self._problem = self._problem or str(error)

    def stop(self) -> None:
        """Ask `run` to end; safe from a signal handler, and twice."""
        self._stopping = True
        self._clock.wake()

    def close(self) -> bool:
        """Release everything, the last made first; closing twice is fine.

        Returns False when a webhook attempt is still waiting for its receiver: its thread cannot be ended.
        """
        self._stopping = True
        delivered = self._deliverer.close(DELIVERY_SECONDS)
        for model in self.models:
            model.close()
        self._cleanup.close()
        self._store.close()
        return delivered
