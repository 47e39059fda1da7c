"""The configured webhooks as notifiers."""

from collections.abc import Mapping

from exporters.base import Notifier
from exporters.webhook import Webhook
from monitor import config


def notifier(hook: config.Webhook) -> Notifier:
    """Return what sends to one configured webhook."""
    return Webhook(
        hook.url,
        hook.secret.get_secret_value(),
        hook.timeout.total_seconds(),
        allow_private=hook.allow_private,
    )


def notifiers(hooks: Mapping[str, config.Webhook]) -> dict[str, Notifier]:
    """Return what sends to each of them, by name."""
    return {name: notifier(hook) for name, hook in hooks.items()}
