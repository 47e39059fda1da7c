"""From a configured webhook to what sends to it."""

from exporters import auth
from exporters.base import Notifier
from exporters.webhook import Webhook as Endpoint
from monitor.config import Webhook
from monitor.forms import make_form
from monitor.keys import Keys


def make_notifier(name: str, webhook: Webhook) -> Notifier:
    """Return what makes attempts at a webhook, its secrets read anew for each."""
    way = _way(name, webhook)
    return Endpoint(webhook.url, way, webhook.timeout.total_seconds(), form=make_form(webhook))


def _way(name: str, webhook: Webhook) -> auth.Auth:
    if webhook.auth == "none":
        return auth.nobody()
    keys = Keys(name, webhook)
    match webhook.auth:
        case "hmac":
            return auth.signed(keys)
        case "bearer":
            return auth.bearer(keys)
        case "basic":
            return auth.basic(webhook.username, keys)
        case "header":
            return auth.header(webhook.header, keys)
