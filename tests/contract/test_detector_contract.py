"""Every detector keeps every law of detectors/contract.py."""

from collections.abc import Callable

import numpy as np
import pytest

from detectors.base import Detector
from detectors.calibration import Calibrator
from detectors.contract import LAWS, Bench, Columns
from detectors.drift import STATISTICS, Drift, applies
from detectors.monitors import Judgement, MonitorSpec
from detectors.profile import Grid
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


DETECTORS = {"quality": quality} | {name: drift(name) for name in STATISTICS}


@pytest.mark.parametrize("law", LAWS)
@pytest.mark.parametrize("detector", DETECTORS)
def test_law(detector: str, law: str) -> None:
    assert list(LAWS[law](DETECTORS[detector], BENCH)) == []
