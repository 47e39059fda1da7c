"""What stays of a reference while windows pass, and one feature of a window beside it."""

from collections.abc import Mapping
from functools import cached_property

from msgspec import Struct

from detectors.comparison import Comparison, Half, half_of
from detectors.monitors import FAILURES
from detectors.null import Null, null_of
from detectors.profile import Grid, Profile, Summary, summaries
from detectors.recent import Recent
from detectors.stacked import LEFTS_KEPT, Lefts

REFERENCES_KEPT = 256
"""Those of a model's segments, of up to four columns; of each about 6 kB a feature are kept."""
NULLS_KEPT = 4096
RecentNulls = Recent[Null]


class Standing(Struct, frozen=True, eq=False, dict=True):
    """One feature of a reference: what is the same for each window beside it."""

    summary: Summary
    nulls: RecentNulls

    @cached_property
    def n(self) -> int:
        """How many values the reference has."""
        return self.summary.n

    @cached_property
    def half(self) -> Half:
        """Its half of each comparison."""
        return half_of(self.summary)

    @cached_property
    def null(self) -> Null:
        """What to draw when nothing has changed."""
        key = (self.summary.grid, self.summary.counts.tobytes())
        return self.nulls.get(key, lambda: null_of(self.half.beside(self.summary)))


class Known(Struct, frozen=True, eq=False):
    """A reference's features, and their sides of what several are scored by together."""

    features: Mapping[str, Standing]
    lefts: Lefts

    @classmethod
    def of(cls, grid: Grid, profile: Profile, nulls: RecentNulls) -> "Known":
        """Read a reference; nulls: remembers null models, of other references too."""
        features = {s.grid.name: Standing(s, nulls) for s in summaries(grid, profile)}
        return cls(features, Recent(LEFTS_KEPT))


class References:
    """What stays of the references that were asked for lately; may be shared by all that judges a model."""

    def __init__(self) -> None:
        self._nulls: RecentNulls = Recent(NULLS_KEPT)
        self._kept: Recent[tuple[Profile, Known]] = Recent(REFERENCES_KEPT)

    def of(self, grid: Grid, profile: Profile) -> Known:
        """Return what is known of this very profile."""
        found = self._kept.find(id(profile))
        if found is None or found[0] is not profile:  # another one, that is gone, had the id
            found = self._kept.keep(id(profile), (profile, Known.of(grid, profile, self._nulls)))
        return found[1]


class Pair(Struct, frozen=True, eq=False):
    """One feature beside its reference. sizes: values of the reference and of the window.

    judgeable: whether both have enough of them.
    """

    standing: Standing
    window: Summary
    sizes: tuple[int, int]
    judgeable: bool

    @classmethod
    def of(cls, standing: Standing, window: Summary, least: int) -> "Pair":
        """Set a feature beside its reference; both need `least` values or more."""
        sizes = standing.n, window.n
        return cls(standing, window, sizes, min(sizes) >= least and sizes[0] > 0)

    @property
    def compared(self) -> Comparison | Exception:
        """Both samples on the same cells, or why there is no comparison."""
        try:
            return self.standing.half.beside(self.window)
        except FAILURES as error:
            return error
