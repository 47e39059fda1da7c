"""Faulty values gathered over windows: e-detectors of their shares, for rises too slow for one window.

A gambler bets, row by row, that the share of faulty rows has risen to r times the odds that the reference
leaves possible. Of 0s and 1s only the counts matter, so a window's rows are one bet:
e = r^k / (1 - m + r m)^n for k faulty ones of n, of mean 1 at most while the share is m or less.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Literal

import numpy as np
from msgspec import Struct
from msgspec.structs import replace

from detectors.base import Level, Verdict
from detectors.beside import Fault
from detectors.comparison import unseen_rows
from detectors.mean_bound import upper_shares
from detectors.monitors import Judgement, MonitorSpec, judged, unjudged
from detectors.profile import CategorySummary, Grid, NumericGrid, Summary, WindowProfile, summaries
from detectors.quality import ALONE, Cluster, missing
from detectors.sequential import Wealth
from detectors.table import Floats

E_QUALITY = "e_quality"
"""All of the checks that fit."""
RATIOS = np.array([1.2, 1.5, 2.0, 3.0, 6.0, 15.0, 50.0])
"""Of the odds of a faulty row, after and before: the bets, played side by side."""
TOLERANCE = 0.002
"""A share may be this much above what the reference leaves possible: a change less than that is none."""
RISK = 0.05
"""The probability that the reference misled by more."""
MOST = 1.0 - 1e-9
LEAST_GAIN, MOST_GAIN = -600.0, 40.0
"""A window makes of a gambler's money e to this at least and at most, so that all of it stays a float64."""

Name = tuple[str, str]
"""A feature and a check."""
Counted = tuple[float, int, int, int]
"""Faulty rows to be expected of the reference's, all of these, faulty rows of the window's, all of these."""


def _null_share(reference: Summary, window: Summary) -> Counted:
    return missing(reference), reference.rows, missing(window), window.rows


def _type_failures(reference: Summary, window: Summary) -> Counted:
    return reference.invalid, reference.rows, window.invalid, window.rows


def _out_of_range(reference: Summary, window: Summary) -> Counted:
    return 2.0, reference.n, int(window.counts[0] + window.counts[-1]), window.n


def _new_category(reference: Summary, window: Summary) -> Counted:
    rows = unseen_rows(reference)[0] if isinstance(reference, CategorySummary) else 0.0
    return rows, reference.n, int(window.counts[-1]), window.n


class FaultCheck(Struct, frozen=True):
    """What is counted, and of which features."""

    count: Callable[[Summary, Summary], Counted]
    of: Literal["numeric", "categorical", "every"]

    def fits(self, *, numeric: bool) -> bool:
        """Tell whether features of a kind have it."""
        return self.of in {"every", "numeric" if numeric else "categorical"}


FAULTS: Mapping[str, FaultCheck] = MappingProxyType(
    {
        "e_null_share": FaultCheck(_null_share, "every"),
        "e_type_failures": FaultCheck(_type_failures, "numeric"),
        "e_out_of_range": FaultCheck(_out_of_range, "numeric"),
        "e_new_category": FaultCheck(_new_category, "categorical"),
    }
)
ABSENCES = frozenset({"e_null_share", "e_type_failures"})
"""The checks of rows without a usable value."""


def fault_monitors(grid: Grid) -> tuple[MonitorSpec, ...]:
    """Return every check that fits the grid, feature by feature.

    Examples
    --------
    >>> from detectors.profile import CategoryGrid
    >>> [m.detector for m in fault_monitors(Grid((CategoryGrid("colour", ("red", "blue")),)))]
    ['e_null_share', 'e_new_category']

    """
    return tuple(
        MonitorSpec(feature.name, name, "quality")
        for feature in grid.features
        for name, check in FAULTS.items()
        if check.fits(numeric=isinstance(feature, NumericGrid))
    )


class Counts(Struct, frozen=True, eq=False):
    """The counts of S checks of one window, float64 [S]; names: which.

    found, known: faulty rows to be expected among the reference's rows, and all of these. faulty, rows: the
    window's. cluster: how many of its rows tell as much as one independent row; clustered: of the
    reference's.
    """

    names: tuple[Name, ...]
    found: Floats
    known: Floats
    faulty: Floats
    rows: Floats
    cluster: Floats
    clustered: Floats

    @classmethod
    def of(
        cls,
        window: WindowProfile,
        clusters: Mapping[str, Cluster] = ALONE,
        absences: Mapping[str, Cluster] = ALONE,
    ) -> "Counts":
        """Count a closed window by every check of its grid.

        clusters: of each feature's values, as `Quality.close` takes them; absences: of whether a row has one.
        """
        names, numbers = [], []
        for name, counted in _counted(window):
            known = absences if name[1] in ABSENCES else clusters
            names.append(name)
            numbers.append((*counted, *known.get(name[0], (1.0, 1.0))))
        return cls(tuple(names), *np.array(numbers, np.float64).reshape(-1, 6).T)

    @property
    def usual(self) -> Floats:
        """The share that the bets go against: an upper bound of the reference's (Clopper and Pearson)."""
        n = np.maximum(self.known / self.clustered, 1.0)
        most = upper_shares(np.minimum(self.found / self.clustered, n), n, RISK)
        return np.minimum(most + TOLERANCE, MOST)

    def judged(self, min_rows: int) -> np.ndarray:
        """Tell which of them have enough rows on both sides, bool [S]."""
        return np.minimum(self.known, self.rows) >= min_rows

    def gains(self) -> Floats:
        """Return the logarithm of what the window makes of each bet's money, [S, bets].

        Where c rows tell as much as one, the root of that order is taken: c copies of a row are one bet.
        """
        usual, faulty = self.usual[:, None], self.faulty[:, None]
        gains = faulty * np.log(RATIOS) - self.rows[:, None] * np.log1p(usual * (RATIOS - 1.0))
        return np.asarray(np.clip(gains / self.cluster[:, None], LEAST_GAIN, MOST_GAIN))

    def gathered(self, wealth: Wealth) -> dict[Name, Fault]:
        """Return what a window's verdicts rest on, after what it has added."""
        numbers = (wealth.scores, self.rows, self.known, self.faulty / np.maximum(self.rows, 1.0), self.usual)
        parts = zip(*(part.tolist() for part in numbers), strict=True)
        return {
            name: Fault(score, int(n), int(known), share, usual)
            for name, (score, n, known, share, usual) in zip(self.names, parts, strict=True)
        }


def _counted(window: WindowProfile) -> Iterator[tuple[Name, Counted]]:
    """Yield each check's counts."""
    pairs = zip(summaries(window.grid, window.reference), window.summaries, strict=True)
    for reference, seen in pairs:
        numeric = isinstance(reference.grid, NumericGrid)
        for name, check in FAULTS.items():
            if check.fits(numeric=numeric):
                yield (reference.grid.name, name), check.count(reference, seen)


def after(wealth: Wealth | None, counts: Counts, min_rows: int) -> Wealth:
    """Return the wealth one window later; None stands for gamblers who have not begun.

    Examples
    --------
    A share of 1 % in 20,000 rows of reference, then of 2 % in windows of 2,000 rows. By chance the score is
    above 10,000 once in so many windows:

    >>> one = [np.array([number]) for number in (200.0, 20_000.0, 40.0, 2_000.0, 1.0, 1.0)]
    >>> counts, wealth, scores = Counts((("age", "e_null_share"),), *one), None, []
    >>> for window in range(12):
    ...     wealth = after(wealth, counts, 100)
    ...     scores.append(wealth.scores[0])
    >>> int(np.argmax(np.array(scores) > 10_000))
    3

    References
    ----------
    Shin, J., Ramdas, A., Rinaldo, A. (2022). E-detectors: a nonparametric framework for sequential change
    detection. arXiv 2203.03532.

    """
    if wealth is None:
        wealth = Wealth(np.zeros((len(counts.names), len(RATIOS))), np.zeros(len(counts.names), bool))
    return wealth.grown(np.exp(counts.gains()), counts.judged(min_rows))


def settle(wealth: Wealth, names: Sequence[Name], verdicts: Sequence[Verdict]) -> Wealth:
    """Return the wealth after its own verdicts, which may be among others; see `Wealth.settled`."""
    place = {name: i for i, name in enumerate(names)}
    at, flagged = np.full(len(names), np.inf), np.zeros(len(names), bool)
    for verdict in verdicts:
        if verdict.detector in FAULTS and verdict.threshold is not None:
            at[place[verdict.feature, verdict.detector]] = verdict.threshold
            flagged[place[verdict.feature, verdict.detector]] = verdict.level is Level.BREACH
    return wealth.settled(at, flagged)


class Faults:
    """Judges what was gathered of faulty values, one verdict per monitor.

    The score is the e-detector in windows, the threshold 1 / level: without a change it is exceeded once in
    so many windows on average, or less often. So a share that rises too little for one window to show is
    found, later the smaller the rise.

    Parameters
    ----------
    monitors
        One verdict each, in this order; a threshold of their own is in windows.
    alarms
        The level, and the fewest rows, of the window and of the reference. Not `min_effect`: a rise by less
        than 0.002 is none here.

    Examples
    --------
    1 % of 20,000 rows of reference have no value, from the sixth window on 2 % of 2,000:

    >>> rng, wealth, found = np.random.default_rng(1), None, []
    >>> faults = Faults([MonitorSpec("age", "e_null_share", "quality")], Judgement(1e-4))
    >>> for share in [0.01] * 5 + [0.02] * 10:
    ...     numbers = [200, 20_000, rng.binomial(2000, share), 2000, 1, 1]
    ...     counts = Counts((("age", "e_null_share"),), *np.array(numbers, np.float64).reshape(6, 1))
    ...     wealth = after(wealth, counts, 100)
    ...     found.append(faults.judged(counts.gathered(wealth))[0].level.value)
    >>> found.index("breach")
    10

    References
    ----------
    Shin, J., Ramdas, A., Rinaldo, A. (2022). E-detectors: a nonparametric framework for sequential change
    detection. arXiv 2203.03532.

    """

    def __init__(self, monitors: Sequence[MonitorSpec], alarms: Judgement) -> None:
        self._monitors = tuple(monitors)
        self._alarms = alarms

    def close(self, window: WindowProfile) -> list[Verdict]:
        """Judge a closed window by `window.faults`."""
        return self.judged(window.faults)

    def judged(self, found: Mapping[Name, Fault]) -> list[Verdict]:
        """Judge what was gathered of each feature and check."""
        return [self._verdict(spec, found.get((spec.feature, spec.detector))) for spec in self._monitors]

    def _verdict(self, spec: MonitorSpec, found: Fault | None) -> Verdict:
        if found is None:
            return unjudged(spec, Level.ERROR, 0, "the reference has no such feature")
        if not found.known:
            return unjudged(spec, Level.NO_REFERENCE, found.n, "the reference has no value of it")
        if min(found.n, found.known) < self._alarms.min_rows:
            note = f"{found.n} rows in the window, {found.known} in the reference"
            return unjudged(spec, Level.INSUFFICIENT_DATA, found.n, note)
        threshold = 1.0 / self._alarms.level if spec.threshold is None else spec.threshold
        effect = max(found.share - found.usual + TOLERANCE, 0.0)
        verdict = judged(spec, found.n, (found.score, threshold), effect)
        note = f"share {found.share:.3g} in the window; up to {found.usual:.3g} is usual"
        return replace(verdict, note=verdict.note or note)
