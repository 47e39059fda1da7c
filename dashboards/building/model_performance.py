"""A model's rows about how good it is: by its outcomes, by the estimate, and for whom."""

from dashboards.building.board import HARM, LEVEL, LEVELS, QUOTIENT, TIMES, Panel, Query, Row, levels
from dashboards.building.selectors import EVERY_SEGMENT, GROUP, MODEL, RATE, VERSION

PLACE = "{{version}} {{segment}}"


def metric() -> Row:
    """Return a row for each judged metric."""
    return Row(
        "$metric",
        (
            _score_against_threshold(),
            _quotient(),
        ),
        repeat="metric",
    )


def _score_against_threshold() -> Panel:
    here = f'{GROUP}, metric=~"$metric"'
    series = [
        ("realized", "value", "by outcomes"),
        ("realized", "lower", "lower end"),
        ("realized", "upper", "upper end"),
        ("realized", "threshold", "threshold"),
        ("estimated", "value", "estimated"),
        ("estimated", "threshold", "threshold of the estimate"),
    ]
    return Panel(
        "lines",
        "$metric: score against threshold",
        "The metric by outcomes with its interval, and as estimated before they come. It "
        "breaches when the whole "
        "interval is beyond the threshold, on the side that does harm.",
        "short",
        tuple(
            Query(
                f'driftd_performance_{what}{{{here}, basis="{basis}"}}',
                f"{name} {PLACE}",
            )
            for basis, what, name in series
        ),
        width=16,
        height=9,
        runbook="DriftdPerformanceLoss",
    )


def _quotient() -> Panel:
    here = f'{GROUP}, metric=~"$metric"'
    return Panel(
        "lines",
        "$metric: quotient",
        "How far the interval is from the reference, divided by what is allowed. Above 1 is a breach.",
        TIMES,
        (Query(f"driftd_performance_quotient{{{here}}}", f"{{{{basis}}}} {PLACE}"),),
        width=8,
        height=9,
        steps=HARM,
        runbook="DriftdPerformanceLoss",
    )


def performance() -> Row:
    """Return what concerns all metrics."""
    return Row("Performance", (_states(), _coverage(), _newest(), _heat(), _rows(), _confusion(), _classes()))


def _states() -> Panel:
    by = "version, segment, metric, basis"
    return Panel(
        "states",
        "State of the judged metrics",
        "Which metric fires, by outcomes (realized) and as estimated.",
        "short",
        (
            Query(
                levels(by, f"driftd_performance_state{{{GROUP}"),
                f"{{{{metric}}}} {{{{basis}}}} {PLACE}",
            ),
        ),
        steps=LEVEL,
        texts=LEVELS,
        runbook="DriftdEstimatedPerformanceLoss",
    )


def _coverage() -> Panel:
    return Panel(
        "lines",
        "Coverage",
        "Share of the window's predictions whose outcome is known, and share that is like those the "
        "estimate was learnt "
        "from. Look at it beside every value: the first outcomes to come prove nothing.",
        "percentunit",
        (
            Query(f"driftd_label_coverage_ratio{{{GROUP}}}", f"outcomes known {PLACE}"),
            Query(f"driftd_estimation_coverage_ratio{{{GROUP}}}", f"estimate at home {PLACE}"),
        ),
        most=1,
        runbook="DriftdOutcomesMissing",
    )


def _newest() -> Panel:
    by = "by (version, segment, metric, basis)"
    names = ("value", "lower", "upper", "bound", "threshold", "quotient")
    columns = [Query(f"max {by} (driftd_performance_{name}{{{GROUP}}})", name) for name in names]
    return Panel(
        "table",
        "All metrics of the newest window",
        "Value and interval; bound is how far the histogram's area can be from the rows' own; only "
        "judged metrics have "
        "threshold and quotient.",
        "short",
        tuple(columns),
        width=24,
        height=9,
        sort=("quotient",),
        runbook="DriftdPerformanceLoss",
    )


def _heat() -> Panel:
    return Panel(
        "heat",
        "Quotient by segment",
        "The largest quotient of each segment's judged metrics. Above 1 is a breach.",
        TIMES,
        (
            Query(
                f"max by (segment) (max_over_time(driftd_performance_quotient{{{EVERY_SEGMENT}}}{RATE}))",
                "{{segment}}",
            ),
        ),
        steps=QUOTIENT,
        runbook="DriftdPerformanceLoss",
    )


def _rows() -> Panel:
    group = f"version, segment, basis) (driftd_performance_rows{{{GROUP}}}"
    ends = f"version, segment, basis) (driftd_performance_window_timestamp_seconds{{{GROUP}}}"
    return Panel(
        "table",
        "Which window the values are of",
        "The window judged by outcomes is older than the one estimated, by as long as outcomes take.",
        "short",
        (
            Query(f"max by ({ends}) * 1000", "window's end", "dateTimeAsIso"),
            Query(f"max by ({group})", "rows"),
        ),
        width=6,
        runbook="DriftdEvaluationStale",
    )


def _confusion() -> Panel:
    return Panel(
        "table",
        "Confusion counts",
        "Rows of the newest judged window by their true class, a line each, and the predicted one, a "
        "column each.",
        "short",
        (Query(f"sum by (true, predicted) (driftd_confusion_rows{{{VERSION}}})"),),
        width=6,
        matrix=("true", "predicted"),
        runbook="DriftdPerformanceLoss",
    )


def _classes() -> Panel:
    by = "by (version, segment, class)"
    names = ("", "lower_", "upper_", "reference_")
    columns = [
        Query(f"max {by} (driftd_class_share_{name}ratio{{{GROUP}}})", name.strip("_") or "share")
        for name in names
    ]
    return Panel(
        "table",
        "True classes before their outcomes",
        "Shares of the true classes in the newest window, estimated from the predicted ones by "
        "label_shift, with their "
        "intervals and the reference's shares.",
        "percentunit",
        tuple(columns),
        width=24,
        runbook="DriftdPredictionDrift",
    )


def fairness() -> Row:
    """Return the groups' rates and how far they are apart."""
    return Row(
        "Fairness",
        (
            _differences_between_groups(),
            _rates_of_each_group(),
        ),
    )


def _differences_between_groups() -> Panel:
    return Panel(
        "lines",
        "Differences between groups",
        "How far the groups of a column are apart, in the newest judged window. A ratio is fair "
        "at 1, a difference "
        "at 0.",
        "short",
        (
            Query(
                f'driftd_fairness_value{{{VERSION}, metric=~"demographic_parity.*|equal.*"}}',
                "{{metric}} {{group}} {{version}}",
            ),
        ),
        runbook="DriftdPerformanceLoss",
    )


def _rates_of_each_group() -> Panel:
    by = "by (version, metric, group)"
    columns = [
        Query(f"max {by} (driftd_fairness_{name}{{{VERSION}}})", name) for name in ("value", "lower", "upper")
    ]
    return Panel(
        "table",
        "Rates of each group",
        "Rates with their intervals, in the newest judged window. Groups with few rows have none.",
        "short",
        tuple(columns),
        runbook="DriftdPerformanceLoss",
    )


def outcomes() -> Row:
    """Return how outcomes come in."""
    return Row(
        "Outcomes",
        (
            _outcomes(),
            _predictions_that_wait(),
            _how_long_outcomes_take(),
        ),
    )


def _outcomes() -> Panel:
    kinds = ("joined", "repeated", "conflicting", "orphaned", "expired")
    return Panel(
        "lines",
        "Outcomes",
        "Outcomes a second: joined to their prediction, repeated, in conflict with an earlier "
        "one, orphaned (no "
        "prediction); and predictions whose outcome never came (expired).",
        "rowsps",
        tuple(Query(f"sum(rate(driftd_labels_{kind}_total{{{MODEL}}}{RATE}))", kind) for kind in kinds),
        width=8,
        runbook="DriftdOutcomesMissing",
    )


def _predictions_that_wait() -> Panel:
    return Panel(
        "lines",
        "Predictions that wait",
        "Predictions that wait for their outcome.",
        "short",
        (Query(f"sum(driftd_labels_pending{{{MODEL}}})", "waiting"),),
        width=8,
        runbook="DriftdOutcomesMissing",
    )


def _how_long_outcomes_take() -> Panel:
    lag = f"sum by (le) (rate(driftd_label_lag_seconds_bucket{{{MODEL}}}[$__range]))"
    return Panel(
        "bars",
        "How long outcomes take",
        "Time from a prediction to its outcome, over the chosen time range.",
        "s",
        tuple(
            Query(f"histogram_quantile({share}, {lag})", name)
            for share, name in ((0.5, "half"), (0.9, "9 of 10"), (0.99, "99 of 100"))
        ),
        width=8,
        runbook="DriftdOutcomesMissing",
    )
