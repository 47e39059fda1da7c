"""Thresholds of configured distances from the reference's own windows."""

import numpy as np
import pytest

from detectors.distances import ks, psi
from detectors.drift import STATISTICS
from detectors.score_null import learn_scores
from detectors.seasons import DAY, MONDAY, Clock, Ints
from detectors.table import Floats, Table

HOUR = DAY // 24
NAMES = ("ks", "psi", "chi2", "js", "cramer_von_mises")


def hourly(windows: int) -> Clock:
    return Clock(MONDAY + np.arange(windows) * HOUR, HOUR)


def counts(means: Floats, sizes: Ints, seed: int = 1) -> Ints:
    """Twenty groups of normal rows."""
    rng = np.random.default_rng(seed)
    cuts = np.linspace(-2.0, 2.0, 19)
    found = [
        np.bincount(np.searchsorted(cuts, rng.normal(m, 1.0, n)), minlength=20)
        for m, n in zip(means, sizes, strict=True)
    ]
    return np.array(found)


def scores(windows: Ints, reference: Ints) -> Floats:
    return np.stack([STATISTICS[name].score(Table.of(reference, windows)) for name in NAMES], axis=1)


def learnt_and_later(means: Floats, sizes: Ints, past: int) -> tuple[Floats, Floats]:
    """Return the scores of the windows after the first `past`, and their thresholds at level 0.001."""
    windows = counts(means, sizes)
    every = scores(windows, windows[:past].sum(axis=0))
    n = np.repeat(sizes[:, None], len(NAMES), axis=1)
    clock = hourly(len(means))
    rows = [STATISTICS[name] for name in NAMES]
    null = learn_scores(rows, every[:past], n[:past], Clock(clock.starts[:past], HOUR))
    later = Clock(clock.starts[past:], HOUR)
    return every[past:], null.thresholds(n[past:], later, 1e-3)


def test_days_that_differ_raise_the_threshold() -> None:
    means = np.random.default_rng(2).normal(0.0, 0.15, 60).repeat(24)
    found, thresholds = learnt_and_later(means, np.full(1440, 300), 720)

    assert ((found > thresholds).mean(axis=0) < 0.01).all()
    assert (found.max(axis=0) > 0.25 * thresholds.max(axis=0)).all()


def test_each_hour_has_its_own_threshold() -> None:
    night = np.arange(24 * 40) % 24 < 6
    found, thresholds = learnt_and_later(np.where(night, 0.8, 0.0), np.full(960, 300), 480)
    late = night[480:]

    assert (thresholds[late].min(axis=0) > thresholds[~late].max(axis=0)).all()
    assert ((found > thresholds).mean(axis=0) < 0.01).all()


def test_a_night_by_day_is_found() -> None:
    means = np.where(np.arange(24 * 40) % 24 < 6, 0.8, 0.0)
    means[900] = 0.8  # twelve o'clock
    found, thresholds = learnt_and_later(means, np.full(960, 300), 480)

    over = found > thresholds
    assert over[420, [0, 1, 2, 3]].all()


def test_changing_sizes_keep_the_level() -> None:
    rng = np.random.default_rng(3)
    sizes = np.exp(rng.uniform(np.log(60), np.log(3000), 1440)).astype(np.int64)
    found, thresholds = learnt_and_later(rng.normal(0.0, 0.1, 1440), sizes, 720)
    small = sizes[720:] < 300

    assert ((found > thresholds)[small].mean(axis=0) < 0.01).all()
    assert ((found > thresholds)[~small].mean(axis=0) < 0.01).all()


def test_larger_windows_have_lower_thresholds() -> None:
    sizes = np.exp(np.random.default_rng(4).uniform(np.log(60), np.log(3000), 720)).astype(np.int64)
    windows = counts(np.zeros(720), sizes)
    n = sizes[:, None]
    scores = ks(Table.of(windows.sum(axis=0), windows))
    null = learn_scores([STATISTICS["ks"]], scores[:, None], n, hourly(720))
    first = Clock(np.array([MONDAY, MONDAY]), HOUR)

    small, large = null.thresholds(np.array([[100], [2000]]), first, 1e-4).ravel()
    assert small == pytest.approx(20**0.5 * large, rel=0.3)


def test_scores_of_zero_have_a_threshold() -> None:
    null = learn_scores([STATISTICS["psi"]], np.zeros((100, 1)), np.full((100, 1), 50), hourly(100))
    found = null.thresholds(np.array([[50]]), Clock(np.array([MONDAY]), HOUR), 1e-4)

    assert np.isfinite(found).all()
    assert float(psi(Table.of(np.array([5, 5]), np.array([1, 9])))) > found[0, 0]


def test_a_window_without_rows_teaches_nothing() -> None:
    rng = np.random.default_rng(5)
    every, n = rng.normal(0.1, 0.02, (300, 1)), np.full((300, 1), 500)
    n[50] = 0
    every[50] = 1e6
    null = learn_scores([STATISTICS["ks"]], every, n, hourly(300))

    assert null.thresholds(n[:1], hourly(1), 1e-4)[0, 0] < 0.4
