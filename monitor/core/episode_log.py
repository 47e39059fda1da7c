"""The episodes of a model, kept after they are over: what fired, from when until when."""

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Self

from msgspec import Struct
from msgspec.structs import asdict, replace

from monitor.core.policy import Phase, Transition, Trip, TripKey
from monitor.core.records import SPACE as RECORDS
from monitor.core.row_files import SPACE as FILES
from monitor.core.row_files import Kept, hashes, in_excess
from monitor.types import Changes, Micros

Alarm = tuple[int, str, str]
"""When (event time, microseconds) an episode began, of which feature and detector."""
ALARMS_KEPT = 1000
"""Of those that began within the budget's time."""
EPISODES = "episode"
KEPT = 500
"""Episodes of a model that are remembered after they ended; open ones always are."""


class EpisodeRecord(Struct, frozen=True):
    """One episode. started: start of the window that fired. ended: end of the last one, None before.

    score, threshold: of the window that fired. cause: one sentence on what several monitors have in common,
    and the features that it is about. members: of an episode of several monitors segment, feature and
    detector of each, in the order in which they joined; then the feature above is "_all". attribution: what
    changed most, where and since when (attributing.py). seal: of its audit record; kept: the files that it
    names, while they are kept.
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
    cause: str = ""
    features: tuple[str, ...] = ()
    members: tuple[tuple[str, str, str], ...] = ()
    attribution: Mapping[str, Any] | None = None
    seal: str = ""
    kept: Kept = ()

    @classmethod
    def of(cls, change: Transition) -> Self:
        """Make the record of an episode that begins."""
        key, verdict = change.key, change.verdict
        place = (key.version, key.segment, key.feature, key.detector)
        return cls(change.episode, *place, change.kind, change.start, None, verdict.score, verdict.threshold)

    def because(self, cause: str, features: Iterable[str]) -> Self:
        """Return it with a cause; one that was of one monitor is of several then."""
        named = tuple(sorted({*self.features, *features}))
        return replace(self, feature="_all", cause=cause, features=named)

    @property
    def key(self) -> TripKey:
        """Which monitor's; of several, what they are called together."""
        return TripKey(self.version, self.segment, self.feature, self.detector)

    @property
    def keys(self) -> tuple[TripKey, ...]:
        """Whose it is: one monitor's, or those of its members."""
        if self.members:
            return tuple(TripKey(self.version, *member) for member in self.members)
        return (self.key,)

    def joined(self, key: TripKey) -> Self:
        """Return it with one more monitor."""
        member = (key.segment, key.feature, key.detector)
        known = self.members or ((self.segment, self.feature, self.detector),)
        return self if member in known else replace(self, members=(*known, member))

    def dump(self) -> bytes:
        """Return it as JSON."""
        return json.dumps(asdict(self), separators=(",", ":")).encode()


Episodes = Mapping[str, EpisodeRecord]


def load_episodes(entries: Mapping[str, bytes]) -> Episodes:
    """Read what `dump` wrote, by id."""
    return {key: _loaded(json.loads(value)) for key, value in entries.items()}


def _loaded(item: dict[str, Any]) -> EpisodeRecord:
    members = tuple((segment, feature, detector) for segment, feature, detector in item.pop("members", ()))
    features = tuple(item.pop("features", ()))
    kept = tuple((hash_, size) for hash_, size in item.pop("kept", ()))
    return EpisodeRecord(**item, members=members, features=features, kept=kept)


def followed(
    known: Episodes,
    trips: Mapping[TripKey, Trip],
    transitions: Iterable[Transition],
    begun: Iterable[EpisodeRecord] = (),
) -> Episodes:
    """Return the episodes after a tick; trips: as they are now.

    begun: what is known of those that began; of others no more than the transition tells. An episode of
    several monitors is over when none of them fires. What is kept depends on the windows alone, not on how
    many of them a commit closed.
    """
    found = {**known, **{record.id: record for record in begun}}
    for change in transitions:
        if change.after is Phase.FIRING:
            record = found.get(change.episode)
            found[change.episode] = record.joined(change.key) if record else EpisodeRecord.of(change)
        elif change.before is Phase.FIRING and change.episode in found:
            record = found[change.episode]
            if not record.members or not fires(record, trips):
                found[change.episode] = replace(record, ended=change.end)
    over = sorted((r.ended or r.started, r.id) for r in found.values() if not fires(r, trips))
    for _, id_ in over[: max(len(over) - KEPT, 0)]:
        del found[id_]
    return found | {id_: replace(found[id_], kept=()) for id_ in in_excess(found)}


def fires(record: EpisodeRecord, trips: Mapping[TripKey, Trip]) -> bool:
    """Tell whether an episode goes on; one whose version has been forgotten does not, and has no end."""
    return record.ended is None and any(
        trips[key].episode == record.id for key in record.keys if key in trips
    )


def turning(transitions: Iterable[Transition], episodes: Episodes) -> Iterator[Transition]:
    """Yield the transitions with which an episode begins or ends: of one of several monitors, one each."""
    over: set[str] = set()
    for change in transitions:
        record = episodes.get(change.episode)
        alone = record is None or not record.members
        if change.after is Phase.FIRING:
            if record is None or change.key == record.keys[0]:
                yield change
        elif change.before is Phase.FIRING and (alone or _last(record, change, over)):
            over.add(change.episode)
            yield change


def _last(record: EpisodeRecord | None, change: Transition, over: set[str]) -> bool:
    return record is not None and record.ended == change.end and record.id not in over


def lately(alarms: Iterable[Alarm], since: Micros) -> tuple[Alarm, ...]:
    """Return the alarms that began after a time, the newest ones if they are very many."""
    return tuple(alarm for alarm in alarms if alarm[0] > since)[-ALARMS_KEPT:]


def episode_changes(model: str, before: Episodes, after: Episodes) -> Changes:
    """Turn new, changed and forgotten episodes into entries; what was kept for audits goes with them."""
    changed: Changes = {
        (EPISODES, model, id_): record.dump() for id_, record in after.items() if before.get(id_) != record
    }
    gone = [id_ for id_ in before if id_ not in after]
    changed |= {(space, model, id_): None for id_ in gone for space in (EPISODES, RECORDS)}
    let_go = hashes(before.values()) - hashes(after.values())
    return changed | {(FILES, model, hash_): None for hash_ in let_go}
