"""What the reference's own windows show, learnt when a model is opened."""

from msgspec.structs import replace

from monitor.core.judging import null_models, recipe_for
from monitor.core.nulls import Nulls
from monitor.core.plan import Plan
from monitor.core.state import ModelState, nulls_changes
from monitor.reference_file import ReferenceFile
from monitor.types import Changes

CHANGED = "the reference's file is no longer the one that the reference was made of"


def with_nulls(plan: Plan, file: ReferenceFile | None, state: ModelState) -> tuple[ModelState, Changes]:
    """Learn from the newest reference's own windows, unless that was done for what is configured now.

    Of a reference that was made of the log they can be learnt once, when it is made: later its rows are gone.
    """
    baseline = state.newest_baseline
    if baseline is None or file is None or baseline.origin != file.origin:
        return state, {}
    wanted, known = recipe_for(plan, baseline), state.nulls.get(baseline.number)
    same = known is not None and known.recipe == wanted
    if known is not None and same and (known.arrays or known.file == file.stamp):
        return state, {}
    if file.made(baseline):
        nulls = replace(null_models(plan, baseline, file.rows(plan.window), file.run), file=file.stamp)
    else:
        nulls = Nulls(baseline.number, plan.window, wanted, CHANGED, {}, file.stamp)
    after = replace(state, nulls={**state.nulls, baseline.number: nulls})
    return after, nulls_changes(plan.name, nulls)
