"""The fleet: which models are in which state, worst first."""

from dashboards.building.board import (
    DIFFERENCE,
    HARM,
    LEVEL,
    LEVELS,
    PLAIN,
    QUOTIENT,
    TIMES,
    Board,
    Choice,
    Panel,
    Query,
    Row,
    levels,
    number,
)
from dashboards.building.marks import of_models
from dashboards.building.selectors import UNJUDGED

AT = 'instance=~"$instance"'
DRIFT, PERFORMANCE = f"driftd_drift_state{{{AT}", f"driftd_performance_state{{{AT}"
"""Selectors left open, for the state."""
HARM_FIRES = (
    f'({PERFORMANCE}, basis="realized", state="firing"}} '
    f'or {DRIFT}, feature=~"_error|_loss", state="firing"}})'
)
"""By outcomes: metrics, and streams of errors and losses."""
UNSEEN = f'{AT}, acknowledged="false"'
ESTIMATE_FIRES = f'{PERFORMANCE}, basis="estimated", state="firing"}}'
DRIFT_FIRES = f'{DRIFT}, feature!~"_error|_loss", state="firing"}}'
MODEL = "/d/driftd-model?var-model=${__value.raw:percentencode}&${datasource:queryparam}&${__url_time_range}"
DAEMON = "/d/driftd-daemon?var-instance=${__value.raw:percentencode}&${datasource:queryparam}"


def fleet() -> Board:
    """Return the dashboard."""
    return Board(
        uid="driftd-fleet",
        title="driftd / Fleet",
        description="All models that driftd watches: harm first, then drift, then what is not judged.",
        choices=(
            Choice(
                "instance", "Daemon", "The daemons to look at.", "label_values(driftd_build_info, instance)"
            ),
        ),
        rows=(_now(), _models(), _worst(), _time(), _daemons()),
        marks=of_models(HARM_FIRES),
        status=("Daemon", "/d/driftd-daemon?${datasource:queryparam}"),
        since="now-24h",
    )


def _now() -> Row:
    return Row(
        "Now",
        (
            _models_watched(),
            _models_with_harm(),
            _models_that_drift(),
            _monitors_that_cannot_judge(),
        ),
    )


def _models_watched() -> Panel:
    return number(
        "Models watched",
        "Models in the configurations of the chosen daemons.",
        "short",
        f"count(count by (model) (driftd_model_info{{{AT}}}))",
        runbook="DriftdTargetMissing",
    )


def _models_with_harm() -> Panel:
    return number(
        "Models with harm",
        "Models whose outcomes say that they are worse than their reference, beyond chance.",
        "short",
        f"sum(max by (model) ({HARM_FIRES}))",
        HARM,
        runbook="DriftdPerformanceLoss",
    )


def _models_that_drift() -> Panel:
    return number(
        "Models that drift",
        "Models with a monitor of drift or data quality that fires. That alone does not say that "
        "a model got worse.",
        "short",
        f"sum(max by (model) ({DRIFT_FIRES}))",
        DIFFERENCE,
        runbook="DriftdFeatureDrift",
    )


def _monitors_that_cannot_judge() -> Panel:
    return number(
        "Monitors that cannot judge",
        "Monitors and metrics in error, stale, without a reference or with too few rows: they cannot fire.",
        "short",
        f"sum({DRIFT}, {UNJUDGED}}} or {PERFORMANCE}, {UNJUDGED}}})",
        runbook="DriftdNothingJudged",
    )


def _models() -> Row:
    return Row(
        "Models, worst first",
        (
            _every_model(),
            _monitors_by_state(),
            _budget_of_false_alarms_spent(),
        ),
    )


def _every_model() -> Panel:
    columns = (
        Query(f"sum by (model) ({HARM_FIRES})", "harm", steps=HARM),
        Query(f"sum by (model) ({ESTIMATE_FIRES})", "harm estimated", steps=DIFFERENCE),
        Query(f"sum by (model) ({DRIFT_FIRES})", "drift", steps=DIFFERENCE),
        Query(f"sum by (model) (driftd_episodes_open{{{UNSEEN}}})", "not acknowledged", steps=DIFFERENCE),
        Query(f"max by (model) (driftd_performance_quotient{{{AT}}})", "worst harm", TIMES, QUOTIENT),
        Query(f"max by (model) (driftd_drift_quotient{{{AT}}})", "worst drift", TIMES, QUOTIENT),
        Query(f"max by (model) (driftd_features_firing{{{AT}}})", "features firing"),
        Query(f"max by (model) (driftd_features_monitored{{{AT}}})", "features"),
        Query(f"max by (model) (driftd_false_alarm_budget_ratio{{{AT}}})", "budget spent", "percentunit"),
        Query(
            f'min by (model) (driftd_label_coverage_ratio{{{AT}, segment="all"}})',
            "outcomes known",
            "percentunit",
        ),
        Query(
            f"time() - max by (model) (driftd_last_evaluation_timestamp_seconds{{{AT}}})", "window's age", "s"
        ),
        Query(f"max by (model) (driftd_ingest_lag_seconds{{{AT}}})", "input's age", "s"),
    )
    return Panel(
        "table",
        "Models",
        "A line per model: how many metrics (harm) and monitors (drift) fire, and the largest "
        "quotient of score and threshold, where above 1 is a breach. Click a model to open it.",
        "short",
        columns,
        width=24,
        height=10,
        sort=("harm", "harm estimated", "drift", "worst drift"),
        links=(("model", MODEL),),
        runbook="DriftdPerformanceLoss",
    )


def _monitors_by_state() -> Panel:
    return Panel(
        "table",
        "Monitors by state",
        "How many monitors and judged metrics of each model are in which state.",
        "short",
        (Query(f"sum by (model, state) ({DRIFT}}} or {PERFORMANCE}}})"),),
        matrix=("model", "state"),
        runbook="DriftdMonitorError",
    )


def _budget_of_false_alarms_spent() -> Panel:
    return Panel(
        "bars",
        "Budget of false alarms spent",
        "Episodes within the budget's time, divided by what the budget allows. Above 100 % for "
        "longer says that "
        "something is real.",
        "percentunit",
        (Query(f"sort_desc(max by (model) (driftd_false_alarm_budget_ratio{{{AT}}}))", "{{model}}"),),
        steps=DIFFERENCE,
        runbook="DriftdFeatureDrift",
    )


def _worst() -> Row:
    return Row(
        "The worst",
        (
            _worst_performance(),
            _worst_drift(),
        ),
    )


def _worst_performance() -> Panel:
    harm = f"driftd_performance_quotient{{{AT}}}"
    return Panel(
        "bars",
        "Worst performance",
        "The fifteen largest quotients of judged metrics: how far the interval is from the "
        "reference, divided by "
        "what is allowed. Above 1 is a breach.",
        TIMES,
        (Query(f"sort_desc(topk(15, max by (model, metric) ({harm})))", "{{model}} {{metric}}"),),
        height=10,
        steps=QUOTIENT,
        runbook="DriftdPerformanceLoss",
    )


def _worst_drift() -> Panel:
    drift = f"driftd_drift_quotient{{{AT}}}"
    return Panel(
        "bars",
        "Worst drift",
        "The fifteen features with the largest quotient of score and threshold. Above 1 is a breach.",
        TIMES,
        (Query(f"sort_desc(topk(15, max by (model, feature) ({drift})))", "{{model}} {{feature}}"),),
        height=10,
        steps=QUOTIENT,
        runbook="DriftdFeatureDrift",
    )


def _time() -> Row:
    return Row(
        "Over time",
        (
            _state_of_each_model(),
            _episodes_that_begin(),
            _age_of_the_input(),
        ),
    )


def _state_of_each_model() -> Panel:
    return Panel(
        "states",
        "State of each model",
        "The gravest state among a model's monitors and judged metrics.",
        "short",
        (Query(levels("model", DRIFT, PERFORMANCE), "{{model}}"),),
        width=24,
        steps=LEVEL,
        texts=LEVELS,
        runbook="DriftdNothingJudged",
    )


def _episodes_that_begin() -> Panel:
    increases = [
        f"sum by (model) (increase(driftd_{kind}_episodes_total{{{AT}}}[$__rate_interval]))"
        for kind in ("performance", "drift")
    ]
    return Panel(
        "lines",
        "Episodes that begin",
        "Alarms that begin, of performance and of drift and data quality.",
        "short",
        (Query(increases[0], "{{model}} performance"), Query(increases[1], "{{model}} drift")),
        runbook="DriftdFeatureDrift",
    )


def _age_of_the_input() -> Panel:
    return Panel(
        "lines",
        "Input's age",
        "Wall time less the largest timestamp seen. It grows where a log is silent, or where "
        "driftd lags behind it.",
        "s",
        (Query(f"max by (model) (driftd_ingest_lag_seconds{{{AT}}})", "{{model}}"),),
        runbook="DriftdInputStopped",
    )


def _daemons() -> Row:
    return Row("Daemons", (_every_daemon(),))


def _every_daemon() -> Panel:
    columns = (
        Query(
            f"max by (instance) (driftd_ingest_ok{{{AT}}})", "reading", steps=((None, "red"), (1, "green"))
        ),
        Query(f"sum by (instance) (driftd_outbox_pending{{{AT}}})", "webhooks waiting"),
        Query(f"sum by (instance) (driftd_outbox_dead_letters{{{AT}}})", "webhooks given up", steps=HARM),
        Query(f"sum by (instance) (driftd_series_active{{{AT}}})", "series"),
        Query(f"max by (instance) (driftd_resident_memory_bytes{{{AT}}})", "memory", "bytes"),
    )
    return Panel(
        "table",
        "Daemons",
        "A line per daemon; reading is 1 unless a commit or a batch failed. Click a daemon to open it.",
        "short",
        columns,
        width=24,
        height=6,
        steps=PLAIN,
        links=(("instance", DAEMON),),
        runbook="DriftdDown",
    )
