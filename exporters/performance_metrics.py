"""The exported metrics of performance and outcomes; exporters/catalog.py has all of them."""

from exporters.metric import GROUP, Metric

PERFORMANCE = (*GROUP, "metric", "basis")
FAIRNESS = ("model", "version", "metric", "group")
COMPARE = ("model", "champion", "challenger")

PERFORMANCE_METRICS: tuple[Metric, ...] = (
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
)
