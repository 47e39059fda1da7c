"""The daemon's rows about its input: how fresh it is, and what became of every row."""

from dashboards.building.board import HARM, Panel, Query, Row, Steps
from dashboards.building.selectors import OF_DAEMON, RATE

LOSSES = ("rejected", "duplicate", "late", "dropped")
DAY: Steps = ((None, "green"), (86400, "yellow"))


def ingest() -> Row:
    """Return how rows come in, and how fresh they are."""
    return Row(
        "Input",
        (
            _rows_read_by_source(),
            _age_of_the_input(),
            _windows(),
            _sources(),
        ),
    )


def _rows_read_by_source() -> Panel:
    by = "by (model, source)"
    return Panel(
        "lines",
        "Rows read",
        "Rows a second, by source.",
        "rowsps",
        (
            Query(
                f"sum {by} (rate(driftd_events_received_total{{{OF_DAEMON}}}{RATE}))",
                "{{model}} {{source}}",
            ),
        ),
        runbook="DriftdInputStopped",
    )


def _age_of_the_input() -> Panel:
    return Panel(
        "lines",
        "Age of the input",
        "Wall time less the largest timestamp seen, and less the watermark up to which windows are over.",
        "s",
        (
            Query(f"driftd_ingest_lag_seconds{{{OF_DAEMON}}}", "{{model}} newest row"),
            Query(f"time() - driftd_watermark_timestamp_seconds{{{OF_DAEMON}}}", "{{model}} watermark"),
        ),
        steps=DAY,
        runbook="DriftdInputStopped",
    )


def _windows() -> Panel:
    return Panel(
        "lines",
        "Windows",
        "Windows that still take rows, and windows closed per hour.",
        "short",
        (
            Query(f"driftd_windows_open{{{OF_DAEMON}}}", "{{model}} open"),
            Query(
                f"rate(driftd_windows_closed_total{{{OF_DAEMON}}}{RATE}) * 3600",
                "{{model}} closed per hour",
            ),
        ),
        runbook="DriftdEvaluationStale",
    )


def _sources() -> Panel:
    by = "by (model, source)"
    return Panel(
        "table",
        "Sources",
        "The newest row of each model; which sources have a file they cannot read, and how many "
        "files were "
        "found truncated.",
        "short",
        (
            Query(f"max {by} (driftd_source_problem{{{OF_DAEMON}}})", "cannot read", steps=HARM),
            Query(f"sum {by} (driftd_truncations_total{{{OF_DAEMON}}})", "truncations"),
            Query(
                f"sum {by} (driftd_events_received_total{{{OF_DAEMON}}}) * 0 + on (model) group_left () "
                f"max by (model) (driftd_last_row_timestamp_seconds{{{OF_DAEMON}}}) * 1000",
                "newest row",
                "dateTimeAsIso",
            ),
        ),
        sort=("cannot read",),
        runbook="DriftdSourceUnreadable",
    )


def account() -> Row:
    """Return what became of all rows."""
    return Row(
        "Account of rows",
        (
            _account_of_rows(),
            _rows_not_stored(),
            _rejected_and_dropped_by_reason(),
        ),
    )


def _account_of_rows() -> Panel:
    by = "by (model, source)"
    received = f"sum {by} (driftd_events_received_total{{{OF_DAEMON}}})"
    stored = f"sum {by} (driftd_events_stored_total{{{OF_DAEMON}}})"
    lost = [f"(sum {by} (driftd_events_{what}_total{{{OF_DAEMON}}}) or {received} * 0)" for what in LOSSES]
    columns = [Query(received, "received"), Query(stored, "stored")]
    columns += [Query(expr, what) for expr, what in zip(lost, LOSSES, strict=True)]
    return Panel(
        "table",
        "Account of rows",
        "Received = stored + rejected + duplicate + late + dropped, for every source and always. "
        "What is missing "
        "is 0.",
        "short",
        (*columns, Query(f"{received} - {stored} - {' - '.join(lost)}", "missing", steps=HARM)),
        width=24,
        height=7,
        runbook="DriftdRowsDropped",
    )


def _rows_not_stored() -> Panel:
    return Panel(
        "lines",
        "Rows not stored",
        "Rows a second that were rejected, duplicate, late or dropped.",
        "rowsps",
        tuple(Query(f"sum(rate(driftd_events_{what}_total{{{OF_DAEMON}}}{RATE}))", what) for what in LOSSES),
        stacked=True,
        runbook="DriftdRowsLate",
    )


def _rejected_and_dropped_by_reason() -> Panel:
    return Panel(
        "lines",
        "Rejected and dropped, by reason",
        "Rows of the last hour. Rejected rows are kept in the state folder as long as there is room.",
        "short",
        (
            Query(
                f"sum by (reason) (increase(driftd_events_rejected_total{{{OF_DAEMON}}}[1h]))",
                "rejected: {{reason}}",
            ),
            Query(
                f"sum by (reason) (increase(driftd_events_dropped_total{{{OF_DAEMON}}}[1h]))",
                "dropped: {{reason}}",
            ),
            Query(f"sum(increase(driftd_rejects_unkept_total{{{OF_DAEMON}}}[1h]))", "rejected, not kept"),
        ),
        runbook="DriftdRowsRejected",
    )
