"""What wealth is made of: what it was some windows ago and each step since, so that it is gathered again."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from msgspec import Struct
from msgspec.structs import replace
from numpy.typing import NDArray

from detectors.faults import Counts
from detectors.measure import Floats
from detectors.sequential import Wealth

Arrays = Mapping[str, NDArray[Any]]
PREFIX = "mark/"
COUNTED = 3
"""Of each window and check: faulty rows, all rows, and how many of them tell as much as one."""


class Mark(Struct, frozen=True, eq=False):
    """A group's wealth before some windows, and what came after.

    money: float64 [F, bets], before them. windows: how many. cuts: float64 [k, 2 + bets], where a verdict cut
    it: after which of the windows, whose, and what was left. counts: float64 [windows, F, COUNTED], of faulty
    values; nothing of others, whose readings are kept elsewhere (tracks.py).
    """

    money: Floats
    windows: int
    cuts: Floats
    counts: Floats

    @classmethod
    def at(cls, money: Floats) -> "Mark":
        """Begin with what is owned."""
        features, bets = money.shape
        return cls(money, 0, np.zeros((0, 2 + bets)), np.zeros((0, features, COUNTED)))

    def then(self, counts: Counts | None = None) -> "Mark":
        """Return it one window later."""
        if counts is None:
            return replace(self, windows=self.windows + 1)
        row = np.stack([counts.faulty, counts.rows, counts.cluster], axis=1)[None]
        return replace(self, windows=self.windows + 1, counts=np.concatenate([self.counts, row]))

    def settled(self, before: Wealth, after: Wealth) -> "Mark":
        """Return it after the verdicts on its last window."""
        cut = np.flatnonzero((before.money != after.money).any(axis=1))
        if not len(cut):
            return self
        at = np.full((len(cut), 1), float(self.windows - 1))
        rows = np.concatenate([at, cut[:, None].astype(np.float64), after.money[cut]], axis=1)
        return replace(self, cuts=np.concatenate([self.cuts, rows]))

    def only(self, place: int) -> "Mark":
        """Return it of one feature."""
        cuts = self.cuts[self.cuts[:, 1] == place].copy()
        cuts[:, 1] = 0.0
        return Mark(self.money[[place]], self.windows, cuts, self.counts[:, [place]])

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Name its arrays."""
        named = {"money": self.money, "cuts": self.cuts, "counts": self.counts}
        windows = np.array([self.windows], np.int64)
        return {f"{PREFIX}windows": windows, **{f"{PREFIX}{name}": array for name, array in named.items()}}

    @classmethod
    def of(cls, arrays: Arrays) -> "Mark | None":
        """Read what `arrays` gave; None where there is none."""
        if f"{PREFIX}money" not in arrays:
            return None
        money, cuts, counts = (arrays[f"{PREFIX}{name}"] for name in ("money", "cuts", "counts"))
        return cls(money, int(arrays[f"{PREFIX}windows"][0]), cuts, counts)

    def wealth(self) -> Wealth:
        """Return what is owned before the windows."""
        return Wealth(self.money, np.zeros(len(self.money), bool))

    def after(self, wealth: Wealth, window: int) -> Wealth:
        """Return what a window's verdicts have left; nothing is cut after the last one, which is judged."""
        money = wealth.money.copy()
        for cut in self._cuts_of(window):
            money[int(cut[1])] = cut[2:]
        return replace(wealth, money=money)

    def _cuts_of(self, window: int) -> Iterator[Floats]:
        return iter(self.cuts[self.cuts[:, 0] == window] if window < self.windows - 1 else ())


def marked(mark: Mark | None, before: Wealth | None, after: Wealth, most: int) -> Mark:
    """Return the mark to go on from: a new one where there is none, or where it has so many windows."""
    if before is None:
        return Mark.at(np.zeros_like(after.money))
    if mark is None or mark.windows >= most or mark.money.shape != after.money.shape:
        return Mark.at(before.money)
    return mark
