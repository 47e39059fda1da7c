"""Episodes as lines for a person."""

from collections.abc import Iterable, Mapping
from typing import Any

from monitor.performance_text import plain

Item = Mapping[str, Any]


def answered(episode: Item) -> str:
    """Say who looks after an episode, and how the retraining goes; "" where nobody said anything."""
    ack, run = episode["acknowledged"], episode["retraining"]
    said = f", acknowledged by {plain(ack['who'])}" if ack else ""
    return said + (f", retraining {run['state']}: {plain(run['version'] or run['run'])}" if run else "")


def episode_lines(episodes: Iterable[Item]) -> list[str]:
    """Return a line for each episode, or one that says that there is none."""
    return [_line(one) for one in episodes] or ["no episode"]


def _line(one: Item) -> str:
    version = f" {one['version']}" if one["version"] else ""
    where = plain(f"{one['model']} {one['feature']} {one['detector']} [{one['segment']}{version}]")
    state = "FIRING" if one["state"] == "firing" else one["state"]
    cause = plain(f": {one['cause']}") if one["cause"] else ""
    until = f" until {one['ended']}" if one["ended"] else ""
    return f"{one['id']} {state} {where} {one['kind']} since {one['started']}{until}{cause}{answered(one)}"
