"""Samples as Prometheus text or OpenMetrics, through prometheus_client with a registry of our own."""

from collections.abc import Iterable, Iterator, Sequence

from prometheus_client import CollectorRegistry
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
)
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.metrics_core import Metric as Family
from prometheus_client.openmetrics.exposition import CONTENT_TYPE_LATEST as OPENMETRICS_TYPE
from prometheus_client.openmetrics.exposition import generate_latest as generate_openmetrics

from exporters.catalog import CATALOG, Histogram, Sample
from exporters.metric import Metric


def render(samples: Sequence[Sample], accept: str = "") -> tuple[bytes, str]:
    """Return the exposition and its content type; OpenMetrics when `accept` asks for it."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Fixed(samples))
    if "application/openmetrics-text" in accept:
        text: bytes = generate_openmetrics(registry)  # type: ignore[no-untyped-call]  # shipped untyped
        return text, OPENMETRICS_TYPE
    return generate_latest(registry), CONTENT_TYPE_LATEST


class _Fixed:
    """A collector over samples that do not change."""

    def __init__(self, samples: Sequence[Sample]) -> None:
        self._samples = samples

    def collect(self) -> Iterator[Family]:
        by_name: dict[str, list[Sample]] = {}
        for sample in self._samples:
            by_name.setdefault(sample.name, []).append(sample)
        for metric in CATALOG:
            if metric.name in by_name:
                yield _family(metric, by_name[metric.name])


def _family(metric: Metric, samples: Iterable[Sample]) -> Family:
    if metric.kind == "histogram":
        return _histogram(metric, samples)
    family: GaugeMetricFamily | CounterMetricFamily
    if metric.kind == "counter":
        family = CounterMetricFamily(metric.name.removesuffix("_total"), metric.help, labels=metric.labels)
    elif metric.kind == "info":
        return _info(metric, samples)
    else:
        family = GaugeMetricFamily(metric.name, metric.help, labels=metric.labels)
    for sample in samples:
        if not isinstance(sample.value, Histogram):
            family.add_metric(sample.labels, sample.value)
    return family


def _info(metric: Metric, samples: Iterable[Sample]) -> Family:
    family = InfoMetricFamily(metric.name.removesuffix("_info"), metric.help, labels=())
    for sample in samples:
        family.add_metric((), dict(zip(metric.labels, sample.labels, strict=True)))
    return family


def _histogram(metric: Metric, samples: Iterable[Sample]) -> Family:
    family = HistogramMetricFamily(metric.name, metric.help, labels=metric.labels)
    for sample in samples:
        if isinstance(sample.value, Histogram):
            bounds = [*(str(b) for b in sample.value.bounds), "+Inf"]
            buckets = list(zip(bounds, (*sample.value.counts, sample.value.count), strict=True))
            family.add_metric(sample.labels, buckets=buckets, sum_value=sample.value.total)
    return family
