"""Heavy monitors at work: jobs of the models' states, compared apart and given back to the models."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial

from msgspec import Struct
from msgspec.structs import replace

from exporters.catalog import Sample
from monitor.alibi_asking import AlibiDetect
from monitor.alibi_table import Alibi
from monitor.clock import Clock
from monitor.comparing import Apart, Comparer, Here
from monitor.core.heavy import ALIBI, POOL
from monitor.core.jobs import MOST
from monitor.core.leaving import GIVEN_UP
from monitor.errors import StoreUnavailableError
from monitor.failures import UNEXPECTED
from monitor.heavy_work import Figures, Judging, Learning, next_work
from monitor.logs import logger
from monitor.models import WatchedModel
from monitor.worker import Amendment, Tools, Worker

Amend = Callable[[str, Callable[[WatchedModel], None]], bool]
"""Changes one model between two batches; False where there is none of that name, or it is set aside."""
Every = Callable[[float, str, Callable[[], None]], None]
"""Has something done every so many seconds, by name."""
SECONDS = 1.0
"""Between two looks for jobs."""
LONGEST, DOUBLINGS = 60.0, 6
"""Seconds between two tries to commit the same at most, and how often the pause doubles until then."""


class _Held(Struct, frozen=True):
    """What could not be committed: the work and what it came to, why not, and when it is tried again."""

    work: Judging | Learning | None = None
    found: Amendment | None = None
    trouble: str = ""
    failures: int = 0
    again: float = 0.0

    def later(self, now: float) -> "_Held":
        """Return it with a pause that is twice as long as the last one."""
        again = now + min(LONGEST, 2.0 ** min(self.failures, DOUBLINGS))
        return replace(self, failures=self.failures + 1, again=again)


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
        self._held: dict[tuple[str, str], _Held] = {}
        self._lost: dict[str, int] = {}
        self._losing: set[str] = set()
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
        self._tell_lost(worker)
        if self._apart or self._busy:  # its own commits come here too
            return
        self._busy = True
        try:
            for lane in self._comparers:
                while (work := next_work(worker, lane)) is not None:
                    found = work.done(self._figures, self._comparers[lane])
                    if found is None:
                        return
                    worker.amend(tools, found)
                    self._figures.finished(worker.plan.name, lane)
        finally:
            self._busy = False

    def _tell_lost(self, worker: Worker) -> None:
        """Say it where windows begin to be given up."""
        name, state = worker.plan.name, worker.state
        lost = state.book.counts.get(("", GIVEN_UP, ""), 0)
        before, self._lost[name] = self._lost.get(name, lost), lost
        if lost > before and name not in self._losing:
            self._losing.add(name)
            self._log.warning("windows are not judged, since too many newer ones wait", model=name)
        elif len(state.jobs) < MOST // 2:
            self._losing.discard(name)

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
        """Do a piece of work of a model that goes on meanwhile; what fails stops no other model.

        What was found and could not be committed is kept, and its commit tried again, ever more seldom.
        """
        place, now = (model.worker.plan.name, lane), self._figures.clock.monotonic()
        held, trouble = self._held.get(place, _Held()), ""
        if now < held.again:
            return False
        try:
            if held.work is None or not held.work.still(model.worker):
                held = replace(held, work=next_work(model.worker, lane), found=None)
            if held.work is not None and held.found is None:
                held = replace(held, found=held.work.done(self._figures, self._comparers[lane]))
            if held.work is None or held.found is None:  # nothing to do, or the daemon stops
                self._held.pop(place, None)
                return False
            if self._committed((held.work, held.found), lane, tools, amend):
                self._held.pop(place, None)
                return True
        except StoreUnavailableError as error:
            trouble = str(error)
        except UNEXPECTED as error:  # a fault of ours; only the type is told: a message may quote a value
            trouble = type(error).__name__
        if trouble and trouble != held.trouble:
            self._log.error("not recorded, tried again", model=place[0], error=trouble)
        self._held[place] = replace(held, trouble=trouble).later(self._figures.clock.monotonic())
        return False

    def _committed(
        self, done: tuple[Judging | Learning, Amendment], lane: str, tools: Tools, amend: Amend
    ) -> bool:
        """Commit what work came to; tells whether it is over with it."""
        work, found = done

        def take(model: WatchedModel) -> None:
            if work.still(model.worker):  # else it is looked at anew, and nothing is done
                model.worker.amend(tools, found)
                self._figures.finished(work.plan.name, lane)

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


def lanes_apart(clock: Clock) -> HeavyLanes:
    """Return the lanes of a daemon: each compares in a process of its own."""
    return HeavyLanes(clock, {POOL: Apart(), ALIBI: AlibiDetect(Alibi(), clock)})


def lanes_here(clock: Clock, table: Alibi) -> HeavyLanes:
    """Return the lanes of a backtest: what can be is compared in this process."""
    return HeavyLanes(clock, {POOL: Here(), ALIBI: AlibiDetect(table, clock)})
