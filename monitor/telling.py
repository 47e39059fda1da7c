"""Episodes on their way to Grafana: what a commit tells, and what is told of when Grafana is new."""

from collections.abc import Callable, Iterable, Sequence

from monitor.config import Config
from monitor.core.annotations import notes, untold
from monitor.core.outbox import Note
from monitor.core.plan import Plan
from monitor.core.policy import Transition
from monitor.core.state import ModelState
from monitor.endpoints import annotated
from monitor.models import WatchedModel
from monitor.outgoing import Outbox, enqueue
from monitor.types import Changes
from monitor.worker import Announce


def announcer(configured: Callable[[], Config]) -> Announce:
    """Return what makes the notes of a commit by the configuration of then; none without a Grafana."""

    def announce(
        plan: Plan, before: ModelState, after: ModelState, changes: Sequence[Transition]
    ) -> Sequence[Note]:
        return notes(plan, before, after, changes) if annotated(configured()) else ()

    return announce


def begun_untold(config: Config, models: Iterable[WatchedModel], outbox: Outbox, now_us: int) -> Changes:
    """Return the entries that tell of what fires already and of which the outbox knows nothing."""
    if not annotated(config):
        return {}
    states = [(model.worker.plan, model.worker.state) for model in models]
    return enqueue(untold(states, outbox.queued), now_us)
