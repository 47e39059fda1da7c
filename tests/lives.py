"""A daemon's core on a store in memory, living through crashes and full disks."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from exporters.prometheus import render
from monitor.clock import ManualClock
from monitor.config import Model
from monitor.core.closing import Judge
from monitor.core.outbox import Note
from monitor.core.state import Changes, EntryKey, ModelState, load_model
from monitor.decoders.plain import decode
from monitor.errors import StoreUnavailableError
from monitor.facts import all_samples
from monitor.outgoing import enqueue, load_outbox
from monitor.store.memory import MemoryStore
from monitor.types import Batch, Chunk, Decoded, Position, Reject
from monitor.worker import Tools, Worker
from tests.logs import SOURCE, Row, frame_of, mean_judge, plan_of, reference, schema_for

NOW = datetime(2030, 1, 1, tzinfo=UTC)
CUTTING = {"ids", "learning"}
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
class Process:
    """One life of a daemon's core on a store: it may die after a commit, or find the disk full."""

    made: Model
    store: MemoryStore
    judge: Judge
    dies_after: int | None = None
    full_at: frozenset[int] = frozenset()
    tries: int = 0

    def __post_init__(self) -> None:
        self.clock = ManualClock(NOW)
        state = load_model(self.made.name, self.store.load())
        if not state.baselines and self.made.reference.path is not None:
            baseline = reference(self.made)
            state = replace(state, baselines=(baseline,))
            self.store.commit({("baseline", self.made.name, "1"): baseline.dump()})
        self.worker = Worker(plan_of(self.made), schema_for(self.made), self.judge, state)

    def tools(self, ahead: Executor) -> Tools:
        """Return what a daemon gives to its workers."""
        return Tools(self.clock, lambda: int(NOW.timestamp() * 10**6), self.commit, map, ahead)

    def run(self, source: Cut, *, flush: bool) -> None:
        """Take in all that the source has; a full disk is tried again."""
        with ThreadPoolExecutor(1) as ahead:
            tools = self.tools(ahead)
            self._again(lambda: self.worker.drain(tools, source, self.decode, lambda: False))
            if flush:
                self._again(lambda: self.worker.flush(tools))

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
