"""A verdict computed again and compared with what its audit record says: equal, not equal, or partly."""

import math
from collections.abc import Callable, Mapping
from functools import partial
from types import MappingProxyType
from typing import Any

from msgspec import Struct

from detectors.base import ClassShare, Level, Verdict
from detectors.monitors import FAILURES
from monitor.core.heavy_records import Ask, joint_again
from monitor.core.recomputing import NEAR, WAYS, taken
from monitor.core.records import AuditRecord, NotAgainError
from monitor.core.stream_records import stream_again
from monitor.failures import POLARS_FAILURES

NUMBERS = ("score", "threshold", "effect", "pvalue")
Way = Callable[[AuditRecord], Verdict]
AWAY = "the rows it was computed from are not at hand: they are in the state folder, while there is room"
EQUAL, PARTLY, UNEQUAL = "equal", "partly", "not equal"
TAKEN = "score and threshold are taken as recorded, and the verdict follows from them"
LOSSES = "from the losses that the stored model of losses expected of the window's sampled rows"
BROKEN: tuple[type[BaseException], ...] = (*FAILURES, *POLARS_FAILURES, AttributeError)
OLDER = "what it was computed from is not kept"


class Compared(Struct, frozen=True):
    """One number of a verdict: as recorded, and as computed again."""

    name: str
    recorded: float | str | None
    again: float | str | None

    @property
    def equal(self) -> bool:
        """Tell whether they agree."""
        a, b = self.recorded, self.again
        if isinstance(a, float | int) and isinstance(b, float | int):
            return math.isclose(a, b, rel_tol=NEAR, abs_tol=1e-300)
        return a == b


class Verified(Struct, frozen=True):
    """What came of computing a verdict again.

    sealed: the record is as it was. problem: it cannot be. lacking: why the score was taken as recorded, ""
    where it was not. note: what else there is to know.
    """

    sealed: bool
    compared: tuple[Compared, ...]
    lacking: str = ""
    note: str = ""
    problem: str = ""

    @property
    def says(self) -> str:
        """Return what it comes to: EQUAL, UNEQUAL, or PARTLY where not all of it was computed again."""
        if not self.sealed or self.problem or not all(each.equal for each in self.compared):
            return UNEQUAL
        return PARTLY if self.lacking else EQUAL


def verify(record: AuditRecord, ask: Ask | None = None) -> Verified:
    """Compute the verdict of a record again. Needs nothing else: no configuration, log or state.

    ask: asks the detectors that are not driftd's own. A record that has changed is not computed from.
    """
    if not record.intact:
        return Verified(sealed=False, compared=())
    try:
        again, lacking = _again(record, ask)
        said = record.head["verdict"]
        compared = tuple(Compared(n, said[n], getattr(again, n)) for n in NUMBERS)
        compared += (Compared("verdict", said["level"], str(again.level)),)
        compared += (Compared("n", said["n"], again.n), *_shares(said, again))
        note = LOSSES if "losses" in record.arrays else ""
        problem = again.note if again.level is Level.ERROR else ""
        return Verified(sealed=True, compared=compared, lacking=lacking, note=note, problem=problem)
    except BROKEN as error:
        said = f"cannot be computed again: {type(error).__name__}: {error}"
        return Verified(sealed=True, compared=(), problem=said)


def _shares(said: Mapping[str, Any], again: Verdict) -> tuple[Compared, ...]:
    """Set the classes' shares beside each other; records of older releases have none."""
    recorded = [ClassShare(*each) for each in said.get("classes", ())]
    return tuple(
        Compared(f"share of {one.name}", one.value, other.value)
        for one, other in zip(recorded, again.classes, strict=bool(recorded))
    )


def _again(record: AuditRecord, ask: Ask | None) -> tuple[Verdict, str]:
    """Return the verdict, and why its score is as recorded, "" where it was computed."""
    why = _why_not(record)
    try:
        if not why:
            return _way(record, ask)(record), ""
    except NotAgainError as error:
        why = str(error)
    return taken(record), f"{why}: {TAKEN}"


def _why_not(record: AuditRecord) -> str:
    """Return why a verdict cannot be computed again, "" where it can."""
    head = record.head
    if "problem" in head:
        return f"the record could not be made whole ({head['problem']})"
    if "left_out" in head:
        return str(head["left_out"])
    if record.hashes.keys() - record.files.keys():
        return AWAY
    known = head["how"] in {*WAYS, *WITH_ROWS} and NEEDS.get(head["how"], "") in {
        "",
        *record.arrays,
        *record.files,
    }
    return "" if known else OLDER


def _way(record: AuditRecord, ask: Ask | None) -> Way:
    how = record.head["how"]
    return WITH_ROWS[how](ask) if how in WITH_ROWS else WAYS[how]


WITH_ROWS: Mapping[str, Callable[[Ask | None], Way]] = MappingProxyType(
    {"joint": lambda ask: partial(joint_again, ask=ask), "stream": lambda _: stream_again}
)
"""What computes a verdict again from rows that are kept beside its record."""
NEEDS = MappingProxyType(
    {"joint": "window", "stream": "values", "gathered": "mark/money", "faults": "mark/money"}
)
"""What has to be there, where a record may be without: an array or a file."""
