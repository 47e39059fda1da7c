"""Verdicts on the evidence that was gathered over a group's windows (sequential.py)."""

from collections.abc import Mapping, Sequence

import numpy as np
from msgspec import Struct
from msgspec.structs import replace

from detectors.base import Level, Verdict
from detectors.monitors import NOTE, Judgement, MonitorSpec, judged, unjudged
from detectors.sequential import Change, Wealth, limits, strongest
from detectors.series import EVIDENCE, Series


def judge_evidence(
    monitors: Sequence[MonitorSpec], alarms: Judgement, alpha: float, series: Series
) -> list[Verdict]:
    """Judge what was gathered up to the last window: one verdict per monitor, of EVIDENCE.

    alpha: what all of them may spend on a window. The score is the feature's e-detector, in windows; the
    threshold is what it must exceed given those of the others (e-d-BH), unless the user has set another. A
    change smaller than `min_effect` is no breach, however sure it is: its score is the threshold at most.
    """
    if not monitors:
        return []
    if series.wealth is None:
        rows = int(series.sizes.max())
        return [unjudged(spec, Level.NO_REFERENCE, rows, _why_not(series)) for spec in monitors]
    place = {feature.name: i for i, feature in enumerate(series.readers.features)}
    known = [spec for spec in monitors if spec.feature in place]
    thresholds = _thresholds(known, series.wealth.scores[[place[spec.feature] for spec in known]], alpha)
    bench = _Bench(alarms, series, strongest(series.null, series.reading, series.clock))
    verdicts = []
    for spec in monitors:
        if spec.feature not in place:
            verdicts.append(unjudged(spec, Level.ERROR, 0, "the reference has no such feature"))
        else:
            score = float(series.wealth.scores[place[spec.feature]])
            verdicts.append(bench.verdict(spec, place[spec.feature], score, thresholds[spec.feature]))
    return verdicts


def settle(wealth: Wealth, features: Sequence[str], verdicts: Sequence[Verdict]) -> Wealth:
    """Return the wealth after its own verdicts, which may be among others; see `Wealth.settled`."""
    place = {name: i for i, name in enumerate(features)}
    at, flagged = np.full(len(features), np.inf), np.zeros(len(features), bool)
    for verdict in verdicts:
        if verdict.detector == EVIDENCE and verdict.threshold is not None:
            at[place[verdict.feature]] = verdict.threshold
            flagged[place[verdict.feature]] = verdict.level is Level.BREACH
    return wealth.settled(at, flagged)


def _why_not(series: Series) -> str:
    if series.dependence is None:
        return "whether the reference's windows depend on each other is not known"
    return series.dependence.account(series.readers)


def _thresholds(monitors: Sequence[MonitorSpec], scores: np.ndarray, alpha: float) -> Mapping[str, float]:
    """Return each feature's threshold; monitors with one of their own share nothing with the others."""
    own = np.array([spec.threshold is not None for spec in monitors], bool)
    found = dict(
        zip(
            (s.feature for s in monitors if s.threshold is None),
            limits(scores[~own], alpha).tolist(),
            strict=True,
        )
    )
    return {s.feature: found[s.feature] if s.threshold is None else s.threshold for s in monitors}


class _Bench(Struct, frozen=True):
    """What a window's verdicts have in common."""

    alarms: Judgement
    series: Series
    change: Change

    def verdict(self, spec: MonitorSpec, place: int, score: float, threshold: float) -> Verdict:
        n, effect = int(self.series.sizes[place]), float(self.change.effect[place])
        if n < self.alarms.min_rows:
            return unjudged(spec, Level.INSUFFICIENT_DATA, n, f"{n} values in the window")
        small = score > threshold and effect < self.alarms.min_effect
        verdict = judged(spec, n, (min(score, threshold) if small else score, threshold), effect)
        return replace(verdict, note=verdict.note or self._note(place, small=small)[:NOTE])

    def _note(self, place: int, *, small: bool) -> str:
        column, scale = int(self.change.column[place]), int(self.change.scale[place])
        over = "" if scale == 1 else f" over {scale} windows"
        apart, part = float(self.change.apart[place]), self.series.readers.parts[column]
        end = ", less than min_effect" if small else ""
        return f"what stands out most: {part}{over} is {apart:+.3g} from its usual{end}"
