"""What monitors of faulty values have gathered of each group: kept from window to window."""

from collections.abc import Mapping, Sequence

from msgspec.structs import replace

from detectors.base import Verdict
from detectors.faults import E_QUALITY, FAULTS, Counts, after, settle
from detectors.profile import WindowProfile
from detectors.quality import ALONE, Cluster
from detectors.series import Lent, Series
from monitor.core.plan import Plan
from monitor.core.tracks import Place
from monitor.core.wealth import Held, Purses
from monitor.core.wealth_marks import marked

STEPS = 24
"""Windows whose counts are kept, at most."""


class FaultKeeper:
    """One pass over closing windows: the wealth of each group. held: as it stands."""

    def __init__(self, plan: Plan, held: Purses) -> None:
        self._least = plan.model.alarms.min_rows
        self._wanted = any(monitor.detector in {E_QUALITY, *FAULTS} for monitor in plan.model.monitors)
        self.held = dict(held) if self._wanted else {}

    def gathered(
        self, place: Place, number: int, seen: WindowProfile, series: Series | Lent | None
    ) -> WindowProfile:
        """Return the window with what is gathered up to it; number: of the reference that judges it.

        With another reference it begins anew.
        """
        if not self._wanted:
            return seen
        counts = Counts.of(seen, *fault_clusters(series))
        known = self.held.get(place)
        before = known.wealth if known is not None and known.number == number else None
        wealth = after(before, counts, self._least)
        mark = marked(known.mark if known is not None else None, before, wealth, STEPS)
        self.held[place] = Held(number, wealth, mark.then(counts))
        return replace(seen, faults=counts.gathered(wealth))

    def settle(self, place: Place, seen: WindowProfile | None, verdicts: Sequence[Verdict]) -> None:
        """Keep what a group has after its window's verdicts; without a reference it has nothing."""
        known = self.held.pop(place, None)
        if known is not None and seen is not None:
            self.held[place] = known.settled(settle(known.wealth, tuple(seen.faults), verdicts))

    def forget(self, versions: set[str]) -> None:
        """Forget all versions but these."""
        self.held = {place: held for place, held in self.held.items() if place[0] in versions}


def fault_clusters(series: Series | Lent | None) -> tuple[Mapping[str, Cluster], Mapping[str, Cluster]]:
    """Return how many rows tell as much as one: of their values, and of whether they have one."""
    if isinstance(series, Series):
        return series.clustering(), series.absences()
    return (series.clusters,) * 2 if series is not None else (ALONE, ALONE)
