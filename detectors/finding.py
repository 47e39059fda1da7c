"""What a window showed beside what is usual (window_null.py)."""

from msgspec import Struct


class Finding(Struct, frozen=True):
    """What one monitor of a feature, its shift or its missing values, showed in a window.

    score: the largest deviation of any reading at any scale, divided by its limit; a breach above 1, the
    threshold. pvalue: of the monitor, over all of its readings and scales. effect: the size of the change in
    standard deviations (missing: share of the rows). part, scale: which reading, over how many windows.
    apart, usual, limit: how far it is from what is usual, that, and how far it may be. n: the window's rows
    behind it. against: the windows that are usual.
    """

    feature: str
    score: float
    pvalue: float
    effect: float
    part: str
    scale: int
    apart: float
    usual: float
    limit: float
    n: int
    against: str

    @property
    def note(self) -> str:
        """One sentence for people."""
        over = "" if self.scale == 1 else f" over {self.scale} windows"
        away = f"{self.part}{over} is {self.apart:+.3g} from its usual {self.usual:.3g}"
        return f"{away} (limit {self.limit:.3g}), compared with {self.against}"


class Findings(Struct, frozen=True):
    """What a window showed, one finding per feature, in their order. shift: how values are distributed."""

    shift: tuple[Finding, ...]
    missing: tuple[Finding, ...]
