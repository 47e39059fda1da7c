"""Streams taken up again at the start: those that cannot go on begin anew, and that is said."""

from msgspec.structs import replace

from monitor.core.state import ModelState
from monitor.core.stream_state import stream_changes
from monitor.core.streaming import Streaming
from monitor.core.streams import refused
from monitor.logs import logger
from monitor.types import Changes


def with_streams(streaming: Streaming, state: ModelState) -> tuple[ModelState, Changes]:
    """Let go of stored streams that do not fit the configuration, the reference or the library any more."""
    gone = refused(streaming, state)
    for key, why in sorted(gone.items()):
        logger("streams", model=state.model).info(
            "stream begins anew" if why else "stream forgotten",
            version=key.version,
            feature=key.feature,
            detector=key.detector,
            reason=why or "no monitor asks for it",
        )
    kept = {key: held for key, held in state.streams.items() if key not in gone}
    return replace(state, streams=kept), stream_changes(state.model, state.streams, kept)
