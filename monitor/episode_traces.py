"""In which commit's trace each episode began: known while the episode and the process last."""

from collections.abc import Sequence
from dataclasses import replace

from monitor.core.policy import Phase, Transition
from monitor.core.state import ModelState


def followed(state: ModelState, changes: Sequence[Transition], trace: str) -> ModelState:
    """Return the state with the trace of episodes that have begun. trace: its id, "" if it is not kept."""
    if not changes or not (trace or state.traces):
        return state
    found = dict(state.traces)
    for change in changes:
        if change.after is not Phase.FIRING:
            found.pop(change.episode, None)
        elif trace:
            found[change.episode] = trace
    return replace(state, traces=found)
