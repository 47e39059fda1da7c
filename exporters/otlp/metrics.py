"""Samples as OTLP metrics: the very snapshot that Prometheus is shown, under the very names.

The SDK's instruments are not used: they would keep a second copy of every series, and leave out the series
beyond 2,000 of a metric without a word. A snapshot is written down as it is.

Names keep Prometheus' suffixes. Who maps OTLP to Prometheus adds `_total`, `_seconds`, `_bytes` and `_ratio`
only where they are missing, so the names agree whether or not the mapping adds any.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import pairwise

from msgspec import Struct
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, InstrumentationScope, KeyValue
from opentelemetry.proto.metrics.v1 import metrics_pb2 as pb
from opentelemetry.proto.resource.v1.resource_pb2 import Resource

from exporters.catalog import CATALOG, Exemplar, Histogram, Sample
from exporters.metric import Metric
from exporters.otlp.identity import SCOPE, Identity

REQUEST_BYTES = 2**20
"""About the size of a request before compression; a gRPC receiver takes 4 MiB unless told otherwise."""
UNITS: Mapping[str, str] = {"seconds": "s", "bytes": "By", "ratio": "1"}
CUMULATIVE = pb.AggregationTemporality.AGGREGATION_TEMPORALITY_CUMULATIVE
Point = pb.NumberDataPoint | pb.HistogramDataPoint


class Times(Struct, frozen=True):
    """Nanoseconds since 1970 UTC: of the snapshot, and from when on counters count.

    state: of counters that are committed and outlive the process. process: of those that begin with it.
    """

    now: int
    state: int
    process: int


def unit(metric: Metric) -> str:
    """Return the unit in UCUM's letters; a plain number has none, and its last word stands in braces.

    >>> unit(Metric("driftd_drift_score", "gauge", (), ""))
    '{score}'
    >>> unit(Metric("driftd_ingest_lag_seconds", "gauge", (), "", "seconds"))
    's'
    """
    word = metric.name.removesuffix("_total").rpartition("_")[2]
    return UNITS.get(metric.unit, "{" + word + "}")


def requests(samples: Iterable[Sample], times: Times, identity: Identity) -> Iterator[tuple[bytes, int]]:
    """Yield requests with the samples, each with its number of data points; none of them very long."""
    by_name: dict[str, list[Sample]] = {}
    for sample in samples:
        by_name.setdefault(sample.name, []).append(sample)
    request, size, count, pairs = _empty(identity), 0, 0, _Pairs()
    for metric in CATALOG:
        points: list[Point] = []
        for sample in by_name.get(metric.name, ()):
            point = _point(metric, sample, times, pairs)
            length = point.ByteSize()
            if size and size + length > REQUEST_BYTES:
                _add(request, metric, points)
                yield request.SerializeToString(), count
                request, size, count, points = _empty(identity), 0, 0, []
            points.append(point)
            size, count = size + length, count + 1
        _add(request, metric, points)
    if count:
        yield request.SerializeToString(), count


def _empty(identity: Identity) -> ExportMetricsServiceRequest:
    resource = Resource(attributes=[_Pairs()[pair] for pair in identity.attributes.items()])
    scope = pb.ScopeMetrics(scope=InstrumentationScope(name=SCOPE, version=identity.version))
    return ExportMetricsServiceRequest(
        resource_metrics=[pb.ResourceMetrics(resource=resource, scope_metrics=[scope])]
    )


def _add(request: ExportMetricsServiceRequest, metric: Metric, points: Sequence[Point]) -> None:
    if not points:
        return
    told = pb.Metric(name=metric.name, description=metric.help, unit=unit(metric))
    if metric.kind == "histogram":
        told.histogram.aggregation_temporality = CUMULATIVE
        told.histogram.data_points.extend(p for p in points if isinstance(p, pb.HistogramDataPoint))
    else:
        numbers = [p for p in points if isinstance(p, pb.NumberDataPoint)]
        if metric.kind == "counter":
            told.sum.aggregation_temporality = CUMULATIVE
            told.sum.is_monotonic = True
            told.sum.data_points.extend(numbers)
        else:
            told.gauge.data_points.extend(numbers)
    request.resource_metrics[0].scope_metrics[0].metrics.append(told)


def _point(metric: Metric, sample: Sample, times: Times, pairs: "_Pairs") -> Point:
    attributes = [pairs[pair] for pair in zip(metric.labels, sample.labels, strict=True)]
    since = times.process if metric.of_process else times.state
    value = sample.value
    if isinstance(value, Histogram):
        return pb.HistogramDataPoint(
            attributes=attributes,
            start_time_unix_nano=since,
            time_unix_nano=times.now,
            count=value.count,
            sum=value.total,
            bucket_counts=_each(value),
            explicit_bounds=value.bounds,
        )
    start = since if metric.kind == "counter" else 0
    return pb.NumberDataPoint(
        attributes=attributes,
        start_time_unix_nano=start,
        time_unix_nano=times.now,
        as_double=value,
        exemplars=[_exemplar(sample.exemplar)] if sample.exemplar is not None else (),
    )


def _exemplar(found: Exemplar) -> pb.Exemplar:
    """Return one thing that was counted; a trace's id has a field of its own."""
    pairs = _Pairs()
    return pb.Exemplar(
        time_unix_nano=int(found.seconds * 10**9),
        as_double=1.0,
        trace_id=bytes.fromhex(dict(found.labels).get("trace_id", "")),
        filtered_attributes=[pairs[pair] for pair in found.labels if pair[0] != "trace_id"],
    )


def _each(histogram: Histogram) -> list[int]:
    """Return the counts of each bucket alone, the last one without an upper bound."""
    upto = (0, *histogram.counts, histogram.count)
    return [after - before for before, after in pairwise(upto)]


class _Pairs(dict[tuple[str, str], KeyValue]):
    """Attributes by name and value, each made once: series are many, the values of their labels are few."""

    def __missing__(self, pair: tuple[str, str]) -> KeyValue:
        name, value = pair
        self[pair] = made = KeyValue(key=name, value=AnyValue(string_value=value))
        return made
