"""River's rules as streams: the only file that names river. Its traps stay in here (docs/detectors.md).

The state is written without pickle: numbers as they are, river's compiled parts as the bytes they give of
themselves. It is filled into a new rule of the same parameters, so no byte of it decides what is made.
"""

import base64
import random
from collections import deque
from collections.abc import Mapping
from functools import cache
from importlib.metadata import version
from inspect import ismethod
from typing import Any, Protocol

import numpy as np
from msgspec import Struct

from detectors.measure import Floats
from detectors.streaming import Alarms, Intake, Maker, Stored, pack

WARNED, ALARMED = 0.5, 1.0


class Choice(Struct, frozen=True):
    """One of river's rules with its parameters.

    name: ours. rule: river's class. errors: it takes 0 and 1 only. inverted: it looks for a fall, so it is
    fed 1 - error.
    """

    name: str
    rule: str
    parameters: Mapping[str, Any]
    errors: bool = False
    inverted: bool = False


class Rule(Protocol):
    """What all of river's rules have in common; `update` returns nothing."""

    drift_detected: bool

    def update(self, x: float) -> None:
        """Take one row. After an alarm the rule forgets all before it."""


class RiverStream(Stored):
    """One of river's rules on a stream; detectors/river_rules.py makes and describes them.

    None of them has a number that could be compared, so the score says what the last row did: 0 nothing, 0.5
    a warning, 1 an alarm; the threshold is 0.5. Rows are given to river one by one.
    """

    threshold = WARNED

    def __init__(self, choice: Choice) -> None:
        self.name = choice.name
        self._choice = choice
        self._maker = Maker(choice.name, _release(), choice.parameters)
        self._begin()

    def _begin(self) -> None:
        self._intake = Intake()
        self._rule = _made(self._choice)

    @property
    def score(self) -> float:
        """What the last row did: 0, 0.5 (warning) or 1 (alarm)."""
        if self._rule.drift_detected:
            return ALARMED
        return WARNED if getattr(self._rule, "warning_detected", False) else 0.0

    def feed(self, values: Floats) -> Alarms:
        """Take the next rows; see `Stream.feed`."""
        known = values[np.isfinite(values)]
        if self._choice.errors and not ((known == 0) | (known == 1)).all():
            raise ValueError(f"{self.name} takes errors, 0 or 1, and no other value")
        finite, places = self._intake.take(values)
        alarms = self._alarms(1.0 - finite if self._choice.inverted else finite)
        return Alarms(places[alarms], np.full(len(alarms), ALARMED))

    def _alarms(self, values: Floats) -> list[int]:
        rule, found = self._rule, []
        for at, value in enumerate(values.tolist()):
            rule.update(value)
            if rule.drift_detected:
                found.append(at)
        return found

    def dump(self) -> bytes:
        """Return the state; it names river's release."""
        return pack(self._maker, self._intake, _state_of(self._rule))

    def _go_on(self, state: Mapping[str, Any]) -> None:
        _fill(self._rule, state)


@cache
def _release() -> str:
    """Name the release; reading it takes longer than a small batch."""
    return f"river {version('river')}"


def _made(choice: Choice) -> Rule:
    from river import drift  # noqa: PLC0415 - takes a second, and only those pay who chose it

    found = getattr(drift, choice.rule, None) or getattr(drift.binary, choice.rule)
    made: Rule = found(**choice.parameters)
    return made


def _state_of(thing: object) -> dict[str, Any]:
    """Return the attributes of one of river's objects, by kind: as JSON can hold them."""
    return {
        name: _held(value)
        for name, value in vars(thing).items()
        if not ismethod(value)  # which test Page-Hinkley does: a parameter decides it
    }


def _held(value: object) -> object:
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, deque):
        return {"window": list(value)}
    if isinstance(value, random.Random):
        return {"random": value.getstate()}
    compiled = value.__getstate__()
    if isinstance(compiled, bytes):
        return {"compiled": base64.b64encode(compiled).decode()}
    return {"inner": _state_of(value)}


def _fill(thing: object, state: Mapping[str, Any]) -> None:
    """Give one of river's objects the attributes of `_state_of`."""
    for name, held in state.items():
        inside = getattr(thing, name)
        kind, value = next(iter(held.items())) if isinstance(held, dict) else ("plain", held)
        if kind == "inner":
            _fill(inside, value)
        elif kind == "compiled":
            inside.__setstate__(base64.b64decode(value))
        elif kind == "random":
            version, words, spare = value
            inside.setstate((version, tuple(words), spare))
        else:
            setattr(thing, name, deque(value, maxlen=inside.maxlen) if kind == "window" else value)
