"""OTLP says what Prometheus is told: the same names, labels and numbers, however many they are."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from prometheus_client.parser import text_string_to_metric_families

from exporters.catalog import BY_NAME, CATALOG, Exemplar, Histogram, Sample
from exporters.otlp.identity import Identity
from exporters.otlp.metrics import CUMULATIVE, REQUEST_BYTES, Times, requests
from exporters.prometheus import render
from tests.collectors import attributes

ME = Identity("driftd", "1.2", "abc")
TIMES = Times(now=5_000, state=1_000, process=2_000)
Series = dict[tuple[str, frozenset[tuple[str, str]]], float]
UNIT_WORDS = {"s": "seconds", "By": "bytes", "1": ""}
"""The units in use, as the mapping from OTLP to Prometheus spells them."""


def many(labels_of_each: int = 1_500) -> list[Sample]:
    """Return samples of every metric there is, of some of them very many, with odd names in the labels."""
    found: list[Sample] = []
    for metric in CATALOG:
        wide = metric.name in {"driftd_drift_score", "driftd_drift_state", "driftd_drift_episodes_total"}
        for i in range(labels_of_each if wide or (metric.kind == "histogram" and metric.labels) else 2):
            labels = tuple(f'{label} "{i}"\n\\é' for label in metric.labels)
            if not labels and i:
                continue
            value: float | Histogram = i + 0.1
            if metric.kind == "histogram":
                value = Histogram().observed(0.0003 * i).observed(2.0).observed(1e9)
            found.append(Sample(metric.name, labels, 1 if metric.kind == "info" else value))
    return found


def as_prometheus_has_it(samples: list[Sample]) -> Series:
    families = text_string_to_metric_families(render(samples)[0].decode())
    return {(s.name, frozenset(s.labels.items())): s.value for f in families for s in f.samples}


def sent(samples: list[Sample]) -> list[Any]:
    found = [ExportMetricsServiceRequest.FromString(body) for body, _ in requests(samples, TIMES, ME)]
    return [m for r in found for m in r.resource_metrics[0].scope_metrics[0].metrics]


def mapped_name(metric: Any, *, suffixes: bool) -> str:  # noqa: ANN401 - protobuf
    """Name a metric as the OTLP compatibility specification says, written down anew from its words."""
    words = [word for word in re.split(r"[^A-Za-z0-9:]+", metric.name) if word]
    if not suffixes:
        return "_".join(words)
    unit = UNIT_WORDS.get(metric.unit, re.sub(r"\{.*\}", "", metric.unit))
    if unit and unit not in words:
        words.append(unit)
    kind = metric.WhichOneof("data")
    if kind == "sum" and metric.sum.is_monotonic:
        words = [*(w for w in words if w != "total"), "total"]
    if kind == "gauge" and metric.unit == "1":
        words = [*(w for w in words if w != "ratio"), "ratio"]
    return "_".join(words)


def mapped(metrics: list[Any], *, suffixes: bool) -> Series:
    found: Series = {}
    for metric in metrics:
        name = mapped_name(metric, suffixes=suffixes)
        for point in getattr(metric, metric.WhichOneof("data")).data_points:
            labels = attributes(point)
            if metric.WhichOneof("data") != "histogram":
                found[name, frozenset(labels.items())] = point.as_double
                continue
            found |= dict(mapped_histogram(name, labels, point))
    return found


def mapped_histogram(
    name: str,
    labels: Mapping[str, str],
    point: Any,  # noqa: ANN401 - protobuf
) -> Iterator[tuple[tuple[str, frozenset[tuple[str, str]]], float]]:
    upto = 0
    for bound, count in zip([*map(str, point.explicit_bounds), "+Inf"], point.bucket_counts, strict=True):
        upto += count
        yield (f"{name}_bucket", frozenset({**labels, "le": bound}.items())), float(upto)
    yield (f"{name}_sum", frozenset(labels.items())), point.sum
    yield (f"{name}_count", frozenset(labels.items())), float(point.count)


@pytest.mark.parametrize("suffixes", [True, False])
def test_both_ways_say_the_same_sample_by_sample(suffixes: bool) -> None:  # noqa: FBT001 - a case
    samples = many()
    expected = as_prometheus_has_it(samples)
    found = mapped(sent(samples), suffixes=suffixes)

    assert len(expected) > 6_000
    assert found == expected


def test_no_metric_of_more_than_2000_series_loses_any() -> None:
    samples = many(3_000)
    names = [s.name for s in samples]
    points = sum(count for _, count in requests(samples, TIMES, ME))

    assert max(names.count(name) for name in set(names)) == 3_000
    assert points == len(samples)
    assert mapped(sent(samples), suffixes=True) == as_prometheus_has_it(samples)


def test_requests_are_of_a_size_that_every_receiver_takes() -> None:
    bodies = [body for body, _ in requests(many(9_000), TIMES, ME)]

    assert len(bodies) > 3
    assert max(map(len, bodies)) < REQUEST_BYTES * 1.1


def test_a_point_larger_than_a_request_goes_alone() -> None:
    samples = [Sample("driftd_features_firing", (name,), 1) for name in ("a", "b" * 2 * REQUEST_BYTES, "c")]

    assert [count for _, count in requests(samples, TIMES, ME)] == [1, 1, 1]
    assert len(mapped(sent(samples), suffixes=True)) == 3


def test_nothing_to_say_is_no_request() -> None:
    assert list(requests([], TIMES, ME)) == []


def test_counters_are_monotonic_and_cumulative_since_their_start() -> None:
    for metric in sent(many(3)):
        told = BY_NAME[metric.name]
        kind = metric.WhichOneof("data")
        assert kind == {"counter": "sum", "histogram": "histogram"}.get(told.kind, "gauge")
        since = 0 if kind == "gauge" else TIMES.process if told.of_process else TIMES.state
        points = getattr(metric, kind).data_points
        assert {(p.start_time_unix_nano, p.time_unix_nano) for p in points} == {(since, TIMES.now)}
        if kind != "gauge":
            assert getattr(metric, kind).aggregation_temporality == CUMULATIVE
        if kind == "sum":
            assert metric.sum.is_monotonic


def test_each_metric_carries_its_help_and_a_unit() -> None:
    for metric in sent(many(1)):
        assert metric.description == BY_NAME[metric.name].help
        assert metric.unit in UNIT_WORDS or re.fullmatch(r"\{[a-z]+\}", metric.unit)


def test_an_exemplar_names_the_episode_and_the_trace_in_which_it_began() -> None:
    trace = "0af7651916cd43dd8448eb211c80319c"
    seen = Exemplar((("episode_id", "ep_1"), ("trace_id", trace)), 12.5)
    labels = tuple("abcde")
    [metric] = sent([Sample("driftd_drift_episodes_total", labels, 3.0, seen)])
    [found] = metric.sum.data_points[0].exemplars

    assert attributes_of(found) == {"episode_id": "ep_1"}
    assert (found.trace_id.hex(), found.time_unix_nano, found.as_double) == (trace, 12_500_000_000, 1.0)


def attributes_of(exemplar: Any) -> dict[str, str]:  # noqa: ANN401 - protobuf
    return {pair.key: pair.value.string_value for pair in exemplar.filtered_attributes}


def test_the_resource_is_the_program_and_nothing_about_the_machine() -> None:
    [(body, _)] = requests(many(1), TIMES, ME)
    [resource] = ExportMetricsServiceRequest.FromString(body).resource_metrics

    expected = {"service.name": "driftd", "service.version": "1.2", "service.instance.id": "abc"}
    assert attributes(resource.resource) == expected
