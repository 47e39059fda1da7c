"""A detector of a stream: what each takes, gives and writes down.

A stream of numbers comes in chunks whose sizes mean nothing: wherever it is cut, the same rows are alarms.
Windows are compared by detectors/base.py instead; a stream has no window, it is judged row after row.
"""

import hashlib
import json
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np
from msgspec import Struct
from msgspec.structs import asdict

from detectors.measure import Floats, Ints

FORMAT = 1
DIGEST = hashlib.sha256().digest_size


class Alarms(Struct, frozen=True, eq=False):
    """The alarms of one chunk.

    rows: int64 [a], ascending, the row of each, counted from 0 at the stream's start; rows that were left out
    are counted too. scores: float64 [a], the score that each had, above the threshold and finite.
    """

    rows: Ints
    scores: Floats


class Stream(Protocol):
    """One detector on one stream. Not safe for threads.

    name: as docs/detectors.md lists it. threshold: a score above it is an alarm. score: the present one,
    finite; higher is more drift. rows: how many were fed. left_out: how many of them were not finite.
    """

    @property
    def name(self) -> str: ...  # noqa: D102 - see the class
    @property
    def threshold(self) -> float: ...  # noqa: D102
    @property
    def score(self) -> float: ...  # noqa: D102
    @property
    def rows(self) -> int: ...  # noqa: D102
    @property
    def left_out(self) -> int: ...  # noqa: D102

    def feed(self, values: Floats) -> Alarms:
        """Take the next rows, float64 [n] in order; n may be 0. After an alarm it begins anew by itself.

        NaN and infinite values are left out and counted. ValueError when a value cannot be judged (not 0 or 1
        where errors are asked for, outside of [0, 1] for e_sr); nothing of such a chunk is taken.
        """

    def dump(self) -> bytes:
        """Return the state: everything that the rows so far have to do with the rows to come."""

    def load(self, data: bytes) -> str:
        """Go on where `dump` was called, of a stream made with the same parameters.

        Returns "" then. A state of other parameters, of another release of the library or with bytes that
        changed is not used: the stream begins anew, and what is returned says why.
        """


class Intake(Struct):
    """What every stream does with a chunk before its own rule sees it: count the rows, leave out the rest."""

    rows: int = 0
    left_out: int = 0

    def take(self, values: Floats) -> tuple[Floats, Ints]:
        """Return the finite values and the row of each, counted from the stream's start."""
        finite = np.isfinite(values)
        places = np.flatnonzero(finite) + self.rows
        self.rows += len(values)
        self.left_out += len(values) - len(places)
        return np.ascontiguousarray(values[finite], dtype=np.float64), places


class Stored(ABC):
    """What streams have in common: the counts of their intake, and how a stored state is taken up."""

    _intake: Intake
    _maker: "Maker"

    @abstractmethod
    def _begin(self) -> None:
        """Forget everything."""

    @abstractmethod
    def _go_on(self, state: Mapping[str, Any]) -> None:
        """Take up what `dump` wrote of the stream's own rule."""

    def load(self, data: bytes) -> str:
        """Go on from a state of the same parameters and release; see `Stream.load`."""
        self._begin()
        held = unpack(self._maker, data)
        if isinstance(held, str):
            return held
        self._intake, state = held
        self._go_on(state)
        return ""

    @property
    def rows(self) -> int:
        """How many rows were fed."""
        return self._intake.rows

    @property
    def left_out(self) -> int:
        """How many of them were not finite."""
        return self._intake.left_out


class Maker(Struct, frozen=True):
    """Whose state it is: it fits only a stream of the same name, parameters and release of the library."""

    name: str
    release: str
    parameters: Mapping[str, Any]


def pack(maker: Maker, intake: Intake, state: Mapping[str, Any]) -> bytes:
    """Return a state as bytes: the digest of what follows, then JSON. Floats keep all of their bits.

    The digest finds bytes that were damaged, not bytes that were forged: only the daemon's own store is read.
    """
    head = {"format": FORMAT, **asdict(maker)}
    text = json.dumps({"head": head, "intake": asdict(intake), "state": state}, separators=(",", ":"))
    body = text.encode()
    return hashlib.sha256(body).digest() + body


def unpack(maker: Maker, data: bytes) -> tuple[Intake, Mapping[str, Any]] | str:
    """Return intake and state of `pack`, or why they cannot be used.

    Examples
    --------
    >>> mine = Maker("e_sr", "1", {"arl": 100.0})
    >>> data = pack(mine, Intake(7, 1), {"sum": 0.1})
    >>> unpack(mine, data)
    (Intake(rows=7, left_out=1), {'sum': 0.1})
    >>> unpack(Maker("e_sr", "2", {"arl": 100.0}), data)
    'the state is of release 1, this is 2'

    """
    body = data[DIGEST:]
    if len(data) <= DIGEST or hashlib.sha256(body).digest() != data[:DIGEST]:
        return "the state is damaged"
    held = json.loads(body)
    head = held["head"]
    if (head["format"], head["name"]) != (FORMAT, maker.name):
        return f"the state is of {head['name']}, format {head['format']}"
    if head["release"] != maker.release:
        return f"the state is of release {head['release']}, this is {maker.release}"
    if head["parameters"] != dict(maker.parameters):
        return "the state is of other parameters"
    return Intake(**held["intake"]), held["state"]
