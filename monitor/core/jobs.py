"""What heavy monitors have yet to judge: samples of closed windows, each an entry of the store."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import astuple, dataclass, replace
from itertools import pairwise

from detectors.sample import Sample, merge_samples
from monitor.core.codec import pack, sample_arrays, sample_of, unpack
from monitor.types import Changes, Micros

SPACE = "heavy"
MOST = 64
"""Samples of one model that wait; of more, all but the oldest and the newest are given up."""


@dataclass(frozen=True, slots=True, order=True)
class JobKey:
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


@dataclass(frozen=True, slots=True, eq=False)
class Job:
    """What was seen of one or several windows of all rows of a version.

    first, last: starts of the first and the last of them. groups: that shared the budget with it in its
    window. sample: a uniform one of their rows; None where it was given up.
    """

    first: Micros
    last: Micros
    windows: int
    groups: int
    sample: Sample | None

    def then(self, later: "Job") -> "Job":
        """Return both as one; what is given up stays so."""
        sample = None
        if self.sample is not None and later.sample is not None:
            sample = merge_samples(self.sample, later.sample)
        windows = self.windows + later.windows
        first, last = min(self.first, later.first), max(self.last, later.last)
        return Job(first, last, windows, max(self.groups, later.groups), sample)

    def dump(self) -> bytes:
        """Write it for the store."""
        head = {"first": self.first, "last": self.last, "windows": self.windows, "groups": self.groups}
        return pack(head, sample_arrays(self.sample) if self.sample is not None else {})

    @classmethod
    def load(cls, data: bytes) -> "Job":
        """Read what `dump` wrote."""
        head, arrays = unpack(data)
        return cls(head["first"], head["last"], head["windows"], head["groups"], sample_of(arrays))


Jobs = Mapping[JobKey, Job]


def bounded(jobs: Jobs, most: int) -> dict[JobKey, Job]:
    """Give up samples beyond so many, and join what was given up in a row.

    The oldest one of each lane stays, since it may be at work, and the newest ones, since they are of now.
    """
    found = dict(sorted(jobs.items()))
    waiting = [key for key, job in found.items() if job.sample is not None]
    at_work = {key.lane: key for key in reversed(waiting)}.values()
    over = [key for key in waiting if key not in at_work][: max(len(waiting) - most, 0)]
    if not over:
        return found
    found |= {key: replace(found[key], sample=None) for key in over}
    for line in {(key.version, key.line, key.number) for key in over}:
        mine = [key for key in found if (key.version, key.line, key.number) == line]
        for earlier, later in pairwise(mine):
            if found[earlier].sample is None and found[later].sample is None:
                found[later] = found.pop(earlier).then(found[later])
    return found


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
