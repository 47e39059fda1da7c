"""What monitors of evidence have gathered of each group: kept from window to window."""

import json
import zlib
from collections.abc import Mapping, Sequence

import numpy as np
from msgspec import Struct
from msgspec.structs import replace

from detectors.base import Verdict
from detectors.gathered import settle
from detectors.sequential import Wealth
from detectors.series import EVIDENCE, Series
from monitor.core.codec import pack, unpack
from monitor.core.plan import Plan
from monitor.core.tracks import KEPT, Place
from monitor.core.wealth_marks import Mark, marked
from monitor.types import Changes

SPACE = "wealth"
PACKED = b"ZLIB"
"""Before what is compressed; older releases did not."""
LEVEL = 1
FAULTS = "faults"
"""The space of what is gathered of faulty values (fault_wealth.py)."""


class Held(Struct, frozen=True, eq=False):
    """One group's wealth after its last window. number: of the reference that it goes by.

    mark: what it is made of; None after a release that kept no marks.
    """

    number: int
    wealth: Wealth
    mark: Mark | None = None

    def dump(self) -> bytes:
        """Write it for the store."""
        arrays = {"money": self.wealth.money, "flagged": self.wealth.flagged.astype(np.int64)}
        more = self.mark.arrays() if self.mark is not None else {}
        return PACKED + zlib.compress(pack({"number": self.number}, arrays | more), LEVEL)

    @classmethod
    def load(cls, data: bytes) -> "Held":
        """Read what `dump` wrote."""
        plain = zlib.decompress(data[len(PACKED) :]) if data.startswith(PACKED) else data
        head, arrays = unpack(plain)
        wealth = Wealth(arrays["money"], arrays["flagged"].astype(bool))
        return cls(head["number"], wealth, Mark.of(arrays))

    def settled(self, wealth: Wealth) -> "Held":
        """Return it after its window's verdicts."""
        mark = self.mark.settled(self.wealth, wealth) if self.mark is not None else None
        return replace(self, wealth=wealth, mark=mark)


Purses = Mapping[Place, Held]


def mark_of(purses: Purses, place: Place) -> Mark | None:
    """Return how a group came to what it has, None where that is not known."""
    held = purses.get(place)
    return held.mark if held is not None else None


class Keeper:
    """One pass over closing windows: the wealth of each group that gathers evidence. held: as it stands."""

    def __init__(self, plan: Plan, held: Purses) -> None:
        self._least = plan.model.alarms.min_rows
        self._wanted = any(monitor.detector == EVIDENCE for monitor in plan.model.monitors)
        self.held = dict(held) if self._wanted else {}

    def gathered(self, place: Place, number: int, series: Series) -> Series:
        """Return the series with what its last window adds; number: of the reference that judges it.

        Without a reference whose windows are independent nothing is gathered; with another one it begins
        anew.
        """
        if not self._wanted or not series.independent:
            self.drop(place)
            return series
        known = self.held.get(place)
        before = known.wealth if known is not None and known.number == number else None
        wealth = series.gathered(before, self._least)
        mark = marked(known.mark if known is not None else None, before, wealth, KEPT)
        self.held[place] = Held(number, wealth, mark.then())
        return replace(series, wealth=wealth)

    def settle(self, place: Place, series: Series | None, verdicts: Sequence[Verdict]) -> None:
        """Keep what a group has after its window's verdicts."""
        known = self.held.get(place)
        if known is not None and series is not None:
            names = [feature.name for feature in series.readers.features]
            self.held[place] = known.settled(settle(known.wealth, names, verdicts))

    def drop(self, place: Place) -> None:
        """Forget what a group has."""
        self.held.pop(place, None)

    def forget(self, versions: set[str]) -> None:
        """Forget all versions but these."""
        self.held = {place: held for place, held in self.held.items() if place[0] in versions}


def load_wealth(entries: Mapping[str, bytes]) -> dict[Place, Held]:
    """Read the groups' wealth from their entries."""
    found = {}
    for key, data in entries.items():
        version, segment = json.loads(key)
        found[version, segment] = Held.load(data)
    return found


def wealth_changes(model: str, before: Purses, after: Purses, space: str = SPACE) -> Changes:
    """Return the entries that differ."""
    changes: Changes = {
        (space, model, _key(place)): held.dump()
        for place, held in after.items()
        if before.get(place) is not held
    }
    return changes | {(space, model, _key(place)): None for place in before.keys() - after.keys()}


def _key(place: Place) -> str:
    return json.dumps(place, separators=(",", ":"), ensure_ascii=False)
