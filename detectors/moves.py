"""How far one feature of a window is from the reference, in a few microseconds, for ranking and locating."""

from collections.abc import Iterator

import numpy as np
from msgspec import Struct

from detectors.attribution import Moved
from detectors.joint import Joint
from detectors.profile import CategorySummary, NumericSummary, Summary

SURE = 1.95
"""Kolmogorov's limit at a level of 0.001, per root of 1/n + 1/m."""
LEAST = 0.04
"""A largest difference of distributions like that of normal rows moved by a tenth of their spread."""
LEAST_MISSING = 0.01
WIDE = 4.0


class Distance(Struct, frozen=True):
    """The largest difference of two distribution functions (of two shares), and what chance makes of it."""

    value: float
    noise: float
    what: str


def distances(reference: Summary, window: Summary) -> tuple[Distance, Distance]:
    """Return how far the values are apart, and how far the shares of rows without one."""
    n, m = max(reference.n, 1), max(window.n, 1)
    before, after = reference.counts / n, window.counts / m
    noise = _noise(n, m)
    if isinstance(reference, CategorySummary):
        value = float(np.abs(after - before).sum() / 2.0) if min(reference.n, window.n) else 0.0
        cells = np.sqrt(np.count_nonzero(reference.counts) / 2.0)
        values = Distance(value, noise * float(max(cells, 1.0)), "shares of its categories")
    else:
        apart = np.abs(np.cumsum(after) - np.cumsum(before)).max() if min(reference.n, window.n) else 0.0
        values = Distance(float(apart), noise, "distribution")
    return values, _lost((reference.n, reference.rows), (window.n, window.rows))


def _lost(reference: tuple[int, int], window: tuple[int, int]) -> Distance:
    """Return how far the shares of rows without a value are apart; each: rows with one, and all."""
    (n, of), (m, rows) = ((known, max(every, 1)) for known, every in (reference, window))
    known, share = (reference[1] - n) / of, (window[1] - m) / rows
    spread = float(np.sqrt(max(known, share, 1.0 / rows) * (1.0 / of + 1.0 / rows)))
    return Distance(abs(share - known), spread, "missing")


def moved(reference: Summary, window: Summary) -> Moved:
    """Return what a feature alone shows, without knowing how the reference's windows differ.

    Examples
    --------
    >>> from detectors.profile import CategoryGrid
    >>> grid = CategoryGrid("colour", ("red", "blue"))
    >>> reference = CategorySummary(grid, 1000, np.array([600, 400, 0, 0]), null=0, invalid=0)
    >>> window = CategorySummary(grid, 500, np.array([100, 400, 0, 0]), null=0, invalid=0)
    >>> found = moved(reference, window)
    >>> found.what, round(found.ratio, 1), round(found.effect, 1)
    ('shares of its categories', 3.7, 0.4)

    """
    values, missing = distances(reference, window)
    return _further(values, missing, _effect(reference, window, values))


def moved_rows(reference: Joint, window: Joint) -> dict[str, Moved]:
    """Return what each column of sampled rows shows alone, not knowing how the reference's windows differ.

    Examples
    --------
    >>> rng = np.random.default_rng(1)
    >>> none = np.zeros((500, 0), np.int32)
    >>> before, after = (Joint(("x",), rng.normal(mean, 1.0, (500, 1)), none) for mean in (0.0, 0.8))
    >>> found = moved_rows(before, after)["x"]
    >>> found.what, round(found.ratio, 1), round(found.effect, 1)
    ('distribution', 2.6, 0.8)

    """
    columns = (*_of_numbers(reference, window), *_of_codes(reference, window))
    return dict(zip(reference.columns, columns, strict=True))


def _of_numbers(reference: Joint, window: Joint) -> Iterator[Moved]:
    for column in range(reference.numeric.shape[1]):
        before, after = (np.sort(rows.numeric[:, column]) for rows in (reference, window))
        before, after = (known[np.isfinite(known)] for known in (before, after))
        noise, value, effect = _noise(len(before), len(after)), 0.0, 0.0
        if len(before) and len(after):
            every = np.concatenate([before, after])
            shares = (np.searchsorted(known, every, "right") / len(known) for known in (before, after))
            value = float(np.abs(np.subtract(*shares)).max())
            spread, apart = float(before.std()), float(after.mean() - before.mean())
            effect = apart / spread if spread > 0 else 0.0
        known, present = (len(before), reference.rows), (len(after), window.rows)
        yield _further(Distance(value, noise, "distribution"), _lost(known, present), effect)


def _of_codes(reference: Joint, window: Joint) -> Iterator[Moved]:
    for column in range(reference.codes.shape[1]):
        before, after = (rows.codes[:, column] for rows in (reference, window))
        before, after = before[before >= 0], after[after >= 0]
        value, cells = 0.0, 1.0
        if len(before) and len(after):
            size = int(max(before.max(), after.max())) + 1
            counts = [np.bincount(known, minlength=size) / len(known) for known in (before, after)]
            value = float(np.abs(counts[1] - counts[0]).sum() / 2.0)
            cells = max(float(np.sqrt(np.count_nonzero(counts[0]) / 2.0)), 1.0)
        values = Distance(value, _noise(len(before), len(after)) * cells, "shares of its categories")
        yield _further(values, _lost((len(before), reference.rows), (len(after), window.rows)), value)


def _noise(n: int, m: int) -> float:
    return float(np.sqrt(1.0 / max(n, 1) + 1.0 / max(m, 1)))


def _further(values: Distance, missing: Distance, effect: float) -> Moved:
    """Return what is further off, as a share of how far it may be: the values, or the rows without one."""
    ratios = (
        values.value / max(SURE * values.noise, LEAST),
        missing.value / max(WIDE * missing.noise, LEAST_MISSING),
    )
    if ratios[1] > ratios[0]:
        return Moved(ratios[1], missing.value, missing.what)
    return Moved(ratios[0], effect, values.what)


def _effect(reference: Summary, window: Summary, values: Distance) -> float:
    """Return by how many standard deviations the mean has moved; of categories which share has."""
    if not isinstance(reference, NumericSummary) or not isinstance(window, NumericSummary):
        return values.value
    if not (reference.n and window.n and reference.grid.sd > 0):
        return values.value
    return float((window.mean - reference.mean) / reference.grid.sd)
