"""The daemon's row about heavy monitors: what waits for them, what is done, and how long they take."""

from dashboards.building.board import Panel, Query, Row
from dashboards.building.selectors import DAEMON as AT
from dashboards.building.selectors import OF_DAEMON, RATE


def heavy() -> Row:
    """Return the panels."""
    return Row("Heavy monitors", (_waiting(), _done(), _given_up(), _time_to_compare(), _alibi()))


def _waiting() -> Panel:
    return Panel(
        "lines",
        "Samples waiting for heavy monitors",
        "Samples that wait to be judged: by driftd's own detectors (pool), or by alibi-detect's.",
        "short",
        (Query(f"driftd_heavy_pending{{{OF_DAEMON}}}", "{{model}} {{lane}}"),),
        width=8,
        runbook="DriftdHeavyStuck",
    )


def _done() -> Panel:
    return Panel(
        "lines",
        "Samples judged or learnt from",
        "Samples that heavy monitors judged or learnt from in the last hour; none while some wait: trouble.",
        "short",
        (Query(f"increase(driftd_heavy_done_total{{{OF_DAEMON}}}[1h])", "{{model}} {{lane}}"),),
        width=8,
        runbook="DriftdHeavyStuck",
    )


def _given_up() -> Panel:
    failed = f"increase(driftd_heavy_failures_total{{{OF_DAEMON}}}[1h])"
    return Panel(
        "lines",
        "Windows given up, comparisons failed",
        "Windows that heavy monitors gave up in the last hour, and comparisons that failed, by reason.",
        "short",
        (
            Query(f"increase(driftd_heavy_given_up_total{{{OF_DAEMON}}}[1h])", "{{model}}: given up"),
            Query(f"sum by (model, detector, reason) ({failed})", "{{model}} {{detector}}: {{reason}}"),
        ),
        width=8,
        runbook="DriftdHeavyGivenUp",
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


def _alibi() -> Panel:
    return Panel(
        "lines",
        "The process of alibi-detect",
        "1 while the process that runs alibi-detect is there, and how often it was started in the last hour.",
        "short",
        (
            Query(f"driftd_alibi_up{{{AT}}}", "is there"),
            Query(f"increase(driftd_alibi_starts_total{{{AT}}}[1h])", "starts"),
        ),
        runbook="DriftdAlibiRestarts",
    )
