"""River's ADWIN and Page-Hinkley on every row of a feature, and in which windows they alarm."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.signal import lfilter

from benchmarks.detection.sampling import Column, Floats, Rows, Rowwise, cells
from detectors.river_rules import RIVER
from detectors.seasons import Ints

FORGOTTEN, TOLERATED, YOUNG = 0.9999, 0.005, 30
"""Page-Hinkley's other parameters as they come: alpha, delta, min_instances."""
FIRST_BLOCK = 256


@dataclass(frozen=True)
class Rule:
    """A rule for rows. own: the setting it comes with; ladder: others, the last alarm least often."""

    name: str
    parameter: str
    alarms: Callable[[Floats, float], Ints]
    own: float
    ladder: tuple[float, ...]


@dataclass(frozen=True, eq=False)
class Feature:
    """A feature after its reference, without its missing rows.

    values; places: where each value lies in the reference, from 0 to 1; window: of each row, from 0 on.
    """

    values: Rows
    places: Rows
    window: Ints


def feature(drawn: Rowwise, column: Column) -> Feature:
    """Return the rows after the reference, mapped by the reference's grid as detectors/pit.py does."""
    reference = drawn.family.calendar.reference
    codes, width = cells(drawn, column)
    old = drawn.window < reference
    counts = np.bincount(codes[old & column.present], minlength=width)
    places = ((np.cumsum(counts) - counts / 2) / counts.sum()).astype(np.float32)
    late = ~old & column.present
    return Feature(column.values[late], places[codes[late]], drawn.window[late] - reference)


def windows_with(alarms: Ints, window: Ints, windows: int) -> NDArray[np.bool_]:
    """Return which windows have an alarm."""
    found = np.zeros(windows, bool)
    found[window[alarms]] = True
    return found


def adwin(values: Floats, delta: float) -> Ints:
    """Return the rows at which river's ADWIN alarms."""
    return RIVER["adwin"](delta=delta).feed(values).rows


def page_hinkley(values: Floats, threshold: float) -> Ints:
    """Return the rows at which river's Page-Hinkley alarms: its recursion, a block of rows at a time.

    River's own takes several times as long; `same_as_river` compares them.

    Examples
    --------
    >>> rows = np.random.default_rng(7).normal(0.0, 1.0, 5000)
    >>> own = RIVER["page_hinkley"]().feed(rows).rows
    >>> len(own), np.array_equal(page_hinkley(rows, 50.0), own)
    (2, True)

    """
    found, start, size = [], 0, FIRST_BLOCK
    while start < len(values):
        over = np.flatnonzero(_deviations(values[start : start + size])[YOUNG - 1 :] > threshold)
        if len(over):
            found.append(start + YOUNG - 1 + int(over[0]))
            start, size = found[-1] + 1, FIRST_BLOCK
        elif start + size >= len(values):
            break
        else:
            size *= 4
    return np.array(found, np.int64)


def same_as_river(feature: Feature) -> None:
    """Let river's own Page-Hinkley judge a feature; RuntimeError if it alarms at other rows."""
    values = feature.values.astype(np.float64)
    if not np.array_equal(page_hinkley(values, 50.0), RIVER["page_hinkley"]().feed(values).rows):
        raise RuntimeError("Page-Hinkley in blocks and river's own alarm at different rows")


def _deviations(values: Floats) -> Floats:
    """Return after each row the larger of the rise and the fall since the beginning."""
    apart = values - np.cumsum(values) / np.arange(1, len(values) + 1)
    up = lfilter([1.0], [1.0, -FORGOTTEN], apart - TOLERATED)
    down = lfilter([1.0], [1.0, -FORGOTTEN], apart + TOLERATED)
    highest = np.maximum(np.maximum.accumulate(down), -1.0)
    return np.asarray(np.maximum(up - np.minimum.accumulate(up), highest - down))


RULES = (
    Rule(
        "ADWIN",
        "delta",
        adwin,
        0.002,
        (0.5, 0.1, 0.02, 2e-3, 1e-4, 1e-6, 1e-9, 1e-14, 1e-25, 1e-50, 1e-100, 1e-200, 1e-300),
    ),
    Rule(
        "Page-Hinkley",
        "threshold",
        page_hinkley,
        50.0,
        tuple(float(round(50 * 2 ** (step / 2))) for step in range(-4, 15)),
    ),
)
