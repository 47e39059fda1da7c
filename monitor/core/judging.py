"""Which monitors a model has, and one closed window judged by all of them within the budget."""

from collections.abc import Collection, Sequence
from functools import lru_cache

from msgspec import Struct

from detectors.base import Level, Verdict
from detectors.budget import SEQUENTIAL_PART, level
from detectors.calibration import Calibrator
from detectors.class_shift import LABEL_SHIFT, PREDICTION, LabelShift
from detectors.drift import STATISTICS, Drift, applies
from detectors.faults import E_QUALITY, FAULTS, Faults, fault_monitors
from detectors.gathered import judge_evidence
from detectors.monitors import Judgement, MonitorSpec, default_statistic, unjudged
from detectors.performance import METRICS
from detectors.profile import Grid, WindowProfile
from detectors.quality import ALONE, QUALITY, Quality, quality_monitors
from detectors.series import EVIDENCE, MISSING, SERIES, SHIFT, Lent, Series, judge_series
from detectors.standing import References
from detectors.stream_choice import STREAMS
from monitor.config import Model, Monitor
from monitor.core.class_shares import PRIOR_DRIFT, as_distance
from monitor.core.closing import NOT_YET
from monitor.core.heavy import heavy_monitors, heavy_names
from monitor.core.nulls import Nulls, learn_nulls, recipe_of
from monitor.core.plan import Plan, score_columns, targets
from monitor.core.profiles import Rows, Run
from monitor.core.reference import Baseline

JUDGES_KEPT = 64


def detector_names() -> frozenset[str]:
    """Return every name that a monitor's `detector` may have."""
    others = {"quality", *FAULTS, E_QUALITY, LABEL_SHIFT, PRIOR_DRIFT}
    return frozenset({*SERIES, *STATISTICS, *QUALITY, *METRICS, *STREAMS, *heavy_names(), *others})


def drift_monitors(model: Model) -> tuple[Monitor, ...]:
    """Return the configured monitors that are not about performance."""
    known = {*SERIES, *STATISTICS, *QUALITY, "quality", *FAULTS, E_QUALITY, LABEL_SHIFT}
    return tuple(m for m in map(as_distance, model.monitors) if m.detector in known)


def monitor_specs(model: Model, grid: Grid, *, windows: bool = False) -> tuple[MonitorSpec, ...]:
    """Return one entry per detector and feature: what is configured, else quality and drift of everything.

    windows: whether the reference's own windows tell what is usual; drift is then a `shift`, else a distance.
    """
    defaults = (SHIFT if windows else default_statistic(feature) for feature in grid.features)
    configured = (
        drift_monitors(model)
        if model.monitors
        else (
            Monitor(detector="quality"),
            *(
                Monitor(detector=detector, on=(feature.name,))
                for detector, feature in zip(defaults, grid.features, strict=True)
            ),
        )
    )
    found = {(s.feature, s.detector): s for m in configured for s in _specs(model, grid, m)}
    return tuple(found.values())


def _specs(model: Model, grid: Grid, monitor: Monitor) -> list[MonitorSpec]:
    if monitor.detector == "quality":
        return list(quality_monitors(grid))
    if monitor.detector == LABEL_SHIFT:
        return [MonitorSpec(PREDICTION, LABEL_SHIFT, "prediction_drift", monitor.threshold)]
    chosen = targets(model, grid, monitor)
    if monitor.detector in {*QUALITY, *FAULTS, E_QUALITY}:
        both = (*quality_monitors(grid), *fault_monitors(grid))
        every = (s for s in both if s.detector in _meant(monitor.detector))
        return [
            MonitorSpec(s.feature, s.detector, s.kind, monitor.threshold)
            for s in every
            if s.feature in {*chosen, "_all"}
        ]
    spoken = {"prediction", *score_columns(model)}
    grids = {f.name: f for f in grid.features}
    return [
        MonitorSpec(
            name, monitor.detector, "prediction_drift" if name in spoken else "drift", monitor.threshold
        )
        for name in chosen
        if monitor.detector in SERIES or applies(monitor.detector, grids[name])
    ]


def _meant(detector: str) -> Collection[str]:
    """Return the checks that a name stands for."""
    return FAULTS if detector == E_QUALITY else (detector,)


def distances_of(model: Model, grid: Grid) -> tuple[MonitorSpec, ...]:
    """Return the monitors by configured distances whose thresholds the budget sets."""
    specs = monitor_specs(model, grid, windows=True)
    return tuple(s for s in specs if s.detector in STATISTICS and s.threshold is None)


def null_models(plan: Plan, baseline: Baseline, rows: Rows, run: Run = map) -> Nulls:
    """Learn from the reference's own windows what this model's monitors need; rows: as for `learn_nulls`."""
    return learn_nulls(baseline, rows, plan.window, distances_of(plan.model, baseline.grid), run)


def recipe_for(plan: Plan, baseline: Baseline) -> str:
    """Name what `null_models` would learn for."""
    return recipe_of(plan.window, distances_of(plan.model, baseline.grid))


class BudgetJudge:
    """Judges windows; the model's budget is shared by every monitor of every group of the window."""

    def __init__(self, plan: Plan, calibrator: Calibrator) -> None:
        self._plan = plan
        self._calibrator = calibrator
        self._references = References()
        self._made = lru_cache(JUDGES_KEPT)(self._make)
        self._specs = lru_cache(JUDGES_KEPT)(
            lambda grid, windows: monitor_specs(plan.model, grid, windows=windows)
        )

    def __call__(
        self,
        baseline: Baseline | None,
        window: WindowProfile | None,
        groups: int,
        series: Series | Lent | None = None,
    ) -> Sequence[Verdict]:
        """Return one verdict per monitor; without a reference there is nothing to say but that."""
        if baseline is None or window is None:
            return [Verdict(NOT_YET[1], NOT_YET[0], "quality", Level.NO_REFERENCE, 0)]
        return self._made(baseline.grid, groups, isinstance(series, Series)).close(window, series)

    def specs(self, grid: Grid, *, windows: bool) -> tuple[MonitorSpec, ...]:
        """Return the monitors of a group on this grid; windows: see `monitor_specs`."""
        return self._specs(grid, windows)

    def level(self, grid: Grid, groups: int) -> float:
        """Return the level that each monitor may spend on each window of this many groups.

        Monitors with a threshold of their own spend nothing of the budget, those of evidence a part of it
        that is theirs; see `sequential_level`.
        """
        sharing, parted = self._sharing(grid)
        part = 1.0 - SEQUENTIAL_PART if parted else 1.0
        return part * level(self._plan.rate, self._plan.model.window, max(sharing, 1) * groups)

    def sequential_level(self, grid: Grid, groups: int) -> float:
        """Return what the monitors of evidence of one group may spend together on each window."""
        sharing, _ = self._sharing(grid)
        part = SEQUENTIAL_PART if sharing else 1.0
        return part * level(self._plan.rate, self._plan.model.window, groups)

    def _sharing(self, grid: Grid) -> tuple[int, bool]:
        """Count the monitors that share the budget but those of evidence, and tell whether these do too.

        A heavy monitor counts as one of every group, although it judges all rows only: it costs the others
        little, and spares a count of versions.
        """
        specs = self._specs(grid, False)  # noqa: FBT003 - of lru_cache
        sharing = [spec.detector for spec in specs if spec.threshold is None]
        gathering = sharing.count(EVIDENCE)
        heavy = sum(monitor.threshold is None for monitor in heavy_monitors(self._plan.model))
        return len(sharing) - gathering + heavy, gathering > 0

    def _make(self, grid: Grid, groups: int, windows: bool) -> "_Bench":  # noqa: FBT001 - of lru_cache
        alarms = self._plan.model.alarms
        strict = Judgement(self.level(grid, groups), alarms.min_effect, alarms.min_rows)
        specs = self._specs(grid, windows)
        drift = [s for s in specs if s.detector in STATISTICS]
        series = [s for s in specs if s.detector == SHIFT or _by_windows(s, windows=windows)]
        quality = [s for s in specs if s.detector in QUALITY and s not in series]
        evidence = _Evidence(
            [s for s in specs if s.detector == EVIDENCE], self.sequential_level(grid, groups)
        )
        told = (
            LabelShift([s for s in specs if s.detector == LABEL_SHIFT], strict),
            Faults([s for s in specs if s.detector in FAULTS], strict),
        )
        distances = Drift(drift, strict, self._calibrator, references=self._references)
        checks = Quality(quality, strict, self._references)
        return _Bench(distances, checks, *told, series, evidence, strict)


def _by_windows(spec: MonitorSpec, *, windows: bool) -> bool:
    """Tell whether the reference's windows set the threshold of missing values."""
    return windows and spec.detector == MISSING and spec.threshold is None


class _Evidence(Struct, frozen=True):
    """The monitors of evidence, and what they may spend on a window."""

    specs: Sequence[MonitorSpec]
    level: float


class _Bench(Struct, frozen=True):
    """What judges the windows of one kind of group."""

    drift: Drift
    quality: Quality
    labels: LabelShift
    faults: Faults
    series: Sequence[MonitorSpec]
    evidence: _Evidence
    alarms: Judgement

    def close(self, window: WindowProfile, series: Series | Lent | None) -> list[Verdict]:
        return [*self._compared(window, series), *self.faults.close(window)]

    def _compared(self, window: WindowProfile, series: Series | Lent | None) -> list[Verdict]:
        if not isinstance(series, Series):
            clusters = series.clusters if series is not None else ALONE
            note = "the reference's own windows are not known: `driftd check` says why"
            lacking = (*self.series, *self.evidence.specs)
            alone = [unjudged(spec, Level.NO_REFERENCE, window.window.rows, note) for spec in lacking]
            drift = self.drift.close(window, clusters=clusters)
            labels = self.labels.close(window, clusters)
            return [*self.quality.close(window, clusters), *alone, *drift, *labels]
        limits = series.limits(self.alarms.level)
        beside = judge_series(self.series, self.alarms, series)
        clusters = series.clustering()
        quality = self.quality.close(window, clusters)
        labels = self.labels.close(window, clusters)
        gathered = judge_evidence(self.evidence.specs, self.alarms, self.evidence.level, series)
        return [*quality, *beside, *gathered, *self.drift.close(window, limits), *labels]
