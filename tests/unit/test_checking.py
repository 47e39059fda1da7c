"""`driftd check` says what will be judged, against what; `driftd detectors` lists what may be named."""

import re
import tomllib
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from detectors.performance import METRICS
from monitor.checking import describe, detector_lines
from monitor.config import Config, examine
from monitor.core.judging import detector_names
from tests.native import NATIVE

ROWS = 2_000
BASE = """
[[models]]
name = "m"
task = "binary"
label_horizon = "20d"
columns = { prediction_id = "i", prediction = "y", score = "p", label = "l", groups = ["sex"], version = "v" }
reference = { path = "reference.parquet" }
sources = [
  { role = "predictions", type = "files", path = "p.jsonl" },
  { role = "outcomes", type = "files", path = "o.jsonl" },
]
"""
FIRST = 'reference = { first = "30d" }\nfeatures = { numeric = ["x"] }'


def reference(folder: Path, *, labelled: bool = True) -> None:
    rng = np.random.default_rng(1)
    score = rng.random(ROWS)
    frame = pl.DataFrame(
        {"x": rng.normal(size=ROWS), "sex": ["F", "M"] * (ROWS // 2), "p": score, "y": (score >= 0.5) * 1}
    )
    if labelled:
        frame = frame.with_columns(l=pl.Series((rng.random(ROWS) < score) * 1))
    frame.write_parquet(folder / "reference.parquet")


def said(folder: Path, text: str) -> list[str]:
    config = examine(tomllib.loads(text), folder)
    assert isinstance(config, Config)
    return [line.strip() for line in describe(config).splitlines()]


def performance(lines: list[str]) -> list[str]:
    return [line.removeprefix("performance: ") for line in lines if line.startswith("performance: ")]


def test_the_kernels_are_told(tmp_path: Path, kernels: str) -> None:
    reference(tmp_path)
    without = "NumPy: the environment says DRIFTD_NATIVE=off"

    assert said(tmp_path, BASE)[-2] == f"kernels: {kernels if kernels == NATIVE else without}"


def test_the_join_is_told(tmp_path: Path) -> None:
    reference(tmp_path)
    lines = said(tmp_path, BASE)

    assert "outcomes: joined within 20d; of two that differ the last counts" in lines
    assert "judged: once 90% of a window's outcomes are known, or 20d after it" in lines


def test_each_metric_is_told_with_reference_and_tolerance(tmp_path: Path) -> None:
    reference(tmp_path)
    frame = pl.read_parquet(tmp_path / "reference.parquet")
    accuracy = float((frame["y"] == frame["l"]).mean())  # type: ignore[arg-type]  # of a bool column a float

    lines = performance(said(tmp_path, BASE + "performance = { tolerance = 0.05 }"))

    bound = f"its whole interval is below {accuracy - 0.05:.4g} (reference {accuracy:.4g} and tolerance 0.05)"
    assert lines[:2] == [f"accuracy fires when {bound}", f"estimated_accuracy fires when {bound}"]
    assert [line.split(" ")[0] for line in lines[2:]] == ["roc_auc", "estimated_roc_auc"]


def test_a_threshold_of_the_user_is_told(tmp_path: Path) -> None:
    reference(tmp_path)
    lines = performance(said(tmp_path, BASE + '[[models.monitors]]\ndetector = "brier"\nthreshold = 0.2'))

    assert len(lines) == 1
    assert lines[0].startswith("brier fires when its whole interval is above 0.2 (threshold; reference 0.")


def test_a_reference_without_outcomes_judges_nothing(tmp_path: Path) -> None:
    reference(tmp_path, labelled=False)

    assert [line.split(":")[0] for line in performance(said(tmp_path, BASE))] == [
        "accuracy is NOT JUDGED",
        "roc_auc is NOT JUDGED",
    ]


def test_an_estimate_that_was_asked_for_and_has_nothing_to_learn_from_is_told(tmp_path: Path) -> None:
    reference(tmp_path, labelled=False)
    lines = performance(said(tmp_path, BASE + '[[models.monitors]]\ndetector = "estimated_accuracy"'))

    assert lines == ["estimated_accuracy is NOT JUDGED: the reference has no outcomes"]


def test_monitors_without_a_metric_leave_performance_unjudged(tmp_path: Path) -> None:
    reference(tmp_path)
    lines = performance(said(tmp_path, BASE + '[[models.monitors]]\ndetector = "psi"'))

    assert lines == ["measured and not judged: no [[models.monitors]] names a metric of this task"]


def test_estimates_need_no_outcome_log(tmp_path: Path) -> None:
    reference(tmp_path)
    lines = performance(
        said(tmp_path, BASE.replace('  { role = "outcomes", type = "files", path = "o.jsonl" },\n', ""))
    )

    assert [line.split(" ")[0] for line in lines] == ["estimated_accuracy", "estimated_roc_auc"]


def test_groups_and_versions_are_told(tmp_path: Path) -> None:
    reference(tmp_path)
    lines = said(tmp_path, BASE + 'compare = { champion = "1", challenger = "2" }')

    assert "groups sex: rates compared, on 50 rows of a group or more" in lines
    assert "compared: 2 with 1, wrong in 5.0% at most" in lines


@pytest.mark.parametrize(
    ("change", "to", "why"),
    [
        ('  { role = "outcomes", type = "files", path = "o.jsonl" },\n', "", "no outcomes are read"),
        ('reference = { path = "reference.parquet" }', FIRST, "the reference is no file"),
    ],
)
def test_groups_that_cannot_be_compared_are_told(tmp_path: Path, change: str, to: str, why: str) -> None:
    reference(tmp_path)

    assert f"groups sex: not compared, since {why}" in said(tmp_path, BASE.replace(change, to))


def test_groups_of_other_tasks_are_told(tmp_path: Path) -> None:
    reference(tmp_path)
    text = BASE.replace('"binary"', '"regression"').replace('score = "p", ', "")

    assert (
        "groups sex: metrics of each, but no rates compared: these are for binary tasks, not regression"
        in said(tmp_path, text)
    )


def test_series_beyond_the_limit_are_told_with_those_of_performance(tmp_path: Path) -> None:
    reference(tmp_path)
    lines = said(tmp_path, BASE + "series_limit = 100")

    (line,) = [one for one in lines if " series per version" in one]
    found = re.fullmatch(
        r"about ([\d,]+) series per version \((\d+) of drift and quality, (\d+) of performance\): "
        "more than series_limit = 100",
        line,
    )
    assert found is not None
    assert int(found[1].replace(",", "")) == int(found[2]) + int(found[3])
    assert int(found[3]) > 100


def test_series_within_the_limit_are_not_told(tmp_path: Path) -> None:
    reference(tmp_path)
    assert [one for one in said(tmp_path, BASE) if " series per version" in one] == []


def test_without_outcomes_no_series_of_performance_are_expected(tmp_path: Path) -> None:
    reference(tmp_path, labelled=False)
    text = BASE.replace('  { role = "outcomes", type = "files", path = "o.jsonl" },\n', "")
    (line,) = [one for one in said(tmp_path, text + "series_limit = 100") if " series per version" in one]

    assert "quality, 0 of performance" in line


def test_every_detector_is_listed() -> None:
    listed = {line.split()[0] for line in detector_lines()}
    bare = {name.split("<")[0].rstrip(":@") for name in listed}

    assert detector_names() <= bare
    assert all(len(line.split()) > 1 for line in detector_lines())


def test_a_metric_is_listed_with_its_tasks() -> None:
    listed = {
        line.split()[0]: line.split(maxsplit=2)[2] for line in detector_lines() if "performance" in line
    }

    assert {name.split("<")[0].rstrip(":@") for name in listed} == METRICS
    assert (listed["recall"], listed["recall:<class>"], listed["recall@<k>"]) == (
        "binary",
        "multiclass",
        "ranking",
    )


def timed(folder: Path, days: int) -> None:
    rows = pl.read_parquet(folder / "reference.parquet")
    stamps = pl.datetime(2026, 1, 1) + pl.duration(minutes=pl.int_range(ROWS) * days * 1440 // ROWS)
    rows.with_columns(timestamp=stamps).write_parquet(folder / "reference.parquet")


def test_where_thresholds_come_from_is_told(tmp_path: Path) -> None:
    reference(tmp_path)
    timed(tmp_path, 40)
    lines = said(tmp_path, BASE.replace("[[models]]", '[[models]]\nwindow = "1d"'))

    assert any(line.startswith("thresholds: from 40 windows of the reference") for line in lines)
    assert "monitor: shift on 3 features" in lines


EVIDENCE = '[[models.monitors]]\ndetector = "evidence"\n[[models.monitors]]\ndetector = "shift"\n'


@pytest.mark.parametrize(
    ("days", "outcome", "told"),
    [
        (60, "60 windows are too few to show whether they depend", "evidence: NOT GATHERED"),
        (120, "the reference's windows show no dependence: largest", "evidence: gathered in 1 of 1 groups"),
    ],
)
def test_whether_evidence_can_be_gathered_is_told(tmp_path: Path, days: int, outcome: str, told: str) -> None:
    reference(tmp_path)
    timed(tmp_path, days)
    lines = said(tmp_path, BASE.replace("[[models]]", '[[models]]\nwindow = "1d"') + EVIDENCE)

    assert any(line.startswith("thresholds: from") and f"; {outcome}" in line for line in lines)
    assert any(line.startswith(told) for line in lines)
    assert any(line.endswith("one false finding in 150 windows") for line in lines) is (days > 100)


def test_a_budget_that_cannot_be_met_is_told_with_what_would_be_enough(tmp_path: Path) -> None:
    reference(tmp_path)
    timed(tmp_path, 20)
    lines = said(tmp_path, BASE.replace("[[models]]", '[[models]]\nwindow = "1d"'))

    enough = "the reference spans 20 windows on 20 days, and 30 windows on 7 days are needed"
    assert f"thresholds: by resampling rows, as if they were independent: {enough}" in lines
    assert any(line.startswith("THE BUDGET 1 per 30d HOLDS ONLY IF") for line in lines)


def test_monitors_with_a_threshold_of_their_own_are_told_apart(tmp_path: Path) -> None:
    reference(tmp_path)
    own = '[[models.monitors]]\ndetector = "psi"\nthreshold = 0.2\n[[models.monitors]]\ndetector = "ks"\n'
    lines = said(tmp_path, BASE + own)

    (budget,) = (line for line in lines if line.startswith("budget "))
    assert budget.endswith("; 1 of them with thresholds of their own spend nothing")


def test_a_shift_that_cannot_be_judged_is_told(tmp_path: Path) -> None:
    reference(tmp_path)
    lines = said(tmp_path, BASE + '[[models.monitors]]\ndetector = "shift"\n')

    assert "shift is NOT JUDGED: only the reference's own windows can tell" in lines


@pytest.mark.parametrize(("first", "enough"), [("5d", False), ("30d", True)])
def test_a_first_part_that_is_too_short_is_told(tmp_path: Path, first: str, *, enough: bool) -> None:
    text = BASE.replace('reference = { path = "reference.parquet" }', FIRST.replace("30d", first))
    lines = said(tmp_path, text.replace("[[models]]", '[[models]]\nwindow = "1h"'))

    assert any("30 windows on 7 days are needed" in line for line in lines) is not enough
