"""One model: is it worse, has its input changed, and where."""

from dashboards.building.board import (
    DIFFERENCE,
    HARM,
    QUOTIENT,
    TIMES,
    Board,
    Choice,
    Panel,
    Query,
    Row,
    number,
)
from dashboards.building.marks import of_model
from dashboards.building.model_drift import drift, segments
from dashboards.building.model_performance import fairness, metric, outcomes, performance
from dashboards.building.model_versions import episodes, streams, versions
from dashboards.building.selectors import GROUP, MODEL, MONITOR, UNJUDGED


def model() -> Board:
    """Return the dashboard."""
    return Board(
        uid="driftd-model",
        title="driftd / Model",
        description="One model: whether it is worse, whether its input has changed, and where.",
        choices=_choices(),
        rows=(
            _now(),
            metric(),
            performance(),
            drift(),
            segments(),
            versions(),
            fairness(),
            outcomes(),
            episodes(),
            streams(),
        ),
        marks=of_model(),
        status=("Status page", "http://${instance}/"),
    )


def _choices() -> tuple[Choice, ...]:
    group = 'model="$model", version=~"$version", segment=~"$segment"'
    judged = f"driftd_performance_state{{{group}}}"
    return (
        Choice(
            "model", "Model", "The model to look at.", "label_values(driftd_model_info, model)", many=False
        ),
        Choice(
            "version",
            "Version",
            "Versions as the log names them; all of them where it names none.",
            'label_values(driftd_window_rows{model="$model"}, version)',
        ),
        Choice(
            "segment",
            "Segment",
            "Configured segments; the one called all is every row.",
            'label_values(driftd_window_rows{model="$model", version=~"$version"}, segment)',
            start="all",
        ),
        Choice(
            "feature",
            "Feature",
            "Columns with a monitor; _all is what concerns the whole window.",
            f"label_values(driftd_drift_state{{{group}}}, feature)",
        ),
        Choice("metric", "Metric", "Judged performance metrics.", f"label_values({judged}, metric)"),
        Choice(
            "instance",
            "Daemon",
            "The daemon that watches the model; for the link to its status.",
            'label_values(driftd_model_info{model="$model"}, instance)',
            many=False,
        ),
    )


def _now() -> Row:
    return Row(
        "Now",
        (
            _metrics_firing(),
            _monitors_firing(),
            _features_firing(),
            _budget_of_false_alarms_spent(),
            _monitors_that_cannot_judge(),
            _worst_quotient_of_drift(),
            _age_of_the_newest_window(),
            _age_of_the_input(),
        ),
    )


def _metrics_firing() -> Panel:
    firing = 'state="firing"'
    return number(
        "Metrics firing",
        "Judged metrics that fire by outcomes: the whole interval is worse than the reference by "
        "more than the tolerance; streams of errors and losses too.",
        "short",
        f'sum(driftd_performance_state{{{GROUP}, basis="realized", {firing}}} '
        f'or driftd_drift_state{{{GROUP}, feature=~"_error|_loss", {firing}}})',
        HARM,
        runbook="DriftdPerformanceLoss",
    )


def _monitors_firing() -> Panel:
    firing = 'state="firing"'
    return number(
        "Monitors firing",
        "Monitors of drift and data quality that fire, of the chosen features.",
        "short",
        f'sum(driftd_drift_state{{{MONITOR}, feature!~"_error|_loss", {firing}}})',
        DIFFERENCE,
        runbook="DriftdFeatureDrift",
    )


def _features_firing() -> Panel:
    return Panel(
        "number",
        "Features firing",
        "Features with a firing monitor, over all versions and segments, of those with a monitor; and the "
        "open episodes that nobody has acknowledged.",
        "short",
        (
            Query(f"max(driftd_features_firing{{{MODEL}}})", "firing"),
            Query(f"max(driftd_features_monitored{{{MODEL}}})", "monitored"),
            Query(f'sum(driftd_episodes_open{{{MODEL},acknowledged="false"}})', "unacknowledged"),
        ),
        width=6,
        height=4,
        runbook="DriftdFeatureDrift",
    )


def _budget_of_false_alarms_spent() -> Panel:
    return number(
        "Budget of false alarms spent",
        "Episodes within the budget's time, divided by what the budget allows.",
        "percentunit",
        f"max(driftd_false_alarm_budget_ratio{{{MODEL}}})",
        DIFFERENCE,
        runbook="DriftdFeatureDrift",
    )


def _monitors_that_cannot_judge() -> Panel:
    return number(
        "Monitors that cannot judge",
        "Monitors and metrics in error, stale, without a reference or with too few rows.",
        "short",
        f"sum(driftd_drift_state{{{MONITOR}, {UNJUDGED}}} "
        f"or driftd_performance_state{{{GROUP}, {UNJUDGED}}})",
        runbook="DriftdNothingJudged",
    )


def _worst_quotient_of_drift() -> Panel:
    return number(
        "Worst quotient of drift",
        "The largest score divided by its threshold. Above 1 is a breach.",
        TIMES,
        f"max(driftd_drift_quotient{{{MONITOR}}})",
        QUOTIENT,
        runbook="DriftdFeatureDrift",
    )


def _age_of_the_newest_window() -> Panel:
    return number(
        "Age of the newest window",
        "Wall time less the end of the last closed window.",
        "s",
        f"time() - max(driftd_last_evaluation_timestamp_seconds{{{GROUP}}})",
        runbook="DriftdEvaluationStale",
    )


def _age_of_the_input() -> Panel:
    return number(
        "Age of the input",
        "Wall time less the largest timestamp seen.",
        "s",
        f"max(driftd_ingest_lag_seconds{{{MODEL}}})",
        runbook="DriftdInputStopped",
    )
