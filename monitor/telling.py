"""Episodes on their way to Grafana: what a commit tells, and what it missed while it was not configured."""

from collections.abc import Callable, Mapping, Sequence

from monitor.building import Built
from monitor.config import Config
from monitor.core.annotations import ENDPOINT, notes, untold, untold_ends
from monitor.core.outbox import NOT_CONFIGURED, Note, again
from monitor.core.plan import Plan
from monitor.core.policy import Transition
from monitor.core.state import ModelState, load_model
from monitor.endpoints import annotated
from monitor.outgoing import Outbox, enqueue, put
from monitor.types import Changes, EntryKey
from monitor.worker import Announce


def announcer(configured: Callable[[], Config]) -> Announce:
    """Return what makes the notes of a commit by the configuration of then; none without a Grafana."""

    def announce(
        plan: Plan, before: ModelState, after: ModelState, changes: Sequence[Transition]
    ) -> Sequence[Note]:
        return notes(plan, before, after, changes) if annotated(configured()) else ()

    return announce


def caught_up(
    built: Built, outbox: Outbox, load: Callable[[str], Mapping[EntryKey, bytes]], now_us: int
) -> Changes:
    """Return the entries that tell Grafana what it missed while it, or a model, was not configured.

    That is what fires already, what is over since, and what was given up because there was no Grafana.
    load: returns a model's entries.
    """
    if not annotated(built.config):
        return {}
    watched = {m.worker.plan.name: (m.worker.plan, m.worker.state) for m in built.models}
    known = [queued for queued in outbox.queued.values() if queued.note.endpoint == ENDPOINT]
    found: Changes = {}
    for queued in known:
        if queued.note.last_reason == NOT_CONFIGURED:
            found |= put(queued, again(queued.note))
    ends = untold_ends((q.note for q in known), watched, lambda name: load_model(name, load(name)))
    return found | enqueue([*untold(watched.values(), outbox.queued), *ends], now_us)
