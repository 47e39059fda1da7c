"""What heavy monitors have yet to judge: samples of closed windows, each an entry of the store."""

import json
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from typing import Any

from msgspec import Struct
from msgspec.structs import astuple, replace

from detectors.sample import Sample, merge_samples
from monitor.core.codec import pack, sample_arrays, sample_of, unpack
from monitor.types import Changes, Micros

SPACE = "heavy"
MOST = 64
"""Samples of one model that wait; of more some are given up, but the newest of each version and line."""


class JobKey(Struct, frozen=True, order=True):
    """Which sample, in the order in which they are judged.

    due: when it is complete: the end of its window, or the time of the schedule. line: the monitors that it
    is for, as `monitor.core.heavy` names them. number: of the reference that judges it.
    """

    due: Micros
    version: str
    line: str
    number: int

    @property
    def lane(self) -> str:
        """Who judges it."""
        return self.line.partition(" ")[0]


class Job(Struct, frozen=True, eq=False):
    """What was seen of one or several windows of all rows of a version.

    first, last: starts of the first and the last of them. groups: that shared the budget with it in its
    window. sample: a uniform one of their rows; None where it was given up. left: the monitors that have yet
    to judge it; None for all of its line.
    """

    first: Micros
    last: Micros
    windows: int
    groups: int
    sample: Sample | None
    left: tuple[str, ...] | None = None

    def then(self, later: "Job") -> "Job":
        """Return both as one; what is given up stays so."""
        sample = None
        if self.sample is not None and later.sample is not None:
            sample = merge_samples(self.sample, later.sample)
        windows = self.windows + later.windows
        first, last = min(self.first, later.first), max(self.last, later.last)
        return Job(first, last, windows, max(self.groups, later.groups), sample, self.left)

    def dump(self) -> bytes:
        """Write it for the store."""
        head: dict[str, Any] = {"first": self.first, "last": self.last}
        head |= {"windows": self.windows, "groups": self.groups}
        head |= {} if self.left is None else {"left": self.left}
        return pack(head, sample_arrays(self.sample) if self.sample is not None else {})

    @classmethod
    def load(cls, data: bytes) -> "Job":
        """Read what `dump` wrote."""
        head, arrays = unpack(data)
        left = tuple(head["left"]) if "left" in head else None
        return cls(head["first"], head["last"], head["windows"], head["groups"], sample_of(arrays), left)


Jobs = Mapping[JobKey, Job]


def bounded(jobs: Jobs, most: int) -> dict[JobKey, Job]:
    """Give up samples beyond so many, and join what was given up in a row.

    Of the version and line that has most of them the oldest goes, so that none starves another. The oldest
    one of each lane stays, since it may be at work, and the newest one of each version and line, since it is
    of now: where these alone are more, so many wait.
    """
    found = dict(sorted(jobs.items()))
    waiting = [key for key, job in found.items() if job.sample is not None]
    over = _given_up(waiting, len(waiting) - most)
    found |= {key: replace(found[key], sample=None) for key in over}
    for line in {_line(key) for key in over}:
        mine = [key for key in found if _line(key) == line]
        for earlier, later in pairwise(mine):
            if found[later].sample is None and _alike(found[earlier], found[later]):
                found[later] = found.pop(earlier).then(found[later])
    return found


def _given_up(waiting: Sequence[JobKey], count: int) -> list[JobKey]:
    """Return so many of the samples that wait, or as many as may go."""
    if count <= 0:
        return []
    at_work = set({key.lane: key for key in reversed(waiting)}.values())
    lines: dict[tuple[str, str, int], list[JobKey]] = {}
    for key in waiting:
        lines.setdefault(_line(key), []).append(key)
    sizes = {line: len(keys) for line, keys in lines.items()}
    may_go = {line: [k for k in keys[:-1] if k not in at_work] for line, keys in lines.items()}
    found: list[JobKey] = []
    while len(found) < count and any(may_go.values()):
        line = min((line for line in lines if may_go[line]), key=lambda it: (-sizes[it], may_go[it][0]))
        found.append(may_go[line].pop(0))
        sizes[line] -= 1
    return found


def _line(key: JobKey) -> tuple[str, str, int]:
    return key.version, key.line, key.number


def _alike(earlier: Job, later: Job) -> bool:
    return earlier.sample is None and earlier.left == later.left


def load_jobs(spaces: Mapping[str, Mapping[str, bytes]]) -> dict[JobKey, Job]:
    """Read the jobs from the store's entries of their space."""
    return {JobKey(*json.loads(key)): Job.load(data) for key, data in spaces.get(SPACE, {}).items()}


def job_changes(model: str, before: Jobs, after: Jobs) -> Changes:
    """Return the entries that differ."""
    changes: Changes = {
        (SPACE, model, _key(key)): job.dump() for key, job in after.items() if before.get(key) is not job
    }
    return changes | {(SPACE, model, _key(key)): None for key in before.keys() - after.keys()}


def without(jobs: Jobs, gone: Iterable[JobKey]) -> dict[JobKey, Job]:
    """Return the jobs but these."""
    left = set(gone)
    return {key: job for key, job in jobs.items() if key not in left}


def _key(key: JobKey) -> str:
    return json.dumps(astuple(key), separators=(",", ":"), ensure_ascii=False)
