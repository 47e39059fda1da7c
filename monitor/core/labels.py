"""What waits for outcomes, and what is known of each window's performance so far."""

import json
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from detectors.measure import Estimate
from monitor.core.codec import pack, unpack
from monitor.core.pile import Pile, Reopen, load_pile
from monitor.core.profiles import GroupKey
from monitor.core.standard import Standard
from monitor.core.windows import NEVER

Floats = NDArray[np.float64]
Changes = dict[tuple[str, str, str], bytes | None]
HISTORY = 168
"""Windows of which the performance is remembered, per version and label."""
LAG_BOUNDS = (60.0, 600.0, 3600.0, 6 * 3600.0, 86400.0, 3 * 86400.0, 7 * 86400.0, 14 * 86400.0, 30 * 86400.0)
"""Upper bounds of the lag histogram's cells, seconds."""
REALIZED, ESTIMATED = "realized", "estimated"


@dataclass(frozen=True, slots=True, eq=False)
class Record:
    """One window's rows of one version and label, as far as they are known.

    rows: predictions; labelled: those with an outcome; sums, open: as Measure makes them; judged: whether
    its realised performance was judged.
    """

    rows: int
    labelled: int
    sums: Floats
    open: Floats
    judged: bool = False

    @property
    def coverage(self) -> float:
        """The share of the predictions whose outcome is known."""
        return self.labelled / self.rows if self.rows else 0.0

    def dump(self) -> bytes:
        """Write it; most of the sums are 0."""
        head = {"rows": self.rows, "labelled": self.labelled, "judged": self.judged}
        return zlib.compress(pack(head, {"sums": self.sums, "open": self.open}), 1)

    @classmethod
    def load(cls, data: bytes) -> "Record":
        """Read what `dump` wrote."""
        head, arrays = unpack(zlib.decompress(data))
        return cls(head["rows"], head["labelled"], arrays["sums"], arrays["open"], head["judged"])


@dataclass(frozen=True, slots=True)
class Measured:
    """The metrics of one window, version and label. rows, coverage: what they rest on. note: a limit."""

    rows: int
    coverage: float
    metrics: Mapping[str, Estimate]
    note: str = ""

    def dump(self) -> bytes:
        """Write it as JSON."""
        metrics = {n: [e.value, e.low, e.high, e.n, e.method] for n, e in self.metrics.items()}
        item = {"rows": self.rows, "coverage": self.coverage, "metrics": metrics, "note": self.note}
        return json.dumps(item, separators=(",", ":")).encode()

    @classmethod
    def load(cls, data: bytes) -> "Measured":
        """Read what `dump` wrote."""
        item = json.loads(data)
        metrics = {name: Estimate(*numbers) for name, numbers in item["metrics"].items()}
        return cls(item["rows"], item["coverage"], metrics, item["note"])


@dataclass(frozen=True, slots=True, order=True)
class SeriesKey:
    """Which performance: of a version and label, realised or estimated."""

    version: str
    label: str
    basis: str


@dataclass(frozen=True, slots=True)
class Labels:
    """A model's labels.

    predictions, outcomes: rows that wait. records: windows whose horizon is not over. history: series ->
    window start -> its performance. matched: bucket of outcomes -> how many met a prediction. applied: the
    tick up to which outcomes are joined. lags: rows per cell of LAG_BOUNDS and beyond; lag: their sum (s).
    counts: what -> rows (joined, repeated, conflicting, orphaned, expired).
    contest: the champion's and the challenger's standing, as the detector dumps it.
    """

    predictions: Pile = field(default_factory=lambda: Pile("pending"))
    outcomes: Pile = field(default_factory=lambda: Pile("outcome"))
    records: Mapping[GroupKey, Record] = field(default_factory=dict)
    history: Mapping[SeriesKey, Mapping[int, Measured]] = field(default_factory=dict)
    standards: tuple[Standard, ...] = ()
    matched: Mapping[int, int] = field(default_factory=dict)
    applied: int = NEVER
    lags: tuple[int, ...] = (0,) * (len(LAG_BOUNDS) + 1)
    lag: float = 0.0
    counts: Mapping[str, int] = field(default_factory=dict)
    contest: str = ""

    def standard_at(self, number: int) -> Standard:
        """Return the performance of a reference; one without any if it was made before outcomes were read."""
        return next((s for s in self.standards if s.number == number), Standard(number))

    def latest(self, key: SeriesKey) -> tuple[int, Measured] | None:
        """Return the newest window of a series."""
        found = self.history.get(key)
        return max(found.items(), key=lambda item: item[0]) if found else None

    def counted(self, what: Mapping[str, int]) -> "Labels":
        """Add to the counts."""
        counts = dict(self.counts)
        for name, n in what.items():
            counts[name] = counts.get(name, 0) + n
        return replace(self, counts=counts)

    def dump(self) -> bytes:
        """Write the small numbers as JSON."""
        item = {
            "matched": sorted(self.matched.items()),
            "applied": self.applied,
            "lags": self.lags,
            "lag": self.lag,
            "counts": dict(sorted(self.counts.items())),
            "contest": self.contest,
        }
        return json.dumps(item, separators=(",", ":")).encode()


def key_of(*parts: object) -> str:
    """Write an entry's key."""
    return json.dumps(parts, separators=(",", ":"), ensure_ascii=False)


def label_changes(model: str, before: Labels, after: Labels) -> Changes:
    """Return the entries of records, history and small numbers that differ; piles tell their own."""
    changes: Changes = {("labels", model, ""): after.dump()}
    for place, record in after.records.items():
        if before.records.get(place) is not record:
            changes[("record", model, key_of(place.start, place.version, place.segment))] = record.dump()
    for place in before.records.keys() - after.records.keys():
        changes[("record", model, key_of(place.start, place.version, place.segment))] = None
    for series in {*before.history, *after.history}:
        old, new = before.history.get(series, {}), after.history.get(series, {})
        if old is not new:
            name = (series.version, series.label, series.basis)
            changes |= {("history", model, key_of(*name, s)): None for s in old.keys() - new.keys()}
            changes |= {
                ("history", model, key_of(*name, s)): m.dump() for s, m in new.items() if old.get(s) is not m
            }
    return changes


def load_labels(spaces: Mapping[str, Mapping[str, bytes]], reopen: Reopen) -> Labels:
    """Build the labels from the store's entries, by space."""
    small = spaces.get("labels", {}).get("", b"")
    item: dict[str, Any] = json.loads(small) if small else {}
    history: dict[SeriesKey, dict[int, Measured]] = {}
    for name, value in spaces.get("history", {}).items():
        *series, start = json.loads(name)
        history.setdefault(SeriesKey(*series), {})[start] = Measured.load(value)
    known = Labels(
        load_pile("pending", spaces.get("pending", {}), reopen),
        load_pile("outcome", spaces.get("outcome", {}), reopen),
        {GroupKey(*json.loads(k)): Record.load(v) for k, v in spaces.get("record", {}).items()},
        history,
        tuple(sorted(_standards(spaces.get("standard", {}).values()), key=lambda s: s.number)),
    )
    if not item:
        return known
    return replace(
        known,
        matched=dict(item["matched"]),
        applied=item["applied"],
        lags=tuple(item["lags"]),
        lag=item["lag"],
        counts=item["counts"],
        contest=item["contest"],
    )


def _standards(values: Iterable[bytes]) -> list[Standard]:
    return [Standard.load(value) for value in values]
