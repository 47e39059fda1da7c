"""The models at work, one thread at a time; others take their place between two batches."""

import threading
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager

from msgspec import Struct

from monitor.errors import StoreUnavailableError
from monitor.failures import UNEXPECTED
from monitor.heavy_lanes import HeavyLanes
from monitor.logs import logger
from monitor.models import WatchedModel
from monitor.shelves import Shelves
from monitor.worker import Tools


class Summary(Struct, frozen=True):
    """What one pass did. problem: why it ended early, "" when it did not."""

    batches: int
    problem: str = ""


class Fleet:
    """Every model's turn. problem: why reading waits, "" while it does not."""

    def __init__(self, tools: Tools, shelves: Shelves, stopping: Callable[[], bool]) -> None:
        self.models: tuple[WatchedModel, ...] = ()
        self.problem = ""
        self._tools = tools
        self._shelves = shelves
        self._stopping = stopping
        self._working = threading.Lock()
        self._waiting: list[object] = []  # whoever asks for `still`
        self._aside: frozenset[str] = frozenset()
        self._unread: set[str] = set()
        self._log = logger("daemon")

    def ingest(self) -> Summary:
        """Take in all that the sources have now.

        A model that cannot go on is tried again next time. When somebody waits for `still`, it ends early.
        """
        self._unread.clear()
        batches, problems = self._each(self._drain)
        self._note(problems)
        return Summary(batches, self.problem)

    def read(self) -> None:
        """Take in all that the sources have now, and close the last windows of silent logs.

        Of the models whose logs were read to their ends: rows that wait are no silence.
        """
        models = self.models
        self._unread.clear()
        _, problems = self._each(self._drain)
        if self.models is models:  # nobody else has taken their place, with rows of theirs to read
            read = frozenset(model.worker.plan.name for model in models) - self._unread
            problems += self._each(lambda model: model.worker.close_idle(self._tools), read)[1]
        self._note(problems)

    def flush(self) -> Summary:
        """Close every open window of every model."""
        closed, problems = self._each(lambda model: model.worker.flush(self._tools))
        self._note(problems)
        return Summary(closed, self.problem)

    @contextmanager
    def still(self) -> Iterator[None]:
        """No model works inside: the batch under way ends and is committed."""
        me = object()
        self._waiting.append(me)
        try:
            self._working.acquire()
        finally:
            self._waiting.remove(me)
        try:
            yield
        finally:
            self._working.release()

    @contextmanager
    def aside(self, names: Collection[str]) -> Iterator[None]:
        """Leave these models alone inside, and let the others go on."""
        with self.still():
            self._aside = frozenset(names)
        try:
            yield
        finally:
            for name in names:
                self._shelves.tidy(name)
            self._aside = frozenset()

    def amend(self, name: str, work: Callable[[WatchedModel], None]) -> bool:
        """Change one model between two batches; False where it is set aside, or gone."""
        with self.still():
            found = [m for m in self.models if m.worker.plan.name == name and name not in self._aside]
            for model in [] if self._stopping() else found:
                work(model)
        return bool(found)

    def look(self, lanes: HeavyLanes, lane: str) -> None:
        """Judge what windows have left in a lane, while the models go on."""
        lanes.look(lane, self._tools, lambda: self.models, self.amend)

    def take_on(self, models: tuple[WatchedModel, ...]) -> None:
        """Put these models to work, and close the sources that none of them reads. Call it within `still`."""
        read = {id(source) for model in models for source, _ in model.sources}
        for old in self.models:
            for source, _ in old.sources:
                if id(source) not in read:
                    source.close()
        self.models = models

    def _interrupted(self) -> bool:
        return self._stopping() or bool(self._waiting)

    def _drain(self, model: WatchedModel) -> int:
        name = model.worker.plan.name
        self._unread.add(name)  # rows may wait where it ends early
        batches = model.drain(self._tools, self._interrupted)
        if not self._interrupted():
            self._unread.discard(name)
        return batches

    def _each(
        self, work: Callable[[WatchedModel], int], names: Collection[str] | None = None
    ) -> tuple[int, list[str]]:
        """Do something for every model, or those named; what fails for one does not stop the others.

        Returns the sum, and what failed.
        """
        total, problems = 0, []
        with self._working:
            for model in self.models:
                name = model.worker.plan.name
                if name in self._aside or (names is not None and name not in names):
                    continue
                try:
                    total += work(model)
                except StoreUnavailableError as error:
                    problems.append(str(error))
                except UNEXPECTED as error:  # a fault of ours in one model must not silence the others
                    # only the type is told: a message may quote a row
                    problems.append(f"{name}: stopped by {type(error).__name__}")
                finally:
                    self._shelves.tidy(name)  # nothing that was not committed is in use
        return total, problems

    def _note(self, problems: Iterable[str]) -> None:
        """Keep what readiness says, and log it when it changes."""
        problem = "; ".join(dict.fromkeys(problems))
        if problem and problem != self.problem:
            self._log.error("reading waits, nothing is lost", error=problem)
        elif self.problem and not problem:
            self._log.info("reading goes on")
        self.problem = problem
