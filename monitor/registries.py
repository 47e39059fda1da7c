"""Looking at the models' registries: each in a lane of its own, so that a dead one delays nothing."""

import threading
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from hashlib import sha256
from typing import TYPE_CHECKING

from msgspec import Struct, field
from msgspec.structs import replace

from exporters.base import Retry
from exporters.catalog import Sample
from monitor import config
from monitor.clock import Clock
from monitor.core.registry import SPACE, Registry, first_heard
from monitor.core.state import ModelState
from monitor.core.windows import NEVER
from monitor.endpoints import registered_name, registry_clients
from monitor.errors import StoreUnavailableError
from monitor.failures import UNEXPECTED
from monitor.logs import logger
from monitor.models import WatchedModel
from monitor.registry_table import Registry as Wish
from monitor.worker import Tools

if TYPE_CHECKING:
    from exporters.mlflow import Mlflow, Version

Amend = Callable[[str, Callable[[WatchedModel], None]], bool]
"""Changes one model between two batches; False where there is none of that name, or it is set aside."""
AGAIN = 10.0
"""Seconds after which a registry is asked again whose answer could not be recorded."""


def heard(state: ModelState, wish: Wish, name: str, found: "Iterable[Version]", lateness: int) -> Registry:
    """Return what is known of a registry after a look at it.

    A version that is new there came just after what the model has judged: a request made before it is older.
    """
    source = sha256(f"{wish.mlflow}\n{name}".encode()).hexdigest()[:16]
    names = [(version.number, _names(version, wish.version_tag)) for version in found]
    known = state.arrivals.registry
    if known is None or known.source != source:
        return first_heard(source, name, names)
    judged = max(state.book.progress.watermark(lateness), state.labels.applied)
    return known.heard(names, 0 if judged == NEVER else judged + 1)


def _names(version: "Version", tag: str) -> tuple[str, ...]:
    """Return what a log may call a version."""
    own = (version.tags.get(tag, ""),) if tag else (str(version.number), f"v{version.number}")
    return tuple(dict.fromkeys(name for name in (*own, *version.aliases) if name))


class _Lane(Struct, eq=False):
    model: config.Model
    wish: Wish
    client: "Mlflow"
    pool: ThreadPoolExecutor
    due: float = 0.0
    running: Future[None] | None = None
    over: bool = False
    trouble: str | None = None
    """Why the last look failed, "" where it did not, None before the first one."""

    def end(self) -> None:
        """Begin no other look."""
        self.over = True
        self.pool.shutdown(wait=False, cancel_futures=True)


class Registries(Struct):
    """The lanes. amend: as above. A lane that is looking when it is replaced ends on its own.

    guard: held while a look begins or a lane ends, as these are the work of different threads.
    """

    clock: Clock
    tools: Tools
    amend: Amend
    lanes: Mapping[str, _Lane] = field(default_factory=dict)
    guard: threading.Lock = field(default_factory=threading.Lock)

    def configure(self, models: Iterable[config.Model]) -> None:
        """Look at these models' registries from now on; lanes of those that stay as they are go on."""
        models = [model for model in models if model.registry is not None]
        before, made = self.lanes, registry_clients(models)
        lanes: dict[str, _Lane] = {}
        for model in models:
            old = before.get(model.name)
            if old is not None and old.model == model:
                lanes[model.name] = old
            elif model.registry is not None:
                pool = ThreadPoolExecutor(1, thread_name_prefix="registry")
                lanes[model.name] = _Lane(model, model.registry, made[model.name], pool)
        self.lanes = lanes
        self._end(lane for lane in before.values() if lane not in lanes.values())

    def look(self) -> None:
        """Begin to look at each registry whose time has come."""
        now = self.clock.monotonic()
        with self.guard:
            for lane in self.lanes.values():
                if now >= lane.due and not lane.over and (lane.running is None or lane.running.done()):
                    lane.due = now + lane.wish.every.total_seconds()
                    lane.running = lane.pool.submit(self._look, lane)

    def look_and_wait(self) -> None:
        """Look at each registry whose time has come, and wait for all of them."""
        self.look()
        for lane in self.lanes.values():
            if lane.running is not None:
                lane.running.result()

    def _look(self, lane: _Lane) -> None:
        found = lane.client.versions(self.clock.now())
        if isinstance(found, Retry):
            self._note(lane, f"{found.reason}" + (f" {found.status}" if found.status else ""))
            return
        self._note(lane, "")
        taken, name = False, lane.model.name
        try:
            taken = self.amend(name, lambda model: self._take(lane, model, found))
        except StoreUnavailableError as error:
            logger("registry").error("not recorded, tried again", model=name, error=str(error))
        except UNEXPECTED as error:  # a fault of ours; only the type is told: a message may quote a version
            logger("registry").error("not recorded, tried again", model=name, error=type(error).__name__)
        if not taken:
            lane.due = min(lane.due, self.clock.monotonic() + AGAIN)

    def _take(self, lane: _Lane, model: WatchedModel, found: "tuple[Version, ...]") -> None:
        worker, name = model.worker, lane.model.name
        if self.lanes.get(name) is not lane:
            return  # the configuration has changed meanwhile
        state = worker.state
        after = heard(state, lane.wish, registered_name(lane.model, lane.wish), found, worker.plan.lateness)
        before = state.arrivals.registry
        if after == before:
            return
        self.tools.commit(name, {(SPACE, name, ""): after.dump()}, (), ())
        worker.state = replace(state, arrivals=replace(state.arrivals, registry=after))
        fresh = [v.number for v in after.versions if before is not None and v.number > before.last]
        if fresh:
            logger("registry").info("new version", model=name, numbers=sorted(fresh))

    def _note(self, lane: _Lane, trouble: str) -> None:
        """Keep how the last look went, and log it when it changes."""
        log, name, before = logger("registry"), lane.model.name, lane.trouble
        lane.trouble = trouble
        if trouble and not before:
            log.warning("registry gives no answer, it is asked again", model=name, reason=trouble)
        elif before and not trouble:
            log.info("registry answers again", model=name)

    def samples(self) -> list[Sample]:
        """Return which registries answer, once they were asked."""
        asked = [(name, lane) for name, lane in self.lanes.items() if lane.trouble is not None]
        return [Sample("driftd_registry_up", (name,), float(not lane.trouble)) for name, lane in asked]

    def close(self) -> bool:
        """Begin nothing more; False when a lane is still waiting for its registry."""
        lanes = self.lanes.values()
        self._end(lanes)
        return all(lane.running is None or lane.running.done() for lane in lanes)

    def _end(self, lanes: Iterable[_Lane]) -> None:
        with self.guard:
            for lane in lanes:
                lane.end()
