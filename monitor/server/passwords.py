"""Passwords as scrypt hashes, in the PHC form `$scrypt$ln=14,r=8,p=5$salt$key` that other programs know."""

import base64
import hashlib
import hmac
import re
import secrets

COST = "ln=14,r=8,p=5"
"""16 MiB and about a fifth of a second: one of the settings that OWASP holds to be equally good."""
NOBODY = f"$scrypt${COST}${'A' * 22}${'A' * 43}"
"""Hashed where there is no such user, so that the time taken does not say so."""
PHC = re.compile(r"\$scrypt\$(ln=1[0-7],r=8,p=[1-9])\$([A-Za-z0-9+/]{22})\$([A-Za-z0-9+/]{43})")
USER = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,63}")
KEY_BYTES = 32


def hashed(password: str) -> str:
    """Hash a password, with a salt of its own."""
    salt = secrets.token_bytes(16)
    return f"$scrypt${COST}${_text(salt)}${_text(_scrypt(password, COST, salt))}"


def matches(password: str, phc: str) -> bool:
    """Tell whether a password is the hashed one, in a time that does not depend on it.

    >>> matches("open sesame", hashed("open sesame")), matches("open barley", hashed("open sesame"))
    (True, False)
    """
    match = PHC.fullmatch(phc)
    if match is None:
        return False
    return hmac.compare_digest(_scrypt(password, match[1], _bytes(match[2])), _bytes(match[3]))


def users(text: str) -> dict[str, str]:
    """Read lines of `name:hash` as `driftd password` writes them. Raises ValueError, quoting nothing."""
    found: dict[str, str] = {}
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        name, _, phc = line.strip().partition(":")
        if USER.fullmatch(name) is None or PHC.fullmatch(phc) is None:
            raise ValueError(f"line {number} is no line as `driftd password NAME` prints it")
        found[name] = phc
    return found


def _scrypt(password: str, cost: str, salt: bytes) -> bytes:
    log2, r, p = (int(part.partition("=")[2]) for part in cost.split(","))
    n = 2**log2
    room = 128 * r * (n + p + 2)
    return hashlib.scrypt(password.encode(), salt=salt, n=n, r=r, p=p, maxmem=room, dklen=KEY_BYTES)


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode().rstrip("=")


def _bytes(text: str) -> bytes:
    return base64.b64decode(text + "=" * (-len(text) % 4))
