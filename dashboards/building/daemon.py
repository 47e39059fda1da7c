"""The daemon itself: does it keep up, does it lose nothing, does it deliver."""

from dashboards.building.board import HARM, Board, Choice, Panel, Query, Row, number
from dashboards.building.daemon_heavy import heavy
from dashboards.building.daemon_input import account, ingest
from dashboards.building.daemon_room import OFF, room
from dashboards.building.selectors import DAEMON as AT
from dashboards.building.selectors import OF_DAEMON, RATE


def daemon() -> Board:
    """Return the dashboard."""
    return Board(
        uid="driftd-daemon",
        title="driftd / Daemon",
        description="One daemon: whether it keeps up, loses nothing and delivers.",
        choices=(
            Choice(
                "instance",
                "Daemon",
                "The daemon to look at.",
                "label_values(driftd_build_info, instance)",
                many=False,
            ),
            Choice(
                "model",
                "Model",
                "The models to look at.",
                'label_values(driftd_model_info{instance="$instance"}, model)',
            ),
        ),
        rows=(_now(), ingest(), account(), _speed(), heavy(), _webhooks(), room()),
        status=("Status page", "http://${instance}/"),
        since="now-6h",
    )


def _now() -> Row:
    return Row(
        "Now",
        (
            _reading(),
            _rows_read(),
            _webhooks_given_up(),
            _memory_now(),
        ),
    )


def _reading() -> Panel:
    return number(
        "Reading",
        "1 while the daemon reads; 0 while it waits because a commit or a batch failed. Nothing is lost.",
        "short",
        f"driftd_ingest_ok{{{AT}}}",
        OFF,
        runbook="DriftdIngestWaiting",
    )


def _rows_read() -> Panel:
    return number(
        "Rows read",
        "Rows a second, over all sources.",
        "rowsps",
        f"sum(rate(driftd_events_received_total{{{OF_DAEMON}}}{RATE}))",
        runbook="DriftdInputStopped",
    )


def _webhooks_given_up() -> Panel:
    return number(
        "Webhooks given up",
        "Webhooks that no attempt delivered.",
        "short",
        f"driftd_outbox_dead_letters{{{AT}}}",
        HARM,
        runbook="DriftdWebhookDead",
    )


def _memory_now() -> Panel:
    return number(
        "Memory",
        "Memory that the process holds.",
        "bytes",
        f"driftd_resident_memory_bytes{{{AT}}}",
        runbook="DriftdDown",
    )


def quantile(share: float, metric: str, selector: str, by: str = "le") -> str:
    """Return the expression of a histogram's quantile."""
    return f"histogram_quantile({share}, sum by ({by}) (rate({metric}_bucket{{{selector}}}{RATE})))"


def _speed() -> Row:
    return Row(
        "Speed",
        (
            _time_of_a_commit(),
            _time_to_judge(),
        ),
    )


def _time_of_a_commit() -> Panel:
    commit = "driftd_commit_duration_seconds"
    return Panel(
        "lines",
        "Time of a commit",
        "Half of the commits, and 99 of 100 of them, take less; and the mean.",
        "s",
        (
            Query(quantile(0.5, commit, AT), "half of them"),
            Query(quantile(0.99, commit, AT), "99 of 100"),
            Query(f"rate({commit}_sum{{{AT}}}{RATE}) / (rate({commit}_count{{{AT}}}{RATE}) > 0)", "mean"),
        ),
        runbook="DriftdIngestWaiting",
    )


def _time_to_judge() -> Panel:
    judge = "driftd_evaluation_duration_seconds"
    return Panel(
        "lines",
        "Time to judge",
        "The time that the judging of one commit's windows takes: 99 of 100 are below.",
        "s",
        (Query(quantile(0.99, judge, OF_DAEMON, "le, model"), "{{model}}"),),
        runbook="DriftdEvaluationStale",
    )


def _webhooks() -> Row:
    return Row(
        "Webhooks",
        (
            _outbox(),
            _age_of_the_oldest_waiting_webhook(),
            _requests_to_retrain(),
        ),
    )


def _outbox() -> Panel:
    return Panel(
        "lines",
        "Outbox",
        "Webhooks and Grafana's annotations that wait for delivery, and those given up.",
        "short",
        (
            Query(f"driftd_outbox_pending{{{AT}}}", "waiting"),
            Query(f"driftd_outbox_dead_letters{{{AT}}}", "given up"),
            Query(f"driftd_annotations_pending{{{AT}}}", "annotations waiting"),
            Query(f"driftd_annotations_dead_letters{{{AT}}}", "annotations given up"),
        ),
        width=8,
        runbook="DriftdOutboxStuck",
    )


def _age_of_the_oldest_waiting_webhook() -> Panel:
    return Panel(
        "lines",
        "Age of the oldest waiting webhook",
        "It grows while a receiver does not answer.",
        "s",
        (Query(f"driftd_outbox_oldest_age_seconds{{{AT}}}", "oldest"),),
        width=8,
        runbook="DriftdOutboxStuck",
    )


def _requests_to_retrain() -> Panel:
    return Panel(
        "lines",
        "Requests to retrain",
        "Requests of the last hour by outcome: sent, delivered, given up, or held back by a rule.",
        "short",
        (
            Query(
                "sum by (model, webhook, outcome) "
                f"(increase(driftd_retrain_requests_total{{{OF_DAEMON}}}[1h]))",
                "{{model}} {{webhook}}: {{outcome}}",
            ),
        ),
        width=8,
        runbook="DriftdWebhookDead",
    )
