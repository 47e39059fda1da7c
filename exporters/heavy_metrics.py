"""What is exported of heavy monitors: those that are judged apart from the windows' closing."""

from exporters.metric import Metric

HEAVY_BUCKETS = (0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0, 60.0, 300.0)

HEAVY_METRICS: tuple[Metric, ...] = (
    Metric(
        "driftd_heavy_pending",
        "gauge",
        ("model", "lane"),
        "Samples of closed windows that wait to be judged by heavy monitors: pool, or alibi-detect's.",
    ),
    Metric(
        "driftd_heavy_given_up_total",
        "counter",
        ("model",),
        "Windows that heavy monitors did not judge, since too many newer ones waited.",
    ),
    Metric(
        "driftd_heavy_done_total",
        "counter",
        ("model", "lane"),
        "Samples that heavy monitors judged, or learnt from: pool, or alibi-detect's.",
        of_process=True,
    ),
    Metric(
        "driftd_heavy_duration_seconds",
        "histogram",
        ("model", "detector"),
        "How long one comparison took.",
        "seconds",
        of_process=True,
    ),
    Metric(
        "driftd_heavy_failures_total",
        "counter",
        ("model", "detector", "reason"),
        "Comparisons that failed: raised, memory, died, hung, absent or torch. Their verdict is an error.",
        of_process=True,
    ),
)
