"""What a model's budget of false alarms stands on, and how much of it is spent."""

from detectors.stream_choice import STREAMS
from monitor.core.heavy import feature_of, heavy_monitors
from monitor.core.judging import monitor_specs, recipe_for
from monitor.core.plan import MICROSECOND, Plan
from monitor.core.reference import Baseline
from monitor.core.state import ModelState

WINDOWS, RESAMPLE = "windows", "resample"
ANEW = "make the reference anew with `driftd baseline`"
OTHER_WINDOWS = f"the reference's windows were learnt from for another length of windows; {ANEW}"
OTHER_DISTANCES = f"the reference's windows were learnt from before some of the distances were named; {ANEW}"
NOT_LEARNT = f"the reference was made by a release that did not learn from its windows; {ANEW}"


def begun(plan: Plan, state: ModelState) -> int:
    """Count the episodes that began within the budget's time.

    Monitors with thresholds of their own, and streams, share no budget and do not count.
    """
    baseline = state.newest_baseline
    specs = monitor_specs(plan.model, baseline.grid, windows=True) if baseline is not None else ()
    apart = {(s.feature, s.detector) for s in specs if s.threshold is not None}
    apart |= {(feature_of(m), m.detector) for m in heavy_monitors(plan.model) if m.threshold is not None}
    now = max((k.start for k in state.windows), default=state.book.last_closed or 0)
    since = now - plan.rate[1] // MICROSECOND
    shared = (a for a in state.book.alarms if a[1:] not in apart and a[2] not in STREAMS)
    return sum(began > since for began, _, _ in shared)


def spent(plan: Plan, state: ModelState) -> float:
    """Return which share of the budget the episodes lately begun would be, were they all false."""
    return begun(plan, state) / plan.model.alarms.rate[0]


def calibration(plan: Plan, state: ModelState, baseline: Baseline) -> tuple[str, str]:
    """Return where thresholds come from, WINDOWS or RESAMPLE, and why."""
    known = state.nulls.get(baseline.number)
    if known is None:
        return RESAMPLE, NOT_LEARNT
    if known.window != state.book.window:
        return RESAMPLE, OTHER_WINDOWS
    if known.arrays and known.recipe != recipe_for(plan, baseline):
        return RESAMPLE, OTHER_DISTANCES
    return (WINDOWS if known.arrays else RESAMPLE), known.said
