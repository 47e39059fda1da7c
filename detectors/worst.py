"""The worst segment, with the number of segments counted: among many, one is always the worst by chance."""

import math
from collections.abc import Mapping

from msgspec import Struct

from detectors.intervals import normal_quantile
from detectors.measure import Better, Estimate

MIN_ROWS = 50


class Segment(Struct, frozen=True):
    """One segment's metric and that of the rest: all rows but the segment's.

    The sums of a measure subtract, so the rest is `values(whole - segment)`, for any metric; unlike the
    whole it shares no row with the segment, so the two are independent.
    """

    own: Estimate
    rest: Estimate


class Worst(Struct, frozen=True):
    """The worst segment. pvalue: two-sided, multiplied by the segments compared (Bonferroni), at most 1.

    value: its metric. against_rest: segment less rest with its interval at level / compared; n is the
    segment's. significant: whether it is worse than the rest by more than chance among so many segments; it
    is not where it is merely the last of equals. compared: how many segments had enough rows.
    """

    label: str
    value: float
    against_rest: Estimate
    pvalue: float
    significant: bool
    compared: int


class Search(Struct, frozen=True):
    """How the worst is looked for. Both levels are in (0, 1), one minus a confidence.

    level: probability that any segment is named as significant where all are alike. made_at: the level at
    which the given intervals were made; best made at level / number of segments, else they are stretched as
    a normal's would be. min_rows: segments (and rests) with fewer rows (queries) are not compared.
    """

    level: float = 0.05
    made_at: float = 0.05
    min_rows: int = MIN_ROWS


class _Gap(Struct, frozen=True):
    """One segment less its rest, and how far the interval reaches to either side, at `made_at`."""

    label: str
    own: float
    value: float
    down: float
    up: float
    n: int

    @classmethod
    def of(cls, label: str, segment: Segment) -> "_Gap | None":
        """Combine the two intervals (Zou and Donner: squares of the distances to the ends add up)."""
        a, b = segment.own, segment.rest
        if a.value is None or a.low is None or a.high is None:
            return None
        if b.value is None or b.low is None or b.high is None:
            return None
        down = math.hypot(a.value - a.low, b.high - b.value)
        up = math.hypot(a.high - a.value, b.value - b.low)
        return cls(label, a.value, a.value - b.value, down, up, a.n)

    def pvalue(self, made_at: float) -> float:
        """Return the two-sided p-value that belongs to the interval's end on the side of 0."""
        reach = self.up if self.value < 0.0 else self.down
        if not reach > 0.0:  # no spread seen: nothing to measure the gap by
            return 1.0
        return math.erfc(abs(self.value) / reach * normal_quantile(made_at) / math.sqrt(2.0))

    def estimate(self, stretch: float) -> Estimate:
        low, high = self.value - stretch * self.down, self.value + stretch * self.up
        return Estimate(self.value, low, high, self.n, "mover")


def worst(segments: Mapping[str, Segment], better: Better, search: Search | None = None) -> Worst | None:
    """Name the worst segment; None where none can be compared, or the metric has no better side.

    Each segment is compared with the rest at level / segments, so that naming any of them by chance has
    probability `level` at most, however they overlap. Of the segments that are significantly worse the one
    with the largest gap to its rest is named, so that a small, noisy one does not hide a large one; if none
    is, the one with the worst value. Several metrics or windows are further comparisons: their number is
    the caller's to count.

    Examples
    --------
    >>> def wide(value: float, n: int) -> Estimate:
    ...     return Estimate(value, value - 1 / n**0.5, value + 1 / n**0.5, n)
    >>> segments = {"north": Segment(wide(0.90, 5000), wide(0.87, 5400)),
    ...             "south": Segment(wide(0.80, 5000), wide(0.96, 5400)),
    ...             "sea": Segment(wide(0.79, 400), wide(0.88, 10_000))}
    >>> found = worst(segments, Better.HIGHER)
    >>> found.label, found.value, found.significant, found.compared
    ('south', 0.8, True, 3)

    References
    ----------
    Zou, G. Y., Donner, A. (2008). Construction of confidence limits about effect measures: a general
    approach. Statistics in Medicine 27(10).

    """
    search = search or Search()
    sign = {Better.HIGHER: 1.0, Better.LOWER: -1.0, Better.NEITHER: 0.0}[better]
    gaps = _gaps(segments, search.min_rows) if sign else []
    if not gaps:
        return None
    pvalues = {gap.label: min(gap.pvalue(search.made_at) * len(gaps), 1.0) for gap in gaps}
    proven = [gap for gap in gaps if sign * gap.value < 0.0 and pvalues[gap.label] <= search.level]
    if proven:
        named = min(proven, key=lambda gap: sign * gap.value)
    else:
        named = min(gaps, key=lambda gap: sign * gap.own)
    stretch = normal_quantile(search.level / len(gaps)) / normal_quantile(search.made_at)
    return Worst(
        label=named.label,
        value=named.own,
        against_rest=named.estimate(stretch),
        pvalue=pvalues[named.label],
        significant=bool(proven),
        compared=len(gaps),
    )


def _gaps(segments: Mapping[str, Segment], min_rows: int) -> list[_Gap]:
    enough = {k: s for k, s in segments.items() if min(s.own.n, s.rest.n) >= min_rows}
    found = (_Gap.of(label, segment) for label, segment in enough.items())
    return [gap for gap in found if gap is not None]
