"""The signature of Standard Webhooks by one key, as a webhook's configured keys make it."""

import base64

from exporters.auth import Auth, signed


def by(key: bytes) -> Auth:
    """Return what signs with a raw key."""
    return signed(lambda: (key,))


def key_of(secret: bytes) -> bytes:
    """Return the raw key of a secret as it is written, `whsec_` and its base64."""
    return base64.b64decode(secret.removeprefix(b"whsec_"))
