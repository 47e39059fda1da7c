"""The shares of the true classes that `label_shift` estimates: as series, for `driftd status`, for people."""

from collections.abc import Iterator
from typing import Any, NamedTuple

from detectors.base import ClassShare
from detectors.class_shift import LABEL_SHIFT, share_text
from exporters.catalog import Sample
from monitor.core.plan import Plan
from monitor.core.policy import Shown
from monitor.core.profiles import ALL
from monitor.core.state import ModelState
from monitor.performance_status import time_text
from monitor.performing import shown_state
from monitor.room import Block

CLASSES_SHOWN = 10
"""With more classes the shares have too many series to be worth it; `driftd status` has all of them."""


class Estimated(NamedTuple):
    """The classes of a group's last window that was judged. window: its start, microseconds."""

    version: str
    segment: str
    window: int
    classes: tuple[ClassShare, ...]


def estimated(plan: Plan, state: ModelState) -> Iterator[Estimated]:
    """Yield what is known of the classes, by version and segment."""
    for key, trip in sorted(state.trips.items()):
        classes = trip.verdict.classes if trip.verdict is not None else ()
        if classes and key.detector == LABEL_SHIFT and shown_state(plan, state, trip) is not Shown.STALE:
            yield Estimated(key.version, key.segment, trip.window, classes)


def share_blocks(plan: Plan, state: ModelState) -> Iterator[tuple[bool, Block]]:
    """Yield the series of each group, and whether it is a segment's."""
    for one in estimated(plan, state):
        if len(one.classes) <= CLASSES_SHOWN:
            samples = [
                Sample(
                    f"driftd_class_share_{part}ratio", (plan.name, one.version, one.segment, each.name), value
                )
                for each in one.classes
                for part, value in zip(("", "lower_", "upper_", "reference_"), each[1:], strict=True)
            ]
            yield one.segment != ALL, Block(len(samples), samples)


def class_status(plan: Plan, state: ModelState) -> list[dict[str, Any]]:
    """Return the shares as plain data, ready for JSON."""
    return [
        {
            "version": one.version,
            "segment": one.segment,
            "start": time_text(one.window),
            "end": time_text(one.window + plan.window),
            "classes": {
                each.name: {
                    "share": each.value,
                    "low": each.low,
                    "high": each.high,
                    "reference": each.usual,
                }
                for each in one.classes
            },
        }
        for one in estimated(plan, state)
    ]


def class_lines(found: list[dict[str, Any]]) -> Iterator[str]:
    """Yield a line for each version: the classes of all of its rows."""
    for one in found:
        if one["segment"] == ALL:
            shares = (
                f"{name} {share_text(ClassShare(name, *each.values()))}"
                for name, each in one["classes"].items()
            )
            version = f" of {one['version']}" if one["version"] else ""
            yield f"  classes     true ones{version}, estimated: {', '.join(shares)}"
