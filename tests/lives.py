"""A daemon's core on a store in memory, living through crashes and full disks."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import polars as pl
from msgspec.structs import replace

from exporters.prometheus import render
from monitor.clock import ManualClock
from monitor.config import Alarms, Features, Model
from monitor.config import Source as SourceWish
from monitor.core.closing import Judge
from monitor.core.outbox import Note
from monitor.core.outcomes import Vocabulary
from monitor.core.plan import joins
from monitor.core.schema import Schema
from monitor.core.state import PILES, ModelState, dump_book, load_model, nulls_changes
from monitor.decoders.plain import decode
from monitor.errors import StoreUnavailableError
from monitor.facts import all_samples
from monitor.heavy_lanes import HeavyLanes
from monitor.heavy_opening import heavy_of, with_jobs
from monitor.models import joining_of
from monitor.outgoing import enqueue, load_outbox
from monitor.sources.base import Source
from monitor.store.memory import MemoryStore
from monitor.store.segments import MemorySegments
from monitor.types import Batch, Changes, Chunk, Decoded, EntryKey, Position, Reject
from monitor.worker import Tools, Worker
from tests.learnt import Teaching, baseline_by, nulls_by, standard_by
from tests.logs import (
    EPOCH,
    MINUTE,
    SOURCE,
    Row,
    columns,
    frame_of,
    mean_judge,
    model,
    plan_of,
    reference,
    schema_for,
)

NOW = datetime(2030, 1, 1, tzinfo=UTC)
SHELF = MemorySegments()
HOUR = 3600 * 10**6
BEGIN = EPOCH // HOUR * HOUR
"""A time at a whole hour, microseconds."""
CUTTING = {"ids", "learning", *PILES}
"""Entries whose cutting follows the batches; what they hold together is compared by what becomes of it."""


class DiedError(RuntimeError):
    """The process is gone; what was committed stays."""


@dataclass
class Cut:
    """A log as a source that hands out the rows between the given cuts."""

    rows: Sequence[Row]
    cuts: Iterable[int]
    extra: Mapping[str, str] = field(default_factory=dict)
    name: str = SOURCE

    def poll(self, after: Position, _limit: int) -> Batch | None:
        at = int(after.entries.get("next", "0"))
        if at >= len(self.rows):
            return None
        stop = min([cut for cut in self.cuts if cut > at], default=len(self.rows))
        stop = min(stop, len(self.rows))
        chunk = Chunk("log", at, frame_of(self.rows[at:stop], self.extra))
        return Batch(self.name, Position({"next": str(stop)}), (chunk,), more=stop < len(self.rows))

    def close(self) -> None:
        """Nothing is held."""


@dataclass
class Sheet:
    """A log as a source that hands out a frame's rows between the given cuts."""

    frame: pl.DataFrame
    cuts: Iterable[int] = ()
    name: str = SOURCE

    def poll(self, after: Position, _limit: int) -> Batch | None:
        at, end = int(after.entries.get("next", "0")), self.frame.height
        if at >= end:
            return None
        stop = min([cut for cut in self.cuts if at < cut < end], default=end)
        chunk = Chunk("log", at, self.frame[at:stop])
        return Batch(self.name, Position({"next": str(stop)}), (chunk,), more=stop < end)

    def close(self) -> None:
        """Nothing is held."""


@dataclass
class Process:
    """One life of a daemon's core on a store: it may die after a commit, or find the disk full.

    answered: a reference with outcomes. timed: a reference with times. heavy: judges what windows leave.
    """

    made: Model
    store: MemoryStore
    judge: Judge
    dies_after: int | None = None
    full_at: frozenset[int] = frozenset()
    tries: int = 0
    answered: pl.DataFrame | None = None
    timed: pl.DataFrame | None = None
    heavy: HeavyLanes | None = None

    def __post_init__(self) -> None:
        self.clock = ManualClock(NOW)
        schema = replace(schema_for(self.made), joined=joins(self.made))
        state = load_model(self.made.name, self.store.load(), SHELF.reopen)
        if not state.baselines and self.made.reference.path is not None:
            state = self._with_reference(schema, state)
        plan = plan_of(self.made)
        joining = joining_of(plan, state, SHELF.keep)
        heavy = heavy_of(plan, lambda _grid, _groups: 0.01)
        state, dropped = with_jobs(heavy, state)
        self.store.commit(dropped)
        self.worker = Worker(plan, schema, self.judge, state, joining, heavy)

    def _with_reference(self, schema: Schema, state: ModelState) -> ModelState:
        changes: Changes = {}
        if self.timed is not None:
            asked = Teaching.of(self.made, schema, self.timed)
            baseline, nulls = baseline_by(asked), nulls_by(asked)
            changes |= nulls_changes(self.made.name, nulls)
            book = replace(state.book, window=plan_of(self.made).window)
            state = replace(state, nulls={1: nulls}, book=book)
            changes["book", self.made.name, ""] = dump_book(state.book)
        elif self.answered is None:
            baseline = reference(self.made)
        else:
            asked = Teaching.of(self.made, schema, self.answered)
            baseline, standard = baseline_by(asked), standard_by(asked)
            state = replace(state, labels=replace(state.labels, standards=(standard,)))
            changes["standard", self.made.name, "1"] = standard.dump()
        self.store.commit(changes | {("baseline", self.made.name, "1"): baseline.dump()})
        return replace(state, baselines=(baseline,))

    def tools(self, ahead: Executor) -> Tools:
        """Return what a daemon gives to its workers."""
        own = self.clock, lambda: int(NOW.timestamp() * 10**6), self.commit, map, ahead
        return Tools(*own, heavy=self.heavy)

    def run(self, *sources: Source, flush: bool) -> None:
        """Take in all that the sources have; a full disk is tried again."""
        feeds = [(source, self.decode) for source in sources]
        with ThreadPoolExecutor(1) as ahead:
            tools = self.tools(ahead)
            self._again(lambda: self.worker.drain_all(tools, feeds, lambda: False))
            if flush:
                self._again(lambda: self.worker.flush(tools))

    def step(self, source: Source) -> None:
        """Take in one batch of a source."""
        with ThreadPoolExecutor(1) as ahead:
            self.worker.drain(self.tools(ahead), source, self.decode, lambda: True)

    def _again(self, work: Callable[[], object]) -> None:
        while True:
            before = self.worker.state
            try:
                work()
            except StoreUnavailableError:
                assert dumped(self.worker.state, before) == dumped(load_model("m", self.store.load()), before)
                continue
            return

    def decode(self, batch: Batch) -> tuple[Decoded, ...]:
        """Decode a batch's chunks."""
        wanted = self.worker.schema.wanted
        if batch.source.startswith("outcomes-"):
            wanted = Vocabulary.of(self.made).wanted
        return tuple(decode(chunk, wanted, "parquet") for chunk in batch.chunks)

    def commit(
        self, model_: str, changes: Changes, _rejects: Sequence[Reject], notes: Sequence[Note]
    ) -> None:
        self.tries += 1
        if self.tries in self.full_at:
            raise StoreUnavailableError("full")
        self.store.commit({**changes, **enqueue(notes, 0)})
        assert_accounts(load_model(model_, self.store.load()))
        if self.dies_after is not None and self.tries >= self.dies_after:
            raise DiedError


def dumped(state: ModelState, _like: ModelState) -> tuple[object, ...]:
    return (state.book, state.positions, state.windows.keys(), state.trips, state.volumes, state.retrain)


def assert_accounts(state: ModelState) -> None:
    total = state.book.total
    assert total("received") == sum(map(total, ("stored", "rejected", "duplicate", "late", "dropped")))


def metrics(made: Model, store: MemoryStore) -> str:
    entries = store.load()
    states = {made.name: load_model(made.name, entries)}
    return render(all_samples([plan_of(made)], states, {}, load_outbox(entries), 0))[0].decode()


def lasting(store: MemoryStore) -> dict[EntryKey, bytes]:
    return {key: value for key, value in store.load().items() if key[0] not in CUTTING}


def lived(
    made: Model,
    rows: Sequence[Row],
    cuts: Iterable[int] = (),
    *,
    flush: bool = False,
    judge: Judge | None = None,
) -> MemoryStore:
    store = MemoryStore()
    Process(made, store, judge or mean_judge()).run(Cut(rows, cuts), flush=flush)
    return store


@dataclass(frozen=True)
class Guess:
    """A prediction. at: minutes after BEGIN, as of everything that has an outcome."""

    id: str
    at: float
    score: float = 0.75
    version: str = "v1"
    place: str = "north"


@dataclass(frozen=True, order=True)
class Answer:
    """What became known of a prediction, and when."""

    id: str
    at: float
    label: int = 1


def judged_model(**settings: Any) -> Model:  # noqa: ANN401 - the fields of Model
    """Return a binary model of hourly windows; it waits 10 minutes for late rows and 3 hours for outcomes."""
    known: dict[str, Any] = {
        "task": "binary",
        "window": timedelta(hours=1),
        "lateness": timedelta(minutes=10),
        "label_horizon": timedelta(hours=3),
        "columns": columns(score="score", label="label", segments=("place",), groups=("place",)),
        "features": Features(numeric=("x",)),
        "sources": tuple(
            SourceWish(role=r, type="files", path="/logs/*") for r in ("predictions", "outcomes")
        ),
        "alarms": Alarms(min_rows=2),
    }
    return model(**{**known, **settings})


def guesses(rows: Sequence[Guess]) -> pl.DataFrame:
    """Return predictions as a columnar file holds them."""
    schema = {"id": pl.String, "at": pl.Int64, "score": pl.Float64, "version": pl.String, "place": pl.String}
    found = [(r.id, minute(r.at), r.score, r.version, r.place) for r in rows]
    return pl.DataFrame(found, schema, orient="row").with_columns(x=pl.col("score"))


def answers(rows: Sequence[Answer]) -> pl.DataFrame:
    """Return outcomes as a columnar file holds them."""
    schema = {"id": pl.String, "at": pl.Int64, "label": pl.Int64}
    return pl.DataFrame([(r.id, minute(r.at), r.label) for r in rows], schema, orient="row")


def minute(at: float) -> int:
    """Return a time in microseconds, from minutes after BEGIN."""
    return BEGIN + round(at * MINUTE)


def answered(rows: int = 400) -> pl.DataFrame:
    """Return a reference with outcomes: a good model's, three places."""
    rng = np.random.default_rng(0)
    score = rng.random(rows)
    found = guesses(
        [Guess(str(i), 0.0, s, "v0", ("north", "south", "west")[i % 3]) for i, s in enumerate(score)]
    )
    return found.with_columns(label=pl.Series((rng.random(rows) < score).astype(np.int64)))
