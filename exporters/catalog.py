"""Every exported metric: name, kind, labels, help, unit. Prometheus and docs are checked against it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

Kind = Literal["gauge", "counter", "histogram", "info"]
MONITOR = ("model", "version", "segment", "feature", "detector")
GROUP = ("model", "version", "segment")
SOURCE = ("model", "source")
PERFORMANCE = (*GROUP, "metric", "basis")
FAIRNESS = ("model", "version", "metric", "group")
COMPARE = ("model", "champion", "challenger")
SECONDS_BUCKETS = (0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0)


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric. unit: base unit, or "" for a plain number; counters are named with _total."""

    name: str
    kind: Kind
    labels: tuple[str, ...]
    help: str
    unit: str = ""


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
        "driftd_performance_value",
        "gauge",
        PERFORMANCE,
        "The metric in the newest window judged (realized) or closed (estimated).",
    ),
    Metric("driftd_performance_lower", "gauge", PERFORMANCE, "The lower end of the value's interval."),
    Metric("driftd_performance_upper", "gauge", PERFORMANCE, "The upper end of the value's interval."),
    Metric(
        "driftd_performance_bound",
        "gauge",
        PERFORMANCE,
        "How far the histogram's value can be from the rows' own; areas under curves only.",
    ),
    Metric(
        "driftd_performance_threshold",
        "gauge",
        PERFORMANCE,
        "What the whole interval must be beyond, on the side that does harm, for a breach.",
    ),
    Metric(
        "driftd_performance_quotient",
        "gauge",
        PERFORMANCE,
        "How far the interval is from the reference, divided by what is allowed: above 1 is a breach.",
    ),
    Metric(
        "driftd_performance_state",
        "gauge",
        (*PERFORMANCE, "state"),
        "1 for the state of a judged metric, 0 for the others.",
    ),
    Metric("driftd_performance_episodes_total", "counter", PERFORMANCE, "Entries into firing."),
    Metric(
        "driftd_performance_window_timestamp_seconds",
        "gauge",
        (*GROUP, "basis"),
        "End of the window that the values are of, event time.",
        "seconds",
    ),
    Metric("driftd_performance_rows", "gauge", (*GROUP, "basis"), "Predictions of that window."),
    Metric(
        "driftd_confusion_rows",
        "gauge",
        ("model", "version", "true", "predicted"),
        "Rows of a true and a predicted class, of all rows of the newest judged window.",
    ),
    Metric(
        "driftd_label_coverage_ratio",
        "gauge",
        GROUP,
        "Share of the window's predictions whose outcome is known; before one was judged, of the oldest.",
    ),
    Metric(
        "driftd_estimation_coverage_ratio",
        "gauge",
        GROUP,
        "Share of the window's predictions that are like those the estimate was learnt from.",
    ),
    Metric(
        "driftd_label_lag_seconds",
        "histogram",
        ("model",),
        "Time from a prediction to its outcome.",
        "seconds",
    ),
    Metric("driftd_labels_pending", "gauge", ("model",), "Predictions that wait for their outcome."),
    Metric("driftd_labels_joined_total", "counter", ("model",), "Predictions whose outcome came."),
    Metric(
        "driftd_labels_repeated_total", "counter", ("model",), "Outcomes that came again with the same value."
    ),
    Metric(
        "driftd_labels_conflicting_total",
        "counter",
        ("model",),
        "Outcomes that came again with another value.",
    ),
    Metric(
        "driftd_labels_orphaned_total",
        "counter",
        ("model",),
        "Outcomes given up because no prediction of theirs came.",
    ),
    Metric(
        "driftd_labels_expired_total", "counter", ("model",), "Predictions given up because no outcome came."
    ),
    Metric(
        "driftd_fairness_value",
        "gauge",
        FAIRNESS,
        "A rate of a group, or a difference between the groups of a column, in the newest judged window.",
    ),
    Metric("driftd_fairness_lower", "gauge", FAIRNESS, "The lower end of the value's interval."),
    Metric("driftd_fairness_upper", "gauge", FAIRNESS, "The upper end of the value's interval."),
    Metric(
        "driftd_worst_segment_gap",
        "gauge",
        ("model", "version", "metric", "segment"),
        "The metric in the worst segment less that of all other rows; only where it is no chance.",
    ),
    Metric(
        "driftd_compare_difference",
        "gauge",
        COMPARE,
        "Mean loss of the challenger less that of the champion: below 0 the challenger is better.",
    ),
    Metric("driftd_compare_lower", "gauge", COMPARE, "The lower end of its interval, valid at any time."),
    Metric("driftd_compare_upper", "gauge", COMPARE, "The upper end of its interval, valid at any time."),
    Metric(
        "driftd_compare_pvalue",
        "gauge",
        COMPARE,
        "The p-value of no difference, valid however often it is looked at.",
    ),
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
    Metric("driftd_outbox_pending", "gauge", (), "Webhooks waiting to be delivered."),
    Metric("driftd_outbox_oldest_age_seconds", "gauge", (), "Age of the oldest waiting webhook.", "seconds"),
    Metric("driftd_outbox_dead_letters", "gauge", (), "Webhooks given up after the last attempt."),
    Metric(
        "driftd_evaluation_duration_seconds",
        "histogram",
        ("model",),
        "Time to judge the windows of one commit.",
        "seconds",
    ),
    Metric("driftd_commit_duration_seconds", "histogram", (), "Time of one commit.", "seconds"),
    Metric("driftd_series_active", "gauge", ("model",), "Series exported for the model."),
    Metric("driftd_series_limit", "gauge", ("model",), "The most series exported for the model."),
    Metric(
        "driftd_series_dropped_total",
        "counter",
        ("model",),
        "Series left out by the limit so far: those of all monitors beyond it.",
    ),
    Metric("driftd_source_problem", "gauge", SOURCE, "1 while a source has a file it cannot read."),
    Metric(
        "driftd_ingest_ok",
        "gauge",
        (),
        "0 while reading waits because a commit or a batch failed; nothing is lost.",
    ),
    Metric(
        "driftd_model_info",
        "info",
        ("model", "reference", "config"),
        "Hashes of the reference and of the model's configuration.",
    ),
    Metric("driftd_build_info", "info", ("version", "python"), "The running program."),
)
BY_NAME: Mapping[str, Metric] = {metric.name: metric for metric in CATALOG}


@dataclass(frozen=True, slots=True)
class Histogram:
    """Cumulative counts per bucket bound, the sum and the count of what was observed."""

    counts: tuple[int, ...] = (0,) * len(SECONDS_BUCKETS)
    total: float = 0.0
    count: int = 0
    bounds: tuple[float, ...] = SECONDS_BUCKETS

    def observed(self, seconds: float) -> "Histogram":
        """Return it with one more observation."""
        counts = tuple(n + (seconds <= b) for n, b in zip(self.counts, self.bounds, strict=True))
        return Histogram(counts, self.total + seconds, self.count + 1, self.bounds)


@dataclass(frozen=True, slots=True)
class Sample:
    """One series: a catalogued name, label values in the catalogue's order, a finite value."""

    name: str
    labels: tuple[str, ...]
    value: float | Histogram
