"""The daemon's row about what it takes, of Prometheus and of its machine, and about what runs."""

from dashboards.building.board import DIFFERENCE, Panel, Query, Row, Steps
from dashboards.building.selectors import DAEMON as AT
from dashboards.building.selectors import OF_DAEMON, RATE

OFF: Steps = ((None, "red"), (1, "green"))


def room() -> Row:
    """Return what the daemon takes, and what runs."""
    return Row(
        "Room",
        (
            _series(),
            _series_left_out(),
            _memory_over_time(),
            _processor(),
            _open_files(),
            _program(),
            _configuration(),
            _references_and_configurations(),
        ),
    )


def _series() -> Panel:
    return Panel(
        "lines",
        "Series",
        "Series exported for each model, and the most that may be.",
        "short",
        (
            Query(f"driftd_series_active{{{OF_DAEMON}}}", "{{model}}"),
            Query(f"driftd_series_limit{{{OF_DAEMON}}}", "{{model}} limit"),
        ),
        width=8,
        runbook="DriftdSeriesDropped",
    )


def _series_left_out() -> Panel:
    share = f"driftd_series_active{{{OF_DAEMON}}} / driftd_series_limit{{{OF_DAEMON}}}"
    return Panel(
        "table",
        "Series left out",
        "Series beyond the limit are left out: those of calm features, of segments first.",
        "short",
        (
            Query(
                f"max by (model) (driftd_series_left_out{{{OF_DAEMON}}})",
                "left out",
                steps=DIFFERENCE,
            ),
            Query(f"max by (model) (driftd_monitors_left_out{{{OF_DAEMON}}})", "monitors", steps=DIFFERENCE),
            Query(f"max by (model) (increase(driftd_series_dropped_total{{{OF_DAEMON}}}[1d]))", "last day"),
            Query(f"max by (model) ({share})", "of the limit", "percentunit"),
        ),
        width=8,
        runbook="DriftdSeriesDropped",
    )


def _memory_over_time() -> Panel:
    return Panel(
        "lines",
        "Memory",
        "Memory that the process holds.",
        "bytes",
        (Query(f"driftd_resident_memory_bytes{{{AT}}}", "resident"),),
        width=8,
        runbook="DriftdDown",
    )


def _processor() -> Panel:
    return Panel(
        "lines",
        "Processor",
        "How many processors the process keeps busy.",
        "short",
        (Query(f"rate(process_cpu_seconds_total{{{AT}}}{RATE})", "processors"),),
        runbook="DriftdIngestWaiting",
    )


def _open_files() -> Panel:
    return Panel(
        "lines",
        "Open files",
        "Files, sockets and pipes that are open, and how many may be; beyond that nothing is read or served.",
        "short",
        (
            Query(f"process_open_fds{{{AT}}}", "open"),
            Query(f"process_max_fds{{{AT}}}", "most"),
        ),
        runbook="DriftdSourceUnreadable",
    )


def _program() -> Panel:
    return Panel(
        "table",
        "Program",
        "Versions of driftd and of Python.",
        "short",
        (Query(f"max by (version, python) (driftd_build_info{{{AT}}})", "value"),),
        width=6,
        height=6,
        hidden=("value",),
        runbook="DriftdDown",
    )


def _configuration() -> Panel:
    read = f"time() - driftd_config_last_reload_success_timestamp_seconds{{{AT}}}"
    return Panel(
        "table",
        "Running configuration",
        "1 while it is the file's; 0 while the file could not be taken on. How long ago it was read, and how "
        "long ago the daemon began.",
        "short",
        (
            Query(f"max by (instance) (driftd_config_last_reload_successful{{{AT}}})", "taken on", steps=OFF),
            Query(f"max by (instance) ({read})", "read", "s"),
            Query(f"max by (instance) (time() - process_start_time_seconds{{{AT}}})", "began", "s"),
        ),
        width=6,
        height=6,
        runbook="DriftdReloadFailed",
    )


def _references_and_configurations() -> Panel:
    return Panel(
        "table",
        "References and configurations",
        "Hashes of each model's reference and configuration: a change here explains a change elsewhere.",
        "short",
        (Query(f"max by (model, reference, config) (driftd_model_info{{{OF_DAEMON}}})", "value"),),
        width=12,
        height=6,
        hidden=("value",),
        runbook="DriftdDown",
    )
