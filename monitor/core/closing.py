"""Closing windows: verdicts, trips, transitions, retraining requests; in event-time order, once each."""

from collections.abc import Sequence
from typing import Protocol

from msgspec import Struct, field
from msgspec.structs import replace

from detectors.base import Verdict
from detectors.profile import Profile, WindowProfile
from detectors.series import Lent, Series, clusters_of
from monitor.core import dedup
from monitor.core.assessing import Assessor
from monitor.core.class_shares import classes_of
from monitor.core.episode_log import lately
from monitor.core.fault_wealth import FaultKeeper
from monitor.core.maturing import Maturing, begun, without
from monitor.core.outbox import Note
from monitor.core.plan import MICROSECOND, Plan
from monitor.core.policy import Transition, TripKey
from monitor.core.profiles import ALL, GroupKey
from monitor.core.reference import Baseline
from monitor.core.scenes import Scene, Tick, Witness
from monitor.core.seeing import beside_reference
from monitor.core.state import (
    HISTORY,
    ModelState,
    dump_book,
    moved,
    run_changes,
    trip_changes,
    volume_changes,
    window_changes,
)
from monitor.core.stepping import Steps, Watch
from monitor.core.stream_records import stream_evidence
from monitor.core.streaming import Streaming
from monitor.core.streams import Pass
from monitor.core.tracks import Track, followed, track_changes
from monitor.core.wealth import FAULTS, Keeper, wealth_changes
from monitor.core.wishes import ask_for_retraining
from monitor.types import Around, Changes, alone

VERSIONS_KEPT = 40
"""Versions whose trips and row counts are kept: those with rows in the newest windows."""
NOT_YET = ("_all", "reference")
"""Feature and detector of the one monitor that stands for all while there is no reference."""


class Judge(Protocol):
    """Judges one closed window of one group by every monitor of the model."""

    def __call__(
        self,
        baseline: Baseline | None,
        window: WindowProfile | None,
        groups: int,
        series: Series | Lent | None = None,
    ) -> Sequence[Verdict]:
        """Return one verdict per monitor; window is None without a baseline; groups share the budget.

        series: the window beside those before it, where the reference's own windows tell what is usual; of
        a segment without a null model what that of all rows lends it.
        """


class Closed(Struct, frozen=True):
    """What closing brought: the state after, entries to write, transitions and notes."""

    state: ModelState
    changes: Changes
    transitions: tuple[Transition, ...] = ()
    notes: tuple[Note, ...] = ()


class _Tally(Struct):
    state: ModelState
    steps: Steps
    volumes: dict[tuple[str, str], tuple[int, ...]]
    versions: dict[str, int]
    tracks: dict[tuple[str, str], Track]
    keeper: Keeper
    faults: FaultKeeper
    changes: Changes = field(default_factory=dict)
    notes: list[Note] = field(default_factory=list)
    maturing: Maturing | None = None
    streams: Pass | None = None
    scenes: dict[GroupKey, Scene] = field(default_factory=dict)


def close_until(  # noqa: PLR0913 - what closes, and who looks on
    plan: Plan,
    judge: Judge,
    state: ModelState,
    watermark: int,
    *,
    cut: bool = False,
    assessor: Assessor | None = None,
    watch: Watch | None = None,
    streaming: Streaming | None = None,
    around: Around = alone,
    witness: Witness | None = None,
) -> Closed:
    """Close every open window that ends at or before the watermark, the oldest first.

    cut: the log was cut short by hand, so a window that ends after the newest row is not complete, and
    outcomes count whenever they became known. assessor: where outcomes are joined. watch: looks on, changes
    nothing. streaming: of monitors that go over rows. around: the join. witness: is told of what begins.
    """
    over = sorted({k.start for k in state.windows if k.start + plan.window <= watermark})
    stale_ids = [s for s in state.ids.runs if s + plan.window <= watermark]
    maturing = begun(assessor, state, watermark, cut=cut, around=around) if assessor is not None else None
    if not over and not stale_ids and maturing is None:
        return Closed(state, {})
    tally = _begun(plan, state, maturing, watch)
    tally.streams = Pass(streaming, state) if streaming is not None else None
    groups: dict[int, list[GroupKey]] = {start: [] for start in over}
    for key in sorted(state.windows, key=lambda k: (k.version, k.segment)):
        if key.start in groups:
            groups[key.start].append(key)
    ticks = {start + plan.window for start in over} | (maturing.ledger.ticks if maturing else set())
    for tick in sorted(ticks):
        start = tick - plan.window
        tally.steps.at(tick)
        if start in groups:
            complete = not cut or tick <= state.book.progress.newest
            _close_window(plan, judge, tally, groups[start], complete=complete)
            _forget_versions(tally, start - HISTORY * plan.window)
        if maturing is not None:
            for group, verdict in maturing.settle(tick):
                tally.steps.take(plan, group, verdict)
            if tally.streams is not None:
                for group, verdict in tally.streams.settle(maturing.ledger, maturing.judged, tick):
                    tally.steps.take(plan, group, verdict)
        _follow(tally, witness)
        asked = ask_for_retraining(plan, tally.state, tally.steps.trips, tally.versions, start)
        tally.state = asked.state
        tally.changes |= asked.changes
        tally.notes += asked.notes
    return _finished(plan, tally, over, frozenset(stale_ids))


def _follow(tally: _Tally, witness: Witness | None) -> None:
    """Follow the episodes that a tick began and ended."""
    state = replace(tally.state, tracks=tally.tracks, wealth=tally.keeper.held, faults=tally.faults.held)
    heard = tally.streams.heard if tally.streams is not None else {}
    now = Tick(state, tally.scenes, tally.maturing, stream_evidence(heard))
    episodes, records = tally.steps.follow(now, witness)
    tally.state, tally.scenes = replace(tally.state, episodes=episodes), {}
    tally.changes |= records
    heard.clear()


def _begun(plan: Plan, state: ModelState, maturing: Maturing | None, watch: Watch | None) -> _Tally:
    return _Tally(
        state,
        Steps(dict(state.trips), watch=watch),
        dict(state.volumes),
        dict(state.book.versions),
        dict(state.tracks),
        Keeper(plan, state.wealth),
        FaultKeeper(plan, state.faults),
        maturing=maturing,
    )


def _finished(plan: Plan, tally: _Tally, over: Sequence[int], stale: frozenset[int]) -> Closed:
    state, book = tally.state, tally.state.book
    ended = set(over)
    gone = {key: None for key in state.windows if key.start in ended}
    book = replace(
        book,
        unknown={s: names for s, names in book.unknown.items() if s not in ended},
        last_closed=over[-1] if over else book.last_closed,
        windows_closed=book.windows_closed + len(over),
        versions=tally.versions,
        alarms=lately((*book.alarms, *tally.steps.alarms), tally.steps.tick - plan.rate[1] // MICROSECOND),
    )
    numbers = {start: [n for n, _ in state.ids.runs[start]] for start in stale}
    after = replace(
        state,
        book=book,
        windows={key: p for key, p in state.windows.items() if key not in gone},
        ids=dedup.apply(state.ids, (), stale),
        trips=tally.steps.trips,
        volumes=tally.volumes,
        tracks=tally.tracks,
        wealth=tally.keeper.held,
        faults=tally.faults.held,
    )
    if tally.maturing is not None:
        ledger = tally.maturing.ledger
        ledger.labels = without(ledger.labels, {*tally.versions, *(k.version for k in ledger.labels.records)})
        tally.changes |= ledger.finish(tally.maturing.upto)
        after = replace(after, labels=ledger.labels)
    if tally.streams is not None:
        after = tally.streams.finish(after, tally.changes)
    changes = tally.changes | window_changes(state.model, gone) | run_changes(state.model, (), numbers)
    changes[("book", state.model, "")] = dump_book(after.book)
    changes |= trip_changes(state.model, moved(state.trips, tally.steps.trips))
    changes |= volume_changes(state.model, moved(state.volumes, tally.volumes))
    changes |= track_changes(state.model, state.tracks, tally.tracks)
    changes |= wealth_changes(state.model, state.wealth, tally.keeper.held)
    changes |= wealth_changes(state.model, state.faults, tally.faults.held, FAULTS)
    return Closed(after, changes, tuple(tally.steps.transitions), tuple(tally.notes))


def _forget_versions(tally: _Tally, oldest: int) -> None:
    """Forget versions without rows for long, and all but the newest ones when there are too many."""
    newest = sorted(tally.versions, key=lambda v: (-tally.versions[v], v))[:VERSIONS_KEPT]
    kept = {version for version in newest if tally.versions[version] >= oldest}
    if len(kept) == len(tally.versions):
        return
    tally.versions = {version: tally.versions[version] for version in kept}
    tally.steps.trips = {key: trip for key, trip in tally.steps.trips.items() if key.version in kept}
    tally.volumes = {place: rows for place, rows in tally.volumes.items() if place[0] in kept}
    tally.tracks = {place: track for place, track in tally.tracks.items() if place[0] in kept}
    tally.keeper.forget(kept)
    tally.faults.forget(kept)


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
        seen = beside_reference(tally.state, baseline, group, profile)
        if seen is not None:
            classes = classes_of(plan, tally.maturing, group)
            seen = replace(seen, history=history, complete=complete, classes=classes)
            tally.steps.trips.pop(TripKey(*place, *NOT_YET), None)  # there is a reference now
        series = _series(tally, baseline, group, profile)
        if baseline is not None and seen is not None:
            seen = tally.faults.gathered(place, baseline.number, seen, series)
            tally.scenes[group] = Scene(baseline, seen, series, len(groups))
        verdicts = judge(baseline, seen, len(groups), series)
        for verdict in verdicts:
            tally.steps.take(plan, group, verdict)
        tally.faults.settle(place, seen, verdicts)
        tally.keeper.settle(place, series if isinstance(series, Series) else None, verdicts)
        for verdict in tally.streams.close(baseline, group) if tally.streams is not None else ():
            tally.steps.take(plan, group, verdict)
        if tally.maturing is not None and baseline is not None:
            for place_of, verdict in tally.maturing.estimate(baseline, group, profile, len(groups)):
                tally.steps.take(plan, place_of, verdict)
        tally.volumes[place] = (*history, profile.rows)[-HISTORY:]


def _series(
    tally: _Tally, baseline: Baseline | None, group: GroupKey, profile: Profile
) -> Series | Lent | None:
    """Read the window and set it beside those before it; None where nothing tells what is usual."""
    place = (group.version, group.segment)
    null = tally.state.null_of(baseline, group.segment) if baseline is not None else None
    if baseline is None or null is None:
        tally.tracks.pop(place, None)
        tally.keeper.drop(place)
        whole = tally.state.null_of(baseline, ALL) if baseline is not None else None
        return Lent(clusters_of(whole.windows, profile.rows)) if whole is not None else None
    track = followed(tally.tracks.get(place), baseline.number, group.start, null.read(baseline.grid, profile))
    tally.tracks[place] = track
    return tally.keeper.gathered(place, baseline.number, null.series(track.reading, track.starts))
