"""Closing windows: verdicts, trips, transitions, retraining requests; in event-time order, once each."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol, TypeVar

from detectors.base import Verdict
from detectors.profile import Grid, Profile, WindowProfile, summaries
from monitor.core import dedup
from monitor.core.assessing import Assessor
from monitor.core.ledger import Ledger
from monitor.core.maturing import Maturing, without
from monitor.core.outbox import Note
from monitor.core.plan import Plan
from monitor.core.policy import Phase, Reason, Transition, Trip, TripKey, episode_id, is_stale, step
from monitor.core.profiles import ALL, GroupKey
from monitor.core.reference import Baseline
from monitor.core.retrain import ClosedWindow, Firing, Outcome, RetrainState, request
from monitor.core.retrain import Rule as RetrainRule
from monitor.core.state import (
    HISTORY,
    ModelState,
    dump_book,
    run_changes,
    trip_changes,
    volume_changes,
    window_changes,
)
from monitor.types import Changes

VERSIONS_KEPT = 40
"""Versions whose trips and row counts are kept: those with rows in the newest windows."""


Key = TypeVar("Key")
Value = TypeVar("Value")


NOT_YET = ("_all", "reference")
"""Feature and detector of the one monitor that stands for all while there is no reference."""


Watch = Callable[[int, TripKey, Trip], None]
"""Is told of each verdict: at which tick it came (event time), whose it is, and the trip after it."""


class Judge(Protocol):
    """Judges one closed window of one group by every monitor of the model."""

    def __call__(
        self, baseline: Baseline | None, window: WindowProfile | None, groups: int
    ) -> Sequence[Verdict]:
        """Return one verdict per monitor; window is None without a baseline; groups share the budget."""


@dataclass(frozen=True, slots=True)
class Closed:
    """What closing brought: the state after, entries to write, transitions and notes."""

    state: ModelState
    changes: Changes
    transitions: tuple[Transition, ...] = ()
    notes: tuple[Note, ...] = ()


@dataclass(slots=True)
class _Tally:
    state: ModelState
    trips: dict[TripKey, Trip]
    volumes: dict[tuple[str, str], tuple[int, ...]]
    versions: dict[str, int]
    changes: Changes = field(default_factory=dict)
    transitions: list[Transition] = field(default_factory=list)
    notes: list[Note] = field(default_factory=list)
    maturing: Maturing | None = None
    watch: Watch | None = None
    tick: int = 0


def close_until(  # noqa: PLR0913 - what closes, and who looks on
    plan: Plan,
    judge: Judge,
    state: ModelState,
    watermark: int,
    *,
    cut: bool = False,
    assessor: Assessor | None = None,
    watch: Watch | None = None,
) -> Closed:
    """Close every open window that ends at or before the watermark, the oldest first.

    cut: the log was cut short by hand, so a window that ends after the newest row is not complete, and
    outcomes count whenever they became known. assessor: of a model whose outcomes are joined. watch: looks
    on, as a backtest does; it changes nothing.
    """
    over = sorted({k.start for k in state.windows if k.start + plan.window <= watermark})
    stale_ids = [s for s in state.ids.runs if s + plan.window <= watermark]
    maturing = _maturing(plan, assessor, state, watermark, cut=cut) if assessor is not None else None
    if not over and not stale_ids and maturing is None:
        return Closed(state, {})
    tally = _Tally(state, dict(state.trips), dict(state.volumes), dict(state.book.versions))
    tally.maturing, tally.watch = maturing, watch
    groups: dict[int, list[GroupKey]] = {start: [] for start in over}
    for key in sorted(state.windows, key=lambda k: (k.version, k.segment)):
        if key.start in groups:
            groups[key.start].append(key)
    ticks = {start + plan.window for start in over} | (maturing.ledger.ticks if maturing else set())
    for tick in sorted(ticks):
        start, tally.tick = tick - plan.window, tick
        if start in groups:
            complete = not cut or tick <= state.book.progress.newest
            _close_window(plan, judge, tally, groups[start], complete=complete)
            _forget_versions(tally, start - HISTORY * plan.window)
        if maturing is not None:
            for group, verdict in maturing.settle(tick):
                _step(plan, tally, group, verdict)
        _ask_for_retraining(plan, tally, start)
    return _finished(tally, over, frozenset(stale_ids))


def _maturing(
    plan: Plan, assessor: Assessor, state: ModelState, watermark: int, *, cut: bool
) -> Maturing | None:
    """Return the labels at work, None where no tick has come since they last were."""
    upto = watermark // plan.window * plan.window
    if upto <= state.labels.applied and not cut:
        return None

    return Maturing(assessor, Ledger(assessor, state.labels, upto, cut=cut), state.standard_at, upto)


def _finished(tally: _Tally, over: Sequence[int], stale: frozenset[int]) -> Closed:
    state, book = tally.state, tally.state.book
    ended = set(over)
    gone = {key: None for key in state.windows if key.start in ended}
    book = replace(
        book,
        unknown={s: names for s, names in book.unknown.items() if s not in ended},
        last_closed=over[-1] if over else book.last_closed,
        windows_closed=book.windows_closed + len(over),
        versions=tally.versions,
    )
    numbers = {start: [n for n, _ in state.ids.runs[start]] for start in stale}
    after = replace(
        state,
        book=book,
        windows={key: p for key, p in state.windows.items() if key not in gone},
        ids=dedup.apply(state.ids, (), stale),
        trips=tally.trips,
        volumes=tally.volumes,
    )
    if tally.maturing is not None:
        ledger = tally.maturing.ledger
        ledger.labels = without(ledger.labels, {*tally.versions, *(k.version for k in ledger.labels.records)})
        tally.changes |= ledger.finish(tally.maturing.upto)
        after = replace(after, labels=ledger.labels)
    changes = tally.changes | window_changes(state.model, gone) | run_changes(state.model, (), numbers)
    changes[("book", state.model, "")] = dump_book(book)
    changes |= trip_changes(state.model, _moved(state.trips, tally.trips))
    changes |= volume_changes(state.model, _moved(state.volumes, tally.volumes))
    return Closed(after, changes, tuple(tally.transitions), tuple(tally.notes))


def _moved(before: Mapping[Key, Value], after: Mapping[Key, Value]) -> dict[Key, Value | None]:
    changed: dict[Key, Value | None] = {k: v for k, v in after.items() if v is not before.get(k)}
    return changed | dict.fromkeys(before.keys() - after.keys())


def _forget_versions(tally: _Tally, oldest: int) -> None:
    """Forget versions without rows for long, and all but the newest ones when there are too many."""
    newest = sorted(tally.versions, key=lambda v: (-tally.versions[v], v))[:VERSIONS_KEPT]
    kept = {version for version in newest if tally.versions[version] >= oldest}
    if len(kept) == len(tally.versions):
        return
    tally.versions = {version: tally.versions[version] for version in kept}
    tally.trips = {key: trip for key, trip in tally.trips.items() if key.version in kept}
    tally.volumes = {place: rows for place, rows in tally.volumes.items() if place[0] in kept}


def _close_window(
    plan: Plan, judge: Judge, tally: _Tally, groups: Sequence[GroupKey], *, complete: bool
) -> None:
    start = groups[0].start
    baseline = tally.state.baseline_at(start)
    for group in groups:
        tally.versions[group.version] = start
        profile = tally.state.windows[group]
        place = (group.version, group.segment)
        history = tally.volumes.get(place, ())
        seen = _seen(tally.state, baseline, group, profile)
        if seen is not None:
            seen = replace(seen, history=history, complete=complete)
            tally.trips.pop(TripKey(*place, *NOT_YET), None)  # there is a reference now
        for verdict in judge(baseline, seen, len(groups)):
            _step(plan, tally, group, verdict)
        if tally.maturing is not None and baseline is not None:
            for place_of, verdict in tally.maturing.estimate(baseline, group, profile, len(groups)):
                _step(plan, tally, place_of, verdict)
        tally.volumes[place] = (*history, profile.rows)[-HISTORY:]


def _seen(
    state: ModelState, baseline: Baseline | None, group: GroupKey, profile: Profile
) -> WindowProfile | None:
    reference = baseline.profiles.get(group.segment) if baseline else None
    if baseline is None or reference is None:
        return None
    window = WindowProfile(baseline.grid, profile, reference)
    if group.segment != ALL:
        return window
    unknown = state.book.unknown.get(group.start, frozenset()) - baseline.columns
    return replace(
        window, columns_missing=_missing(baseline.grid, profile, reference), columns_unknown=unknown
    )


def _missing(grid: Grid, profile: Profile, reference: Profile) -> frozenset[str]:
    """Name the columns without any value in the window that have values in the reference."""
    pairs = zip(summaries(grid, profile), summaries(grid, reference), strict=True)
    return frozenset(w.grid.name for w, r in pairs if w.null == w.rows and r.null < r.rows)


def _step(plan: Plan, tally: _Tally, group: GroupKey, verdict: Verdict) -> None:
    key = TripKey(group.version, group.segment, verdict.feature, verdict.detector)
    span = (group.start, group.start + plan.window)
    old = tally.trips.get(key) or Trip(verdict.kind)
    trip, before, reason = step(plan.rule, old, verdict, span)
    if trip is old:
        return
    episode = old.episode
    if reason is Reason.ENTERED:
        episode = episode_id(plan.name, key, group.start)
        trip = replace(trip, episode=episode)
    tally.trips[key] = trip
    if tally.watch is not None:
        tally.watch(tally.tick, key, trip)
    if reason is None:
        return
    change = Transition(plan.name, key, verdict.kind, before, trip.phase, reason, episode, *span, verdict)
    tally.transitions.append(change)


def _ask_for_retraining(plan: Plan, tally: _Tally, start: int) -> None:
    state = tally.state
    baseline = state.baseline_at(start)
    window = ClosedWindow(start, start + plan.window, baseline.hash if baseline else "")
    current = {
        k: t for k, t in tally.trips.items() if not is_stale(plan.window, start - plan.patience(t.kind), t)
    }
    firing = list(_firing(current))
    for place, wish in enumerate(plan.model.retrain):
        rule = RetrainRule(
            plan.name, wish.webhook, frozenset(wish.when), plan.retrain_cooldown(place), wish.max_per_week
        )
        name = f"{place}/{wish.webhook}"
        known = state.retrain.get(name)
        asked, note, decision = request(
            rule, RetrainState.load(known) if known else RetrainState(), firing, window
        )
        if note is not None:
            tally.notes.append(note)
        if decision.outcome is not Outcome.NOTHING:
            counted = {(wish.webhook, "retrain", str(decision.outcome)): decision.count}
            tally.state = replace(tally.state, book=tally.state.book.counted(counted))
        if asked.dump() != known:
            tally.state = replace(tally.state, retrain={**tally.state.retrain, name: asked.dump()})
            tally.changes[("retrain", state.model, name)] = asked.dump().encode()
        state = tally.state


def _firing(trips: Mapping[TripKey, Trip]) -> Iterable[Firing]:
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
            )
