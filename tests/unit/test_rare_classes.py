"""Classes of few rows or none: what is not known of them makes the means over the classes uncertain."""

import numpy as np
import pytest
from scipy import stats
from sklearn import metrics

from detectors.class_ratios import Ratios
from detectors.classification import ClassMeasure
from detectors.estimation import estimate
from detectors.measure import Estimate, Floats, Scored
from detectors.score_calibration import fit

LEVEL = 0.05
MEANS = ("precision_macro", "recall_macro", "f1_macro", "balanced_accuracy")
THREE = ClassMeasure(("a", "b", "c"), scored=False)
TWO = ClassMeasure(("no", "yes"), scored=False)


def rows_of(counts: list[list[int]]) -> Scored:
    """Return rows by a table of counts, [true][predicted]."""
    table = np.array(counts)
    true, predicted = np.nonzero(table)
    times = table[true, predicted]
    label, said = (np.repeat(codes, times).astype(np.float64) for codes in (true, predicted))
    return Scored(said, np.empty((len(label), 0)), label)


def measured(
    measure: ClassMeasure, rows: Scored | list[list[int]], level: float = LEVEL
) -> dict[str, Estimate]:
    drawn = rows if isinstance(rows, Scored) else rows_of(rows)
    sums = measure.sums(drawn, np.zeros(len(drawn.label), dtype=np.int64), 1)[0]
    return dict(measure.values(sums, level))


def ends(found: Estimate) -> tuple[float, float]:
    assert found.low is not None
    assert found.high is not None
    return found.low, found.high


ABSENT = [[90, 10, 0], [10, 90, 0], [0, 0, 0]]
NEVER_PREDICTED = [[90, 10, 0], [10, 90, 0], [1, 1, 0]]
NEVER_HIT = [[90, 9, 1], [10, 90, 0], [1, 1, 0]]


@pytest.mark.parametrize("counts", [ABSENT, NEVER_PREDICTED, NEVER_HIT])
@pytest.mark.parametrize("name", MEANS)
def test_a_mean_may_be_what_the_rare_class_would_make_it(name: str, counts: list[list[int]]) -> None:
    """The class may be as good as the others, 0.9, and the mean then 0.9 too."""
    found = measured(THREE, counts, level=1e-3)[name]

    assert ends(found)[1] > 0.9


@pytest.mark.parametrize("name", MEANS[:3])
def test_a_mean_over_the_classes_counts_an_absent_one_as_scikit_learn_does(name: str) -> None:
    assert measured(THREE, ABSENT)[name].value == pytest.approx(0.6)


def test_of_balanced_accuracy_an_absent_class_takes_no_part_but_may_be_worse_or_better() -> None:
    found = measured(THREE, ABSENT)["balanced_accuracy"]

    assert found.value == pytest.approx(0.9)
    assert ends(found)[0] < 0.6
    assert ends(found)[1] > (0.9 + 0.9 + 1.0) / 3


def test_a_class_of_many_rows_that_is_never_hit_is_known_to_be_bad() -> None:
    found = measured(THREE, [[900, 100, 0], [100, 900, 0], [500, 500, 0]])

    assert ends(found["recall_macro"])[1] < 0.63
    assert ends(found["f1_macro"])[1] < 0.63


def test_where_nothing_is_predicted_positive_the_recall_is_not_proved_to_be_0() -> None:
    found = measured(TWO, [[198, 0], [2, 0]])

    assert found["recall"].value == 0.0
    assert ends(found["recall"])[1] == pytest.approx(1 - (LEVEL / 2) ** 0.5)
    assert ends(found["balanced_accuracy"])[1] > 0.9


def test_a_share_of_rare_errors_has_the_exact_interval() -> None:
    found = measured(TWO, [[197, 1], [1, 1]])["specificity"]
    expected = stats.binomtest(197, 198).proportion_ci(1 - LEVEL, method="exact")

    assert found.method == "exact"
    assert ends(found) == pytest.approx((expected.low, expected.high))


def test_one_class_alone_has_its_exact_interval_in_the_mean() -> None:
    """The recall of a class of 20 rows, half of the mean; the other's of a million is known."""
    found = measured(TWO, [[900_000, 100_000], [19, 1]])["balanced_accuracy"]
    own = stats.binomtest(1, 20).proportion_ci(1 - LEVEL, method="exact")

    assert ends(found)[1] == pytest.approx((0.9 + own.high) / 2, abs=1e-3)


def test_many_alike_classes_have_the_normal_interval_of_their_mean() -> None:
    rows, hits = np.full(200, 50.0), np.full(200, 45.0)
    variance = 0.9 * 0.1 / 50 / 200

    _, low, high = Ratios.of("recall", (hits, rows), LEVEL).mean(np.full(200, 1 / 200), variance, LEVEL)

    assert high == pytest.approx(0.9 + 1.96 * variance**0.5, rel=1e-3)
    assert low == pytest.approx(0.9 - 1.96 * variance**0.5, rel=3e-3)


def test_errors_of_one_kind_make_all_classes_worse_together() -> None:
    """F1 of two classes goes up and down with each error: their mean varies as the accuracy does."""
    found = measured(THREE, [[900, 100, 0], [100, 900, 0], [0, 0, 10_000]])["f1_macro"]
    error = np.sqrt(0.9 * 0.1 / 2000) * 2 / 3

    assert ends(found)[1] - ends(found)[0] == pytest.approx(2 * 1.96 * error, rel=0.05)


def test_the_correlation_of_many_rows_has_the_interval_of_the_delta_method() -> None:
    table = np.array([[120_000.0, 20_000], [25_000, 35_000]])
    true, predicted = np.indices((2, 2)).reshape(2, -1)

    def mcc(counts: Floats) -> float:
        return float(metrics.matthews_corrcoef(true, predicted, sample_weight=counts.ravel()))

    steps = np.eye(4).reshape(4, 2, 2)
    slopes = np.array([mcc(table + step) - mcc(table - step) for step in steps]) / 2
    error = float(np.sqrt(np.square(slopes) @ table.ravel()))
    found = measured(TWO, table.astype(int).tolist())["mcc"]

    assert found.value == pytest.approx(mcc(table))
    assert ends(found)[1] - ends(found)[0] == pytest.approx(2 * 1.96 * error, rel=0.005)


def test_one_hit_more_would_change_the_correlation_of_a_rare_class() -> None:
    found = measured(TWO, [[197, 1], [2, 0]])["mcc"]

    assert found.value is not None
    assert found.value < 0.0
    assert ends(found)[1] > 0.5
    assert ends(found)[0] > -0.5


def test_a_costly_error_that_was_not_seen_may_come() -> None:
    costs = np.array([[0.0, 1.0], [50.0, 0.0]])
    found = measured(ClassMeasure(("no", "yes"), scored=False, costs=costs), [[990, 10], [0, 0]])["cost"]

    assert found.value == pytest.approx(0.01)
    assert ends(found)[0] > 0.0
    assert ends(found)[1] == pytest.approx(50 * stats.expon.isf(LEVEL / 2) / 1000, rel=0.06)


@pytest.mark.parametrize(("name", "most"), [("log_loss", 0.06), ("brier", 0.02)])
def test_a_window_without_the_rare_class_does_not_know_its_losses(name: str, most: float) -> None:
    """With 1 % positives at a score of 0.02, a window of 50 has none in 6 of 10 cases."""
    measure = ClassMeasure(("no", "yes"), scored=True)
    rows = Scored(np.zeros(50), np.full((50, 1), 0.02), np.zeros(50))
    low, high = ends(measured(measure, rows)[name])
    truth = {"log_loss": -0.99 * np.log(0.98) - 0.01 * np.log(0.02), "brier": 0.99 * 0.02**2 + 0.01 * 0.98**2}

    assert low < truth[name] < high
    assert high < 10 * most


def test_an_area_of_one_row_is_next_to_nothing() -> None:
    measure = ClassMeasure(("no", "yes"), scored=True)
    rows = Scored(np.zeros(50), np.linspace(0, 1, 50)[:, None], (np.arange(50) == 5).astype(np.float64))
    found = measured(measure, rows)

    assert ends(found["average_precision"])[1] > 0.9
    assert ends(found["roc_auc"])[1] > 0.9


def test_a_class_without_an_area_may_have_any() -> None:
    measure, rng = ClassMeasure(("a", "b", "c"), scored=True), np.random.default_rng(1)
    scores = rng.dirichlet(np.ones(3), 4000)
    label = (scores[:, 0] < scores[:, 1]).astype(np.float64)
    found = measured(measure, Scored(np.full(4000, np.nan), scores, label))

    for name in ("roc_auc", "average_precision"):
        low, high = ends(found[name])
        assert high - low == pytest.approx(1 / 3, abs=0.05), name


def counted(score: Floats, label: Floats, predicted: Floats) -> Floats:
    cells = ((label * 2 + predicted) * 1000 + np.minimum(score * 1000, 999)).astype(np.int64)
    return np.bincount(cells, minlength=4000).reshape(1, 2, 2, 1000).astype(np.float64)


def rare(rng: np.random.Generator, n: int) -> tuple[Floats, Floats, Floats]:
    """Draw rows of which 1 % are positive, with honest scores."""
    score = rng.beta(0.02, 1.98, n)
    return score, (rng.random(n) < score).astype(np.float64), (score >= 0.5).astype(np.float64)


@pytest.mark.parametrize("name", ["recall", "f1", "balanced_accuracy", "average_precision"])
def test_an_estimate_does_not_take_too_few_positives_for_bad_ones(name: str) -> None:
    rng = np.random.default_rng(2)
    learnt = fit(counted(*rare(rng, 50_000)))
    truth = measured(ClassMeasure(("0", "1"), scored=True), as_rows(rare(rng, 400_000)))[name].value
    assert truth is not None
    score, label, predicted = rare(np.random.default_rng(1), 2000)
    none = counted(score, label, predicted)[:, :, 0].sum(axis=1) / 10  # those not predicted positive, of 200

    found = estimate(learnt, np.stack([none, 0 * none], axis=1), LEVEL)[name]

    assert found.value is not None
    assert found.value < truth - 0.1
    assert ends(found)[1] > truth


def test_where_no_row_may_be_positive_the_balanced_accuracy_may_be_the_specificity() -> None:
    rng = np.random.default_rng(3)
    learnt = fit(counted(*rare(rng, 50_000)))
    window = counted(*rare(rng, 200)).sum(axis=1)

    found = estimate(learnt, window, LEVEL)

    assert ends(found["balanced_accuracy"])[1] >= (found["specificity"].value or 1.0)


def as_rows(drawn: tuple[Floats, Floats, Floats]) -> Scored:
    score, label, predicted = drawn
    return Scored(predicted, score[:, None], label)


def test_an_estimated_mean_leaves_room_for_a_class_that_is_not_predicted() -> None:
    table = np.zeros((3, 2, 2, 1000))
    for k, bins in enumerate((900, 800, 10)):
        table[k, 0, 0, 50], table[k, 1, 0, bins], table[k, 1, 1, 901] = 800, 20, 180
    window = table.sum(axis=1)
    window[2, 1] = 0.0

    found = estimate(fit(table), window, LEVEL)

    assert found["precision:2"].value is None
    low, high = ends(found["precision_macro"])
    assert high - low > 1 / 3


@pytest.mark.parametrize("size", [200, 2_000])
def test_means_are_hardly_ever_below_the_truth_by_chance(size: int) -> None:
    """Three classes, one of 1 %: an interval wholly below what endless rows have is a false alarm."""
    rng = np.random.default_rng(size)
    cells = np.array([[0.54, 0.055, 0.005], [0.035, 0.35, 0.005], [0.0005, 0.0015, 0.008]])
    truth = measured(THREE, (cells * 1e4).astype(int).tolist())
    below = dict.fromkeys((*MEANS, "mcc", "f1_weighted"), 0)
    for _ in range(300):
        drawn = rng.multinomial(size, cells.ravel() / cells.sum()).reshape(3, 3)
        found = measured(THREE, drawn.tolist())
        for name in below:
            below[name] += ends(found[name])[1] < (truth[name].value or 0.0)

    assert {name: count for name, count in below.items() if count > 300 * 0.05} == {}
