"""Monitors of drift as a state holds them: many, judged by hand."""

from detectors.base import Level, Verdict
from monitor.core.policy import Phase, Trip, TripKey
from tests.logs import EPOCH


def judged(quotient: float, phase: Phase = Phase.INACTIVE, window: int = EPOCH) -> Trip:
    """Return a monitor whose last window said so much."""
    verdict = Verdict("ks", "x", "drift", Level.OK, 9, quotient, 1.0)
    return Trip("drift", phase, verdict=verdict, window=window, episodes=int(phase is Phase.FIRING))


def features(count: int, quotient: float = 0.5, segment: str = "all") -> dict[TripKey, Trip]:
    """Return a monitor for each of so many features."""
    return {TripKey("v1", segment, f"f{i:04}", "ks"): judged(quotient) for i in range(count)}
