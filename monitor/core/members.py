"""Which features have series of their own where a model has more than its limit: the worst ones, stickily.

A feature that fires always has; after that come the monitors of the whole model, then the features of all
rows, then those of segments, each by their quotient. One that has its series keeps them until another is
clearly worse, so that noise does not make series come and go.
"""

import json
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from msgspec import Struct

SPACE = "members"
STICKS = 1.5
"""How many times worse than a member another feature must be to take its place."""


class Unit(NamedTuple):
    """A feature's monitors of one version and segment: they have series together, or not at all."""

    version: str
    segment: str
    feature: str


class Members(Struct, frozen=True):
    """Who has series. units: empty while all have. dropped: series left out so far; left_out: just now."""

    units: frozenset[Unit] = frozenset()
    dropped: int = 0
    left_out: int = 0

    def after(self, units: frozenset[Unit], left_out: int) -> "Members":
        """Return it with another choice; what is left out beyond the last time has been dropped.

        >>> few, more = Members().after(frozenset(), 3), Members().after(frozenset(), 3).after(frozenset(), 5)
        >>> few.dropped, more.dropped, more.after(frozenset(), 1).dropped
        (3, 5, 5)
        """
        return Members(units, self.dropped + max(left_out - self.left_out, 0), left_out)

    def dump(self) -> bytes:
        """Write it as JSON."""
        item = {"units": sorted(self.units), "dropped": self.dropped, "left_out": self.left_out}
        return json.dumps(item, separators=(",", ":")).encode()

    @classmethod
    def load(cls, data: bytes) -> "Members":
        """Read what `dump` wrote."""
        item = json.loads(data)
        return cls(frozenset(Unit(*unit) for unit in item["units"]), item["dropped"], item["left_out"])


class Claim(NamedTuple):
    """What stands for a unit. size: series it needs.

    rank: 0 of the whole model, 1 of all rows, 2 of a segment. quotient: the largest of its monitors, 0 where
    there is none.
    """

    unit: Unit
    size: int
    firing: bool
    rank: int
    quotient: float


def chosen(claims: Iterable[Claim], room: int, members: frozenset[Unit]) -> frozenset[Unit]:
    """Return the units that have series of their own: as many as there is room for, the first ones first.

    room: series. members: those that had them last. What is left over by a unit that does not fit stays
    empty, for a later one that fits may be far less important.

    >>> calm = [Claim(Unit("", "all", name), 10, False, 1, q) for name, q in (("a", 0.5), ("b", 0.6))]
    >>> [unit.feature for unit in chosen(calm, 10, frozenset())]
    ['b']
    >>> [unit.feature for unit in chosen(calm, 10, frozenset({calm[0].unit}))]
    ['a']
    """

    def place(claim: Claim) -> tuple[bool, int, float, Unit]:
        sticks = STICKS if claim.unit in members else 1.0
        return not claim.firing, claim.rank, -claim.quotient * sticks, claim.unit

    found = set()
    for claim in sorted(claims, key=place):
        room -= claim.size
        if room < 0:
            break
        found.add(claim.unit)
    return frozenset(found)


def load_members(spaces: Mapping[str, Mapping[str, bytes]]) -> Members:
    """Read them from the model's entries, by space and key."""
    chosen = spaces.get(SPACE, {}).get("")
    return Members.load(chosen) if chosen else Members()
