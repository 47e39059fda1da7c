"""What is exported of the process that runs alibi-detect."""

from exporters.metric import Metric

ALIBI_METRICS: tuple[Metric, ...] = (
    Metric(
        "driftd_alibi_up",
        "gauge",
        (),
        "1 while the process that runs alibi-detect is there, 0 while not; absent until it is first asked.",
    ),
    Metric(
        "driftd_alibi_starts_total",
        "counter",
        (),
        "Starts of the process that runs alibi-detect: the first one, and each one after it ended.",
        of_process=True,
    ),
)
