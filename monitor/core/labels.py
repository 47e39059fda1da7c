"""What waits for outcomes, and what is known of each window's performance so far."""

import json
import zlib
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from msgspec import Struct, field
from msgspec.structs import replace
from numpy.typing import NDArray

from detectors.measure import Estimate
from monitor.core.codec import pack, unpack
from monitor.core.pile import Pile, Reopen, load_pile
from monitor.core.profiles import GroupKey
from monitor.core.sparse import Sparse
from monitor.core.standard import Standard
from monitor.core.windows import NEVER
from monitor.types import Changes

Floats = NDArray[np.float64]
HISTORY = 168
"""Windows of which the performance is remembered, per version and label."""
DETAILED = 24
"""Of these, the newest ones whose detail is kept too: it is many times larger than the metrics."""
LAG_BOUNDS = (60.0, 600.0, 3600.0, 6 * 3600.0, 86400.0, 3 * 86400.0, 7 * 86400.0, 14 * 86400.0, 30 * 86400.0)
"""Upper bounds of the lag histogram's cells, seconds."""
REALIZED, ESTIMATED = "realized", "estimated"


class Record(Struct, frozen=True, eq=False):
    """One window's rows of one version and label, as far as they are known.

    rows: predictions; labelled: those with an outcome; judged: whether its realised performance was judged.
    There may be thousands, so their sums are held sparse.
    """

    rows: int
    labelled: int
    known: Sparse
    seen: Sparse
    judged: bool = False

    @classmethod
    def of(cls, rows: int, labelled: int, sums: Floats, opened: Floats, *, judged: bool = False) -> "Record":
        """Make one of sums of labelled rows and of all predictions, as Measure makes them."""
        return cls(rows, labelled, Sparse.of(sums), Sparse.of(opened), judged)

    @property
    def sums(self) -> Floats:
        """The sums of the rows with an outcome."""
        return self.known.dense()

    @property
    def open(self) -> Floats:
        """The sums of all predictions."""
        return self.seen.dense()

    @property
    def coverage(self) -> float:
        """The share of the predictions whose outcome is known."""
        return self.labelled / self.rows if self.rows else 0.0

    def dump(self) -> bytes:
        """Write it."""
        head = {
            "rows": self.rows,
            "labelled": self.labelled,
            "judged": self.judged,
            "sizes": [self.known.size, self.seen.size],
        }
        return zlib.compress(pack(head, self.known.arrays("known/") | self.seen.arrays("seen/")), 1)

    @classmethod
    def load(cls, data: bytes) -> "Record":
        """Read what `dump` wrote."""
        head, arrays = unpack(zlib.decompress(data))
        known, seen = head["sizes"]
        parts = Sparse.load(known, arrays, "known/"), Sparse.load(seen, arrays, "seen/")
        return cls(head["rows"], head["labelled"], *parts, head["judged"])


class Measured(Struct, frozen=True):
    """The metrics of one window, version and label. rows, coverage: what they rest on. note: a limit.

    detail: what `details.details_of` says of all rows of a judged window, {} of any other.
    """

    rows: int
    coverage: float
    metrics: Mapping[str, Estimate]
    note: str = ""
    detail: Mapping[str, Any] = field(default_factory=dict)

    def dump(self) -> bytes:
        """Write it as JSON."""
        metrics = {n: [e.value, e.low, e.high, e.n, e.method] for n, e in self.metrics.items()}
        item = {"rows": self.rows, "coverage": self.coverage, "metrics": metrics, "note": self.note}
        return json.dumps(item | {"detail": self.detail}, separators=(",", ":")).encode()

    @classmethod
    def load(cls, data: bytes) -> "Measured":
        """Read what `dump` wrote."""
        item = json.loads(data)
        metrics = {name: Estimate(*numbers) for name, numbers in item["metrics"].items()}
        return cls(item["rows"], item["coverage"], metrics, item["note"], item.get("detail", {}))


class SeriesKey(Struct, frozen=True, order=True):
    """Which performance: of a version and label, realised or estimated."""

    version: str
    label: str
    basis: str


class Labels(Struct, frozen=True):
    """A model's labels.

    predictions, outcomes: rows that wait. records: windows whose horizon is not over. history: series ->
    window start -> its performance. matched: bucket of outcomes -> how many met a prediction. applied: the
    tick up to which outcomes are joined. lags: rows per cell of LAG_BOUNDS and beyond; lag: their sum (s).
    counts: what -> rows (joined, repeated, conflicting, orphaned, expired).
    contest: the champion's and the challenger's standing, as the detector dumps it. heard: the newest time at
    which an outcome became known. layout: what of the configuration the sums were made by.
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
    heard: int = NEVER
    layout: str = ""

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
            "heard": self.heard,
            "layout": self.layout,
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
        heard=item["heard"],
        layout=item["layout"],
    )


def _standards(values: Iterable[bytes]) -> list[Standard]:
    return [Standard.load(value) for value in values]
