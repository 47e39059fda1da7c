"""What alibi-detect is asked and what its answers come to; nothing of it is installed here."""

import numpy as np
import pytest

from detectors.alibi import ALIBI, wrong_options
from detectors.alibi_answers import comparison
from detectors.alibi_arrays import Request, request
from detectors.joint import Joint
from detectors.permuted import null_law

RNG = np.random.default_rng(11)


def joint(rows: int, codes: int = 3) -> Joint:
    numeric = RNG.normal(50.0, 7.0, (rows, 2))
    return Joint(("a", "b", "c"), numeric, RNG.integers(-1, codes, (rows, 1)).astype(np.int32))


def numbers(side: Joint) -> Joint:
    return Joint(("a", "b"), side.numeric, np.zeros((side.rows, 0), np.int32))


def test_rows_with_missing_numbers_are_left_out_and_the_first_ones_are_taken() -> None:
    side, other = numbers(joint(200)), numbers(joint(80))
    side.numeric[3, 1] = np.nan
    asked = request("alibi.ks", side, other, {"rows": 100}, 1)

    assert asked.reference.shape == (100, 2)
    assert asked.window.shape == (80, 2)
    assert (asked.reference[3] == side.numeric[4]).all()
    assert asked.note == "1 rows with missing numbers left out"


def test_whole_rows_are_in_standard_deviations_and_indicators_and_know_their_columns() -> None:
    side, other = joint(300), joint(300)
    asked = request("alibi.classifier", side, other, {}, 1)

    assert asked.owners == (0, 1, 2, 2, 2, 2, 2)
    assert np.allclose(asked.reference[:, :2].mean(axis=0), 0.0)
    assert np.allclose(asked.reference[:, :2].std(axis=0), 1.0)
    assert (asked.reference[:, 2:].sum(axis=1) == 1.0).all()
    assert (asked.reference[:, 6] == 0.0).all()  # nothing beside the known categories


def test_a_category_is_yes_or_no_for_fisher() -> None:
    codes = np.array([[0]] * 60 + [[1]] * 30 + [[2]] * 10, np.int32)
    side = Joint(("c",), np.zeros((100, 0)), codes)
    asked = request("alibi.fet", side, side, {}, 1)

    assert asked.reference.sum() == 60


@pytest.mark.parametrize(
    ("detector", "columns", "says"),
    [
        ("alibi.ks", joint(50), "alibi.ks takes numeric columns, not c"),
        ("alibi.chi2", joint(50), "alibi.chi2 takes categorical columns, not a, b"),
        (
            "alibi.fet",
            joint(50),
            "takes categorical columns, and numeric ones of 0 and 1, not a, b",
        ),
        ("alibi.mmd", joint(19), "the reference has 19 complete rows; alibi.mmd needs 20"),
    ],
)
def test_what_a_detector_does_not_take_is_refused(detector: str, columns: Joint, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        request(detector, columns, columns, {}, 1)


@pytest.mark.parametrize("name", sorted(ALIBI))
def test_every_option_has_a_default_that_is_allowed(name: str) -> None:
    accepts = ALIBI[name].accepts

    assert wrong_options(f"alibi.{name}", {key: kind.default for key, kind in accepts.items()}) == {}


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"n_permutations": True}, "must be a whole number from 30 to 10000"),
        ({"n_permutations": 100.5}, "must be a whole number from 30 to 10000"),
        ({"sigma": -1}, "must be a number from 0 to 1e+06"),
        ({"n_permutations": 10**6}, "must be a whole number from 30 to 10000"),
        ({"kernel": "rbf"}, "is no option of alibi.mmd; it has n_permutations, rows, sigma"),
    ],
)
def test_a_wrong_option_is_named(options: dict[str, bool | int | float | str], says: str) -> None:
    assert wrong_options("alibi.mmd", options) == dict.fromkeys(options, says)


def test_online_thresholds_need_many_simulated_streams() -> None:
    assert wrong_options("alibi.online_cvm", {"ert": 1000}) == {
        "n_bootstraps": "must be at least 10 times ert, which is 1000"
    }
    assert wrong_options("alibi.online_cvm", {"ert": 1000, "n_bootstraps": 10_000}) == {}


def vectors(rows: int) -> Joint:
    spreads = np.array([2.0, 0.5, 0.0, 0.01])
    return Joint.of_vectors("text", (RNG.normal(size=(rows, 4)) * spreads + 3.0).astype(np.float16))


def test_an_embeddings_coordinates_have_one_unit_together() -> None:
    asked = request("alibi.mmd", vectors(400), vectors(100), {}, 1)
    spreads = asked.reference.std(axis=0)

    assert np.square(spreads).sum() == pytest.approx(4.0)  # as many as there are coordinates
    assert spreads[0] / spreads[1] == pytest.approx(4.0, rel=0.15)
    assert spreads[2:] == pytest.approx([0.0, 0.01], abs=0.02)
    assert np.allclose(asked.reference.mean(axis=0), 0.0)


def test_huge_values_stay_finite_in_single_precision() -> None:
    side, huge = numbers(joint(200)), numbers(joint(200))
    huge.numeric[0, 0], huge.numeric[1, 1] = 1e308, -1e300
    for reference, window in ((side, huge), (huge, side), (huge, huge)):
        asked = request("alibi.mmd", reference, window, {}, 1)
        for rows in (asked.reference, asked.window):
            assert np.isfinite(np.square(rows.astype(np.float32))).all()


def test_other_columns_are_refused() -> None:
    side = numbers(joint(100))
    with pytest.raises(ValueError, match="other columns"):
        request("alibi.ks", side, Joint(("a", "x"), side.numeric, side.codes), {}, 1)


@pytest.mark.parametrize("detector", ["alibi.chi2", "alibi.fet", "alibi.online_fet", "alibi.online_cvm"])
def test_an_embedding_is_refused_in_one_word_where_it_cannot_be(detector: str) -> None:
    with pytest.raises(ValueError, match=f"{detector} takes .*, not embeddings"):
        request(detector, vectors(400), vectors(100), {}, 1)


def asked(detector: str, columns: int = 3, **options: str) -> Request:
    names = tuple("abcdef"[:columns])
    side = np.zeros((100, columns))
    return Request(detector, options, 0, names, tuple(range(columns)), (), side, side)


def test_columns_are_corrected_for_as_asked() -> None:
    answer = {"pvalues": [0.01, 0.015, 0.9], "distances": [0.3, 0.2, 0.1]}
    bonferroni = comparison(asked("ks", correction="bonferroni"), answer, 0.05)
    fdr = comparison(asked("ks", correction="fdr"), answer, 0.05)

    assert bonferroni.pvalue == pytest.approx(1.0 - 0.99**3)
    assert fdr.pvalue == pytest.approx(0.0225)
    assert (bonferroni.effect, bonferroni.parts[0][0]) == (0.3, "a")
    assert sum(share for _, share in bonferroni.parts) == pytest.approx(1.0)


def test_folds_that_know_of_one_another_are_believed_less() -> None:
    answer = {"pvalue": 1e-6, "distance": 0.3}
    side = np.zeros((100, 3))
    folded = Request("classifier", {"n_folds": 5}, 0, tuple("abc"), (0, 1, 2), (), side, side, "2 rows left")
    once, more = comparison(asked("classifier"), answer, 1e-5), comparison(folded, answer, 1e-5)

    assert (once.pvalue, once.note) == (1e-6, "")
    assert more.pvalue == pytest.approx(1e-6 ** (1 / 1.4))
    assert more.score < more.threshold
    assert more.note == "its own p-value is 1e-06, of folds that know of one another; 2 rows left"


@pytest.mark.parametrize("level", [0.05, 1e-3, 1e-6, 1e-20, 1e-290])
def test_the_score_is_above_the_threshold_when_the_pvalue_is_below_the_level(level: float) -> None:
    null = RNG.gamma(3.0, 1.0, 300).tolist()
    for score in np.linspace(0.0, 40.0 if level > 1e-9 else 3000.0, 60):
        answer = {"score": float(score), "pvalue": 0.5, "null": null}
        found = comparison(asked("mmd"), answer, level)
        assert (found.score > found.threshold) == (found.pvalue < level)


@pytest.mark.parametrize("wrong", [{}, {"pvalues": [0.1, float("inf"), 0.2]}, {"pvalues": ["x"]}])
def test_an_answer_without_numbers_is_no_comparison(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"answer|zero-size|argmin"):
        comparison(asked("ks"), {"distances": [0.1] * 3, **wrong}, 0.01)


def test_the_law_holds_far_out_where_permutations_say_nothing() -> None:
    rng = np.random.default_rng(2)
    draws = rng.chisquare(6.0, (400, 300))
    fresh = rng.chisquare(6.0, 400_000)
    levels = [(fresh > null_law(row).limit(1e-3)).mean() for row in draws]

    assert 3e-4 < np.mean(levels) < 1.2e-3


def test_a_statistic_that_never_varies_has_a_law_too() -> None:
    law = null_law([0.0] * 30)

    assert (law.tail(0.0), law.tail(0.1), law.limit(1e-6)) == (1.0, 0.0, 0.0)
    with pytest.raises(ValueError, match="30 finite"):
        null_law([float("nan")] * 40)
