"""The exported metrics of the classes' shares; exporters/catalog.py has all of them."""

from exporters.metric import GROUP, Metric

CLASS = (*GROUP, "class")

CLASS_METRICS: tuple[Metric, ...] = (
    Metric(
        "driftd_class_share_ratio",
        "gauge",
        CLASS,
        "Estimated share of a true class in the last closed window, before its outcomes: by label_shift.",
    ),
    Metric("driftd_class_share_lower_ratio", "gauge", CLASS, "The lower end of its 95 % interval."),
    Metric("driftd_class_share_upper_ratio", "gauge", CLASS, "The upper end of its 95 % interval."),
    Metric("driftd_class_share_reference_ratio", "gauge", CLASS, "Its share in the reference."),
)
