"""The configured webhooks as notifiers."""

from collections.abc import Mapping

from exporters import auth
from exporters.base import Notifier
from exporters.webhook import Webhook
from monitor import config
from monitor.forms import make_form
from monitor.keys import Keys


def notifier(name: str, hook: config.Webhook) -> Notifier:
    """Return what sends to one configured webhook, its secrets read anew at each attempt."""
    return Webhook(
        hook.url,
        _proof(name, hook),
        hook.timeout.total_seconds(),
        allow_private=hook.allow_private,
        form=make_form(hook),
    )


def notifiers(hooks: Mapping[str, config.Webhook]) -> dict[str, Notifier]:
    """Return what sends to each of them, by name."""
    return {name: notifier(name, hook) for name, hook in hooks.items()}


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
