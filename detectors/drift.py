"""Drift of each feature by itself: the table of statistics, and the detector that judges by it."""

import math
from collections.abc import Mapping, Sequence
from types import MappingProxyType

from detectors.base import Level, Verdict
from detectors.calibration import Asked, Calibrator, Threshold
from detectors.distances import (
    anderson_darling,
    chi2,
    cramer_von_mises,
    energy,
    hellinger,
    js,
    ks,
    l_infinity,
    psi,
    total_variation,
    wasserstein,
)
from detectors.monitors import FAILURES, Judgement, MonitorSpec, judged, known, unjudged
from detectors.profile import FeatureGrid, NumericGrid, WindowProfile
from detectors.pvalues import (
    anderson_darling_pvalue,
    chi2_pvalue,
    cramer_von_mises_pvalue,
    ks_pvalue,
    psi_pvalue,
)
from detectors.stacked import Lefts, Scored, Scores, Stacks, score_all
from detectors.standing import Pair, References
from detectors.statistic import Statistic
from detectors.table import noise

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
        "wasserstein": Statistic(wasserstein, "places", 0.5, _itself, _itself),
        "energy": Statistic(energy, "places", 0.5, _itself, _itself),
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
    references
        Remembers what stays of references; may be shared.

    """

    def __init__(
        self,
        monitors: Sequence[MonitorSpec],
        alarms: Judgement,
        calibrator: Calibrator,
        statistics: Mapping[str, Statistic] = STATISTICS,
        references: References | None = None,
    ) -> None:
        unknown = {spec.detector for spec in monitors} - set(statistics)
        if unknown:
            raise ValueError(f"no such statistic: {', '.join(sorted(unknown))}")
        self._monitors = tuple(monitors)
        self._alarms = alarms
        self._calibrator = calibrator
        self._statistics = statistics
        self._references = references or References()
        self._features: dict[str, dict[str, None]] = {}
        self._sampled: dict[str, list[int]] = {}
        for place, spec in enumerate(monitors):
            self._features.setdefault(spec.detector, {})[spec.feature] = None
            if spec.threshold is None:
                self._sampled.setdefault(spec.feature, []).append(place)
        self._rows = {
            feature: tuple(statistics[monitors[place].detector] for place in places)
            for feature, places in self._sampled.items()
        }

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
        reference, least = self._references.of(window.grid, window.reference), self._alarms.min_rows
        pairs = {s.grid.name: Pair.of(reference.features[s.grid.name], s, least) for s in window.summaries}
        scores, chance = self._scores(pairs, reference.lefts), self._chance(pairs, clusters)
        return [
            self._verdict(
                spec,
                pairs.get(spec.feature),
                scores[spec.detector],
                (chance.get(place, 0.0), limits.get((spec.feature, spec.detector), 0.0)),
            )
            for place, spec in enumerate(self._monitors)
        ]

    def _scores(self, pairs: Mapping[str, Pair], lefts: Lefts) -> dict[str, Scores]:
        """Return by statistic the scores of the features that have enough values."""
        enough = {
            detector: tuple(name for name in features if name in pairs and pairs[name].judgeable)
            for detector, features in self._features.items()
        }
        wanted = {name for names in enough.values() for name in names}
        stacks = Stacks({name: pairs[name].compared for name in wanted}, lefts)
        return {name: score_all(self._statistics[name], stacks, names) for name, names in enough.items()}

    def _chance(
        self, pairs: Mapping[str, Pair], clusters: Mapping[str, tuple[float, float]]
    ) -> dict[int, Threshold]:
        """Return by the monitor's place what it exceeds by chance, where the budget sets the threshold."""
        found: dict[int, Threshold] = {}
        asked: dict[str, Asked] = {}
        for feature, places in self._sampled.items():
            pair = pairs.get(feature)
            if pair is None or not pair.judgeable:
                continue
            (n, m), (of_window, of_reference) = pair.sizes, clusters.get(feature, (1.0, 1.0))
            drawn = max(int(n / of_reference), 1), max(int(m / of_window), 1)
            try:
                asked[feature] = Asked(self._rows[feature], pair.standing.null, drawn)
            except FAILURES as error:
                found |= dict.fromkeys(places, error)
        thresholds = self._calibrator.thresholds(list(asked.values()), self._alarms.level)
        for feature, each in zip(asked, thresholds, strict=True):
            found |= zip(self._sampled[feature], each, strict=True)
        return found

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
            return self._judge(spec, pair, known(scores[spec.feature]), max(known(usual[0]), usual[1]))
        except FAILURES as error:
            return unjudged(spec, Level.ERROR, m, f"{type(error).__name__}: {error}")

    def _judge(self, spec: MonitorSpec, pair: Pair, found: Scored, usual: float) -> Verdict:
        row, (n, m), threshold = self._statistics[spec.detector], pair.sizes, spec.threshold
        if threshold is None:
            threshold = max(usual, row.floor(self._alarms.min_effect, n, m))
        return judged(spec, m, (found.score, threshold), row.effect(found.score, n, m), found.pvalue)
