"""Confusion, reliability and bounds as they are shown: in /metrics, in status and in the history."""

from collections.abc import Mapping
from typing import Any

import pytest
from msgspec.structs import replace

from exporters.catalog import Histogram
from exporters.prometheus import render
from exporters.rows import series
from monitor.core.labels import SeriesKey
from monitor.core.plan import Plan
from monitor.core.state import ModelState
from monitor.facts import model_samples
from monitor.performance_facts import performance_blocks
from monitor.performance_history import performance_history
from monitor.performance_status import performance_status
from tests.performances import HISTORY, JUDGED, MADE, STATE, binary, with_labels

PLAN = Plan.of(MADE)
DETAIL: Mapping[str, Any] = {
    "confusion": {"classes": ["0", "1", "_other"], "rows": [[50, 4, 1], [6, 39, 0], [0, 0, 0]]},
    "reliability": [[0.0, 0.5, 55, 0.2, 0.1], [0.5, 1.0, 0, None, None]],
    "bounds": {"roc_auc": 0.002, "average_precision": None},
}
WHOLE = SeriesKey("v1", "all", "realized")


def detailed(detail: Mapping[str, Any] = DETAIL) -> ModelState:
    """Return the state whose newest judged window of all rows has tables."""
    windows = HISTORY[WHOLE]
    newest = replace(windows[JUDGED], detail=detail)
    return with_labels(history={**HISTORY, WHOLE: {**windows, JUDGED: newest}})


def exported(name: str, state: ModelState | None = None, limit: int = 5000) -> dict[tuple[str, ...], float]:
    """Return the values of one metric by its labels, without the model's."""
    samples = model_samples(Plan.of(binary(series_limit=limit)), state or detailed())
    return {s.labels[1:]: s.value for s in samples if s.name == name and not isinstance(s.value, Histogram)}


def square(size: int, name: str = "c{}") -> dict[str, Any]:
    classes = [*(name.format(i) for i in range(size)), "_other"]
    return {"confusion": {"classes": classes, "rows": [[1] * (size + 1)] * (size + 1)}}


def test_the_bound_of_an_area_is_exported_where_there_is_one() -> None:
    assert exported("driftd_performance_bound") == {("v1", "all", "roc_auc", "realized"): 0.002}


def test_the_rows_of_each_true_and_predicted_class_are_exported() -> None:
    assert exported("driftd_confusion_rows") == {
        ("v1", "0", "0"): 50,
        ("v1", "0", "1"): 4,
        ("v1", "0", "_other"): 1,
        ("v1", "1", "0"): 6,
        ("v1", "1", "1"): 39,
        ("v1", "1", "_other"): 0,
    }


@pytest.mark.parametrize(("classes", "count"), [(10, 110), (11, 0)])
def test_the_confusion_of_many_classes_is_left_out(classes: int, count: int) -> None:
    assert len(exported("driftd_confusion_rows", detailed(square(classes)))) == count


def test_a_class_called_other_is_one_series_with_the_others() -> None:
    found = exported("driftd_confusion_rows", detailed(square(2, name="_other")))
    assert found == {("v1", "_other", "_other"): 6}


def test_a_window_without_tables_has_no_such_series() -> None:
    assert exported("driftd_performance_bound", STATE) == exported("driftd_confusion_rows", STATE) == {}


def test_prometheus_takes_the_series() -> None:
    text = render(model_samples(PLAN, detailed()))[0].decode()
    assert 'driftd_confusion_rows{model="m",predicted="1",true="0",version="v1"} 4.0' in text


def test_tables_come_after_the_metrics_of_all_rows_and_before_segments() -> None:
    names = [(s.name, s.labels[2]) for b in performance_blocks(PLAN, detailed()) for s in b.samples]
    places = [i for i, (name, _) in enumerate(names) if name.endswith(("_bound", "confusion_rows"))]
    values = [(i, at) for i, (name, at) in enumerate(names) if name == "driftd_performance_value"]

    assert max(i for i, at in values if at == "all") < min(places)
    assert max(places) < min(i for i, at in values if at != "all")


@pytest.mark.parametrize("limit", [100, 150, 250])
def test_tables_stay_within_the_limit(limit: int) -> None:
    samples = model_samples(Plan.of(binary(series_limit=limit)), detailed(square(10)))
    assert series(samples) <= limit


def test_status_has_the_tables_of_the_realised_window_alone() -> None:
    (one,) = [v for v in performance_status(PLAN, detailed())["versions"] if v["version"] == "v1"]
    assert (one["realized"]["detail"], one["estimated"]["detail"]) == (DETAIL, {})


def test_the_history_has_the_tables_of_each_window_that_has_any() -> None:
    (model,) = performance_history([PLAN], {"m": detailed()})["models"]
    assert [w["detail"] for w in model["windows"] if w["version"] == "v1"] == [{}, DETAIL, {}]
