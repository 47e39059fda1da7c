"""A closed window as a detector sees it."""

import numpy as np
from msgspec.structs import replace

from detectors.profile import Grid, Profile, WindowProfile
from monitor.core.profiles import ALL, GroupKey
from monitor.core.reference import Baseline
from monitor.core.state import ModelState


def beside_reference(
    state: ModelState, baseline: Baseline | None, group: GroupKey, profile: Profile
) -> WindowProfile | None:
    """Return the window beside its reference; None where that has no rows of the group."""
    reference = baseline.profiles.get(group.segment) if baseline else None
    if baseline is None or reference is None:
        return None
    window = WindowProfile(baseline.grid, profile, reference)
    if group.segment != ALL:
        return window
    unknown = state.book.unknown.get(group.start, frozenset()) - baseline.columns
    return replace(
        window, columns_missing=_missing(baseline.grid, profile, reference), columns_unknown=unknown
    )


def _missing(grid: Grid, profile: Profile, reference: Profile) -> frozenset[str]:
    """Name the columns without any value in the window that have values in the reference."""
    gone = profile.cells[grid.nulls] == profile.rows
    known = reference.cells[grid.nulls] < reference.rows
    return frozenset(grid.features[place].name for place in np.flatnonzero(gone & known).tolist())
