"""What is kept of streaming detectors between two batches, and how it is laid out as entries."""

import json
from collections.abc import Mapping
from itertools import pairwise

import numpy as np
from msgspec import Struct, field
from msgspec.structs import astuple, replace

from monitor.core.stream_trails import Tape, Trail
from monitor.types import Changes

SPACE = "stream"


class StreamKey(Struct, frozen=True, order=True):
    """Which stream: of the whole model, one version."""

    version: str
    feature: str
    detector: str


class Stretch(Struct, frozen=True):
    """What a stream made of the rows of one open window: rows, those of them that were left out, score.

    score: after the last of them; of the highest alarm where there was one (alarms of them).
    """

    rows: int = 0
    left_out: int = 0
    alarms: int = 0
    score: float = 0.0

    def then(self, later: "Stretch") -> "Stretch":
        """Return both stretches as one."""
        scores = [part.score for part in (self, later) if part.alarms]
        score = max(scores) if scores else later.score
        return Stretch(
            self.rows + later.rows, self.left_out + later.left_out, self.alarms + later.alarms, score
        )


class Held(Struct, frozen=True):
    """One stream at rest. number: the reference's that it goes by. data: as the detector dumps itself.

    windows: start -> its stretch, of windows that are not judged yet. mapped: whether it was fed places in
    the reference. trail: its latest rows. tapes: start -> what led to the window's highest alarm.
    """

    number: int
    data: bytes = b""
    windows: Mapping[int, Stretch] = field(default_factory=dict)
    mapped: bool = False
    trail: Trail = field(default_factory=Trail)
    tapes: Mapping[int, Tape] = field(default_factory=dict)

    def dump(self) -> bytes:
        """Write it: a line of JSON, then the detector's own bytes, those of its trail and of its tapes."""
        windows = [[start, *astuple(part)] for start, part in sorted(self.windows.items())]
        tapes = sorted(self.tapes.items())
        parts = [self.data, self.trail.data, self.trail.values]
        parts += [part for _, tape in tapes for part in (tape.data, tape.values)]
        heard = [[start, tape.score] for start, tape in tapes]
        head = [self.number, self.mapped, windows, self.trail.row, heard, [len(part) for part in parts]]
        return b"".join([json.dumps(head, separators=(",", ":")).encode(), b"\n", *parts])

    @classmethod
    def load(cls, value: bytes) -> "Held":
        """Read what `dump` wrote, now or in a release that kept no trails."""
        text, _, data = value.partition(b"\n")
        number, mapped, windows, *more = json.loads(text)
        row, heard, sizes = more or (0, [], [len(data), 0, 0])
        ends = np.cumsum([0, *sizes]).tolist()
        own, before, values, *rest = (data[start:end] for start, end in pairwise(ends))
        tapes = {s: Tape(score, *rest[2 * i : 2 * i + 2]) for i, (s, score) in enumerate(heard)}
        stretches = {start: Stretch(*part) for start, *part in windows}
        return cls(number, own, stretches, mapped, Trail(row, before, values), tapes)

    def without(self, start: int) -> "Held":
        """Return it without a window that has been judged."""
        windows = {s: part for s, part in self.windows.items() if s != start}
        return replace(self, windows=windows, tapes={s: t for s, t in self.tapes.items() if s != start})


Streams = Mapping[StreamKey, Held]


def load_streams(entries: Mapping[str, bytes]) -> dict[StreamKey, Held]:
    """Build the streams from the store's entries of their space."""
    return {StreamKey(*json.loads(key)): Held.load(value) for key, value in entries.items()}


def stream_changes(model: str, before: Streams, after: Streams) -> Changes:
    """Return the entries of streams that differ."""
    changes: Changes = {
        (SPACE, model, _key(key)): held.dump() for key, held in after.items() if before.get(key) is not held
    }
    return changes | {(SPACE, model, _key(key)): None for key in before.keys() - after.keys()}


def _key(key: StreamKey) -> str:
    return json.dumps(astuple(key), separators=(",", ":"), ensure_ascii=False)
