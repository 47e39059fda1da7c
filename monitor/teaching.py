"""What the reference's own windows show, learnt when a model is opened."""

from dataclasses import replace
from pathlib import Path

from monitor.core.judging import null_models, recipe_for
from monitor.core.nulls import Nulls
from monitor.core.plan import Plan
from monitor.core.profiles import Run
from monitor.core.reference import Baseline
from monitor.core.schema import Schema
from monitor.core.state import ModelState, nulls_changes
from monitor.references import baseline_of, read_frame, timed_rows
from monitor.types import Changes

CHANGED = "the reference's file is no longer the one that the reference was made of"


def with_nulls(
    plan: Plan, schema: Schema, state: ModelState, run: Run, *, fresh: bool
) -> tuple[ModelState, Changes]:
    """Learn from the newest reference's own windows, unless that was done for what is configured now.

    Of a reference that was made of the log they can be learnt once, when it is made: later its rows are gone.
    fresh: the reference was made just now, so that the file is sure to be the one it was made of.
    """
    baseline, path = state.newest_baseline, plan.model.reference.path
    if baseline is None:
        return state, {}
    wanted, known = recipe_for(plan, baseline), state.nulls.get(baseline.number)
    if path is None or baseline.origin != f"file {path}":
        return state, {}
    file = _state_of(Path(path))
    same = known is not None and known.recipe == wanted
    if known is not None and same and (known.arrays or known.file == file):
        return state, {}
    frame = read_frame(Path(path))
    if fresh or alike(baseline_of(schema, frame, baseline.origin, run), baseline):
        rows = timed_rows(schema, frame, baseline.origin, plan.window)
        nulls = replace(null_models(plan, baseline, rows, run), file=file)
    else:
        nulls = Nulls(baseline.number, plan.window, wanted, CHANGED, {}, file)
    after = replace(state, nulls={**state.nulls, baseline.number: nulls})
    return after, nulls_changes(plan.name, nulls)


def _state_of(path: Path) -> str:
    """Name a state of a file: one that was written since has another."""
    found = path.stat()
    return f"{found.st_size}/{found.st_mtime_ns}"


def alike(one: Baseline, other: Baseline) -> bool:
    """Tell whether two references are of the same rows, whatever columns nobody watches."""
    same = one.grid == other.grid and one.profiles.keys() == other.profiles.keys()
    return same and all(
        one.profiles[k].cells.tobytes() == other.profiles[k].cells.tobytes() for k in one.profiles
    )
