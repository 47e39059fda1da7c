"""What is kept of episodes when they begin: which monitors share one, and an audit record of each."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from monitor.core.episode_log import EpisodeRecord
from monitor.core.grouping import grouped
from monitor.core.measured_records import measured_evidence
from monitor.core.plan import Plan
from monitor.core.policy import Transition
from monitor.core.profiles import GroupKey
from monitor.core.recording import Evidence, Recorder
from monitor.core.records import SPACE, AuditRecord
from monitor.core.scenes import Begun, Tick
from monitor.types import Changes

MEASURED = frozenset({"performance", "estimated_performance"})


class Auditor:
    """Makes records of the episodes of one model; without state. software: see `Recorder`."""

    def __init__(self, plan: Plan, software: Mapping[str, str]) -> None:
        self._plan = plan
        self._recorder = Recorder(plan, software)

    def __call__(self, tick: Tick, entered: Sequence[Transition]) -> Begun:
        """Return what is to be kept of the episodes that begin at a tick."""
        found = grouped(self._plan, tick, entered)
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
            episodes[id_] = replace(episodes.get(id_) or EpisodeRecord.of(worst), seal=record.seal)
        return Begun(tuple(episodes.values()), found.joined, changes)

    def _record(self, tick: Tick, change: Transition, members: Sequence[Transition]) -> AuditRecord:
        """Return the audit record of a verdict; where nothing else is known, of its numbers alone."""
        group = GroupKey(change.start, change.key.version, change.key.segment)
        scene, more = tick.scenes.get(group), {"members": _members(members)}
        if change.kind in MEASURED and tick.maturing is not None:
            seen = scene.seen if scene is not None else None
            measured = tick.maturing.scene(group)
            found = measured_evidence(measured, group.segment, change.key.detector, seen)
            if found is not None:
                return self._recorder.sealed(change, found, more)
        elif scene is not None:
            return self._recorder.of_window(change, scene, more)
        how = "stream" if change.key.feature.startswith("_") else "other"
        return self._recorder.sealed(change, Evidence(how, {}, {}), {"threshold": None, **more})


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
