"""Schedules, as the core takes them: the next time, in event time."""

from collections.abc import Callable

from monitor.types import Micros

Fires = Callable[[Micros], Micros]
"""A schedule: its first time at or after a point in event time."""


def period(fires: Fires) -> Micros:
    """Return the mean time between two runs of a schedule, over its first hundred."""
    first = at = fires(0)
    for _ in range(100):
        at = fires(at + 1)
    return (at - first) // 100
