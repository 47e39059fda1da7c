"""What is kept of episodes when they begin: which monitors share one, and an audit record of each."""

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import Any

from msgspec.structs import replace

from detectors.attribution import Attribution
from detectors.monitors import FAILURES
from detectors.performance import ESTIMATED
from detectors.stream_choice import STREAMS
from monitor.core.attributing import Ranks, document, of_episode, of_track
from monitor.core.decomposing import of_performance, onset_of
from monitor.core.episode_log import EpisodeRecord
from monitor.core.grouping import Grouped, grouped
from monitor.core.joint_ranks import of_rows
from monitor.core.measured_records import measured_evidence
from monitor.core.plan import Plan
from monitor.core.policy import Transition, TripKey
from monitor.core.profiles import GroupKey
from monitor.core.recording import Recorder
from monitor.core.records import SPACE, AuditRecord, Evidence
from monitor.core.retrain import rfc3339
from monitor.core.row_files import SPACE as FILES
from monitor.core.scenes import Begun, Tick
from monitor.failures import POLARS_FAILURES
from monitor.fields import JOINT
from monitor.types import Changes

NOWHERE = {"segment": None, "version": None, "performance": None}
REALISED = "performance"
UNWRITTEN: tuple[type[BaseException], ...] = (*FAILURES, *POLARS_FAILURES)
MEASURED = frozenset({REALISED, "estimated_performance"})


class Auditor:
    """Makes records of the episodes of one model; without state. software: gives what `Recorder` takes."""

    def __init__(self, plan: Plan, software: Callable[[], Mapping[str, str]]) -> None:
        self._plan = plan
        self._software = software

    @cached_property
    def _recorder(self) -> Recorder:
        return Recorder(self._plan, self._software())

    def __call__(self, tick: Tick, entered: Sequence[Transition]) -> Begun:
        """Return what is to be kept of the episodes that begin at a tick."""
        found = self._grouped(tick, entered)
        episodes, changes = {record.id: record for record in found.episodes}, Changes()
        theirs: dict[str, list[Transition]] = {}
        for change in entered:
            id_ = found.joined.get(change.key, change.episode)
            theirs.setdefault(id_, []).append(replace(change, episode=id_))
        for id_, members in theirs.items():
            if id_ in tick.state.episodes:
                continue
            worst = _worst(members, episodes.get(id_))
            record = self._record(tick, worst, members)
            changes[SPACE, self._plan.name, id_] = record.dump()
            for name, (hash_, _) in record.hashes.items():
                changes[FILES, self._plan.name, hash_] = record.files[name]
            known, kept = episodes.get(id_) or EpisodeRecord.of(worst), tuple(record.hashes.values())
            episodes[id_] = replace(known, seal=record.seal, kept=kept)
        return Begun(self._attributed(tick, episodes), found.joined, changes)

    def _grouped(self, tick: Tick, entered: Sequence[Transition]) -> Grouped:
        """Return the episodes of several monitors; where that fails each stands alone, and says so."""
        try:
            return grouped(self._plan, tick, entered)
        except FAILURES as error:
            alone = map(EpisodeRecord.of, entered)
            cause = f"alone, as causes could not be looked for: {type(error).__name__}"
            return Grouped(tuple(replace(record, cause=cause) for record in alone), {})

    def _attributed(self, tick: Tick, episodes: Mapping[str, EpisodeRecord]) -> tuple[EpisodeRecord, ...]:
        """Add what changed, where and since when, to those that are new."""
        ranks = Ranks(self._plan, self._recorder.level)
        return tuple(
            record
            if id_ in tick.state.episodes
            else replace(record, attribution=self._known(tick, record, ranks))
            for id_, record in episodes.items()
        )

    def _known(self, tick: Tick, record: EpisodeRecord, ranks: Ranks) -> Mapping[str, Any] | None:
        """Return what an episode is attributed to; an episode that cannot be is told all the same."""
        try:
            return self._why(tick, record, ranks)
        except FAILURES as error:  # only the type is told: a message may quote a value
            nothing = {**document(Attribution((), None)), **NOWHERE, "onset": rfc3339(record.started)}
            return {**nothing, "problem": type(error).__name__}

    def _why(self, tick: Tick, record: EpisodeRecord, ranks: Ranks) -> Mapping[str, Any] | None:
        """Return what an episode is attributed to, None where nothing is known of its window."""
        found = of_episode(tick, record.keys, record.started, ranks)
        group = GroupKey(record.started, record.version, record.segment)
        if record.kind not in MEASURED or tick.maturing is None:
            past = self._compared(tick, record, group) if found is None else Attribution((), None)
            nowhere = {
                "segment": None,
                "version": None,
                "onset": rfc3339(record.started),
                "performance": None,
            }
            return {**document(past), **nowhere} if past.parts else found
        assessor, standard, _, groups = tick.maturing.scene(group)
        labels, metric = tick.maturing.ledger.labels, record.detector.removeprefix(ESTIMATED)
        if found is None:
            found = {**document(self._past(tick, group, groups)), **NOWHERE}
        if record.kind == REALISED:
            found = {**found, "onset": onset_of(labels, assessor.bench(standard), group, metric)}
        parts = of_performance(assessor, standard, labels, group, record.detector)
        return {**found, "performance": parts}

    def _compared(self, tick: Tick, record: EpisodeRecord, group: GroupKey) -> Attribution:
        """Rank the features of a window that closed earlier, by the rows compared if there are any."""
        past = self._past(tick, group, 1)
        rows = next((rows for rows in map(tick.rows, record.keys) if rows is not None), None)
        return of_rows(self._plan, past, rows) if rows is not None else past

    def _past(self, tick: Tick, group: GroupKey, groups: int) -> Attribution:
        """Rank the features of a window that closed earlier."""
        baseline = tick.state.baseline_at(group.start)
        if baseline is None:
            return Attribution((), None)
        level = self._recorder.level(baseline.grid, max(groups, 1))
        return of_track(self._plan, tick.state, baseline, group, level)

    def _record(self, tick: Tick, change: Transition, members: Sequence[Transition]) -> AuditRecord:
        """Return the audit record of a verdict; where no more is to be had, of its numbers alone."""
        try:
            return self._whole(tick, change, members)
        except UNWRITTEN as error:  # as above
            more = {"threshold": None, "problem": type(error).__name__}
            return self._recorder.sealed(change, Evidence("other", {}, {}), more)

    def _whole(self, tick: Tick, change: Transition, members: Sequence[Transition]) -> AuditRecord:
        group = GroupKey(change.start, change.key.version, change.key.segment)
        scene, more = tick.scenes.get(group), {"members": _members(members)}
        if change.kind in MEASURED and tick.maturing is not None:
            seen = scene.seen if scene is not None else None
            measured = tick.maturing.scene(group)
            found = measured_evidence(measured, group.segment, change.key.detector, seen)
            if found is not None:
                return self._recorder.sealed(change, found, more)
        elif scene is not None and change.key.detector not in STREAMS:
            return self._recorder.of_window(change, scene, tick.state, more)
        found = tick.evidence(change) or Evidence(_how(change.key), {}, {})
        return self._recorder.sealed(change, found, {"threshold": None, **more})


def _how(key: TripKey) -> str:
    """Name what judges a monitor whose verdict cannot be computed again."""
    if key.feature.partition(":")[0] == JOINT:
        return "joint"
    return "stream" if key.detector in STREAMS else "other"


def _worst(members: Sequence[Transition], record: EpisodeRecord | None) -> Transition:
    """Return the monitor whose numbers an episode has."""
    if record is None:
        return members[0]
    numbers = record.score, record.threshold
    same = (c for c in members if (c.verdict.score, c.verdict.threshold) == numbers)
    return next(same, members[0])


def _members(members: Sequence[Transition]) -> list[list[str | float | None]]:
    """Return what is kept of the other monitors of an episode: which, with score and threshold."""
    if len(members) == 1:
        return []
    return [
        [c.key.segment, c.key.feature, c.key.detector, c.verdict.score, c.verdict.threshold] for c in members
    ]
