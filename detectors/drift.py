"""Drift of each feature by itself: the table of statistics, and the detector that judges by it."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from types import MappingProxyType

from detectors.base import Level, Verdict
from detectors.calibration import Asked, Calibrator, Recent
from detectors.comparison import Comparison, compare
from detectors.distances import (
    anderson_darling,
    chi2,
    cramer_von_mises,
    energy,
    hellinger,
    js,
    ks,
    l_infinity,
    moved,
    noise,
    psi,
    spread_apart,
    total_variation,
    wasserstein,
)
from detectors.monitors import FAILURES, Judgement, MonitorSpec, judged, known, unjudged
from detectors.null import Null, null_of
from detectors.profile import FeatureGrid, Grid, NumericGrid, Profile, Summary, WindowProfile, summaries
from detectors.pvalues import (
    anderson_darling_pvalue,
    chi2_pvalue,
    cramer_von_mises_pvalue,
    ks_pvalue,
    psi_pvalue,
)
from detectors.stacked import Scored, Scores, score_all
from detectors.statistic import Statistic

NULLS_KEPT = 4096
CVM_BIAS = 1 / 6
"""The mean of Cramer-von Mises' T when nothing has changed."""
AD_BIAS = 1.0
"""The mean of Anderson-Darling's A^2 when nothing has changed."""


def _itself(value: float, _n: int, _m: int) -> float:
    return value


def _cramer_v(score: float, n: int, m: int) -> float:
    return math.sqrt(score * noise(n, m)) / 2


def _cramer_v_floor(effect: float, n: int, m: int) -> float:
    return (2 * effect) ** 2 / noise(n, m)


def _cvm_effect(score: float, n: int, m: int) -> float:
    return math.sqrt(max(score - CVM_BIAS, 0.0) * noise(n, m))


def _cvm_floor(effect: float, n: int, m: int) -> float:
    return effect**2 / noise(n, m) + CVM_BIAS


def _ad_effect(score: float, n: int, m: int) -> float:
    return math.sqrt(max(score - AD_BIAS, 0.0) * noise(n, m))


def _ad_floor(effect: float, n: int, m: int) -> float:
    return effect**2 / noise(n, m) + AD_BIAS


STATISTICS: Mapping[str, Statistic] = MappingProxyType(
    {
        "psi": Statistic(psi, "groups", 1.0, _itself, _itself, psi_pvalue),
        "js": Statistic(js, "groups", 0.5, _itself, _itself),
        "ks": Statistic(ks, "cells", 0.5, _itself, _itself, ks_pvalue),
        "chi2": Statistic(chi2, "groups", 0.0, _cramer_v, _cramer_v_floor, chi2_pvalue),
        "hellinger": Statistic(hellinger, "groups", 0.5, _itself, _itself),
        "total_variation": Statistic(total_variation, "groups", 0.5, _itself, _itself),
        "l_infinity": Statistic(l_infinity, "groups", 0.5, _itself, _itself),
        "wasserstein": Statistic(wasserstein, "places", 0.5, _itself, _itself, of_gaps=moved),
        "energy": Statistic(energy, "places", 0.5, _itself, _itself, of_gaps=spread_apart),
        "cramer_von_mises": Statistic(
            cramer_von_mises, "cells", 0.0, _cvm_effect, _cvm_floor, cramer_von_mises_pvalue
        ),
        "anderson_darling": Statistic(
            anderson_darling, "cells", 0.0, _ad_effect, _ad_floor, anderson_darling_pvalue
        ),
    }
)


def applies(detector: str, feature: FeatureGrid) -> bool:
    """Return whether the statistic exists for this kind of feature.

    Examples
    --------
    >>> from detectors.profile import CategoryGrid
    >>> applies("psi", CategoryGrid("colour", ("red", "blue")))
    True
    >>> applies("ks", CategoryGrid("colour", ("red", "blue")))
    False

    """
    return isinstance(feature, NumericGrid) or not STATISTICS[detector].numeric_only


@dataclass(frozen=True, eq=False)
class Pair:
    """One feature's summaries; what all its statistics share is computed once, when first needed."""

    reference: Summary
    window: Summary
    nulls: Recent[Null]
    least: int

    @cached_property
    def comparison(self) -> Comparison:
        """Both samples on the same cells."""
        return compare(self.reference, self.window)

    @cached_property
    def compared(self) -> Comparison | Exception:
        """The comparison, or why there is none."""
        try:
            return self.comparison
        except FAILURES as error:
            return error

    @cached_property
    def null(self) -> Null:
        """What to draw when nothing has changed."""
        key = (self.reference.grid.name, self.reference.counts.tobytes())
        return self.nulls.get(key, lambda: null_of(self.comparison))

    @cached_property
    def sizes(self) -> tuple[int, int]:
        """How many values the reference and the window have."""
        return self.reference.n, self.window.n

    @cached_property
    def judgeable(self) -> bool:
        """Whether both have enough values: `least` or more."""
        return min(self.sizes) >= self.least and self.sizes[0] > 0


class Drift:
    """Judges whether single features of a window are distributed as in the reference.

    A score above its threshold is a breach. The threshold is the user's own, or else the larger of two:
    what the statistic exceeds by chance with probability `alarms.level` at these numbers of rows, and
    the score of a change of size `alarms.min_effect`. Missing and non-finite values are no part of it:
    `n` counts the values judged, and quality.py watches the others.

    Parameters
    ----------
    monitors
        Which statistic on which feature; one verdict each, in this order.
    alarms
        The level, the smallest effect and the fewest rows.
    calibrator
        Remembers null distributions; may be shared.
    statistics
        The table of statistics by name.

    """

    def __init__(
        self,
        monitors: Sequence[MonitorSpec],
        alarms: Judgement,
        calibrator: Calibrator,
        statistics: Mapping[str, Statistic] = STATISTICS,
    ) -> None:
        unknown = {spec.detector for spec in monitors} - set(statistics)
        if unknown:
            raise ValueError(f"no such statistic: {', '.join(sorted(unknown))}")
        self._monitors = tuple(monitors)
        self._alarms = alarms
        self._calibrator = calibrator
        self._statistics = statistics
        self._nulls: Recent[Null] = Recent(NULLS_KEPT)
        self._reference: tuple[Profile | None, Mapping[str, Summary]] = (None, {})

    def close(
        self,
        window: WindowProfile,
        limits: Mapping[tuple[str, str], float] = MappingProxyType({}),
        clusters: Mapping[str, tuple[float, float]] = MappingProxyType({}),
    ) -> Sequence[Verdict]:
        """Judge a closed window: one verdict per monitor; a failing one becomes an ERROR verdict.

        limits: (feature, detector) -> what the reference's own windows reach without a change; no threshold
        that the budget sets is lower. clusters: feature -> how many rows of the window, and of the reference,
        tell as much as one independent row; only so many are drawn.
        """
        references = self._references(window.grid, window.reference)
        seen = summaries(window.grid, window.window)
        least = self._alarms.min_rows
        pairs = {s.grid.name: Pair(references[s.grid.name], s, self._nulls, least) for s in seen}
        scores, chance = self._scores(pairs), self._chance(pairs, clusters)
        return [
            self._verdict(
                spec,
                pairs.get(spec.feature),
                scores[spec.detector],
                (chance.get(place, 0.0), limits.get((spec.feature, spec.detector), 0.0)),
            )
            for place, spec in enumerate(self._monitors)
        ]

    def _references(self, grid: Grid, reference: Profile) -> Mapping[str, Summary]:
        """Return the reference's summaries, which are the same window after window."""
        known = self._reference
        if known[0] is not reference:
            known = self._reference = reference, {s.grid.name: s for s in summaries(grid, reference)}
        return known[1]

    def _scores(self, pairs: Mapping[str, Pair]) -> dict[str, Scores]:
        """Return by statistic the scores of the features that have enough values."""
        wanted: dict[str, dict[str, Comparison | Exception]] = {}
        for spec in self._monitors:
            features = wanted.setdefault(spec.detector, {})
            pair = pairs.get(spec.feature)
            if pair is not None and pair.judgeable:
                features[spec.feature] = pair.compared
        return {name: score_all(self._statistics[name], features) for name, features in wanted.items()}

    def _chance(
        self, pairs: Mapping[str, Pair], clusters: Mapping[str, tuple[float, float]]
    ) -> dict[int, float | Exception]:
        """Return by the monitor's place what it exceeds by chance, where the budget sets the threshold."""
        found: dict[int, float | Exception] = {}
        asked: dict[int, Asked] = {}
        for place, spec in enumerate(self._monitors):
            pair = pairs.get(spec.feature)
            if spec.threshold is not None or pair is None or not pair.judgeable:
                continue
            (n, m), (of_window, of_reference) = pair.sizes, clusters.get(spec.feature, (1.0, 1.0))
            drawn = max(int(n / of_reference), 1), max(int(m / of_window), 1)
            try:
                asked[place] = Asked(self._statistics[spec.detector], pair.null, drawn)
            except FAILURES as error:
                found[place] = error
        thresholds = self._calibrator.thresholds(list(asked.values()), self._alarms.level)
        return found | dict(zip(asked, thresholds, strict=True))

    def _verdict(
        self, spec: MonitorSpec, pair: Pair | None, scores: Scores, usual: tuple[float | Exception, float]
    ) -> Verdict:
        if pair is None:
            return unjudged(spec, Level.ERROR, 0, "the reference has no such feature")
        n, m = pair.sizes
        if n == 0:
            return unjudged(spec, Level.NO_REFERENCE, m, "the reference has no values of it")
        if not pair.judgeable:
            note = f"{m} values in the window, {n} in the reference"
            return unjudged(spec, Level.INSUFFICIENT_DATA, m, note)
        try:
            found, chance = known(scores[spec.feature]), known(usual[0])
            return self._judge(spec, pair, found, max(chance, usual[1]))
        except FAILURES as error:
            return unjudged(spec, Level.ERROR, m, f"{type(error).__name__}: {error}")

    def _judge(self, spec: MonitorSpec, pair: Pair, found: Scored, usual: float) -> Verdict:
        row, (n, m), threshold = self._statistics[spec.detector], pair.sizes, spec.threshold
        if threshold is None:
            threshold = max(usual, row.floor(self._alarms.min_effect, n, m))
        return judged(spec, m, (found.score, threshold), row.effect(found.score, n, m), found.pvalue)
