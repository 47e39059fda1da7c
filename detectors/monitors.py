"""What to watch: one monitor is one detector on one feature."""

import math
from typing import TypeVar

from msgspec import Struct

from detectors.base import Level, Verdict
from detectors.profile import FeatureGrid, NumericGrid

T = TypeVar("T")
FAILURES = (ArithmeticError, LookupError, RuntimeError, TypeError, ValueError)
"""What a statistic may raise on data it was not made for; it ends as a verdict, not as a crash."""
NOTE = 200
"""The longest note, in characters."""


HEAVY_TAIL = 3.0
"""A standard deviation of so many interquartile ranges is made by a few far rows (a normal's is 0.74)."""


class MonitorSpec(Struct, frozen=True):
    """One detector on one feature.

    kind: which kind of alarm it raises ("quality", "drift", "prediction_drift"). threshold: the user's
    own, in the unit of the score; None leaves it to the budget and the smallest effect worth an alarm.
    """

    feature: str
    detector: str
    kind: str
    threshold: float | None = None


class Judgement(Struct, frozen=True):
    """How strict the detectors of a model are.

    level: the probability of a false breach per monitor and window (see budget.level). min_effect: drift
    smaller than this never breaches. min_rows: fewer rows than this, in the window or in the reference,
    are not judged.
    """

    level: float
    min_effect: float = 0.1
    min_rows: int = 100


def default_statistic(feature: FeatureGrid) -> str:
    """Return the statistic that watches a feature when none is configured: docs/detectors.md has the figures.

    Wasserstein finds most, but not where a few far rows make the standard deviation: there it is ks. For
    categories js is almost as strong as chi2, and not set off by one row that was never seen.

    Examples
    --------
    >>> import numpy as np
    >>> rng = np.random.default_rng(1)
    >>> for values in (np.sort(rng.normal(size=4000)), np.sort(rng.pareto(1.5, size=4000))):
    ...     edges = tuple(values[20:-1:20])
    ...     grid = NumericGrid("x", values[0], values[-1], edges, 0.0, 1.0, values.std(), ())
    ...     default_statistic(grid)
    'wasserstein'
    'ks'

    """
    if not isinstance(feature, NumericGrid):
        return "js"
    quarter = len(feature.edges) // 4
    middle = feature.edges[-1 - quarter] - feature.edges[quarter] if feature.edges else 0.0
    return "ks" if feature.sd >= HEAVY_TAIL * middle else "wasserstein"


def known(found: T | Exception) -> T:
    """Return what was found, or raise why nothing was."""
    if isinstance(found, Exception):
        raise found
    return found


def unjudged(spec: MonitorSpec, level: Level, n: int, note: str) -> Verdict:
    """Return a verdict without a score."""
    return Verdict(spec.detector, spec.feature, spec.kind, level, n, note=note[:NOTE])


def judged(
    spec: MonitorSpec, n: int, score: tuple[float, float], effect: float, pvalue: float | None = None
) -> Verdict:
    """Return OK or BREACH for (score, threshold); ERROR when one of the numbers is not finite."""
    level = Level.BREACH if score[0] > score[1] else Level.OK
    finite = math.isfinite(score[0]) and math.isfinite(score[1]) and math.isfinite(effect)
    if not (finite and (pvalue is None or math.isfinite(pvalue))):
        return unjudged(spec, Level.ERROR, n, "the statistic is not finite")
    return Verdict(spec.detector, spec.feature, spec.kind, level, n, *score, pvalue, effect)
