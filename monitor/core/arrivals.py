"""Which versions of a model have appeared, and when: the one that came last ends a cooldown."""

import json
from collections.abc import Iterable, Mapping

from msgspec import Struct, field
from msgspec.structs import replace

from monitor.core.profiles import OTHER
from monitor.core.registry import SPACE as REGISTRY
from monitor.core.registry import Registry
from monitor.types import Changes, Micros

SPACE = "arrival"
KEPT = 1000
"""Versions of the log that are remembered, the newest ones: a broken log may have a new one in every row."""


class Arrivals(Struct, frozen=True):
    """log: version -> end of the first window with its rows (event time), 0 of those there from the start.

    registry: None where none was ever heard of.
    """

    log: Mapping[str, Micros] = field(default_factory=dict)
    registry: Registry | None = None

    @property
    def newest(self) -> Micros | None:
        """Return when the version that came last was first seen."""
        known = [] if self.registry is None else [self.registry.newest]
        return max((at for at in (*self.log.values(), *known) if at is not None), default=None)


def appeared(
    model: str, arrivals: Arrivals, versions: Iterable[str], tick: Micros
) -> tuple[Arrivals, Changes]:
    """Note the versions seen until the tick's windows have closed; returns also the entries that say so.

    The first ones ever are new to nobody. A version that was forgotten, too many having come since, is new.
    """
    fresh = set(versions) - arrivals.log.keys() - {OTHER}
    if not fresh:
        return arrivals, {}
    log = {**arrivals.log, **dict.fromkeys(sorted(fresh), tick if arrivals.log else 0)}
    kept = sorted(log, key=lambda version: (log[version], version))[-KEPT:]
    changes: Changes = {(SPACE, model, _key(version)): str(log[version]).encode() for version in fresh}
    changes |= {(SPACE, model, _key(version)): None for version in log.keys() - set(kept)}
    return replace(arrivals, log={version: log[version] for version in kept}), changes


def load_arrivals(spaces: Mapping[str, Mapping[str, bytes]]) -> Arrivals:
    """Read them from the model's entries, by space and key."""
    registry = spaces.get(REGISTRY, {}).get("")
    log = {json.loads(key)[0]: int(value) for key, value in spaces.get(SPACE, {}).items()}
    return Arrivals(log, None if registry is None else Registry.load(registry))


def _key(version: str) -> str:
    return json.dumps([version], separators=(",", ":"), ensure_ascii=False)
