"""A model's rows about what changed: features and segments."""

from dashboards.building.board import LEVEL, LEVELS, QUOTIENT, TIMES, Panel, Query, Row, levels
from dashboards.building.selectors import EVERY_SEGMENT, MODEL, MONITOR, RATE, VERSION

BY_MONITOR = "version, segment, feature, detector"
MONITOR_NAME = "{{feature}} {{detector}} {{version}} {{segment}}"
SHOWN = 40
"""The most features in the heat map: the worst ones of the time range."""
CLOSE = 5
"""The most monitors whose score is drawn against its threshold."""


def _worst(most: int, by: str) -> str:
    """Return the groups with the largest quotients within the time range, the same at every step."""
    quotients = f"max_over_time(driftd_drift_quotient{{{MONITOR}}}[$__range] @ end())"
    return f"topk({most}, max by ({by}) ({quotients}))"


def drift() -> Row:
    """Return the features: which, since when, how far."""
    return Row(
        "Drift",
        (
            _features(),
            _score_against_threshold(),
            _state_of_the_monitors(),
            _p_values(),
            _features_firing(),
        ),
    )


def _features() -> Panel:
    quotients = f"max_over_time(driftd_drift_quotient{{{MONITOR}}}{RATE})"
    return Panel(
        "heat",
        "Features",
        f"The largest quotient of each feature's monitors; the {SHOWN} worst features of the time "
        "range. Above 1 is a breach.",
        TIMES,
        (
            Query(
                f"max by (feature) ({quotients}) and on (feature) {_worst(SHOWN, 'feature')}",
                "{{feature}}",
            ),
        ),
        width=24,
        height=10,
        steps=QUOTIENT,
        runbook="DriftdFeatureDrift",
    )


def _score_against_threshold() -> Panel:
    worst = f"and on ({BY_MONITOR}) {_worst(CLOSE, BY_MONITOR)}"
    return Panel(
        "lines",
        "Score against threshold",
        f"The {CLOSE} worst monitors of the time range; choose a feature to see its own.",
        "short",
        (
            Query(f"driftd_drift_score{{{MONITOR}}} {worst}", MONITOR_NAME),
            Query(f"driftd_drift_threshold{{{MONITOR}}} {worst}", f"threshold of {MONITOR_NAME}"),
        ),
        height=9,
        runbook="DriftdFeatureDrift",
    )


def _state_of_the_monitors() -> Panel:
    return Panel(
        "states",
        "State of the monitors",
        "The gravest state among each feature's monitors.",
        "short",
        (Query(levels("feature", f"driftd_drift_state{{{MONITOR}"), "{{feature}}"),),
        height=9,
        steps=LEVEL,
        texts=LEVELS,
        runbook="DriftdDataQuality",
    )


def _p_values() -> Panel:
    return Panel(
        "lines",
        "p-values",
        "The smallest p-value of each feature, for detectors that are statistical tests.",
        "short",
        (Query(f"min by (feature) (driftd_drift_pvalue{{{MONITOR}}})", "{{feature}}"),),
        most=1,
        runbook="DriftdFeatureDrift",
    )


def _features_firing() -> Panel:
    return Panel(
        "lines",
        "Features firing",
        "Features with a firing monitor, over all versions and segments, and those with a monitor.",
        "short",
        (
            Query(f"max(driftd_features_firing{{{MODEL}}})", "firing"),
            Query(f"max(driftd_features_monitored{{{MODEL}}})", "monitored"),
        ),
        runbook="DriftdFeatureDrift",
    )


def segments() -> Row:
    """Return where it is: the segments beside each other."""
    return Row(
        "Segments",
        (
            _drift_by_segment(),
            _rows_by_segment(),
            _worst_segments(),
            _rows_of_window_and_reference(),
        ),
    )


def _drift_by_segment() -> Panel:
    quotients = f'max_over_time(driftd_drift_quotient{{{EVERY_SEGMENT}, feature=~"$feature"}}{RATE})'
    return Panel(
        "heat",
        "Drift by segment",
        "The largest quotient of each segment's monitors. Above 1 is a breach.",
        TIMES,
        (Query(f"max by (segment) ({quotients})", "{{segment}}"),),
        steps=QUOTIENT,
        runbook="DriftdFeatureDrift",
    )


def _rows_by_segment() -> Panel:
    return Panel(
        "lines",
        "Rows by segment",
        "Rows of the last closed window.",
        "short",
        (Query(f"sum by (segment) (driftd_window_rows{{{EVERY_SEGMENT}}})", "{{segment}}"),),
        stacked=True,
        runbook="DriftdNothingJudged",
    )


def _worst_segments() -> Panel:
    return Panel(
        "table",
        "Worst segments",
        "The metric in the worst segment less that of all other rows; empty unless it is more than chance.",
        "short",
        (Query(f"max by (version, metric, segment) (driftd_worst_segment_gap{{{VERSION}}})", "gap"),),
        runbook="DriftdPerformanceLoss",
    )


def _rows_of_window_and_reference() -> Panel:
    return Panel(
        "table",
        "Rows of window and reference",
        "Where a segment has few rows, little can be said of it.",
        "short",
        (
            Query(f"sum by (segment) (driftd_window_rows{{{VERSION}}})", "last window"),
            Query(f"max by (segment) (driftd_reference_rows{{{MODEL}}})", "reference"),
        ),
        sort=("last window",),
        runbook="DriftdNothingJudged",
    )
