"""The daemon's own /metrics, read back: what the demo tells on the console."""

import re
from collections.abc import Mapping

from msgspec import Struct, field

from monitor.core.streaming import OUTCOMES

Key = tuple[str, str, str, str]
MonitorKey = Key
"""version, segment, feature, detector."""
PerformanceKey = Key
"""version, segment, metric, basis; of a stream of errors its feature and detector in their place."""

SAMPLE = re.compile(r"^(driftd_\w+)(?:\{(.*)\})? (\S+)", re.MULTILINE)
LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')
MONITOR = ("version", "segment", "feature", "detector")
PERFORMANCE = ("version", "segment", "metric", "basis")
NAN = float("nan")


class Reading(Struct, frozen=True):
    """What /metrics says: rows stored, windows closed, what fires, and how good the model is.

    firing: monitors of inputs and scores, with score and threshold. performance: values. failing: those of
    them that fire, with value and limit, and the monitors of the stream of errors, with score and threshold.
    """

    stored: int = 0
    closed: int = 0
    firing: Mapping[MonitorKey, tuple[float, float]] = field(default_factory=dict)
    performance: Mapping[PerformanceKey, float] = field(default_factory=dict)
    failing: Mapping[PerformanceKey, tuple[float, float]] = field(default_factory=dict)


def read_metrics(text: str) -> Reading:
    """Pick from the text of /metrics what the demo tells."""
    samples: dict[str, list[tuple[dict[str, str], float]]] = {}
    for name, inner, value in SAMPLE.findall(text):
        samples.setdefault(name, []).append((dict(LABEL.findall(inner)), float(value)))

    def total(name: str) -> int:
        return sum(int(value) for _, value in samples.get(name, []))

    def values(name: str, labels: tuple[str, ...]) -> dict[Key, float]:
        return {_key(found, labels): value for found, value in samples.get(name, [])}

    def alarms(kind: str, number: str, labels: tuple[str, ...]) -> dict[Key, tuple[float, float]]:
        numbers = values(f"driftd_{kind}_{number}", labels)
        limits = values(f"driftd_{kind}_threshold", labels)
        states = samples.get(f"driftd_{kind}_state", [])
        keys = [_key(found, labels) for found, on in states if found.get("state") == "firing" and on == 1.0]
        return {key: (numbers.get(key, NAN), limits.get(key, NAN)) for key in keys}

    monitors = alarms("drift", "score", MONITOR)
    errors = {key: numbers for key, numbers in monitors.items() if key[2] in OUTCOMES.values()}
    return Reading(
        total("driftd_events_stored_total"),
        total("driftd_windows_closed_total"),
        {key: numbers for key, numbers in monitors.items() if key not in errors},
        values("driftd_performance_value", PERFORMANCE),
        alarms("performance", "value", PERFORMANCE) | errors,
    )


def _key(found: Mapping[str, str], labels: tuple[str, ...]) -> Key:
    version, segment, what, how = (found.get(label, "all" if label == "segment" else "") for label in labels)
    return version, segment, what, how
