"""What every detector takes and gives."""

from collections.abc import Sequence
from enum import StrEnum
from typing import NamedTuple, Protocol

from msgspec import Struct

from detectors.profile import WindowProfile


class Level(StrEnum):
    """What a verdict says, before the policy asks for how long."""

    OK = "ok"
    BREACH = "breach"
    INSUFFICIENT_DATA = "insufficient_data"
    NO_REFERENCE = "no_reference"
    ERROR = "error"


class ClassShare(NamedTuple):
    """What share of a window's rows is of a true class, as estimated before any outcome: all from 0 to 1.

    low, high: its 95 % interval. usual: its share in the reference.
    """

    name: str
    value: float
    low: float
    high: float
    usual: float


class Verdict(Struct, frozen=True):
    """One detector's word on one feature of one closed window.

    score: the statistic, higher is more drift; None unless level is OK or BREACH, never NaN.
    threshold: the score above which it is a breach, same unit. pvalue: for tests only. effect: the size of
    the change on the detector's own scale of 0 (none) upwards. n: rows of the window that were judged.
    """

    detector: str
    feature: str
    kind: str
    level: Level
    n: int
    score: float | None = None
    threshold: float | None = None
    pvalue: float | None = None
    effect: float | None = None
    note: str = ""
    classes: tuple[ClassShare, ...] = ()


class Detector(Protocol):
    """A window comparison: stateless, so nothing has to be restored after a restart."""

    def close(self, window: WindowProfile) -> Sequence[Verdict]:
        """Judge a closed window; one verdict per feature, an ERROR verdict instead of an exception."""
