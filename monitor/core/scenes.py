"""A group's window as it was judged, and who is told when episodes begin in it."""

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from msgspec import Struct, field
from msgspec.structs import replace

from detectors.joint import Joint
from detectors.profile import WindowProfile
from detectors.series import Lent, Series
from monitor.core.episode_log import EpisodeRecord
from monitor.core.maturing import Maturing
from monitor.core.policy import Phase, Reason, Transition, Trip, TripKey
from monitor.core.profiles import GroupKey
from monitor.core.records import Evidence
from monitor.core.reference import Baseline
from monitor.core.state import ModelState
from monitor.types import Changes


class Scene(Struct, frozen=True):
    """What one group's window was judged by. groups: of the window; they share the budget."""

    baseline: Baseline
    seen: WindowProfile
    series: Series | Lent | None
    groups: int


class Compared(Struct, frozen=True, eq=False):
    """Sampled rows that a heavy monitor compared. windows: that `window` is of."""

    reference: Joint
    window: Joint
    windows: int = 1


Tell = Callable[[Transition], Evidence | None]
"""Returns what the verdict of a transition was computed from, None where it does not know."""


def nothing_more(_change: Transition) -> None:
    """Know of no more."""


def no_rows(_key: TripKey) -> None:
    """Know of no rows."""


class Tick(Struct, frozen=True):
    """What is known when all verdicts of a tick are there. scenes: of the window that has just closed.

    evidence: of verdicts that come of no scene. rows: that a monitor compared, where it was such.
    """

    state: ModelState
    scenes: Mapping[GroupKey, Scene]
    maturing: Maturing | None = None
    evidence: Tell = nothing_more
    rows: Callable[[TripKey], Compared | None] = no_rows


class Begun(Struct, frozen=True):
    """What is to be kept of the episodes that began at a tick.

    episodes: those that are new. joined: monitors whose trip belongs to another episode than its own, new or
    open already. changes: entries to write, their audit records.
    """

    episodes: Sequence[EpisodeRecord] = ()
    joined: Mapping[TripKey, str] = field(default_factory=dict)
    changes: Changes = field(default_factory=dict)

    def transitions(self, changes: Sequence[Transition]) -> list[Transition]:
        """Return transitions by the names of the episodes that their monitors have joined."""
        return [
            replace(change, episode=self.joined[change.key])
            if change.reason is Reason.ENTERED and change.key in self.joined
            else change
            for change in changes
        ]

    def trip(self, key: TripKey, trip: Trip) -> Trip:
        """Return a trip by the name of the episode that it has joined."""
        fires = trip.phase is Phase.FIRING and key in self.joined
        return replace(trip, episode=self.joined[key]) if fires else trip

    def trips(self, trips: Mapping[TripKey, Trip]) -> dict[TripKey, Trip]:
        """Return all trips so."""
        return {key: self.trip(key, trip) for key, trip in trips.items()}


class Witness(Protocol):
    """Is told of the episodes that begin at a tick, once all of its verdicts are there."""

    def __call__(self, tick: Tick, entered: Sequence[Transition]) -> Begun:
        """Return what is to be kept of them; `entered` holds at least one."""
