from functools import cache

import polars as pl
import pytest
from polars.testing import assert_frame_equal
from scipy import stats

from monitor.simulate import (
    CATEGORICAL,
    DAY,
    FLIPPED,
    HOUR,
    LABEL,
    NUMERIC,
    SHIFTED_VERSION,
    VERSIONS,
    LiveModel,
)

START = 19_700 * DAY


@cache
def labelled(day: int, days: int, *, incident: bool = False, concept: bool = False) -> pl.DataFrame:
    begin = START + day * DAY
    return LiveModel(3).labelled(begin, begin + days * DAY, incident=incident, concept=concept)


def accuracy(rows: pl.DataFrame) -> float:
    return float(rows.select((pl.col(LABEL) == pl.col("prediction")).mean()).item())


def auc(rows: pl.DataFrame) -> float:
    bad, good = (rows.filter(pl.col(LABEL) == value)["score"] for value in (1, 0))
    return float(stats.mannwhitneyu(bad, good).statistic / (bad.len() * good.len()))


def calibration_error(rows: pl.DataFrame) -> float:
    """Return the expected calibration error over ten equal bins of the score."""
    gap, cell = pl.col(LABEL) - pl.col("score"), (pl.col("score") * 10).floor()
    return float(rows.group_by(cell).agg(gap.sum().abs() / rows.height).get_column(LABEL).sum())


def test_the_labelled_rows_are_the_rows_and_what_came_true() -> None:
    rows = labelled(0, 2)

    assert_frame_equal(rows.drop(LABEL), LiveModel(3).rows(START, START + 2 * DAY))
    assert rows.columns[-1] == LABEL
    assert rows.schema[LABEL] == pl.Int64
    assert set(rows[LABEL]) == {0, 1}


def test_labelled_slices_add_up_and_follow_the_seed() -> None:
    model, cut = LiveModel(3), START + 7 * HOUR
    parts = [model.labelled(a, b, concept=True) for a, b in ((START, cut), (cut, START + DAY))]

    assert_frame_equal(pl.concat(parts), labelled(0, 1, concept=True))
    other = LiveModel(4).labelled(START, START + DAY, concept=True)
    assert not other[LABEL].equals(pl.concat(parts)[LABEL])


@pytest.mark.parametrize("version", VERSIONS)
def test_calm_scores_are_calibrated_and_worth_something(version: str) -> None:
    rows = labelled(0, 30).filter(model_version=version)

    assert calibration_error(rows) < 0.01
    assert auc(rows) > 0.75
    assert accuracy(rows) > 0.7


def test_the_incident_of_the_inputs_costs_neither_calibration_nor_accuracy() -> None:
    hit = labelled(0, 30, incident=True).filter(model_version=SHIFTED_VERSION)

    assert calibration_error(hit) < 0.01
    assert accuracy(hit) >= accuracy(labelled(0, 30).filter(model_version=SHIFTED_VERSION))


def test_the_concept_incident_changes_nothing_but_outcomes() -> None:
    calm, concept = labelled(0, 30), labelled(0, 30, concept=True)

    assert_frame_equal(concept.drop(LABEL), calm.drop(LABEL))
    assert not concept[LABEL].equals(calm[LABEL])


@pytest.mark.parametrize("version", VERSIONS)
def test_the_concept_incident_costs_accuracy_and_calibration(version: str) -> None:
    calm, concept = (labelled(0, 30, concept=c).filter(model_version=version) for c in (False, True))

    assert accuracy(concept) < accuracy(calm) - 0.1
    assert auc(concept) < 0.65
    assert calibration_error(concept) > 0.1


@pytest.mark.parametrize("name", [*NUMERIC, "score"])
def test_numbers_of_other_days_look_the_same_in_the_concept_incident(name: str) -> None:
    calm, concept = labelled(0, 1).head(5000), labelled(10, 1, concept=True).head(5000)

    assert calm.height == concept.height == 5000
    assert stats.ks_2samp(calm[name], concept[name]).pvalue > 0.001


@pytest.mark.parametrize("name", CATEGORICAL)
def test_categories_of_other_days_look_the_same_in_the_concept_incident(name: str) -> None:
    days = (labelled(0, 1), labelled(10, 1, concept=True))
    counts = [day[name].value_counts().sort(name)["count"].to_list() for day in days]

    assert stats.chi2_contingency(counts).pvalue > 0.001


@pytest.mark.parametrize("name", FLIPPED)
def test_what_a_flipped_feature_does_to_the_outcome_changes_its_sign(name: str) -> None:
    calm, concept = (
        stats.spearmanr(rows[name], rows[LABEL]).statistic
        for rows in (labelled(0, 30), labelled(0, 30, concept=True))
    )

    assert abs(calm) > 0.1
    assert calm * concept < 0
    assert abs(calm + concept) < 0.05
