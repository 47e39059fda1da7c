"""What the values are, not how they are distributed: missing, of the wrong type, out of range, new, too few.

Each check is one function and one row in `QUALITY`. It returns the score and the threshold of a feature,
or of the whole window under the feature name `_all`.
"""

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Literal

import numpy as np
from msgspec import Struct

from detectors.allowance import largest_share, volume_threshold
from detectors.base import Level, Verdict
from detectors.comparison import unseen_rows
from detectors.monitors import FAILURES, Judgement, MonitorSpec, judged, unjudged
from detectors.profile import (
    CategorySummary,
    Grid,
    NumericGrid,
    NumericSummary,
    Summary,
    WindowProfile,
)
from detectors.standing import References

ALL = "_all"
LEAST_SHARE = 0.01
"""An excess of a hundredth of the rows is the least worth an alarm."""
NO_COLUMN = 0.5
"""The threshold of a count that should be 0: above it from 1 on, and score / threshold is a number."""
WINDOWS_NEEDED = 8
LEAST_VOLUME_CHANGE = 1.0
"""Half or twice as many rows as usual is the least worth an alarm."""

Cluster = tuple[float, float]
"""Of the window's rows, and of the reference's: how many tell as much as one independent row."""
ALONE: Mapping[str, Cluster] = MappingProxyType({})
Found = tuple[int, float, float]
"""How many rows were judged, the score, the threshold."""


class Chance(Struct, frozen=True):
    """What an excess may be by chance.

    level: the probability of more. cluster, known: how many rows of the window, and of the reference, tell as
    much as one independent row: a cold day is no draw of so many rows.
    """

    level: float
    cluster: float = 1.0
    known: float = 1.0

    def allowed(self, found: float, n: int, m: int) -> float:
        """Return the share of m rows that is exceeded with that probability after `found` of n."""
        return largest_share(found, max(int(n / self.known), 1), max(int(m / self.cluster), 1), self.level)


def null_share(reference: Summary, window: Summary, chance: Chance) -> Found:
    """Judge the share of rows without a usable value: null, NaN and infinite.

    The score is the excess over the reference's share; fewer than there are no fault.
    """
    return _excess((missing(reference), reference.rows), (missing(window), window.rows), chance)


def type_failures(reference: Summary, window: Summary, chance: Chance) -> Found:
    """Judge the share of rows whose value could not be read as the feature's type, like null_share."""
    alone = Chance(chance.level)  # what values have in common says nothing of those that are none
    return _excess((reference.invalid, reference.rows), (window.invalid, window.rows), alone)


def out_of_range(reference: Summary, window: Summary, chance: Chance) -> Found:
    """Judge the share of finite values outside the reference's range.

    By chance two of N + 1 more values lie beyond the extremes of N, which is what is expected.
    """
    outside = int(window.counts[0] + window.counts[-1])
    score = outside / window.n
    return window.n, score, max(chance.allowed(2.0, reference.n, window.n), LEAST_SHARE)


def new_category(reference: Summary, window: Summary, chance: Chance) -> Found:
    """Judge the share of values that the reference never held.

    Some are expected where the reference has categories that occur once (Good-Turing).
    """
    if not isinstance(reference, CategorySummary):
        raise TypeError("only categories can be new")
    expected = unseen_rows(reference)[0]
    score = int(window.counts[-1]) / window.n
    return window.n, score, max(chance.allowed(expected, reference.n, window.n), LEAST_SHARE)


def missing(summary: Summary) -> int:
    """Count the rows without a usable value: null, NaN and infinite."""
    if isinstance(summary, NumericSummary):
        return summary.null + summary.nan + summary.neg_inf + summary.pos_inf
    return summary.null


def _excess(reference: tuple[int, int], window: tuple[int, int], chance: Chance) -> Found:
    share = reference[0] / reference[1]
    allowed = chance.allowed(reference[0] / chance.known, reference[1], window[1]) - share
    return window[1], max(window[0] / window[1] - share, 0.0), max(allowed, LEAST_SHARE)


def row_volume(window: WindowProfile, level: float) -> Found:
    """Judge |log2(rows / median rows of earlier windows)|: 1 is half or twice as many as usual."""
    usual = np.log2(np.maximum(np.array(window.history, dtype=np.float64), 1.0))
    rows = window.window.rows
    score = abs(float(np.log2(rows)) - float(np.median(usual)))
    return rows, score, max(volume_threshold(usual, level), LEAST_VOLUME_CHANGE)


def missing_columns(window: WindowProfile, _level: float) -> Found:
    """Count configured columns that never appeared in the window."""
    return window.window.rows, float(len(window.columns_missing)), NO_COLUMN


def unknown_columns(window: WindowProfile, _level: float) -> Found:
    """Count columns that appeared and that nobody configured."""
    return window.window.rows, float(len(window.columns_unknown)), NO_COLUMN


class FeatureCheck(Struct, frozen=True):
    """A check of one feature. of: which features have it. judges: what counts as a row judged."""

    check: Callable[[Summary, Summary, Chance], Found]
    of: Literal["numeric", "categorical", "every"]
    judges: Literal["rows", "values"]


class WindowCheck(Struct, frozen=True):
    """A check of a whole window. windows: how many earlier windows it needs."""

    check: Callable[[WindowProfile, float], Found]
    windows: int = 0


QUALITY: Mapping[str, FeatureCheck | WindowCheck] = MappingProxyType(
    {
        "null_share": FeatureCheck(null_share, "every", "rows"),
        "type_failures": FeatureCheck(type_failures, "numeric", "rows"),
        "out_of_range": FeatureCheck(out_of_range, "numeric", "values"),
        "new_category": FeatureCheck(new_category, "categorical", "values"),
        "row_volume": WindowCheck(row_volume, WINDOWS_NEEDED),
        "missing_columns": WindowCheck(missing_columns),
        "unknown_columns": WindowCheck(unknown_columns),
    }
)


def quality_monitors(grid: Grid) -> tuple[MonitorSpec, ...]:
    """Return every check that fits the grid: those of each feature, then those of the window.

    Examples
    --------
    >>> from detectors.profile import CategoryGrid
    >>> [m.detector for m in quality_monitors(Grid((CategoryGrid("colour", ("red", "blue")),)))]
    ['null_share', 'new_category', 'row_volume', 'missing_columns', 'unknown_columns']

    """
    found = []
    for feature in grid.features:
        kind = "numeric" if isinstance(feature, NumericGrid) else "categorical"
        fits = [n for n, c in QUALITY.items() if isinstance(c, FeatureCheck) and c.of in {"every", kind}]
        found += [MonitorSpec(feature.name, name, "quality") for name in fits]
    whole = [name for name, check in QUALITY.items() if isinstance(check, WindowCheck)]
    return (*found, *(MonitorSpec(ALL, name, "quality") for name in whole))


class Quality:
    """Judges what the values of a window are, against what the reference leads one to expect.

    A feature that vanished is all missing, so `null_share` breaches: no values are not no drift.

    Parameters
    ----------
    monitors
        Which check on which feature (`_all` for the window); one verdict each, in this order.
    alarms
        The level and the fewest rows; the checks have their own smallest effects.
    references
        Remembers what stays of references; may be shared.

    """

    def __init__(
        self, monitors: Sequence[MonitorSpec], alarms: Judgement, references: References | None = None
    ) -> None:
        unknown = {spec.detector for spec in monitors} - set(QUALITY)
        if unknown:
            raise ValueError(f"no such quality check: {', '.join(sorted(unknown))}")
        self._monitors = tuple(monitors)
        self._alarms = alarms
        self._references = references or References()

    def close(self, window: WindowProfile, clusters: Mapping[str, Cluster] = ALONE) -> Sequence[Verdict]:
        """Judge a closed window: one verdict per monitor; a failing one becomes an ERROR verdict.

        clusters: of each feature's rows, how many tell as much as one independent row: see `Chance`.
        """
        known = self._references.of(window.grid, window.reference).features
        pairs = {s.grid.name: (known[s.grid.name].summary, s) for s in window.summaries}
        return [
            self._verdict(spec, window, pairs.get(spec.feature), clusters.get(spec.feature, (1.0, 1.0)))
            for spec in self._monitors
        ]

    def _verdict(
        self,
        spec: MonitorSpec,
        window: WindowProfile,
        pair: tuple[Summary, Summary] | None,
        cluster: Cluster,
    ) -> Verdict:
        check = QUALITY[spec.detector]
        try:
            if isinstance(check, WindowCheck):
                return self._whole(spec, check, window)
            if pair is None:
                return unjudged(spec, Level.ERROR, 0, "the reference has no such feature")
            return self._feature(spec, check, pair, Chance(self._alarms.level, *cluster))
        except FAILURES as error:
            return unjudged(spec, Level.ERROR, window.window.rows, f"{type(error).__name__}: {error}")

    def _whole(self, spec: MonitorSpec, check: WindowCheck, window: WindowProfile) -> Verdict:
        if window.window.rows == 0:
            return unjudged(spec, Level.INSUFFICIENT_DATA, 0, "the window has no rows")
        if check.windows and not window.complete:
            return unjudged(
                spec, Level.INSUFFICIENT_DATA, window.window.rows, "the log ends within the window"
            )
        if len(window.history) < check.windows:
            note = f"{len(window.history)} earlier windows of {check.windows} needed"
            return unjudged(spec, Level.INSUFFICIENT_DATA, window.window.rows, note)
        return self._judged(spec, check.check(window, self._alarms.level))

    def _feature(
        self, spec: MonitorSpec, check: FeatureCheck, pair: tuple[Summary, Summary], chance: Chance
    ) -> Verdict:
        reference, window = pair
        if reference.rows == 0:
            return unjudged(spec, Level.NO_REFERENCE, window.rows, "the reference is empty")
        n, m = (reference.rows, window.rows) if check.judges == "rows" else (reference.n, window.n)
        if min(n, m) < self._alarms.min_rows:
            note = f"{m} {check.judges} in the window, {n} in the reference"
            return unjudged(spec, Level.INSUFFICIENT_DATA, m, note)
        return self._judged(spec, check.check(reference, window, chance))

    def _judged(self, spec: MonitorSpec, found: Found) -> Verdict:
        n, score, threshold = found
        if spec.threshold is not None:
            threshold = spec.threshold
        return judged(spec, n, (score, threshold), effect=score)
