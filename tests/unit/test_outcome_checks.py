"""The rules between outcomes, metrics and the task; what each refuses stands in bad_configs."""

import itertools
from pathlib import Path

import numpy as np
import pytest

from detectors.direct_loss import estimate_regression
from detectors.estimation import estimate
from detectors.measure import Better
from detectors.performance import DEFAULTS
from detectors.score_calibration import fit
from monitor.config import Columns, Model, Monitor, Performance, Reference, Retrain, Source
from monitor.core.outcomes import Vocabulary
from monitor.core.standard import Standard, measure_of
from monitor.fields import Task
from monitor.outcome_checks import estimable, judgeable, outcomes, performance_monitor

TABLE: dict[str, str] = {"a": "p_a", "b": "p_b", "c": "p_c"}
COLUMNS = {
    "binary": Columns(prediction_id="id", prediction="y", score="p", label="l"),
    "multiclass": Columns(prediction_id="id", prediction="y", score=TABLE, label="l"),
    "regression": Columns(prediction_id="id", prediction="y", label="l"),
    "ranking": Columns(prediction_id="id", score="p", label="l", query="q"),
}
TASKS: tuple[Task, ...] = ("binary", "multiclass", "regression", "ranking")
SOURCES = tuple(
    Source(role=role, type="files", path=f"/logs/{role}.jsonl") for role in ("predictions", "outcomes")
)


def model_of(task: Task, performance: Performance | None = None, *detectors: str) -> Model:
    return Model(
        name="m",
        task=task,
        columns=COLUMNS[task],
        reference=Reference(path=Path("/reference.parquet")),
        sources=SOURCES,
        performance=performance or Performance(),
        monitors=tuple(Monitor(detector=name) for name in detectors),
    )


def says(model: Model) -> list[str]:
    """Return the complaints about the model's outcomes and its monitors."""
    found = list(outcomes(model, ("m",)))
    for i, monitor in enumerate(model.monitors):
        found += performance_monitor(model, monitor, ("m",), ("m", "monitors", i))
    return [complaint.says for complaint in found]


@pytest.mark.parametrize("task", TASKS)
def test_a_model_that_has_all_it_needs_is_not_complained_of(task: Task) -> None:
    assert says(model_of(task)) == []


@pytest.mark.parametrize("task", TASKS)
def test_every_metric_that_a_task_has_may_be_judged(task: Task) -> None:
    names = judgeable(model_of(task))

    assert names
    assert says(model_of(task, None, *names)) == []


@pytest.mark.parametrize("task", TASKS)
def test_the_default_metrics_exist(task: Task) -> None:
    assert set(DEFAULTS[task]) <= set(judgeable(model_of(task)))


@pytest.mark.parametrize("task", TASKS)
def test_every_metric_that_can_be_estimated_may_be_judged_so(task: Task) -> None:
    model = model_of(task)
    names = [f"estimated_{name}" for name in estimable(model, judgeable(model))]

    assert says(model_of(task, None, *names)) == []


@pytest.mark.parametrize(("task", "classes"), [("binary", 1), ("multiclass", 3)])
def test_what_can_be_estimated_of_classes_is_what_the_estimate_gives(task: Task, classes: int) -> None:
    rng = np.random.default_rng(3)
    labelled = rng.integers(1, 5, (classes, 2, 2, 1000)).astype(np.float64)
    found = estimate(fit(labelled), labelled.sum(axis=1), 0.05, tuple(TABLE) if classes > 1 else ())
    model = model_of(task)
    better = measure_of(model, Vocabulary.of(model), Standard(0)).better

    assert set(estimable(model, judgeable(model))) == {n for n in found if better[n] is not Better.NEITHER}


def test_what_can_be_estimated_of_a_regression_is_what_the_estimate_gives() -> None:
    model = model_of("regression")

    found = estimate_regression(np.ones((200, 2)), 0.05, 3.0, 1000)
    assert set(estimable(model, judgeable(model))) == set(found)


def test_nothing_can_be_judged_while_the_classes_are_wrong() -> None:
    assert judgeable(model_of("binary", Performance(classes=("a", "a")))) == ()


def test_nothing_can_be_judged_without_a_task() -> None:
    assert judgeable(model_of("binary").model_copy(update={"task": "none"})) == ()


def test_a_metric_follows_the_configured_cutoffs() -> None:
    assert says(model_of("ranking", Performance(k=(5,)), "ndcg@5")) == []
    assert says(model_of("regression", Performance(quantiles=(0.9,)), "pinball:0.9")) == []


def test_another_cutoff_is_said_by_its_name() -> None:
    (said,) = says(model_of("regression", None, "pinball:0.9"))

    assert said == '"pinball:0.9" needs 0.9 in performance.quantiles; add it'


def test_one_row_may_hold_both_and_then_needs_no_id() -> None:
    model = model_of("binary").model_copy(
        update={
            "sources": (Source(role="both", type="files", path="/logs/*.jsonl"),),
            "columns": Columns(prediction="y", score="p", label="l"),
        }
    )

    assert says(model) == []


def test_a_retraining_may_wait_for_performance_that_comes() -> None:
    wish = Retrain(webhook="w", when=("performance", "estimated_performance"))

    assert says(model_of("binary").model_copy(update={"retrain": (wish,)})) == []


def test_an_estimate_needs_scores_of_classes() -> None:
    columns = COLUMNS["binary"].model_copy(update={"score": ""})
    model = model_of("binary", None, "estimated_accuracy").model_copy(update={"columns": columns})

    assert says(model) == ['"estimated_accuracy" needs columns.score; add it']


@pytest.mark.parametrize(("one", "other"), list(itertools.permutations(TASKS, 2)))
def test_a_metric_of_another_task_only_is_refused(one: Task, other: Task) -> None:
    foreign = set(judgeable(model_of(one))) - set(judgeable(model_of(other)))

    assert len(says(model_of(other, None, *sorted(foreign)))) == len(foreign)
