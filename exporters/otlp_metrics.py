"""The exported metrics of the export by OTLP; exporters/catalog.py has all of them."""

from exporters.metric import Metric

OTLP_METRICS: tuple[Metric, ...] = (
    Metric(
        "driftd_otlp_exports_total",
        "counter",
        ("signal", "outcome"),
        "Requests to the collector: sent, or why not.",
        of_process=True,
    ),
    Metric(
        "driftd_otlp_dropped_total",
        "counter",
        ("signal",),
        "Spans, log records and data points that will never come: no room, or refused.",
        of_process=True,
    ),
    Metric("driftd_otlp_pending", "gauge", ("signal",), "Spans and log records that wait to be sent."),
    Metric(
        "driftd_otlp_last_success_timestamp_seconds",
        "gauge",
        ("signal",),
        "When the collector last took a request.",
        "seconds",
    ),
)
