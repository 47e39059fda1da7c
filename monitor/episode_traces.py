"""Episodes in the log, and in which commit's trace each began: known while it and the process last."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

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


def logged(log: Any, change: Transition) -> None:  # noqa: ANN401 - structlog makes the type when first used
    """Say so where an episode begins or ends."""
    if Phase.FIRING not in (change.before, change.after):
        return
    log.warning(
        "episode started" if change.after is Phase.FIRING else "episode ended",
        episode=change.episode,
        version=change.key.version,
        segment=change.key.segment,
        feature=change.key.feature,
        detector=change.key.detector,
        score=change.verdict.score,
        threshold=change.verdict.threshold,
    )
