"""What is kept of episodes when they begin: an audit record of each."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from monitor.core.episode_log import EpisodeRecord
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
        changes: Changes = {}
        episodes = []
        for change in entered:
            record = self._record(tick, change)
            changes[SPACE, self._plan.name, change.episode] = record.dump()
            episodes.append(replace(EpisodeRecord.of(change), seal=record.seal))
        return Begun(episodes, {}, changes)

    def _record(self, tick: Tick, change: Transition) -> AuditRecord:
        """Return the audit record of a verdict; where nothing else is known, of its numbers alone."""
        group = GroupKey(change.start, change.key.version, change.key.segment)
        scene = tick.scenes.get(group)
        if change.kind in MEASURED and tick.maturing is not None:
            seen = scene.seen if scene is not None else None
            measured = tick.maturing.scene(group)
            found = measured_evidence(measured, group.segment, change.key.detector, seen)
            if found is not None:
                return self._recorder.sealed(change, found, {})
        elif scene is not None:
            return self._recorder.of_window(change, scene)
        how = "stream" if change.key.feature.startswith("_") else "other"
        return self._recorder.sealed(change, Evidence(how, {}, {}), {"threshold": None})
