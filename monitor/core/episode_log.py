"""The episodes of a model, kept after they are over: what fired, from when until when."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Self

from monitor.core.policy import Phase, Transition, Trip, TripKey
from monitor.types import Changes, Micros

EPISODES = "episode"
KEPT = 500
"""Episodes of a model that are remembered after they ended; open ones always are."""


@dataclass(frozen=True, slots=True)
class EpisodeRecord:
    """One episode. started: start of the window that fired. ended: end of the last one, None before.

    score, threshold: of the window that fired.
    """

    id: str
    version: str
    segment: str
    feature: str
    detector: str
    kind: str
    started: Micros
    ended: Micros | None = None
    score: float | None = None
    threshold: float | None = None

    @classmethod
    def of(cls, change: Transition) -> Self:
        """Make the record of an episode that begins."""
        key, verdict = change.key, change.verdict
        place = (key.version, key.segment, key.feature, key.detector)
        return cls(change.episode, *place, change.kind, change.start, None, verdict.score, verdict.threshold)

    @property
    def key(self) -> TripKey:
        """Which monitor's."""
        return TripKey(self.version, self.segment, self.feature, self.detector)

    def dump(self) -> bytes:
        """Return it as JSON."""
        return json.dumps(asdict(self), separators=(",", ":")).encode()


Episodes = Mapping[str, EpisodeRecord]


def load_episodes(entries: Mapping[str, bytes]) -> Episodes:
    """Read what `dump` wrote, by id."""
    return {key: EpisodeRecord(**json.loads(value)) for key, value in entries.items()}


def followed(known: Episodes, trips: Mapping[TripKey, Trip], transitions: Iterable[Transition]) -> Episodes:
    """Return the episodes after some windows were judged; trips: as they are now.

    What is kept depends on the windows alone, not on how many of them a commit closed.
    """
    found = dict(known)
    for change in transitions:
        if change.after is Phase.FIRING:
            found[change.episode] = EpisodeRecord.of(change)
        elif change.before is Phase.FIRING and change.episode in found:
            found[change.episode] = replace(found[change.episode], ended=change.end)
    over = sorted((r.ended or r.started, r.id) for r in found.values() if not fires(r, trips))
    for _, id_ in over[: max(len(over) - KEPT, 0)]:
        del found[id_]
    return found


def fires(record: EpisodeRecord, trips: Mapping[TripKey, Trip]) -> bool:
    """Tell whether an episode goes on; one whose version has been forgotten does not, and has no end."""
    trip = trips.get(record.key)
    return record.ended is None and trip is not None and trip.episode == record.id


def episode_changes(model: str, before: Episodes, after: Episodes) -> Changes:
    """Turn new, changed and forgotten episodes into entries."""
    changed: Changes = {
        (EPISODES, model, id_): record.dump() for id_, record in after.items() if before.get(id_) != record
    }
    return changed | {(EPISODES, model, id_): None for id_ in before if id_ not in after}
