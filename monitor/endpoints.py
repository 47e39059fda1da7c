"""The configured webhooks, the Grafana that is told of episodes, and the registries, as notifiers."""

from collections.abc import Iterable

from exporters import auth
from exporters.annotations import Annotator
from exporters.base import Notifier
from exporters.grafana import Grafana as Server
from exporters.mlflow import Access, Mlflow
from exporters.webhook import Webhook
from monitor import config
from monitor.core.annotations import ENDPOINT
from monitor.core.registry import ENDPOINT as EVIDENCE
from monitor.forms import make_form
from monitor.grafana_table import Grafana
from monitor.grafana_token import current_token
from monitor.keys import Keys, as_webhook
from monitor.logs import logger
from monitor.registry_table import Registry


def notifier(name: str, hook: config.Webhook) -> Notifier:
    """Return what sends to one configured webhook, its secrets read anew at each attempt."""
    return Webhook(
        hook.url,
        _proof(name, hook),
        hook.timeout.total_seconds(),
        allow_private=hook.allow_private,
        form=make_form(hook),
    )


def notifiers(configured: config.Config) -> dict[str, Notifier]:
    """Return what sends to each of them, by name."""
    made: dict[str, Notifier] = {name: notifier(name, hook) for name, hook in configured.webhooks.items()}
    made |= {name: annotator(table) for name, table in annotated(configured).items()}
    return made | {EVIDENCE + name: client for name, client in registry_clients(configured.models).items()}


def addresses(configured: config.Config) -> dict[str, str]:
    """Return where each of them is, by name."""
    found = {name: table.url for name, table in (configured.webhooks | annotated(configured)).items()}
    known = {model.name: model.registry for model in configured.models}
    return found | {EVIDENCE + name: table.mlflow for name, table in known.items() if table is not None}


def registered_name(model: config.Model, table: Registry) -> str:
    """Return the name of the model in its registry."""
    return table.name or model.name


def registry_clients(models: Iterable[config.Model]) -> dict[str, Mlflow]:
    """Return what asks each model's registry, by model."""
    found: dict[str, Mlflow] = {}
    for model in models:
        table = model.registry
        if table is not None:
            auth = _proof(f"{EVIDENCE}{model.name}", as_webhook(table))
            access = Access(table.mlflow, auth, table.timeout.total_seconds(), table.allow_private)
            found[model.name] = Mlflow(access, registered_name(model, table))
    return found


def annotated(configured: config.Config) -> dict[str, Grafana]:
    """Return the Grafana that is told of episodes, by what the outbox calls it; nothing where none is."""
    grafana = configured.exporters.grafana
    return {ENDPOINT: grafana} if grafana is not None and grafana.annotations else {}


def annotator(grafana: Grafana) -> Notifier:
    """Return what tells Grafana, and logs what it has against that."""
    log = logger("grafana")
    return Annotator(server_of(grafana), lambda says: log.warning("annotation not taken", error=says))


def server_of(grafana: Grafana) -> Server:
    """Return the configured Grafana's API."""
    return Server(grafana.url, current_token(grafana), grafana.timeout.total_seconds())


def _proof(name: str, hook: config.Webhook) -> auth.Auth:
    if hook.auth == "none":
        return auth.nobody()
    keys = Keys(name, hook)
    match hook.auth:
        case "hmac":
            return auth.signed(keys)
        case "bearer":
            return auth.bearer(keys)
        case "basic":
            return auth.basic(hook.username, keys)
        case "header":
            return auth.header(hook.header, keys)
