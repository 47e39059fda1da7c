"""The daemon's row about heavy monitors: what waits for them, and how long they take."""

from dashboards.building.board import Panel, Query, Row
from dashboards.building.selectors import OF_DAEMON, RATE


def heavy() -> Row:
    """Return the panels."""
    return Row("Heavy monitors", (_waiting(), _time_to_compare()))


def _waiting() -> Panel:
    given_up = f"increase(driftd_heavy_given_up_total{{{OF_DAEMON}}}[1h])"
    failed = f"increase(driftd_heavy_failures_total{{{OF_DAEMON}}}[1h])"
    return Panel(
        "lines",
        "Samples waiting for heavy monitors",
        "Samples that wait to be judged; of the last hour, windows given up and comparisons failed.",
        "short",
        (
            Query(f"driftd_heavy_pending{{{OF_DAEMON}}}", "{{model}}: waiting"),
            Query(given_up, "{{model}}: given up"),
            Query(f"sum by (model, detector, reason) ({failed})", "{{model}} {{detector}}: {{reason}}"),
        ),
        runbook="DriftdMonitorError",
    )


def _time_to_compare() -> Panel:
    seconds = f"driftd_heavy_duration_seconds_bucket{{{OF_DAEMON}}}"
    return Panel(
        "lines",
        "Time of a comparison",
        "The time that one comparison of a heavy monitor takes: 99 of 100 are below.",
        "s",
        (
            Query(
                f"histogram_quantile(0.99, sum by (le, model, detector) (rate({seconds}{RATE})))",
                "{{model}} {{detector}}",
            ),
        ),
        runbook="DriftdMonitorError",
    )
