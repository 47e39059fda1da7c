"""Windows that depend on each other are told from those that do not."""

import numpy as np
import pytest

from detectors.dependence import dependence
from detectors.distances import Floats
from detectors.seasons import DAY, MONDAY, Clock

HOUR = DAY // 24


def hourly(windows: int) -> Clock:
    return Clock(MONDAY + np.arange(windows) * HOUR, HOUR)


def noise(seed: int, columns: int = 25) -> Floats:
    return np.random.default_rng(seed).normal(size=(360, columns))


def test_independent_windows_pass_as_often_as_they_should() -> None:
    found = [dependence(noise(seed), hourly(360)).found for seed in range(100)]

    assert np.mean(found) < 0.09


def test_many_columns_pass_as_often() -> None:
    found = [dependence(noise(seed, 400), hourly(360)).found for seed in range(60)]

    assert np.mean(found) < 0.11


def test_heavy_tails_are_no_dependence() -> None:
    drawn = [np.random.default_rng(seed).standard_t(3, size=(360, 25)) for seed in range(100)]

    assert np.mean([dependence(z, hourly(360)).found for z in drawn]) < 0.12


@pytest.mark.parametrize("memory", [0.5, 0.9])
def test_a_wandering_mean_is_found(memory: float) -> None:
    z = noise(1)
    for t in range(1, len(z)):
        z[t, 7] += memory * z[t - 1, 7]
    found = dependence(z, hourly(360))

    assert (found.found, found.column, found.lag) == (True, 7, 1)
    assert found.correlation == pytest.approx(memory, abs=0.15)


def test_a_season_is_a_dependence() -> None:
    z = noise(2) + np.sin(np.arange(360) * 2 * np.pi / 24)[:, None]

    assert dependence(z, hourly(360)).found


def test_days_that_differ_are_a_dependence() -> None:
    z = noise(3) + noise(4)[:15].repeat(24, axis=0)

    assert dependence(z, hourly(360)).pvalue < 1e-6


def test_a_series_that_never_moves_is_independent() -> None:
    assert dependence(np.zeros((100, 2)), hourly(100)).pvalue == 1.0


def test_too_few_windows_are_an_error() -> None:
    with pytest.raises(ValueError, match="too few"):
        dependence(noise(5)[:4], hourly(4))
