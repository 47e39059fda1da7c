"""The laws that every detector of windows keeps, as functions that say how one was broken.

Whoever adds a detector hands its factory to each of `LAWS` together with a `Bench`: rows, and the
functions that make profiles of them.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from detectors.base import Detector, Level, Verdict
from detectors.profile import Grid, Profile, WindowProfile, merge

Columns = Mapping[str, NDArray[Any]]
"""Rows as columns of equal length: float64 is numeric, object (strings and None) is categorical."""
Factory = Callable[[Grid], Detector]


class Bench(Struct, frozen=True):
    """What the laws are tried on.

    calm: rows distributed as the reference. shifted: rows that every detector under test must find.
    """

    grid: Callable[[Columns], Grid]
    profile: Callable[[Grid, Columns], Profile]
    reference: Columns
    calm: Columns
    shifted: Columns

    def window(self, columns: Columns) -> WindowProfile:
        """Return a closed window of these rows beside the reference."""
        grid = self.grid(self.reference)
        return WindowProfile(grid, self.profile(grid, columns), self.profile(grid, self.reference))

    def verdicts(self, make: Factory, columns: Columns) -> Sequence[Verdict]:
        """Return what a new detector says of a window of these rows."""
        window = self.window(columns)
        return make(window.grid).close(window)


def part(columns: Columns, rows: NDArray[np.int64]) -> Columns:
    """Return these rows of the columns, in this order."""
    return {name: values[rows] for name, values in columns.items()}


def hollow(columns: Columns) -> Columns:
    """Return as many rows with no value in any of them."""
    missing = {True: np.nan, False: None}
    return {
        name: np.full(len(values), missing[values.dtype.kind == "f"], dtype=values.dtype)
        for name, values in columns.items()
    }


def numbers_are_finite(make: Factory, bench: Bench) -> Iterator[str]:
    """Demand finite numbers, and a score exactly where something was judged."""
    none, one = np.arange(0), np.arange(1)
    for columns in (bench.calm, bench.shifted, hollow(bench.calm), part(bench.calm, one)):
        yield from (f"{v}" for v in bench.verdicts(make, columns) if not _sound(v))
    yield from (f"{v}" for v in bench.verdicts(make, part(bench.calm, none)) if not _sound(v))


def _sound(verdict: Verdict) -> bool:
    judged = verdict.level in {Level.OK, Level.BREACH}
    if not judged or verdict.score is None or verdict.threshold is None:
        return not judged and verdict.score is None
    numbers = (verdict.score, verdict.threshold, verdict.pvalue or 0.0, verdict.effect or 0.0)
    over = verdict.score > verdict.threshold
    return all(map(math.isfinite, numbers)) and over == (verdict.level == Level.BREACH)


def the_reference_itself_is_calm(make: Factory, bench: Bench) -> Iterator[str]:
    """Demand that a window of exactly the reference's rows breaches nothing."""
    verdicts = bench.verdicts(make, bench.reference)
    yield from (f"{v}" for v in verdicts if v.level in {Level.BREACH, Level.ERROR})


def rows_have_no_order(make: Factory, bench: Bench) -> Iterator[str]:
    """Demand the same verdicts of the same rows shuffled, or profiled in two parts and merged."""
    first = bench.verdicts(make, bench.shifted)
    rows = len(next(iter(bench.shifted.values())))
    order = np.random.default_rng(0).permutation(rows)
    if bench.verdicts(make, part(bench.shifted, order)) != first:
        yield "shuffled rows are judged differently"
    window = bench.window(bench.shifted)
    halves = [bench.profile(window.grid, part(bench.shifted, h)) for h in np.array_split(order, 2)]
    merged = WindowProfile(window.grid, merge(window.grid, *halves), window.reference)
    if make(window.grid).close(merged) != first:
        yield "a profile merged from two parts is judged differently"


def features_have_no_order(make: Factory, bench: Bench) -> Iterator[str]:
    """Demand the same verdicts whatever the order of the columns."""
    names = list(bench.reference)[::-1]
    turned = Bench(
        bench.grid,
        bench.profile,
        *({n: columns[n] for n in names} for columns in (bench.reference, bench.calm, bench.shifted)),
    )
    before = set(bench.verdicts(make, bench.shifted))
    yield from (f"{v}" for v in before ^ set(turned.verdicts(make, turned.shifted)))


def an_empty_window_is_not_judged(make: Factory, bench: Bench) -> Iterator[str]:
    """Demand insufficient_data of every verdict on a window without rows."""
    verdicts = bench.verdicts(make, part(bench.calm, np.arange(0)))
    yield from (f"{v}" for v in verdicts if v.level != Level.INSUFFICIENT_DATA)


def a_huge_shift_breaches(make: Factory, bench: Bench) -> Iterator[str]:
    """Demand a breach by the shifted rows."""
    if not any(v.level == Level.BREACH for v in bench.verdicts(make, bench.shifted)):
        yield "the shifted rows breach nothing"


def a_window_is_judged_once_and_for_all(make: Factory, bench: Bench) -> Iterator[str]:
    """Demand the same verdicts when the window is judged again, by the same detector or a new one."""
    window = bench.window(bench.calm)
    detector = make(window.grid)
    first = detector.close(window)
    if detector.close(window) != first or make(window.grid).close(window) != first:
        yield "the same window is judged differently the second time"


LAWS: Mapping[str, Callable[[Factory, Bench], Iterator[str]]] = MappingProxyType(
    {
        law.__name__: law
        for law in (
            numbers_are_finite,
            the_reference_itself_is_calm,
            rows_have_no_order,
            features_have_no_order,
            an_empty_window_is_not_judged,
            a_huge_shift_breaches,
            a_window_is_judged_once_and_for_all,
        )
    }
)
