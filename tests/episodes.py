"""Models with episodes that fire, as state."""

from typing import Any

from detectors.base import Level, Verdict
from monitor.core.episode_log import EpisodeRecord
from monitor.core.plan import Plan
from monitor.core.policy import Phase, Trip
from monitor.core.state import Book, ModelState
from monitor.core.windows import Progress
from tests.logs import EPOCH, model, plan_of


def firing(name: str, *episodes: EpisodeRecord, begun: int = 0) -> tuple[Plan, ModelState]:
    """Return a model and a state in which these episodes fire, unless they ended."""
    trips = {
        e.key: Trip(
            e.kind,
            Phase.FIRING,
            episode=e.id,
            since=e.started,
            window=EPOCH,
            verdict=Verdict(e.detector, e.feature, e.kind, Level.BREACH, 9, e.score, e.threshold),
        )
        for e in episodes
        if e.ended is None
    }
    counts = {("predictions-0", "received", ""): 1234567, ("predictions-0", "stored", ""): 1234567}
    alarms = tuple((EPOCH, "x", "ks") for _ in range(begun))
    book = Book(Progress(EPOCH, EPOCH), counts, last_closed=EPOCH, windows_closed=3, alarms=alarms)
    state = ModelState(name, book=book, trips=trips, episodes={e.id: e for e in episodes})
    return plan_of(model(name=name)), state


def episode(id_: str, feature: str = "x", kind: str = "drift", **more: Any) -> EpisodeRecord:  # noqa: ANN401
    segment = more.pop("segment", "all")
    return EpisodeRecord(id_, "v1", segment, feature, "ks", kind, EPOCH, score=2.0, threshold=1.0, **more)
