"""The multivariate detectors against their oracles, on calm rows, and where only columns together change."""

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats
from sklearn.decomposition import PCA
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.metrics import roc_auc_score

from detectors.domain_classifier import DomainOptions, area, domain_classifier, scored
from detectors.encoding import Encoder
from detectors.joint import Joint
from detectors.kernel_mean import (
    MmdOptions,
    by_features,
    by_pairs,
    clipped,
    dealt,
    gaussian,
    like,
    mmd,
    random_features,
)
from detectors.multivariate import MULTIVARIATE, defaults, mistakes
from detectors.permutation_mean import DealtMean
from detectors.quadratic_form import QuadraticForm
from detectors.reconstruction import Components, pca_reconstruction
from detectors.table import Floats


def joint(numbers: Floats, codes: NDArray[np.int64] | None = None) -> Joint:
    kept = np.empty((len(numbers), 0), np.int64) if codes is None else codes
    names = tuple(f"c{place}" for place in range(numbers.shape[1] + kept.shape[1]))
    return Joint(names, numbers, kept.astype(np.int32))


def pair(rng: np.random.Generator, n: int, m: int, columns: int = 3) -> tuple[Joint, Joint]:
    return joint(1.0 + rng.normal(size=(n, columns))), joint(1.0 + rng.normal(size=(m, columns)))


def plain_mmd(x: Floats, y: Floats, gamma: float) -> float:
    """Return the biased squared MMD, pair by pair."""

    def mean(a: Floats, b: Floats) -> float:
        return float(np.mean([[np.exp(-gamma * ((p - q) ** 2).sum()) for q in b] for p in a]))

    return mean(x, x) + mean(y, y) - 2.0 * mean(x, y)


def test_mmd_is_the_plain_one() -> None:
    rng = np.random.default_rng(1)
    x, y = rng.normal(size=(60, 2)), rng.normal(0.4, 1.0, size=(40, 2))
    exact, points = plain_mmd(x, y, 0.3), np.concatenate([x, y])
    found = mmd(joint(x), joint(y), 0.01, {"bandwidth": (1 / 0.6) ** 0.5, "scale": "none"}, 0)

    assert found.score + by_pairs(gaussian(points, 0.3), 60).law.mean == pytest.approx(exact)
    many = by_features(random_features(points, 0.3, 20_000, rng), 60)
    assert many.squared == pytest.approx(exact, rel=0.05)
    assert many.law.mean == pytest.approx(by_pairs(gaussian(points, 0.3), 60).law.mean, rel=0.05)


def test_the_law_of_mmd_is_that_of_its_permutations() -> None:
    rng = np.random.default_rng(2)
    points = rng.normal(size=(600, 4))
    kernel = gaussian(points, 0.1) + like(
        gaussian(points, 0.1), np.square(clipped(points) @ clipped(points).T)
    )
    law = by_pairs(kernel, 400).law
    weights = np.array([rng.permutation(dealt(400, 600)) for _ in range(10_000)])
    squared = np.einsum("ij,ij->i", weights @ kernel, weights)

    assert squared.mean() == pytest.approx(law.mean, rel=0.01)
    for level, off in ((0.1, 0.1), (0.01, 0.35), (0.001, 0.9)):
        assert (squared > law.quantile(level)).mean() == pytest.approx(level, rel=off)


def test_a_sum_of_weighted_chi_squares_has_the_exact_tails() -> None:
    for dof in (1, 2, 7, 300):
        law = QuadraticForm(np.full(dof, 0.3))
        for level in (0.5, 0.05, 1e-4, 1e-8):
            exact = 0.3 * stats.chi2.isf(level, dof)
            assert law.quantile(level) == pytest.approx(exact, rel=0.02)
            assert law.tail(exact) == pytest.approx(level, rel=0.12)
    assert (QuadraticForm(np.zeros(2)).tail(0.0), QuadraticForm(np.zeros(2)).quantile(0.1)) == (1.0, 0.0)


def test_a_dealt_mean_has_the_tails_of_its_permutations() -> None:
    rng = np.random.default_rng(3)
    values = rng.exponential(size=600)
    above = np.array([rng.choice(values, 60, replace=False).mean() for _ in range(20_000)]) - values.mean()
    for law, sign in ((DealtMean(values, 60), 1.0), (DealtMean(-values, 60), -1.0)):
        for level, off in ((0.1, 0.1), (0.01, 0.25), (0.001, 0.7)):
            assert (sign * above > law.quantile(level)).mean() == pytest.approx(level, rel=off)
            assert law.tail(law.quantile(level)) == pytest.approx(level, rel=1e-3)


def test_components_are_scikit_learns() -> None:
    points = np.random.default_rng(4).normal(size=(300, 6)) @ np.random.default_rng(5).normal(size=(6, 6))
    ours, theirs = Components.of(points, 0.8), PCA(0.8, svd_solver="full").fit(points)

    assert len(ours.directions) == theirs.n_components_
    rebuilt = theirs.inverse_transform(theirs.transform(points))
    assert ours.residuals(points) == pytest.approx(points - rebuilt, abs=1e-9)


def test_the_classifier_is_scikit_learns_and_its_area_too() -> None:
    rng = np.random.default_rng(6)
    rows, later = rng.normal(size=(300, 3)), np.arange(300) >= 200
    rows[later, 1] += 0.7
    folds = list(scored(rows, later, np.zeros(3, bool), DomainOptions(), 5))
    for fold in folds:
        known = np.setdiff1d(np.arange(300), fold.rows)
        learner = HistGradientBoostingClassifier(
            max_iter=40, max_leaf_nodes=16, early_stopping=False, random_state=5
        ).fit(rows[known], later[known])
        scores = learner.predict_proba(rows[fold.rows])[:, 1]
        assert area(fold.scores, later[fold.rows]) == pytest.approx(roc_auc_score(later[fold.rows], scores))

    found = domain_classifier(joint(rows[:200]), joint(rows[200:]), 1e-3, {}, 5)
    assert np.concatenate([f.rows for f in folds]).tolist() != sorted(range(300))
    assert sorted(np.concatenate([f.rows for f in folds]).tolist()) == list(range(300))
    assert found.score == pytest.approx(np.mean([area(f.scores, later[f.rows]) for f in folds]))
    assert found.parts[0][0] == "c1"
    assert found.parts[0][1] > 0.8


@pytest.mark.parametrize("detector", MULTIVARIATE)
def test_pvalues_on_calm_rows_are_uniform(detector: str) -> None:
    options = {"trees": 10} if detector == "domain_classifier" else {}
    rng = np.random.default_rng(8)
    found = [
        MULTIVARIATE[detector](
            *pair(rng, 300, 150, 8 if detector == "pca_reconstruction" else 3), 0.01, options, seed
        ).pvalue
        for seed in range(100)
    ]

    assert stats.kstest(found, "uniform").pvalue > 1e-3
    assert min(found) > 1e-4


def turned(rng: np.random.Generator, rows: int, correlation: float) -> Joint:
    """Return two features that go together, and six that do not; a turn changes no marginal."""
    numbers = rng.normal(size=(rows, 8))
    numbers[:, 1] = correlation * numbers[:, 0] + (1.0 - correlation**2) ** 0.5 * numbers[:, 1]
    return joint(numbers)


def test_a_rotation_of_two_features_is_seen_by_those_that_look_at_both() -> None:
    rng = np.random.default_rng(9)
    reference, window = turned(rng, 2000, 0.5), turned(rng, 1000, -0.5)
    alone = [stats.ks_2samp(a, b).pvalue for a, b in zip(reference.numeric.T, window.numeric.T, strict=True)]

    assert min(alone) > 0.01
    for detector in (mmd, domain_classifier):
        assert detector(reference, window, 1e-6, {}, 0).pvalue < 1e-6
        assert detector(reference, turned(rng, 1000, 0.5), 1e-3, {}, 0).pvalue > 1e-3
    assert {name for name, _ in domain_classifier(reference, window, 0.1, {}, 0).parts[:2]} == {"c0", "c1"}


def test_pca_sees_columns_that_leave_their_relation_and_names_them() -> None:
    rng = np.random.default_rng(10)
    cause = rng.normal(size=(3000, 1))
    numbers = cause + 0.5 * rng.normal(size=(3000, 5))
    numbers[2000:, 4] = rng.normal(size=1000) * numbers[:2000, 4].std()
    found = pca_reconstruction(joint(numbers[:2000]), joint(numbers[2000:]), 1e-6, {}, 0)

    assert found.score > found.threshold
    assert found.parts[0][0] == "c4"
    assert "errors larger" in found.note
    back = pca_reconstruction(joint(numbers[2000:]), joint(numbers[:1000]), 1e-3, {"explained": 0.5}, 0)
    assert "errors smaller" in back.note


def test_ranks_are_blind_to_units_and_categories_weigh_like_numbers() -> None:
    rng = np.random.default_rng(11)
    numbers, codes = rng.normal(size=(2000, 2)), rng.choice(5, size=(2000, 1))
    points = Encoder.of(joint(numbers, codes)).points(joint(numbers, codes))
    scaled = joint(np.exp(3.0 * numbers) * 1e9, codes)

    assert Encoder.of(scaled).points(scaled).rows == pytest.approx(points.rows)
    spreads = np.bincount(points.owner, weights=points.rows.var(axis=0))
    assert spreads == pytest.approx([1.0, 1.0, 1.0], abs=0.02)


def test_options_are_checked_by_name_kind_and_range() -> None:
    assert MmdOptions(**defaults("mmd")) == MmdOptions()  # type: ignore[arg-type]  # as a user's table is
    assert list(mistakes("pca_reconstruction", {"explained": 1.5})) == [
        ("", "explained is 1.5: it must be between 0 and 1")
    ]
    assert list(mistakes("domain_classifier", {"tree": 5, "folds": True})) == [
        ("tree", 'is not an option of domain_classifier; did you mean "trees"?'),
        ("folds", "must be a whole number"),
    ]
    assert not list(mistakes("cosine", {"least_signal": 3}))
    with pytest.raises(ValueError, match="bandwidth must be a number"):
        mmd(*pair(np.random.default_rng(0), 50, 50), 0.1, {"bandwidth": "wide"}, 0)
    with pytest.raises(ValueError, match="too near to 0"):
        MULTIVARIATE["cosine"](joint(np.eye(50)[:, :3] - 0.02), joint(np.eye(50)[:, :3]), 0.1, {}, 0)
