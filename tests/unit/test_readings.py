"""What is read off a feature: location, spread, groups, categories, missing rows."""

import numpy as np
import pytest
from scipy import stats

from detectors.readings import SLOPE, Kind, Readers, Source, reader
from detectors.table import Floats

NONE = np.zeros(1, np.int64)
BINS = 200


def cells(values: Floats, reference: Floats) -> Floats:
    """Count the values below, in 200 bins at the reference's quantiles, and above."""
    edges = np.quantile(reference, np.arange(1, BINS) / BINS)
    codes = np.searchsorted(edges, values) + 1
    codes[values < reference.min()] = 0
    codes[values > reference.max()] = BINS + 1
    return np.bincount(codes, minlength=BINS + 2).astype(np.float64)


def read(reference: Floats, values: Floats) -> dict[str, float]:
    one = reader(Source("x", cells(reference, reference), 0, ordered=True))
    n = np.array([len(values)])
    found = one.read(cells(values, reference)[None], NONE, n)[0]
    return dict(zip(one.parts, found.tolist(), strict=True))


@pytest.fixture
def normal() -> Floats:
    return np.random.default_rng(1).normal(size=50_000)


def test_the_location_is_the_shift_of_normal_rows_with_as_many_wins(normal: Floats) -> None:
    values = np.random.default_rng(2).normal(0.3, 1.0, 4000)

    wins = stats.mannwhitneyu(values, normal).statistic / len(values) / len(normal)
    assert read(normal, values)["location"] == pytest.approx(2**0.5 * stats.norm.ppf(wins), abs=4e-3)


@pytest.mark.parametrize("shift", [-2.0, 0.1, 1.0])
def test_a_shift_moves_the_location_by_itself(normal: Floats, shift: float) -> None:
    moved = read(normal, normal + shift)["location"] - read(normal, normal)["location"]

    assert moved == pytest.approx(shift, rel=0.02)


def test_the_location_of_a_feature_with_a_heavy_value_is_its_mean_rank() -> None:
    counts = np.array([0.0, 700.0, *([3.0] * 100), 0.0])
    one = reader(Source("x", counts, 0, ordered=True))

    found = one.read(counts[None], NONE, np.array([1000]))[0, 0]
    assert found == pytest.approx(0.5)
    assert one.units[0] == SLOPE


@pytest.mark.parametrize("shift", [-1.0, -0.3, 0.2, 0.8])
def test_a_shift_explains_spread_and_groups(normal: Floats, shift: float) -> None:
    still, moved = read(normal, normal), read(normal, normal + shift)
    others = [name for name in still if name != "location"]

    assert [moved[name] for name in others] == pytest.approx([still[name] for name in others], abs=0.004)


def test_a_shift_of_a_skewed_feature_is_the_same(normal: Floats) -> None:
    plain, skewed = read(normal, normal + 0.4), read(np.exp(normal), np.exp(normal + 0.4))

    assert skewed == pytest.approx(plain, abs=1e-3)


def test_more_variance_is_more_spread(normal: Floats) -> None:
    wide = read(normal, 1.5**0.5 * normal)

    ranks = 2 * stats.norm.cdf(1.5**0.5 * stats.norm.ppf((np.arange(10_000) + 0.5) / 10_000)) - 1
    assert wide["spread"] == pytest.approx((ranks**2).mean(), abs=0.005)
    assert wide["location"] == pytest.approx(0.0, abs=0.005)


def test_small_windows_are_read_without_bias(normal: Floats) -> None:
    one = reader(Source("x", cells(normal, normal), 0, ordered=True))
    rng = np.random.default_rng(3)
    few = rng.multinomial(50, one.masses, 40_000).astype(np.float64)
    read_off = one.read(few, np.zeros(40_000, np.int64), np.full(40_000, 50))

    error = read_off.std(axis=0) / 200
    usual = one.read(cells(normal, normal)[None], NONE, np.array([50_000]))[0]
    assert (np.abs(read_off.mean(axis=0) - usual)[:-1] < 5 * error[:-1] + 3e-4).all()


def test_the_noise_is_that_of_drawn_rows(normal: Floats) -> None:
    one = reader(Source("x", cells(normal, normal), 500, ordered=True))
    rng = np.random.default_rng(4)
    drawn = rng.multinomial(1000, one.masses, 4000).astype(np.float64)
    missing = rng.binomial(1010, one.missing, 4000)
    found = one.read(drawn, missing, np.full(4000, 1010))

    variance, skewness = one.noise
    assert found.var(axis=0) * 1000 == pytest.approx(variance, rel=0.12)
    assert stats.skew(found[:, -1]) == pytest.approx(skewness[-1] / 1010**0.5, abs=0.15)


@pytest.mark.parametrize("share", [0.01, 0.3, 0.999])
def test_few_values_are_no_trouble(share: float) -> None:
    counts = np.array([0.0, 10_000 * share, 10_000 * (1 - share), 0.0])
    one = reader(Source("flag", counts, 0, ordered=True))
    found = one.read(counts[::-1][None], NONE, np.array([10_000]))

    assert np.isfinite(found).all()
    assert (one.noise[0] > 0).all()


def test_two_values_say_everything_by_their_location() -> None:
    one = reader(Source("flag", np.array([0.0, 700.0, 300.0, 0.0]), 0, ordered=True))
    moved = one.read(np.array([[0.0, 500.0, 500.0, 0.0]]), NONE, np.array([1000]))[0]
    still = one.read(one.masses[None] * 1000, NONE, np.array([1000]))[0]

    assert moved[0] - still[0] == pytest.approx(0.1)
    assert moved[1:] == pytest.approx(still[1:], abs=2e-3)


def test_a_constant_that_moves_is_seen() -> None:
    one = reader(Source("c", np.array([0.0, 5000.0, 0.0]), 0, ordered=True))
    still = one.read(np.array([[0.0, 100.0, 0.0]]), NONE, np.array([100]))[0]
    moved = one.read(np.array([[0.0, 0.0, 100.0]]), NONE, np.array([100]))[0]

    assert one.shift is None
    assert np.abs(moved - still).max() == 1.0


def test_categories_are_shares_of_the_most_common_and_the_rest() -> None:
    counts = np.array([5.0, 50.0, *([1.0] * 20), 0.0])
    one = reader(Source("town", counts, 0, ordered=False))
    found = one.read(counts[None], NONE, np.array([75]))[0]

    assert one.kinds.count(Kind.SHARE) == 13
    assert found[0] == pytest.approx(50 / 75)
    assert found[:-1].sum() == pytest.approx(1.0)


def test_missing_rows_are_a_share_of_all_rows() -> None:
    one = reader(Source("x", np.full(202, 5), 10, ordered=True))
    found = one.read(np.full((1, 202), 1), np.array([50]), np.array([252]))

    assert found[0, -1] == pytest.approx(50 / 252)
    assert one.missing == pytest.approx(10 / 1021)


def test_a_reference_without_missing_rows_might_have_had_half_a_one() -> None:
    one = reader(Source("x", np.full(202, 5), 0, ordered=True))

    assert one.missing == pytest.approx(0.5 / 1011)


def test_a_window_without_values_reads_zero() -> None:
    one = reader(Source("x", np.full(202, 5), 0, ordered=True))
    found = one.read(np.zeros((1, 202)), np.array([0]), np.array([0]))

    assert np.isfinite(found).all()


def three() -> Readers:
    sources = (
        Source("age", np.full(202, 5), 0, ordered=True),
        Source("colour", np.array([50, 30, 0, 0]), 0, ordered=False),
        Source("flag", np.array([0, 50, 30, 0]), 4, ordered=True),
    )
    return Readers(tuple(reader(source) for source in sources))


def test_the_shift_and_the_missing_values_of_every_feature_spend_a_whole_level_each() -> None:
    readers = three()
    missing = np.array([kind is Kind.MISSING for kind in readers.kinds])

    assert readers.share[missing].tolist() == [1.0, 1.0, 1.0]
    assert np.bincount(readers.feature, weights=readers.share * ~missing) == pytest.approx([1.0, 1.0, 1.0])


def test_columns_stand_feature_by_feature() -> None:
    readers = three()
    counts = [np.full((2, 202), 1), np.array([[3, 1, 0, 0]] * 2), np.array([[0, 1, 1, 0]] * 2)]
    found = readers.read(counts, np.zeros((2, 3), np.int64), np.array([202, 4]))

    assert found.values.shape == found.sizes.shape == (2, len(readers.kinds))
    assert found.sizes[:, readers.feature == 1].tolist() == [[4] * 4 + [202], [4] * 4 + [4]]
    assert readers.parts.count("missing") == 3


def test_the_smallest_effect_is_a_tenth_of_a_standard_deviation() -> None:
    readers = three()
    floors = readers.floors(0.1)

    assert floors[readers.parts.index("location")] == pytest.approx(0.1)
    assert floors[readers.parts.index("missing")] == 0.01
    wider = 2 / np.pi * np.arcsin(1.21 / 2.21) - 1 / 3
    assert floors[readers.parts.index("spread")] == pytest.approx(wider, rel=0.05)
