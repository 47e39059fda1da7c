"""A model's rows about its versions, its episodes and its streams."""

from dashboards.building.board import DIFFERENCE, TIMES, Panel, Query, Row
from dashboards.building.selectors import GROUP, MODEL, MONITOR, RATE


def versions() -> Row:
    """Return the versions beside each other, and what they are compared with."""
    return Row(
        "Versions",
        (
            _rows_by_version(),
            _drift_by_version(),
            _performance_by_version(),
            _challenger_against_champion(),
            _what_it_is_compared_with(),
        ),
    )


def _rows_by_version() -> Panel:
    every = f'{MODEL}, segment="all"'
    return Panel(
        "lines",
        "Rows by version",
        "Rows of the last closed window.",
        "short",
        (Query(f"driftd_window_rows{{{every}}}", "{{version}}"),),
        stacked=True,
        width=8,
        runbook="DriftdInputStopped",
    )


def _drift_by_version() -> Panel:
    every = f'{MODEL}, segment="all"'
    return Panel(
        "lines",
        "Drift by version",
        "The largest quotient of each version's monitors of all rows.",
        TIMES,
        (Query(f"max by (version) (driftd_drift_quotient{{{every}}})", "{{version}}"),),
        width=8,
        steps=DIFFERENCE,
        runbook="DriftdPredictionDrift",
    )


def _performance_by_version() -> Panel:
    every = f'{MODEL}, segment="all"'
    return Panel(
        "lines",
        "Performance by version",
        "Judged metrics of all rows, by outcomes.",
        "short",
        (
            Query(
                f'driftd_performance_value{{{every}, basis="realized", metric=~"$metric"}}',
                "{{metric}} {{version}}",
            ),
        ),
        width=8,
        runbook="DriftdPerformanceLoss",
    )


def _challenger_against_champion() -> Panel:
    pair = "{{challenger}} less {{champion}}"
    return Panel(
        "lines",
        "Challenger against champion",
        "Mean loss of the challenger less that of the champion, with an interval that holds at "
        "any time: all of it "
        "below 0, the challenger is better.",
        "short",
        (
            Query(f"driftd_compare_difference{{{MODEL}}}", pair),
            Query(f"driftd_compare_lower{{{MODEL}}}", "lower end"),
            Query(f"driftd_compare_upper{{{MODEL}}}", "upper end"),
        ),
        runbook="DriftdPerformanceLoss",
    )


def _what_it_is_compared_with() -> Panel:
    return Panel(
        "table",
        "What it is compared with",
        "The reference's and the configuration's hash, where the thresholds come from, and the "
        "p-value of no "
        "difference between champion and challenger.",
        "short",
        (
            Query(f"max by (model, reference, config) (driftd_model_info{{{MODEL}}})", "info"),
            Query(f"max by (model, method, reason) (driftd_calibration_info{{{MODEL}}})", "calibrated"),
            Query(f"max by (model) (driftd_compare_pvalue{{{MODEL}}})", "p-value of no difference"),
        ),
        hidden=("info", "calibrated"),
        runbook="DriftdFeatureDrift",
    )


def episodes() -> Row:
    """Return alarms and what was asked for because of them."""
    return Row(
        "Episodes",
        (
            _episodes_that_begin(),
            _requests_to_retrain(),
        ),
    )


def _episodes_that_begin() -> Panel:
    drift_began = f"increase(driftd_drift_episodes_total{{{MONITOR}}}{RATE})"
    harm_began = f"increase(driftd_performance_episodes_total{{{GROUP}}}{RATE})"
    return Panel(
        "lines",
        "Episodes that begin",
        "Alarms that begin, by metric and by feature.",
        "short",
        (
            Query(f"sum by (metric, basis) ({harm_began}) > 0", "{{metric}} {{basis}}"),
            Query(f"sum by (feature) ({drift_began}) > 0", "{{feature}}"),
        ),
        runbook="DriftdFeatureDrift",
    )


def _requests_to_retrain() -> Panel:
    return Panel(
        "table",
        "Requests to retrain",
        "Requests so far by webhook and outcome: sent, delivered, given up, or held back by a rule.",
        "short",
        (Query(f"sum by (webhook, outcome) (driftd_retrain_requests_total{{{MODEL}}})", "requests"),),
        runbook="DriftdWebhookDead",
    )


def streams() -> Row:
    """Return what streaming detectors were fed."""
    return Row("Streams", (_rows_fed_to_streams(),))


def _rows_fed_to_streams() -> Panel:
    return Panel(
        "lines",
        "Rows fed to streams",
        "Rows a second that streaming detectors were fed, and those left out: null, NaN or infinite.",
        "rowsps",
        (
            Query(f"sum(rate(driftd_stream_rows_total{{{MODEL}}}{RATE}))", "fed"),
            Query(f"sum(rate(driftd_stream_left_out_total{{{MODEL}}}{RATE}))", "left out"),
        ),
        width=24,
        height=6,
        runbook="DriftdPerformanceLoss",
    )
