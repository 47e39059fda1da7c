"""Windows that depend on each other are told from those that do not."""

import numpy as np
import pytest
from scipy import stats

from detectors.dependence import CRITICAL, FEWEST_LAGS, LEVEL, LONG, dependence, depends
from detectors.seasons import DAY, MONDAY, Clock
from detectors.table import Floats

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


def test_the_critical_value_is_scipys() -> None:
    assert pytest.approx(stats.chi2.isf(LEVEL, FEWEST_LAGS), rel=1e-15) == CRITICAL


def test_a_long_series_is_found_to_depend_as_the_p_value_says() -> None:
    drawn = [np.random.default_rng(seed).normal(size=LONG + 1) for seed in range(60)]
    series = [z + share * np.roll(z, 1) for share in (0.0, 0.05, 0.2) for z in drawn]
    found = [depends(z) for z in series]

    assert found == [dependence(z[:, None], Clock(np.arange(len(z)) * DAY, DAY)).found for z in series]
    assert 0 < sum(found[:60]) < 12
    assert sum(found[120:]) == 60


def test_a_short_series_is_judged_by_the_law_of_short_ones() -> None:
    calm = np.random.default_rng(3).normal(size=100)

    assert not depends(calm)
    assert depends(calm + np.roll(calm, 1))
