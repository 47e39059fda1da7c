"""What is known of an episode's cause, short enough for a webhook's body."""

from typing import Any

from monitor.core.episode_log import EpisodeRecord
from monitor.core.retrain import Why, clip

LISTED = 3
"""Features that a body names."""
KEPT = ("feature", "share", "effect", "what")


def why(record: EpisodeRecord | None) -> Why:
    """Return what a body tells of an episode."""
    if record is None or (record.attribution is None and not record.cause):
        return Why()
    found = record.attribution or {}
    told: dict[str, Any] = {
        "cause": clip(record.cause),
        "onset": found.get("onset"),
        "features": [
            {name: clip(part[name]) if isinstance(part[name], str) else part[name] for name in KEPT}
            for part in found.get("features", [])[:LISTED]
        ],
        "agree": found.get("agree"),
        "segment": _label(found.get("segment")),
        "version": _label(found.get("version")),
        "change": (found.get("performance") or {}).get("says"),
        "record": record.seal or None,
    }
    return Why(told)


def _label(place: dict[str, Any] | None) -> str | None:
    return clip(place["label"]) if place else None
