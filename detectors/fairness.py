"""Whether a binary model treats the groups alike: rates per group, and how far the groups are apart.

A rate that rests on too few rows of a group is left out and said, never compared: the worst of many small
groups is noise. What is given here are numbers with intervals; which difference is too much is not
statistics, and which of these measures fits is a decision about the service (they exclude each other).
"""

from collections.abc import Mapping
from functools import cached_property

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from detectors.base import Level
from detectors.intervals import normal_quantile, wilson
from detectors.measure import Estimate
from detectors.table import Counts, Floats

MIN_ROWS = 50
CONTINUITY = 0.5
RATES = ("selection_rate", "accuracy", "true_positive_rate", "false_positive_rate")
DISPARITIES = (
    "demographic_parity_difference",
    "demographic_parity_ratio",
    "equal_opportunity_difference",
    "equalized_odds_difference",
)


class GroupCounts(Struct, frozen=True, eq=False):
    """One group's rows. ValueError where a shape is another or a count is below 0.

    confusion: whole counts [2 (label), 2 (predicted)] of the rows whose outcome is known. predicted: whole
    counts [2] of all predictions, whether their outcome is known or not. Class 1 is the positive one.
    """

    confusion: Counts
    predicted: Counts

    def __post_init__(self) -> None:
        if self.confusion.shape != (2, 2) or self.predicted.shape != (2,):
            raise ValueError(f"counts of shape {self.confusion.shape} and {self.predicted.shape}")
        if not (min(self.confusion.min(), self.predicted.min()) >= 0):
            raise ValueError("a count is below 0 or not a number")

    def parts(self) -> dict[str, tuple[int, int]]:
        """Return for each rate how many rows it counts, of how many."""
        (tn, fp), (fn, tp) = self.confusion.astype(np.int64).tolist()
        rejected, selected = self.predicted.astype(np.int64).tolist()
        return {
            "selection_rate": (selected, selected + rejected),
            "accuracy": (tn + tp, tn + fp + fn + tp),
            "true_positive_rate": (tp, tp + fn),
            "false_positive_rate": (fp, fp + tn),
        }


class GroupRates(Struct, frozen=True):
    """One group's rates by name. A rate on fewer rows than the minimum has no value, only its n.

    level: INSUFFICIENT_DATA where the group has fewer predictions than the minimum; no rate has a value.
    """

    level: Level
    rates: Mapping[str, Estimate]


class Disparity(Struct, frozen=True):
    """How far the groups are apart, between which two, and who was left out for too few rows.

    level: INSUFFICIENT_DATA where fewer than two groups have enough rows. The ratio has no value, though
    its level is OK, where nobody was selected in any group. estimate.n: rows of the groups compared.
    """

    level: Level
    estimate: Estimate
    lowest: str = ""
    highest: str = ""
    left_out: tuple[str, ...] = ()


class Fairness(Struct, frozen=True):
    """Rates per group and the disparities by name, in the order of RATES and DISPARITIES."""

    groups: Mapping[str, GroupRates]
    disparities: Mapping[str, Disparity]


def fairness(groups: Mapping[str, GroupCounts], level: float, min_rows: int = MIN_ROWS) -> Fairness:
    """Compare the groups of a binary task; every interval has confidence 1 - level.

    The differences are largest less smallest rate, the ratio smallest over largest: selection rates for
    demographic parity, true positive rates for equal opportunity; equalised odds is the larger of the
    differences of true and of false positive rates. Picking the extremes widens what chance alone makes:
    so every pair of groups gets an interval at level / pairs (Bonferroni), all of them hold together, and
    the disparity lies between the largest lower and the largest upper end (a ratio: the smallest ones).

    Parameters
    ----------
    groups
        Each group's counts, by its name.
    level
        In (0, 1), one minus the confidence.
    min_rows
        A rate needs so many rows: predictions (selection rate), known outcomes (accuracy), positive
        outcomes (true positive rate), negative ones (false positive rate).

    Examples
    --------
    >>> rng = np.random.default_rng(1)
    >>> def group(rate: float) -> GroupCounts:
    ...     cells = rng.multinomial(1000, [0.7 * (1 - rate), 0.7 * rate, 0.06, 0.24]).reshape(2, 2)
    ...     return GroupCounts(cells, cells.sum(axis=0))
    >>> result = fairness({"a": group(0.1), "b": group(0.3)}, level=0.05)
    >>> found = result.disparities["demographic_parity_difference"]
    >>> found.lowest, found.highest, round(found.estimate.value, 2), round(found.estimate.low, 2)
    ('a', 'b', 0.13, 0.09)

    References
    ----------
    Hardt, M., Price, E., Srebro, N. (2016). Equality of opportunity in supervised learning. NeurIPS.
    Newcombe, R. G. (1998). Interval estimation for the difference between independent proportions:
    comparison of eleven methods. Statistics in Medicine 17(8).
    Walter, S. D. (1975). The distribution of Levin's measure of attributable risk. Biometrika 62(2).

    """
    parts = {name: _known(counts, min_rows) for name, counts in groups.items()}
    return Fairness(
        {name: _rates(counts, parts[name], level, min_rows) for name, counts in groups.items()},
        dict(zip(DISPARITIES, _disparities(parts, level), strict=True)),
    )


def _disparities(parts: Mapping[str, Mapping[str, tuple[int, int]]], level: float) -> tuple[Disparity, ...]:
    selection, tpr, fpr = (_Shares.of(parts, rate) for rate in (RATES[0], *RATES[2:]))
    return (
        _difference(selection, level),
        _ratio(selection, level),
        _difference(tpr, level),
        _larger(_difference(tpr, level / 2), _difference(fpr, level / 2)),
    )


def _size(counts: GroupCounts) -> int:
    return int(counts.predicted.sum())


def _known(counts: GroupCounts, min_rows: int) -> dict[str, tuple[int, int]]:
    """Return the parts of the rates that rest on enough rows: none of them in a group that is too small."""
    least = max(min_rows, 1)
    if _size(counts) < least:
        return {}
    return {rate: part for rate, part in counts.parts().items() if part[1] >= least}


def _rates(
    counts: GroupCounts, known: Mapping[str, tuple[int, int]], level: float, min_rows: int
) -> GroupRates:
    found = {rate: Estimate(None, None, None, rows) for rate, (_, rows) in counts.parts().items()}
    for rate, (hits, rows) in known.items():
        found[rate] = Estimate(hits / rows, *wilson(hits, rows, level), rows, "wilson")
    enough = _size(counts) >= min_rows
    return GroupRates(Level.OK if enough else Level.INSUFFICIENT_DATA, found)


class _Shares(Struct, frozen=True, eq=False, dict=True):
    """One rate of the groups with enough rows: `hits` of `rows`, float64 [G]."""

    names: tuple[str, ...]
    hits: Floats
    rows: Floats
    left_out: tuple[str, ...]

    @cached_property
    def pairs(self) -> NDArray[np.bool_]:
        """[G, G], False on the diagonal: every pair in both orders."""
        return ~np.eye(len(self.names), dtype=np.bool_)

    @classmethod
    def of(cls, parts: Mapping[str, Mapping[str, tuple[int, int]]], rate: str) -> "_Shares":
        names = tuple(name for name, known in parts.items() if rate in known)
        table = np.array([parts[name][rate] for name in names], dtype=np.float64).reshape(-1, 2)
        return cls(names, table[:, 0], table[:, 1], tuple(name for name in parts if name not in names))

    @property
    def comparable(self) -> bool:
        return len(self.names) > 1

    def share_of_level(self, level: float) -> float:
        """Return the level of one pair's interval."""
        return level / (len(self.names) * (len(self.names) - 1) / 2)

    def disparity(self, value: float | None, ends: tuple[float, float] | None, method: str) -> Disparity:
        share = self.hits / self.rows
        low, high = ends or (None, None)
        estimate = Estimate(value, low, high, int(self.rows.sum()), method)
        extremes = self.names[int(share.argmin())], self.names[int(share.argmax())]
        return Disparity(Level.OK, estimate, *extremes, self.left_out)

    def nothing(self) -> Disparity:
        nothing = Estimate(None, None, None, int(self.rows.sum()))
        return Disparity(Level.INSUFFICIENT_DATA, nothing, left_out=self.left_out)


def _difference(shares: _Shares, level: float) -> Disparity:
    """Return the largest difference; each pair's interval is Newcombe's, from the two score intervals."""
    if not shares.comparable:
        return shares.nothing()
    share = shares.hits / shares.rows
    each = shares.share_of_level(level)
    low, high = np.array([wilson(k, n, each) for k, n in zip(shares.hits, shares.rows, strict=True)]).T
    gaps = share[:, None] - share
    least = (gaps - np.hypot((share - low)[:, None], high - share))[shares.pairs]
    most = (gaps + np.hypot((high - share)[:, None], share - low))[shares.pairs]
    ends = max(float(least.max()), 0.0), min(float(most.max()), 1.0)
    return shares.disparity(float(share.max() - share.min()), ends, "newcombe")


def _ratio(shares: _Shares, level: float) -> Disparity:
    """Return the smallest ratio; each pair's interval is that of the logarithm, half a row added.

    The half row lets the logarithm exist, and moves the interval's middle: it is stretched to the value.
    """
    if not shares.comparable:
        return shares.nothing()
    share = shares.hits / shares.rows
    if not share.any():
        return shares.disparity(None, None, "")
    value = float(share.min() / share.max())
    hits, rows = shares.hits + CONTINUITY, shares.rows + 2 * CONTINUITY
    logs, noise = np.log(hits / rows), 1.0 / hits - 1.0 / rows
    reach = normal_quantile(shares.share_of_level(level)) * np.sqrt(noise[:, None] + noise)
    ratios = logs[:, None] - logs
    low = float(np.exp((ratios - reach)[shares.pairs].min()))
    high = float(np.exp((ratios + reach)[shares.pairs].min()))
    return shares.disparity(value, (min(low, value), min(max(high, value), 1.0)), "log")


def _larger(a: Disparity, b: Disparity) -> Disparity:
    """Return the larger of two disparities; both intervals hold together, each at half of the level."""
    left_out = tuple(dict.fromkeys((*a.left_out, *b.left_out)))
    one, two = a.estimate, b.estimate
    if one.value is None or two.value is None:
        nothing = Estimate(None, None, None, min(one.n, two.n))
        return Disparity(Level.INSUFFICIENT_DATA, nothing, left_out=left_out)
    larger = a if one.value >= two.value else b
    low, high = (max(x or 0.0, y or 0.0) for x, y in ((one.low, two.low), (one.high, two.high)))
    estimate = Estimate(larger.estimate.value, low, high, one.n + two.n, "newcombe")
    return Disparity(Level.OK, estimate, larger.lowest, larger.highest, left_out)
