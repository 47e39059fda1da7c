"""The configured wishes for retraining, asked after each tick of event time."""

from collections.abc import Iterable, Mapping

from msgspec import Struct, field
from msgspec.structs import replace

from monitor.core.arrivals import appeared
from monitor.core.episode_log import Episodes
from monitor.core.outbox import Note
from monitor.core.plan import Plan
from monitor.core.policy import Phase, Trip, TripKey, is_stale
from monitor.core.registry import evidence
from monitor.core.reporting import why
from monitor.core.retrain import ClosedWindow, Firing, Outcome, RetrainState, Rule, request, worst_first
from monitor.core.state import ModelState
from monitor.types import Changes


class Asked(Struct):
    """What asking brought: the state after, entries to write, requests to send."""

    state: ModelState
    changes: Changes = field(default_factory=dict)
    notes: list[Note] = field(default_factory=list)


def ask_for_retraining(
    plan: Plan, state: ModelState, trips: Mapping[TripKey, Trip], versions: Iterable[str], start: int
) -> Asked:
    """Ask each webhook that wants to know of what fires once the window that starts at `start` is judged.

    versions: those with rows in windows that have closed, the ones of this window among them.
    """
    arrivals, came = appeared(plan.name, state.arrivals, versions, start + plan.window)
    state = replace(state, arrivals=arrivals)
    if not plan.model.retrain:
        return Asked(state, came)
    asked, baseline = Asked(state, came), state.baseline_at(start)
    window = ClosedWindow(start, start + plan.window, baseline.hash if baseline else "")
    current = {k: t for k, t in trips.items() if not is_stale(plan.window, start - plan.patience(t.kind), t)}
    firing, registry = sorted(_firing(current, state.episodes), key=worst_first), state.arrivals.registry
    going_on = frozenset(trip.episode for trip in trips.values() if trip.phase is Phase.FIRING)
    evident: dict[int, Note] = {}
    for place, wish in enumerate(plan.model.retrain):
        rule = Rule(
            plan.name, wish.webhook, frozenset(wish.when), plan.retrain_cooldown(place), wish.max_per_week
        )
        name = f"{wish.webhook}/{','.join(sorted(wish.when))}"  # what it is, wherever it stands in the file
        known = asked.state.retrain.get(name, asked.state.retrain.get(f"{place}/{wish.webhook}"))
        before = RetrainState.load(known) if known else RetrainState()
        after, note, decision = request(rule, before, firing, window, state.arrivals.newest, going_on)
        if note is not None:
            asked.notes.append(note)
            if registry is not None and plan.model.registry is not None:
                wanted = [f for f in firing if f.kind in rule.kinds]
                evident = evidence(registry, note, wanted, window) | evident
        if decision.outcome is not Outcome.NOTHING:
            counted = {(wish.webhook, "retrain", str(decision.outcome)): decision.count}
            asked.state = replace(asked.state, book=asked.state.book.counted(counted))
        if after.dump() != known:
            asked.state = replace(asked.state, retrain={**asked.state.retrain, name: after.dump()})
            asked.changes[("retrain", state.model, name)] = after.dump().encode()
    asked.notes += evident.values()
    return asked


def _firing(trips: Mapping[TripKey, Trip], episodes: Episodes) -> Iterable[Firing]:
    for key, trip in trips.items():
        if trip.phase is Phase.FIRING and trip.judged is not None:
            yield Firing(
                trip.kind,
                key.detector,
                key.feature,
                key.segment,
                key.version,
                trip.judged.score,
                trip.judged.threshold,
                trip.episode,
                why(episodes.get(trip.episode)),
            )
