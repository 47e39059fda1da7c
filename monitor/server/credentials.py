"""Who may ask: bearer tokens, and users with passwords; their files are read anew when they change."""

import asyncio
import base64
import binascii
import hashlib
import hmac
import re
import secrets
from collections.abc import Callable
from pathlib import Path
from typing import Generic, TypeVar

from msgspec import Struct

from monitor.server.passwords import NOBODY, matches, users
from monitor.server.tls import seen
from monitor.web import Web

SHORTEST = 16
TOKEN = re.compile(rf"[!-~]{{{SHORTEST},4096}}")
FILE_BYTES = 2**16
REMEMBERED = 256
"""Right passwords that are not hashed again, so that a scrape every few seconds costs nothing."""
WAITING = 16
"""Passwords that wait to be hashed, one at a time; further ones are told to come again."""

Tell = Callable[..., object]
Content = TypeVar("Content")


class BusyError(Exception):
    """Too many passwords wait to be looked at."""


class Token(Struct, frozen=True):
    """A token's digest, and the name that the audit log shows."""

    name: str
    digest: bytes


def tokens(text: str, name: str) -> tuple[Token, ...]:
    r"""Read tokens apart by white space; `#` begins a comment. Raises ValueError, quoting nothing.

    >>> [t.name for t in tokens("0123456789abcdef  # CI\nfedcba9876543210", "api")]
    ['api#1', 'api#2']
    """
    found = words(text)
    if any(TOKEN.fullmatch(word) is None for word in found):
        raise ValueError(f"holds a token that is no ASCII or shorter than {SHORTEST} characters")
    names = [name] if len(found) == 1 else [f"{name}#{i}" for i in range(1, len(found) + 1)]
    return tuple(Token(n, _digest(word.encode())) for n, word in zip(names, found, strict=True))


def words(text: str) -> list[str]:
    """Return what stands between white space, comments left out."""
    return [word for line in text.splitlines() for word in line.partition("#")[0].split()]


def file_text(path: Path) -> str:
    """Return a small file's text. Raises ValueError, quoting nothing."""
    try:
        with path.open("rb") as file:
            text = file.read(FILE_BYTES + 1)
    except OSError as error:
        raise ValueError(f"cannot be read ({error.strerror})") from error
    if len(text) > FILE_BYTES:
        raise ValueError(f"holds more than {FILE_BYTES:,} bytes")
    try:
        return text.decode()
    except UnicodeDecodeError as error:
        raise ValueError("holds no text") from error


class Watched(Generic[Content]):
    """What a file holds, read anew when it changes; `nothing` where it cannot be used: nobody gets in."""

    def __init__(self, path: Path, parse: Callable[[str], Content], nothing: Content) -> None:
        self._path = path
        self._parse = parse
        self._nothing = nothing
        self._content = nothing
        self._seen: tuple[int, int, int] | None = None

    def content(self, tell: Tell) -> Content:
        """Return what it holds now; that it cannot be used is told once."""
        now = seen(self._path)
        if now != self._seen:
            self._seen = now
            try:
                self._content = self._parse(file_text(self._path))
            except ValueError as error:
                self._content = self._nothing
                tell("credentials cannot be used", file=self._path.name, error=str(error))
        return self._content


class Credentials:
    """Looks at Authorization headers; used by one event loop."""

    def __init__(self, web: Web, tell: Tell) -> None:
        self._tell = tell
        self._fixed = tokens(web.tokens.get_secret_value(), web.token_env or "")
        self._files = [_token_file(path) for path in web.token_files]
        self._users = Watched[dict[str, str]](web.users_file, users, {}) if web.users_file else None
        self.schemes = _schemes(web)
        self._right: dict[bytes, None] = {}
        self._pepper = secrets.token_bytes(32)
        self._one = asyncio.Semaphore(1)
        self._waiting = 0

    async def who(self, authorization: bytes) -> str:
        """Return whose credentials these are, "" for nobody's. Raises BusyError."""
        scheme, _, given = authorization.partition(b" ")
        if scheme.lower() == b"bearer":
            return self._token(_digest(given.strip()))
        if scheme.lower() == b"basic" and self._users is not None:
            return await self._password(given.strip(), self._users.content(self._tell))
        return ""

    def _token(self, digest: bytes) -> str:
        known = [*self._fixed, *(token for file in self._files for token in file.content(self._tell))]
        equal = [token.name for token in known if hmac.compare_digest(token.digest, digest)]
        return equal[0] if equal else ""

    async def _password(self, given: bytes, known: dict[str, str]) -> str:
        try:
            name, _, password = base64.b64decode(given, validate=True).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError):
            return ""
        phc = known.get(name, NOBODY)
        mark = hashlib.blake2b(f"{phc}:{password}".encode(), key=self._pepper).digest()
        if mark not in self._right:
            if not await self._hash(password, phc):
                return ""
            self._right[mark] = None
            while len(self._right) > REMEMBERED:
                del self._right[next(iter(self._right))]
        return name if name in known else ""

    async def _hash(self, password: str, phc: str) -> bool:
        """Hash in another thread, one at a time: guessing must not take the cores away from ingest."""
        if self._waiting >= WAITING:
            raise BusyError
        self._waiting += 1
        try:
            async with self._one:
                return await asyncio.to_thread(matches, password, phc)
        finally:
            self._waiting -= 1


def _token_file(path: Path) -> Watched[tuple[Token, ...]]:
    return Watched(path, lambda text: tokens(text, path.stem), ())


def _digest(token: bytes) -> bytes:
    return hashlib.sha256(token).digest()


def _schemes(web: Web) -> str:
    """Return the WWW-Authenticate header: what a client may try."""
    bearer = ['Bearer realm="driftd"'] if web.token_files or web.token_env else []
    basic = ['Basic realm="driftd", charset="UTF-8"'] if web.users_file else []
    return ", ".join([*basic, *bearer])  # Basic first: some clients read only the first one
