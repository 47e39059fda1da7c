"""The secrets of webhooks: read, checked, and read again at each attempt, so that none needs a restart."""

import base64
import binascii
import os
import re
from collections.abc import Mapping
from functools import partial

from monitor.config import Webhook
from monitor.last_good import LastGood
from monitor.logs import logger
from monitor.registry_table import Registry

SECRET_BYTES = 24
SECRET_FILE_BYTES = 16 * 1024
GENERATE = "make one with: openssl rand -base64 32"
PREFIX = "whsec_"
KEYS_MOST = 2
TOKENS = frozenset({"airflow", "github", "kubeflow", "sagemaker", "vertex", "azureml"})
"""Formats whose receivers know no signature."""


def read_keys(webhook: Webhook, environ: Mapping[str, str]) -> tuple[bytes, ...]:
    """Return the webhook's secrets, the newest first. Raises ValueError that quotes nothing of them."""
    text = _text(webhook, environ)
    if webhook.auth != "hmac":
        return (_token(text, webhook.auth),)
    other = '; for a token write auth = "bearer"' if webhook.format in TOKENS else ""
    return _signing_keys(text, GENERATE + other)


def as_webhook(registry: Registry) -> Webhook:
    """Return how a registry is asked, in the terms of a webhook: its secret is read by the same rules."""
    given = registry.token_file is not None or registry.token_env is not None
    hook = Webhook(
        url=registry.mlflow,
        auth="none" if not given else "basic" if registry.username else "bearer",
        username=registry.username,
        secret_file=registry.token_file,
        secret_env=registry.token_env,
        allow_private=registry.allow_private,
    )
    return hook.keyed(registry.secret.get_secret_value())


class Keys:
    """The secrets of one webhook as they are now; where its file has become unusable, the last good ones.

    Raises ValueError for a webhook whose secrets were not read yet.
    """

    def __init__(self, name: str, webhook: Webhook) -> None:
        if not webhook.keys:
            raise ValueError(f"webhook {name} has no secret")
        self._webhook = webhook
        read, log = partial(read_keys, webhook, {}), logger("outbox", webhook=name)
        self._now = LastGood(read, webhook.keys, log, "secret_file")

    def __call__(self) -> tuple[bytes, ...]:
        """Return them, the newest first."""
        if self._webhook.secret_file is None:
            return self._webhook.keys  # a process's environment does not change
        return self._now()


def _text(webhook: Webhook, environ: Mapping[str, str]) -> str:
    """Return the secret as written. Raises ValueError without quoting: a pasted secret is no file name."""
    if webhook.secret_file is None:
        if (found := environ.get(webhook.secret_env or "")) is None:
            raise ValueError("names a variable that is not set; export it before the daemon starts")
        return found
    make = f"; {GENERATE}" if webhook.auth == "hmac" else "; correct the path"
    if not os.path.isfile(webhook.secret_file):  # noqa: PTH113  # Path.is_file raises on odd names
        raise ValueError(f"names a file that does not exist{make}")
    try:
        with webhook.secret_file.open("rb") as file:
            text = file.read(SECRET_FILE_BYTES + 1)
    except OSError as error:
        raise ValueError("names a file that cannot be read; check its permissions") from error
    if len(text) > SECRET_FILE_BYTES:
        raise ValueError(f"holds more than {SECRET_FILE_BYTES:,} bytes, which is no secret; correct the path")
    try:
        return text.decode()
    except UnicodeDecodeError as error:
        raise ValueError("holds no text; write the secret as text") from error


def _signing_keys(text: str, remedy: str) -> tuple[bytes, ...]:
    """Decode one secret of Standard Webhooks, or two while they are exchanged, each "whsec_" and its base64.

    Of two each needs the prefix: without it they could be one long secret that was broken into lines.
    """
    parts = text.split()
    if len(parts) != KEYS_MOST:
        return (_key(text, remedy),)
    if not all(part.startswith(PREFIX) for part in parts):
        raise ValueError(
            f"holds two lines; write one secret, or the new and the old one, each as {PREFIX}..."
        )
    return tuple(_key(part, remedy) for part in parts)


def _key(text: str, remedy: str) -> bytes:
    """Decode a Standard Webhooks secret: base64 of at least 24 bytes, "whsec_" before it or not."""
    try:
        key = base64.b64decode(text.strip().removeprefix(PREFIX), validate=True)
    except (binascii.Error, ValueError) as error:
        raise ValueError(f"holds no base64 text; {remedy}") from error
    if len(key) < SECRET_BYTES:
        raise ValueError(f"holds a secret of fewer than {SECRET_BYTES} bytes; {remedy}")
    return key


def _token(text: str, auth: str) -> bytes:
    """Return a token, password or header value. Raises ValueError where a header could not carry it."""
    found = text.strip()
    if not found:
        raise ValueError("holds nothing; write the secret into it")
    allowed = {"bearer": r"[\x21-\x7e]+", "header": r"[\x20-\x7e]+", "basic": r"[^\x00-\x1f\x7f]+"}[auth]
    if not re.fullmatch(allowed, found):
        raise ValueError(
            f'holds what cannot be sent as auth "{auth}" (several lines, or odd characters); write one line'
        )
    return found.encode()
