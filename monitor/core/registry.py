"""A model's versions in a registry: which have come, which one a log's version is, what is said about one."""

import json
from collections.abc import Iterable, Sequence
from typing import Self

from msgspec import Struct

from monitor.core.outbox import Note
from monitor.core.retrain import ClosedWindow, Firing, clip, finite, rfc3339
from monitor.types import Micros

SPACE = "registry"
ENDPOINT = "mlflow:"
"""Before a model's name, its registry's endpoint in the outbox; no webhook's name has a colon."""
KEPT = 1000
"""Versions that are remembered, those with the largest numbers."""


class Registered(Struct, frozen=True):
    """One version. names: what the log may call it. since: event time at which it came, 0 if always there."""

    number: int
    names: tuple[str, ...]
    since: Micros = 0


class Registry(Struct, frozen=True):
    """What is known of a registered model. source: which registry said so, as a hash.

    versions: the largest number first. last: the largest number ever seen.
    """

    source: str
    name: str
    versions: tuple[Registered, ...] = ()
    last: int = 0

    @property
    def newest(self) -> Micros | None:
        """Return when the version that came last was first seen."""
        return max((version.since for version in self.versions), default=None)

    def number_of(self, version: str) -> int | None:
        """Return the number of what the log calls so, the largest one of several."""
        return next((known.number for known in self.versions if version in known.names), None)

    def heard(self, found: Iterable[tuple[int, tuple[str, ...]]], at: Micros) -> "Registry":
        """Return what is known after a look at the registry. found: numbers and names. at: event time."""
        since = {known.number: known.since for known in self.versions}
        best = sorted(dict(found).items(), reverse=True)[:KEPT]
        versions = tuple(
            Registered(number, names, at if number > self.last else since.get(number, 0))
            for number, names in best
        )
        last = max([self.last, *(number for number, _ in best)])
        return Registry(self.source, self.name, versions, last)

    def dump(self) -> bytes:
        """Write it as JSON."""
        versions = [[v.number, v.names, v.since] for v in self.versions]
        parts = {"source": self.source, "name": self.name, "last": self.last, "versions": versions}
        return json.dumps(parts, separators=(",", ":"), ensure_ascii=False).encode()

    @classmethod
    def load(cls, data: bytes) -> Self:
        """Read what `dump` wrote."""
        parts = json.loads(data)
        versions = tuple(
            Registered(number, tuple(names), since) for number, names, since in parts["versions"]
        )
        return cls(parts["source"], parts["name"], versions, parts["last"])


def first_heard(source: str, name: str, found: Iterable[tuple[int, tuple[str, ...]]]) -> Registry:
    """Return what is known after the first look: whatever is there has been there."""
    return Registry(source, name).heard(found, 0)


def evidence(
    registry: Registry, asked: Note, wanted: Sequence[Firing], window: ClosedWindow
) -> dict[int, Note]:
    """Return, by its number, the note that attaches to each version that a request is about why it was made.

    wanted: the firing monitors that the request names, the worst first. Versions that the registry does not
    know have none.
    """
    worst: dict[int, Firing] = {}
    for firing in wanted:
        number = registry.number_of(firing.version)
        if number is not None:
            worst.setdefault(number, firing)
    bodies = {n: _body(registry.name, n, _tags(asked, firing, window)) for n, firing in worst.items()}
    place = ENDPOINT + asked.model
    return {n: Note(f"{asked.id}_{n}", place, asked.model, body, window.end) for n, body in bodies.items()}


def _body(name: str, number: int, tags: dict[str, str]) -> str:
    parts = {"name": name, "version": str(number), "tags": tags}
    return json.dumps(parts, sort_keys=True, ensure_ascii=False, separators=(",", ":"))


def _tags(asked: Note, firing: Firing, window: ClosedWindow) -> dict[str, str]:
    tags = {
        "requested_at": rfc3339(window.end),
        "request": asked.id,
        "episode": clip(firing.episode),
        "kind": clip(firing.kind),
        "monitor": "/".join(map(clip, (firing.feature, firing.detector, firing.segment))),
        "score": _number(firing.score),
        "threshold": _number(firing.threshold),
        "window_start": rfc3339(window.start),
        "window_end": rfc3339(window.end),
        "reference": clip(window.reference),
    }
    return {f"driftd.{name}": value for name, value in tags.items()}


def _number(value: float | None) -> str:
    """Write a number; none is no text, so that a tag of an older request does not stay."""
    known = finite(value)
    return "" if known is None else repr(known)
