"""Which monitors a model has, and one closed window judged by all of them within the budget."""

from collections.abc import Sequence
from functools import lru_cache

from detectors.base import Level, Verdict
from detectors.budget import level
from detectors.calibration import Calibrator
from detectors.drift import STATISTICS, Drift, applies
from detectors.monitors import Judgement, MonitorSpec, default_statistic
from detectors.performance import METRICS
from detectors.profile import Grid, WindowProfile
from detectors.quality import QUALITY, Quality, quality_monitors
from monitor.config import Model, Monitor
from monitor.core.closing import NOT_YET
from monitor.core.plan import Plan, score_columns, targets
from monitor.core.reference import Baseline

JUDGES_KEPT = 64


def detector_names() -> frozenset[str]:
    """Return every name that a monitor's `detector` may have."""
    return frozenset({*STATISTICS, *QUALITY, *METRICS, "quality"})


def drift_monitors(model: Model) -> tuple[Monitor, ...]:
    """Return the configured monitors that are not about performance."""
    known = {*STATISTICS, *QUALITY, "quality"}
    return tuple(m for m in model.monitors if m.detector in known)


def monitor_specs(model: Model, grid: Grid) -> tuple[MonitorSpec, ...]:
    """Return one entry per detector and feature: what is configured, else quality and drift of everything."""
    configured = (
        drift_monitors(model)
        if model.monitors
        else (
            Monitor(detector="quality"),
            *(Monitor(detector=default_statistic(feature), on=(feature.name,)) for feature in grid.features),
        )
    )
    found = {(s.feature, s.detector): s for m in configured for s in _specs(model, grid, m)}
    return tuple(found.values())


def _specs(model: Model, grid: Grid, monitor: Monitor) -> list[MonitorSpec]:
    if monitor.detector == "quality":
        return list(quality_monitors(grid))
    chosen = targets(model, grid, monitor)
    if monitor.detector in QUALITY:
        every = (s for s in quality_monitors(grid) if s.detector == monitor.detector)
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
        if applies(monitor.detector, grids[name])
    ]


class BudgetJudge:
    """Judges windows; the model's budget is shared by every monitor of every group of the window."""

    def __init__(self, plan: Plan, calibrator: Calibrator) -> None:
        self._plan = plan
        self._calibrator = calibrator
        self._made = lru_cache(JUDGES_KEPT)(self._make)
        self._specs = lru_cache(JUDGES_KEPT)(lambda grid: monitor_specs(plan.model, grid))

    def __call__(
        self, baseline: Baseline | None, window: WindowProfile | None, groups: int
    ) -> Sequence[Verdict]:
        """Return one verdict per monitor; without a reference there is nothing to say but that."""
        if baseline is None or window is None:
            return [Verdict(NOT_YET[1], NOT_YET[0], "quality", Level.NO_REFERENCE, 0)]
        drift, quality = self._made(baseline.grid, groups)
        return [*quality.close(window), *drift.close(window)]

    def specs(self, grid: Grid) -> tuple[MonitorSpec, ...]:
        """Return the model's monitors on this grid."""
        return self._specs(grid)

    def level(self, grid: Grid, groups: int) -> float:
        """Return the level that each monitor may spend on each window of this many groups."""
        window = self._plan.model.window
        return level(self._plan.rate, window, max(len(self._specs(grid)), 1) * groups)

    def _make(self, grid: Grid, groups: int) -> tuple[Drift, Quality]:
        alarms = self._plan.model.alarms
        strict = Judgement(self.level(grid, groups), alarms.min_effect, alarms.min_rows)
        specs = self._specs(grid)
        place = {f.name: i for i, f in enumerate(grid.features)}
        drift = sorted((s for s in specs if s.detector in STATISTICS), key=lambda s: place[s.feature])
        # feature by feature, because the calibrator keeps only the last few simulations
        return Drift(drift, strict, self._calibrator), Quality(
            [s for s in specs if s.detector in QUALITY], strict
        )
