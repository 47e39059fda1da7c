"""The daemon's own /metrics, read back: what the demo tells on the console."""

import re
from dataclasses import dataclass, field

MonitorKey = tuple[str, str, str, str]
"""version, segment, feature, detector."""

SAMPLE = re.compile(r"^(driftd_\w+)(?:\{(.*)\})? (\S+)", re.MULTILINE)
LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')


@dataclass(frozen=True, slots=True)
class Reading:
    """What /metrics says: rows stored, windows closed, and what fires with its score and threshold."""

    stored: int = 0
    closed: int = 0
    firing: dict[MonitorKey, tuple[float, float]] = field(default_factory=dict)


def read_metrics(text: str) -> Reading:
    """Pick from the text of /metrics what the demo tells."""
    totals = {"driftd_events_stored_total": 0, "driftd_windows_closed_total": 0}
    firing: list[MonitorKey] = []
    values: dict[str, dict[MonitorKey, float]] = {"driftd_drift_score": {}, "driftd_drift_threshold": {}}
    for name, inner, value in SAMPLE.findall(text):
        if name in totals:
            totals[name] += int(float(value))
        elif name in values:
            values[name][_key(inner)] = float(value)
        elif name == "driftd_drift_state" and 'state="firing"' in inner and float(value) == 1.0:
            firing.append(_key(inner))
    score, threshold = values.values()
    nan = float("nan")
    stored, closed = totals.values()
    return Reading(stored, closed, {key: (score.get(key, nan), threshold.get(key, nan)) for key in firing})


def _key(inner: str) -> MonitorKey:
    labels = dict(LABEL.findall(inner))
    return (
        labels.get("version", ""),
        labels.get("segment", "all"),
        labels.get("feature", ""),
        labels.get("detector", ""),
    )
