"""Episodes in the log, and in which commit's trace each began: known while it and the process last."""

from collections.abc import Sequence
from typing import Any

from msgspec.structs import replace

from monitor.core.episode_log import EpisodeRecord
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


def logged(
    log: Any,  # noqa: ANN401 - structlog makes the type when first used
    change: Transition,
    record: EpisodeRecord | None,
) -> None:
    """Say that an episode begins or ends; record: what is known of it."""
    key = record.key if record is not None else change.key
    log.warning(
        "episode started" if change.after is Phase.FIRING else "episode ended",
        episode=change.episode,
        version=key.version,
        segment=key.segment,
        feature=key.feature,
        detector=key.detector,
        score=change.verdict.score,
        threshold=change.verdict.threshold,
        **({"cause": record.cause} if record is not None and record.cause else {}),
    )
