"""A window judged beside those before it, by what the reference's own windows differ by (window_null.py)."""

import math
from collections.abc import Mapping, Sequence

import numpy as np
from msgspec import Struct
from msgspec.structs import replace
from numpy.typing import NDArray

from detectors.base import Level, Verdict
from detectors.dependence import Dependence
from detectors.finding import Finding
from detectors.monitors import NOTE, Judgement, MonitorSpec, judged, unjudged
from detectors.quality import Cluster
from detectors.readings import Kind, Readers, Reading
from detectors.score_null import ScoreNull
from detectors.seasons import Clock
from detectors.sequential import Wealth, doubtful
from detectors.window_null import WindowNull

SHIFT, MISSING, EVIDENCE = "shift", "null_share", "evidence"
SERIES = frozenset({SHIFT, EVIDENCE})
"""The detectors that need the reference's own windows."""


class Scores(Struct, frozen=True, eq=False):
    """What the distances of a reference's windows say about some monitors: a null model, and whose it is."""

    monitors: tuple[tuple[str, str], ...]
    null: ScoreNull

    def limits(self, reading: Reading, clock: Clock, level: float) -> Mapping[tuple[str, str], float]:
        """Return the score that each (feature, detector) exceeds in the last window with that probability."""
        last = Clock(clock.starts[-1:], clock.length)
        sizes = reading.sizes[-1:]
        return dict(zip(self.monitors, self.null.thresholds(sizes, last, level)[0].tolist(), strict=True))


class Series(Struct, frozen=True, eq=False):
    """The last windows of a group, the one to judge last, and what is usual in them.

    reading: as WindowNull.judge takes it. scores: of the configured distances, None without any. dependence:
    of the reference's windows on each other, None if that was not tested. wealth: gathered up to and with the
    last window; None where nothing is.
    """

    null: WindowNull
    reading: Reading
    clock: Clock
    scores: Scores | None = None
    dependence: Dependence | None = None
    wealth: Wealth | None = None

    @property
    def independent(self) -> bool:
        """Whether evidence may be gathered over windows."""
        return self.dependence is not None and self.dependence.excluded

    def gathered(self, wealth: Wealth | None, min_rows: int) -> Wealth:
        """Return the wealth after the last window; None stands for that of gamblers who have not begun."""
        before = Wealth.none(len(self.readers.features)) if wealth is None else wealth
        return before.after(doubtful(self.null, self.reading, self.clock), self.sizes >= min_rows)

    @property
    def sizes(self) -> NDArray[np.int64]:
        """How many values of each feature the last window has."""
        firsts = np.searchsorted(self.readers.feature, np.arange(len(self.readers.features)))
        return np.asarray(self.reading.sizes[-1, firsts])

    @property
    def readers(self) -> Readers:
        """What read the windows."""
        return self.null.readers

    def clustering(self) -> Mapping[str, Cluster]:
        """Return the clusters of the last window; see `clusters_of`."""
        return clusters_of(self.null, int(self.reading.sizes[-1].max()))

    def absences(self) -> Mapping[str, Cluster]:
        """Return the clusters of the last window's rows without a value."""
        columns = [i for i, kind in enumerate(self.readers.kinds) if kind is Kind.MISSING]
        sizes = int(self.reading.sizes[-1].max()), int(np.median(self.null.typical))
        own, known = (self.null.usual.clustering(n)[columns].tolist() for n in sizes)
        return {f.name: (own[i], known[i]) for i, f in enumerate(self.readers.features)}

    def limits(self, level: float) -> Mapping[tuple[str, str], float]:
        """Return what the reference's windows say each distance may be: (feature, detector) -> score."""
        if self.scores is None:
            return {}
        columns = {f.name: i for i, f in enumerate(self.readers.features)}
        firsts = np.searchsorted(self.readers.feature, np.arange(len(columns)))
        places = [firsts[columns[feature]] for feature, _ in self.scores.monitors]
        values = Reading(self.reading.values[:, places], self.reading.sizes[:, places])
        return self.scores.limits(values, self.clock, level)


class Lent(Struct, frozen=True, eq=False):
    """What is known of a group that has no null model of its own, from that of all rows."""

    clusters: Mapping[str, Cluster]


def clusters_of(null: WindowNull, rows: int) -> Mapping[str, Cluster]:
    """Return how many rows of each feature tell as much as one independent row.

    First in a window of so many rows, then in those of the reference.
    """
    readers = null.readers
    missing = np.array([kind is Kind.MISSING for kind in readers.kinds])
    weights = readers.share * ~missing
    total = np.bincount(readers.feature, weights)
    own, known = (
        (np.bincount(readers.feature, weights * null.usual.clustering(n)) / total).tolist()
        for n in (rows, int(np.median(null.typical)))
    )
    return {f.name: (own[i], known[i]) for i, f in enumerate(readers.features)}


def judge_series(monitors: Sequence[MonitorSpec], alarms: Judgement, series: Series) -> list[Verdict]:
    """Judge the last window of a series: one verdict per monitor, of a SHIFT or of MISSING values.

    The score of a shift is its largest deviation over the limit of that, so its threshold is 1 unless the
    user has set another. The score of missing values is their share less what is usual.
    """
    found = series.null.judge(series.reading, series.clock, alarms.level, alarms.min_effect)
    place = {feature.name: i for i, feature in enumerate(series.readers.features)}
    verdicts = []
    for spec in monitors:
        if spec.feature not in place:
            verdicts.append(unjudged(spec, Level.ERROR, 0, "the reference has no such feature"))
            continue
        findings = found.shift if spec.detector == SHIFT else found.missing
        verdicts.append(_verdict(spec, findings[place[spec.feature]], alarms.min_rows))
    return verdicts


def _verdict(spec: MonitorSpec, finding: Finding, min_rows: int) -> Verdict:
    if finding.n < min_rows:
        return unjudged(spec, Level.INSUFFICIENT_DATA, finding.n, f"{finding.n} values in the window")
    if not math.isfinite(finding.limit):
        note = "the reference has too few windows with values of it, or none of that time"
        return unjudged(spec, Level.NO_REFERENCE, finding.n, note)
    if spec.detector == MISSING:
        score, threshold = max(finding.apart, 0.0), finding.limit
    else:
        score, threshold = finding.score, 1.0
    if spec.threshold is not None:
        threshold = spec.threshold
    verdict = judged(spec, finding.n, (score, threshold), finding.effect, finding.pvalue)
    return replace(verdict, note=verdict.note or finding.note[:NOTE])
