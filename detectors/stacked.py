"""Scores of many features: those whose counts have one shape share a table, made once for all statistics.

A window of 25 features and nine statistics is some fifty calls instead of two hundred, and all of a call's
cost at ten cells is the call itself. Each score is the one that the feature would get alone, to the bit.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from msgspec import Struct

from detectors.comparison import Comparison
from detectors.monitors import FAILURES
from detectors.recent import Recent
from detectors.statistic import Statistic, Takes
from detectors.table import Counts, Floats, Joined, Side, Table

Names = tuple[str, ...]
LEFTS_KEPT = 16
"""Sets of features whose counts of the reference are remembered; but for gaps in the log there are few."""


class Scored(NamedTuple):
    """A feature's score and, of a test, its p-value."""

    score: float
    pvalue: float | None


Scores = dict[str, Scored | Exception]
"""By feature."""


class Left(Struct, frozen=True, eq=False):
    """The reference's side of a table, which stays while windows pass. gaps: None where there are none."""

    side: Side
    gaps: Floats | None


Lefts = Recent[Left]


class Stacks:
    """A window's features, those whose counts have one shape side by side.

    features: each feature's comparison, or why there is none. lefts: remembers the reference's side; another
    reference needs another.
    """

    def __init__(self, features: Mapping[str, Comparison | Exception], lefts: Lefts) -> None:
        self.failed = {name: one for name, one in features.items() if isinstance(one, Exception)}
        self._of = {name: one for name, one in features.items() if isinstance(one, Comparison)}
        self._lefts = lefts
        self._alike: dict[tuple[bool, Names], Sequence[Names]] = {}
        self._tables: dict[tuple[bool, Names], Table] = {}
        self._joined: dict[tuple[bool, Names], Joined] = {}

    def alike(self, takes: Takes, names: Names) -> Sequence[Names]:
        """Return which of the features can be scored together: those with as many cells."""
        grouped = takes == "groups"
        found = self._alike.get((grouped, names))
        if found is None:
            by_shape: dict[int, list[str]] = {}
            for name in names:
                by_shape.setdefault(_width(self._of[name], grouped=grouped), []).append(name)
            found = self._alike[grouped, names] = [tuple(alike) for alike in by_shape.values()]
        return found

    def arguments(self, takes: Takes, names: Names) -> tuple[Any, ...]:
        """Return what statistics take of features that are alike."""
        table = self._table(names, grouped=takes == "groups")
        if takes != "places":
            return (table,)
        gaps = self._left(names, grouped=False).gaps
        if gaps is None:
            raise TypeError("categories have no places")
        return table.apart, gaps

    def joined(self, takes: Takes, names: Names) -> Joined:
        """Return the tables of these features, side by side."""
        grouped = takes == "groups"
        found = self._joined.get((grouped, names))
        if found is None:
            tables = [self._table(alike, grouped=grouped) for alike in self.alike(takes, names)]
            found = self._joined[grouped, names] = Joined(tables)
        return found

    def _table(self, names: Names, *, grouped: bool) -> Table:
        found = self._tables.get((grouped, names))
        if found is None:
            window = self._side([one.window for one in self._all(names)], names, grouped=grouped)
            found = Table(self._left(names, grouped=grouped).side, window)
            self._tables[grouped, names] = found
        return found

    def _left(self, names: Names, *, grouped: bool) -> Left:
        return self._lefts.get((grouped, names), lambda: self._made(names, grouped=grouped))

    def _made(self, names: Names, *, grouped: bool) -> Left:
        of = self._all(names)
        placed = not grouped and all(one.places is not None for one in of)
        gaps = np.stack([one.gaps for one in of]) if placed else None
        return Left(self._side([one.reference for one in of], names, grouped=grouped), gaps)

    def _side(self, counts: Sequence[Counts], names: Names, *, grouped: bool) -> Side:
        if grouped:
            counts = [one.grouped(own) for one, own in zip(self._all(names), counts, strict=True)]
        return Side(np.concatenate([one[None] for one in counts]))

    def _all(self, names: Names) -> list[Comparison]:
        return [self._of[name] for name in names]


def _width(comparison: Comparison, *, grouped: bool) -> int:
    if grouped and comparison.starts is not None:
        return len(comparison.starts)
    return int(comparison.reference.shape[-1])


def score_all(row: Statistic, stacks: Stacks, names: Names) -> Scores:
    """Score these features; what fails for one stands as its exception and does not touch the others."""
    found: Scores = {name: stacks.failed[name] for name in names if name in stacks.failed}
    good = tuple(name for name in names if name not in found) if found else names
    try:
        return found | _together(row, stacks, good)
    except FAILURES:
        return found | {name: _alone(row, stacks, name) for name in good}


def _together(row: Statistic, stacks: Stacks, names: Names) -> Scores:
    """Score features table by table; of all tables the p-values are made at once."""
    alike = stacks.alike(row.takes, names)
    if not alike:
        return {}
    scores = np.concatenate([row.score(*stacks.arguments(row.takes, some)) for some in alike])
    pvalues = [None] * len(names)
    if row.pvalue is not None:
        pvalues = row.pvalue(scores, stacks.joined(row.takes, names)).tolist()
    each = map(Scored, scores.tolist(), pvalues)
    return dict(zip((name for some in alike for name in some), each, strict=True))


def _alone(row: Statistic, stacks: Stacks, name: str) -> Scored | Exception:
    try:
        return _together(row, stacks, (name,))[name]
    except FAILURES as error:
        return error
