"""`driftd backtest`: a log's whole history through the daemon's own pipeline, on a state in memory.

Sources, decoders, windows, judges, policy and retraining rules are those of `driftd run`; only what they
write stays in memory, and nothing is delivered. A `Recorder` looks on while windows are judged.
"""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from datetime import UTC, datetime, timedelta
from glob import iglob

from msgspec import Struct, field
from msgspec.structs import replace

from monitor.building import Nothing, build
from monitor.clock import Clock
from monitor.complaints import nearest
from monitor.config import Config
from monitor.core.outbox import Note
from monitor.core.plan import Plan
from monitor.core.policy import Trip, TripKey
from monitor.core.state import Book, ModelState, load_book
from monitor.core.windows import NEVER
from monitor.episodes import Episode, Recorder
from monitor.errors import ConfigError, DriftdError
from monitor.heavy_lanes import lanes_here
from monitor.injection import Change, Injection, change_of, concerns
from monitor.injector import Injector
from monitor.models import WatchedModel
from monitor.outgoing import enqueue, load_outbox
from monitor.polling import Decode, Feed
from monitor.reading_ahead import READERS
from monitor.sources.identity import COMPRESSED
from monitor.store.memory import MemoryStore
from monitor.truth import Incident, unknown_features
from monitor.types import Batch, Changes, Decoded, Micros, Reject
from monitor.worker import Tools, Worker

THREADS = 2
EPOCH = datetime.fromtimestamp(0, UTC)


class Progress(Struct, frozen=True):
    """How far a backtest is. rows: read of this model; at: event time reached; done: as Meter."""

    model: str
    rows: int
    at: Micros | None
    done: int


class Wishes(Struct, frozen=True):
    """What a backtest is held against, and put into its rows. strict: refuse what concerns no model."""

    incidents: tuple[Incident, ...] = ()
    injections: tuple[Injection, ...] = ()
    strict: bool = True

    def of(self, *, strict: bool) -> "Wishes":
        """Return the same, more or less strict."""
        return replace(self, strict=strict)


class Replay(Struct, frozen=True):
    """What a model's history brought.

    monitors: how many judged. first, last: the time that was judged, None where nothing was. notes: webhooks
    that would have been sent. injected: per injection, how many rows it was due for. problems: files that
    could not be read.
    """

    plan: Plan
    state: ModelState
    monitors: int
    episodes: tuple[Episode, ...]
    incidents: tuple[Incident, ...] = ()
    first: Micros | None = None
    last: Micros | None = None
    notes: tuple[Note, ...] = ()
    injected: Mapping[str, int] = field(default_factory=dict)
    problems: tuple[str, ...] = ()


def only(config: Config, name: str | None) -> Config:
    """Return the configuration with this model alone; None: with all. Raises DriftdError without it."""
    if name is None:
        return config
    models = tuple(m for m in config.models if m.name == name)
    if not models:
        known = ", ".join(m.name for m in config.models)
        raise DriftdError(f'there is no model "{name}"; the configuration has {known}')
    return config.model_copy(update={"models": models})


def history_bytes(config: Config) -> int | None:
    """Return how many bytes the logs have; None where files do not tell: compressed or columnar ones."""
    sources = [source for model in config.models for source in model.sources]
    paths = [path for source in sources for path in iglob(source.path, recursive=True)]  # noqa: PTH207 - absolute
    if any(s.format not in ("jsonl", "csv") for s in sources) or any(p.endswith(COMPRESSED) for p in paths):
        return None
    try:
        return sum(os.path.getsize(path) for path in paths)  # noqa: PTH202
    except OSError:  # one was rotated away just now
        return None


def backtest(
    config: Config, wishes: Wishes, clock: Clock, tell: Callable[[Progress], None]
) -> tuple[Replay, ...]:
    """Read every model's whole log and close every window. tell: hears of the progress after each commit.

    Raises DriftdError when the configuration, the reference, an incident or an injection cannot be used.
    """
    with ExitStack() as cleanup:
        pool, ahead = (cleanup.enter_context(ThreadPoolExecutor(n)) for n in (THREADS, READERS))
        rehearsal = Rehearsal(config, clock)
        own = rehearsal.now_us, rehearsal.commit, pool.map, ahead, rehearsal.watch
        lanes = lanes_here(clock, config.alibi)
        cleanup.callback(lanes.close)
        tools = Tools(clock, *own, heavy=lanes)
        built = build(config, Nothing(), tools)
        for name, made in built.changes.items():
            rehearsal.commit(name, made, (), ())
        models = [cleanup.enter_context(closing(m)) for m in built.models]
        changes = _changes(models, wishes)
        return tuple(
            rehearsal.replay(tools, model, wishes, changes[model.worker.plan.name], tell) for model in models
        )


class Rehearsal:
    """What stands in for the daemon around its workers: a store in memory, and recorders that look on."""

    def __init__(self, config: Config, clock: Clock) -> None:
        self._clock = clock
        self._store = MemoryStore()
        self._recorders = {model.name: Recorder(Plan.of(model)) for model in config.models}
        self._meter = Meter()
        self._committed: Callable[[Book], None] | None = None

    def now_us(self) -> int:
        """Return the wall clock in microseconds since 1970 UTC."""
        return (self._clock.now() - EPOCH) // timedelta(microseconds=1)

    def commit(self, model: str, changes: Changes, _rejects: Sequence[Reject], notes: Sequence[Note]) -> None:
        """Keep what a worker commits; rejects are among its counts."""
        self._store.commit({**changes, **enqueue(notes, 0)})
        book = changes.get(("book", model, ""))
        if book is not None and self._committed is not None:
            self._committed(load_book(book))

    def watch(self, model: str, tick: Micros, key: TripKey, trip: Trip) -> None:
        """Hand a verdict to the model's recorder."""
        self._recorders[model].watch(tick, key, trip)

    def replay(
        self,
        tools: Tools,
        model: WatchedModel,
        wishes: Wishes,
        changes: Sequence[Change],
        tell: Callable[[Progress], None],
    ) -> Replay:
        """Take in all that a model's sources have, close every window, and say what happened."""
        worker, injector = model.worker, Injector(changes, model.worker.schema.columns)
        self._committed = lambda book: tell(_progress(worker.plan.name, book, self._meter))
        worker.drain_all(tools, _feeds(model, injector, self._meter), lambda: False)
        worker.flush(tools)
        name, recorder = worker.plan.name, self._recorders[worker.plan.name]
        notes = (queued.note for queued in load_outbox(self._store.load()).queued.values())
        known = (*(c.wish.incident(name) for c in changes), *(i for i in wishes.incidents if i.model == name))
        return Replay(
            worker.plan,
            worker.state,
            len(recorder.monitors),
            recorder.episodes(worker.state),
            tuple(sorted(known, key=lambda i: (i.start, i.origin))),
            recorder.first,
            recorder.last,
            tuple(sorted((n for n in notes if n.model == name), key=lambda n: (n.created, n.id))),
            {change.wish.text: n for change, n in zip(changes, injector.rows, strict=True)},
            tuple(f"{path}: {why}" for source, _ in model.sources for path, why in source.problems.items()),
        )


class Meter:
    """Counts what was decoded: bytes of text, rows of columnar files."""

    def __init__(self) -> None:
        self.done = 0

    def around(self, decode: Decode) -> Decode:
        """Return what decodes batches as `decode` does, and counts."""

        def counted(batch: Batch) -> tuple[Decoded, ...]:
            self.done += sum(len(chunk.data) for chunk in batch.chunks)
            return decode(batch)

        return counted


def _feeds(model: WatchedModel, injector: Injector, meter: Meter) -> list[Feed]:
    """Return a model's sources; predictions, and only these, come changed."""
    return [
        (source, meter.around(decode if wish.role == "outcomes" else injector.around(decode)))
        for (source, decode), (_, wish) in zip(model.feeds(), model.sources, strict=True)
    ]


def _progress(model: str, book: Book, meter: Meter) -> Progress:
    newest = book.progress.newest
    return Progress(model, book.total("received"), None if newest == NEVER else newest, meter.done)


def _changes(models: Sequence[WatchedModel], wishes: Wishes) -> dict[str, list[Change]]:
    """Return each model's changes. Raises ConfigError for what no model can be asked."""
    workers = [model.worker for model in models]
    if wishes.strict:
        wrong = [text for worker in workers for text in _unknown(worker, wishes)]
        wrong += [text for wish in wishes.injections for text in _missed(wish, workers)]
        if wrong:
            raise ConfigError(wrong)
    return {
        worker.plan.name: [
            change_of(wish, worker.schema, worker.state.newest_baseline)
            for wish in wishes.injections
            if concerns(wish, worker.plan.name, worker.schema)
        ]
        for worker in workers
    }


def _unknown(worker: Worker, wishes: Wishes) -> list[str]:
    return unknown_features(wishes.incidents, worker.plan.name, (*worker.schema.watched, "_all"))


def _missed(wish: Injection, workers: Sequence[Worker]) -> Iterator[str]:
    """Say that an injection concerns no model, and why."""
    names = [worker.plan.name for worker in workers]
    mine = [worker for worker in workers if wish.model in ("", worker.plan.name)]
    watched = {name for worker in mine for name in worker.schema.watched}
    if not mine:
        yield f'--inject "{wish.text}": there is no model "{wish.model}"{nearest(wish.model, names)}'
    elif wish.feature not in watched:
        near = nearest(wish.feature, watched)
        yield f'--inject "{wish.text}": no feature "{wish.feature}" is watched{near}'
