"""Every exported metric: name, kind, labels, help, unit. Prometheus and docs are checked against it."""

from collections.abc import Mapping

from msgspec import Struct

from exporters.alibi_metrics import ALIBI_METRICS
from exporters.class_metrics import CLASS_METRICS
from exporters.heavy_metrics import HEAVY_METRICS
from exporters.metric import GROUP, Metric
from exporters.otlp_metrics import OTLP_METRICS
from exporters.performance_metrics import PERFORMANCE_METRICS
from exporters.process_metrics import PROCESS_METRICS

MONITOR = ("model", "version", "segment", "feature", "detector")
SOURCE = ("model", "source")
SECONDS_BUCKETS = (0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0)


CATALOG: tuple[Metric, ...] = (
    Metric(
        "driftd_drift_score",
        "gauge",
        MONITOR,
        "The detector's statistic in the last closed window; higher is more drift.",
    ),
    Metric("driftd_drift_threshold", "gauge", MONITOR, "The threshold in force for the score."),
    Metric(
        "driftd_drift_quotient",
        "gauge",
        MONITOR,
        "Score divided by threshold: above 1 is a breach, for every detector.",
    ),
    Metric("driftd_drift_pvalue", "gauge", MONITOR, "The p-value, for detectors that are statistical tests."),
    Metric(
        "driftd_drift_state", "gauge", (*MONITOR, "state"), "1 for the monitor's state, 0 for the others."
    ),
    Metric("driftd_drift_episodes_total", "counter", MONITOR, "Entries into firing."),
    Metric(
        "driftd_episodes_open",
        "gauge",
        ("model", "acknowledged"),
        "Episodes that fire; acknowledged: true where somebody said that they look after it, or false.",
    ),
    Metric(
        "driftd_false_alarm_budget_ratio",
        "gauge",
        ("model",),
        "Episodes that began within the budget's time, divided by the number the budget allows. "
        "Above 1 for longer says that something is real; no detector knows which episode is false.",
        "ratio",
    ),
    Metric(
        "driftd_calibration_info",
        "info",
        ("model", "method", "reason"),
        "Where the model's thresholds come from: windows or resample, and why.",
    ),
    Metric(
        "driftd_stream_rows_total",
        "counter",
        ("model",),
        "Rows that streams were fed in judged windows, each stream's counted.",
    ),
    Metric(
        "driftd_stream_left_out_total",
        "counter",
        ("model",),
        "Of these, rows left out: null, NaN or infinite.",
    ),
    *PERFORMANCE_METRICS,
    *CLASS_METRICS,
    *HEAVY_METRICS,
    *ALIBI_METRICS,
    *OTLP_METRICS,
    Metric("driftd_window_rows", "gauge", GROUP, "Rows of the last closed window."),
    Metric("driftd_reference_rows", "gauge", ("model", "segment"), "Rows of the reference."),
    Metric(
        "driftd_last_evaluation_timestamp_seconds",
        "gauge",
        GROUP,
        "End of the last closed window, event time.",
        "seconds",
    ),
    Metric(
        "driftd_features_firing",
        "gauge",
        ("model",),
        "Features with a firing monitor, over versions and segments.",
    ),
    Metric("driftd_features_monitored", "gauge", ("model",), "Features with a monitor."),
    Metric(
        "driftd_events_received_total",
        "counter",
        SOURCE,
        "Rows read: stored + rejected + duplicate + late + dropped.",
    ),
    Metric(
        "driftd_events_stored_total", "counter", SOURCE, "Rows counted in a window, or kept for the join."
    ),
    Metric(
        "driftd_events_rejected_total",
        "counter",
        (*SOURCE, "reason"),
        "Rows that could not be used, kept in state/rejects.",
    ),
    Metric(
        "driftd_events_duplicate_total",
        "counter",
        SOURCE,
        "Rows whose prediction id was stored in a window still open.",
    ),
    Metric(
        "driftd_events_late_total",
        "counter",
        SOURCE,
        "Rows that came after their window or horizon was over.",
    ),
    Metric("driftd_events_dropped_total", "counter", (*SOURCE, "reason"), "Good rows given up, by reason."),
    Metric(
        "driftd_truncations_total", "counter", SOURCE, "Files found truncated (copytruncate) and read anew."
    ),
    Metric(
        "driftd_rejects_unkept_total",
        "counter",
        ("model",),
        "Rejected rows counted but not kept, the rejects folder being full.",
    ),
    Metric("driftd_windows_open", "gauge", ("model",), "Windows that still take rows."),
    Metric("driftd_windows_closed_total", "counter", ("model",), "Windows closed and judged."),
    Metric(
        "driftd_watermark_timestamp_seconds",
        "gauge",
        ("model",),
        "Event time up to which windows are over.",
        "seconds",
    ),
    Metric(
        "driftd_last_row_timestamp_seconds", "gauge", ("model",), "The largest timestamp seen.", "seconds"
    ),
    Metric(
        "driftd_ingest_lag_seconds",
        "gauge",
        ("model",),
        "Wall time minus the largest timestamp seen.",
        "seconds",
    ),
    Metric(
        "driftd_retrain_requests_total",
        "counter",
        ("model", "webhook", "outcome"),
        "Requests sent, delivered, dead, or held back, by outcome.",
    ),
    Metric(
        "driftd_webhook_disabled",
        "gauge",
        ("webhook",),
        "1 while a webhook that answered 410 gets nothing, else 0.",
    ),
    Metric(
        "driftd_registry_up",
        "gauge",
        ("model",),
        "1 when the model's registry answered the last time it was asked, else 0.",
    ),
    Metric("driftd_registry_versions", "gauge", ("model",), "Versions that the model's registry has."),
    Metric(
        "driftd_registry_evidence_total",
        "counter",
        ("model", "outcome"),
        "Evidence attached to versions in the registry (delivered), or given up (dead).",
    ),
    Metric("driftd_outbox_pending", "gauge", (), "Webhooks waiting to be delivered."),
    Metric("driftd_outbox_oldest_age_seconds", "gauge", (), "Age of the oldest waiting webhook.", "seconds"),
    Metric(
        "driftd_outbox_dead_letters",
        "gauge",
        (),
        "Webhooks given up: the last attempt failed, or nobody takes them any more.",
    ),
    Metric("driftd_annotations_pending", "gauge", (), "Episodes that Grafana is still to be told of."),
    Metric("driftd_annotations_dead_letters", "gauge", (), "Annotations given up after the last attempt."),
    Metric(
        "driftd_evaluation_duration_seconds",
        "histogram",
        ("model",),
        "Time to judge the windows of one commit.",
        "seconds",
        of_process=True,
    ),
    Metric(
        "driftd_commit_duration_seconds",
        "histogram",
        (),
        "Time of one commit.",
        "seconds",
        of_process=True,
    ),
    Metric(
        "driftd_resident_memory_bytes", "gauge", (), "Memory that the process holds; on Linux only.", "bytes"
    ),
    *PROCESS_METRICS,
    Metric("driftd_series_active", "gauge", ("model",), "Series exported for the model."),
    Metric("driftd_series_limit", "gauge", ("model",), "The most series exported for the model."),
    Metric(
        "driftd_series_dropped_total",
        "counter",
        ("model",),
        "Series that the limit has left out so far, each counted again when it is left out again.",
    ),
    Metric("driftd_series_left_out", "gauge", ("model",), "Series that the limit leaves out now."),
    Metric(
        "driftd_monitors_left_out",
        "gauge",
        ("model",),
        "Monitors of drift and quality without series of their own: feature _other stands for them.",
    ),
    Metric("driftd_source_problem", "gauge", SOURCE, "1 while a source has a file it cannot read."),
    Metric(
        "driftd_ingest_ok",
        "gauge",
        (),
        "0 while reading waits because a commit or a batch failed; nothing is lost.",
    ),
    Metric(
        "driftd_config_last_reload_successful",
        "gauge",
        (),
        "0 while the configuration's file could not be taken on, so that an older one runs.",
    ),
    Metric(
        "driftd_config_last_reload_success_timestamp_seconds",
        "gauge",
        (),
        "When the running configuration was read.",
        "seconds",
    ),
    Metric(
        "driftd_model_info",
        "info",
        ("model", "version", "reference", "config"),
        "Each version that is watched, and the hashes of the reference and of the model's configuration.",
    ),
    Metric("driftd_build_info", "info", ("version", "python"), "The running program."),
)
BY_NAME: Mapping[str, Metric] = {metric.name: metric for metric in CATALOG}


class Histogram(Struct, frozen=True):
    """Cumulative counts per bucket bound, the sum and the count of what was observed."""

    counts: tuple[int, ...] = (0,) * len(SECONDS_BUCKETS)
    total: float = 0.0
    count: int = 0
    bounds: tuple[float, ...] = SECONDS_BUCKETS

    def observed(self, seconds: float) -> "Histogram":
        """Return it with one more observation."""
        counts = tuple(n + (seconds <= b) for n, b in zip(self.counts, self.bounds, strict=True))
        return Histogram(counts, self.total + seconds, self.count + 1, self.bounds)


class Exemplar(Struct, frozen=True):
    """One thing that a counter counted, by name: (label, value) pairs, 128 characters at most in all.

    seconds: when it happened, since 1970.
    """

    labels: tuple[tuple[str, str], ...]
    seconds: float


class Sample(Struct, frozen=True):
    """One series: a catalogued name, label values in the catalogue's order, a finite value.

    exemplar: of a counter; only OpenMetrics has words for it.
    """

    name: str
    labels: tuple[str, ...]
    value: float | Histogram
    exemplar: Exemplar | None = None
