"""The configured webhooks, the Grafana that is told of episodes, and the registries, as notifiers."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from exporters.base import Notifier
from monitor import config
from monitor.core.annotations import ENDPOINT
from monitor.core.registry import ENDPOINT as EVIDENCE
from monitor.grafana_table import Grafana
from monitor.registry_table import Registry

if TYPE_CHECKING:
    from exporters.mlflow import Mlflow


def notifiers(configured: config.Config) -> dict[str, Notifier]:
    """Return what sends to each of them, by name."""
    hooks, told = configured.webhooks, annotated(configured)
    made: dict[str, Notifier] = {}
    if hooks or told:
        from monitor import clients  # noqa: PLC0415 - slow imports, only where something is sent

        made |= {name: clients.notifier(name, hook) for name, hook in hooks.items()}
        made |= {name: clients.annotator(table) for name, table in told.items()}
    return made | {EVIDENCE + name: client for name, client in registry_clients(configured.models).items()}


def addresses(configured: config.Config) -> dict[str, str]:
    """Return where each of them is, by name."""
    found = {name: table.url for name, table in (configured.webhooks | annotated(configured)).items()}
    known = {model.name: model.registry for model in configured.models}
    return found | {EVIDENCE + name: table.mlflow for name, table in known.items() if table is not None}


def registered_name(model: config.Model, table: Registry) -> str:
    """Return the name of the model in its registry."""
    return table.name or model.name


def registry_clients(models: Iterable[config.Model]) -> dict[str, "Mlflow"]:
    """Return what asks each model's registry, by model."""
    wanted = [(model, model.registry) for model in models if model.registry is not None]
    if not wanted:
        return {}
    from monitor.clients import registry_client  # noqa: PLC0415 - as above

    return {
        model.name: registry_client(f"{EVIDENCE}{model.name}", table, registered_name(model, table))
        for model, table in wanted
    }


def annotated(configured: config.Config) -> dict[str, Grafana]:
    """Return the Grafana that is told of episodes, by what the outbox calls it; nothing where none is."""
    grafana = configured.exporters.grafana
    return {ENDPOINT: grafana} if grafana is not None and grafana.annotations else {}
