"""Episodes as annotations: of the metrics, in the scrape's time; and those that the daemon told Grafana."""

from dashboards.building.board import Kept, Mark
from dashboards.building.selectors import GROUP, MONITOR


def of_models(harm: str) -> tuple[Mark | Kept, ...]:
    """Return the harm of all models; harm: the expression whose series are 1 where it fires."""
    return (
        Mark("Harm", f"max by (model) ({harm}) == 1", "{{model}} is worse", "red"),
        Kept("Harm, in event time", ("driftd", "harm"), "red"),
    )


def of_model() -> tuple[Mark | Kept, ...]:
    """Return the episodes of the chosen model."""
    firing = 'state="firing"'
    return (
        Mark(
            "Harm",
            f"max by (version, segment, metric, basis) (driftd_performance_state{{{GROUP}, {firing}}}) == 1",
            "{{metric}} ({{basis}}) of {{version}} {{segment}} fires",
            "red",
        ),
        Mark(
            "Drift",
            f"max by (version, segment, feature) (driftd_drift_state{{{MONITOR}, {firing}}}) == 1",
            "{{feature}} of {{version}} {{segment}} fires",
            "orange",
        ),
        Kept("Harm, in event time", ("driftd", "harm", "model:$model"), "red"),
        Kept("Difference, in event time", ("driftd", "difference", "model:$model"), "orange"),
    )
