"""Every detector keeps every law of detectors/contract.py."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pytest
from msgspec.structs import replace

from detectors.base import Detector, Verdict
from detectors.beside import Classes
from detectors.calibration import Calibrator
from detectors.class_shift import LabelShift
from detectors.contract import LAWS, Bench, Columns
from detectors.drift import STATISTICS, Drift, applies
from detectors.faults import Counts, Faults, after, fault_monitors
from detectors.monitors import Judgement, MonitorSpec
from detectors.profile import Grid, WindowProfile, summaries
from detectors.quality import Quality, quality_monitors
from tests.unit.slow_profiles import make_grid, make_profile

ALARMS = Judgement(level=1e-4)


def rows(seed: int, n: int, shift: float) -> Columns:
    rng = np.random.default_rng(seed)
    colours = ["red", "blue", "green"] if not shift else ["green", "black", None]
    return {
        "amount": np.exp(rng.normal(size=n)) + shift,
        "age": rng.poisson(3.0, n).astype(np.float64) + 2 * shift,
        "constant": np.full(n, 4.0 + shift),
        "colour": np.array(colours, dtype=object)[rng.choice(3, n, p=[0.6, 0.3, 0.1])],
    }


BENCH = Bench(make_grid, make_profile, rows(1, 1200, 0.0), rows(2, 200, 0.0), rows(3, 200, 5.0))


def drift(name: str) -> Callable[[Grid], Detector]:
    def make(grid: Grid) -> Detector:
        watched = [MonitorSpec(f.name, name, "drift") for f in grid.features if applies(name, f)]
        return Drift(watched, ALARMS, Calibrator())

    return make


def quality(grid: Grid) -> Detector:
    return Quality(quality_monitors(grid), ALARMS)


@dataclass(frozen=True)
class OfClasses:
    """Label shift, with the colour as the predicted class of a model that is never wrong."""

    detector: LabelShift

    def close(self, window: WindowProfile) -> Sequence[Verdict]:
        reference, seen = (
            next(s.counts[:-2] for s in summaries(window.grid, p) if s.grid.name == "colour")
            for p in (window.reference, window.window)
        )
        classes = Classes(("a", "b", "c"), (), np.diag(reference), seen)
        return self.detector.close(replace(window, classes=classes))


@dataclass(frozen=True)
class Begun:
    """Faults gathered over one window only."""

    detector: Faults

    def close(self, window: WindowProfile) -> Sequence[Verdict]:
        counts = Counts.of(window)
        found = counts.gathered(after(None, counts, ALARMS.min_rows))
        return self.detector.close(replace(window, faults=found))


def label_shift(_grid: Grid) -> Detector:
    return OfClasses(LabelShift([MonitorSpec("prediction", "label_shift", "prediction_drift")], ALARMS))


def faults(grid: Grid) -> Detector:
    return Begun(Faults(fault_monitors(grid), ALARMS))


GATHERED = {"label_shift": label_shift, "e_quality": faults}
DETECTORS = {"quality": quality} | GATHERED | {name: drift(name) for name in STATISTICS}


@pytest.mark.parametrize("law", LAWS)
@pytest.mark.parametrize("detector", DETECTORS)
def test_law(detector: str, law: str) -> None:
    assert list(LAWS[law](DETECTORS[detector], BENCH)) == []
