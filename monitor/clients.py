"""What speaks HTTP to the configured webhooks, to Grafana and to registries.

Its libraries are slow to import, so `monitor.endpoints` does so only where there is something to speak to.
"""

from exporters import auth
from exporters.annotations import Annotator
from exporters.base import Notifier
from exporters.grafana import Grafana as Server
from exporters.mlflow import Access, Mlflow
from exporters.webhook import Webhook
from monitor import config
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


def registry_client(endpoint: str, table: Registry, name: str) -> Mlflow:
    """Return what asks a registry for the model of this name. endpoint: what its token is called by."""
    proof = _proof(endpoint, as_webhook(table))
    access = Access(table.mlflow, proof, table.timeout.total_seconds(), table.allow_private)
    return Mlflow(access, name)


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
