"""Streams at work: rows fed to the detectors that go over them, and what these say of a window or a tick.

Between two batches a detector is bytes: it is loaded, fed and dumped, so that a commit that fails leaves the
state as it was. An alarm counts in the window of its row, whenever that window is judged, so it does not
matter where the log is cut into batches.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np
import polars as pl
from msgspec import Struct
from msgspec.structs import replace

from detectors.base import Level, Verdict
from detectors.measure import Floats, Ints
from detectors.monitors import NOTE
from detectors.streaming import Stream
from monitor.core.ledger import Ledger, span_of
from monitor.core.outcomes import Vocabulary
from monitor.core.profiles import ALL, GroupKey, Rows
from monitor.core.queries import labelled_until
from monitor.core.reference import Baseline
from monitor.core.state import ModelState
from monitor.core.stream_records import Heard
from monitor.core.stream_state import Held, StreamKey, Stretch, stream_changes
from monitor.core.stream_trails import Trail, taped
from monitor.core.streaming import Spec, Streaming
from monitor.core.vectors import with_cosines
from monitor.types import Changes

Judged = tuple[GroupKey, Verdict]
Values = Mapping[str, Floats]


class Run(Struct, frozen=True, eq=False):
    """Rows of one version in their order.

    start: int64 [n], their windows. number: int64 [n], of the references that judge these. values: feature ->
    float64 [n], NaN where a row has none.
    """

    version: str
    start: Ints
    number: Ints
    values: Values

    def take(self, chosen: Ints) -> "Run":
        """Return some of the rows."""
        values = {name: column[chosen] for name, column in self.values.items()}
        return Run(self.version, self.start[chosen], self.number[chosen], values)


def feed_rows(streaming: Streaming, state: ModelState, rows: Rows) -> ModelState:
    """Feed stored rows, in the order in which they were read, to the streams of features and scores."""
    specs = {b.number: streaming.of_rows(b) for b in state.baselines}
    if not len(rows.start) or not any(specs.values()):
        return state
    since = [b.since for b in state.baselines]
    numbers = np.array([0, *(b.number for b in state.baselines)])
    number = numbers[np.searchsorted(since, rows.start, side="right")]
    features = sorted({spec.feature for found in specs.values() for spec in found})
    values = {name: _values(rows.frame, state.baselines, number, name) for name in features}
    streams = dict(state.streams)
    for version, chosen in _by_version(rows.frame["version"]):
        run = Run(version, rows.start[chosen], number[chosen], {n: v[chosen] for n, v in values.items()})
        _feed(streams, run, specs)
    return replace(state, streams=streams)


def feed_held(streaming: Streaming, state: ModelState, held: Mapping[int, Rows]) -> ModelState:
    """Feed what was held while the reference was learnt and came after its part, in the order it was read."""
    for _, rows in sorted(held.items()):
        state = feed_rows(streaming, state, rows.take(np.flatnonzero(rows.start >= state.baselines[0].since)))
    return state


def _values(frame: pl.DataFrame, baselines: Sequence[Baseline], number: Ints, name: str) -> Floats:
    """Return a feature of every row; an embedding's cosine is to the mean of the row's own reference."""
    found = _column(frame, name)
    for baseline in baselines:
        embeddings = [e for e in baseline.grid.embeddings if e.cosine == name]
        if embeddings:
            mine = np.flatnonzero(number == baseline.number)
            found[mine] = _column(with_cosines(embeddings, frame[mine]), name)
    return found


def _column(frame: pl.DataFrame, name: str) -> Floats:
    known = frame.schema.get(name)
    return frame[name].to_numpy() if known == pl.Float64 else np.full(frame.height, np.nan)


def _by_version(versions: pl.Series) -> Iterator[tuple[str, Ints]]:
    names = versions.unique().sort().to_list()
    for name in names:
        every = len(names) == 1
        yield name, np.arange(len(versions)) if every else np.flatnonzero((versions == name).to_numpy())


def _feed(streams: dict[StreamKey, Held], run: Run, specs: Mapping[int, Sequence[Spec]]) -> None:
    """Feed a run to each stream that judges it; a newer reference begins a stream anew, for good."""
    for name in dict.fromkeys((s.feature, s.detector) for found in specs.values() for s in found):
        key = StreamKey(run.version, *name)
        held = streams.get(key)
        newest = np.maximum.accumulate(run.number) if held is None else _newest(run.number, held.number)
        for number in np.unique(newest).tolist():
            spec = next((s for s in specs.get(number, ()) if (s.feature, s.detector) == name), None)
            if spec is None or spec.make is None:
                continue
            mine = np.flatnonzero((newest == number) & (run.number == number))
            if len(mine):
                streams[key] = held = _fed(spec, spec.make, held, run.take(mine))


def _newest(number: Ints, held: int) -> Ints:
    found: Ints = np.maximum(np.maximum.accumulate(number), held)
    return found


def _fed(spec: Spec, make: Callable[[], Stream], held: Held | None, run: Run) -> Held:
    """Feed rows of one reference's windows; those of a later one begin anew, with the windows still open."""
    number, values = int(run.number[0]), spec.scaled(run.values[spec.feature])
    known = held if held is not None else Held(number)
    begun = known.data if known.number == number else b""
    stream = _resumed(make(), begun)
    trail = (
        known.trail if known.trail.end == stream.rows else Trail(stream.rows, begun if stream.rows else b"")
    )
    found, state = _stretches(stream, run.start, values, trail.mark(len(values)))
    windows = {**known.windows, **{s: known.windows.get(s, Stretch()).then(part) for s, part, _ in found}}
    peaks = [(start, place, part.score) for start, part, place in found if place is not None]
    tapes = taped(known.tapes, trail, values, peaks, lambda: _resumed(make(), begun))
    return Held(number, stream.dump(), windows, spec.pit is not None, trail.then(values, state), tapes)


def _resumed(stream: Stream, data: bytes) -> Stream:
    if data:
        stream.load(data)
    return stream


def _stretches(
    stream: Stream, start: Ints, values: Floats, mark: int
) -> tuple[list[tuple[int, Stretch, int | None]], bytes]:
    """Feed rows; return what the stream made of each window's, and where its highest alarm is among them.

    They are fed up to the last row of each window in turn. Also returns its state before the row `mark`.
    """
    windows, lasts, rows = np.unique(start[::-1], return_index=True, return_counts=True)
    before, state = stream.rows, b""
    scores, places, alarms = {}, [], []
    for end in sorted({*(len(start) - lasts).tolist(), *([mark] if mark > 0 else ())}):
        found = stream.feed(values[stream.rows - before : end])
        scores[int(start[end - 1])] = stream.score
        places.append(found.rows - before)
        alarms.append(found.scores)
        state = stream.dump() if end == mark else state
    place, heights = np.concatenate(places), np.concatenate(alarms)
    made: list[tuple[int, Stretch, int | None]] = []
    for window, n in zip(windows.tolist(), rows.tolist(), strict=True):
        mine = np.flatnonzero(start[place] == window)
        gone = int(np.count_nonzero(~np.isfinite(values[start == window])))
        peak = int(mine[heights[mine].argmax()]) if len(mine) else None
        score = float(heights[peak]) if peak is not None else scores[window]
        made.append(
            (window, Stretch(n, gone, len(mine), score), int(place[peak]) if peak is not None else None)
        )
    return made, state


def refused(streaming: Streaming, state: ModelState) -> dict[StreamKey, str]:
    """Return the stored streams that this configuration cannot go on with, and why; "" if none is wished."""
    found = {}
    rows = {b.number: streaming.of_rows(b) for b in state.baselines}
    for key, held in state.streams.items():
        specs = [*rows.get(held.number, ()), *streaming.of_outcomes(state.labels.standard_at(held.number))]
        spec = next((s for s in specs if (s.feature, s.detector) == (key.feature, key.detector)), None)
        if spec is None or spec.make is None:
            found[key] = spec.why if spec is not None else ""
        elif held.mapped is (spec.pit is None):
            found[key] = "the state is of another scale"
        elif why := spec.make().load(held.data):
            found[key] = why
    return found


class Pass:
    """A model's streams while windows close: what they say, once for each window.

    heard: of which alarms they have told, and what led there.
    """

    def __init__(self, streaming: Streaming, state: ModelState) -> None:
        self.streams = dict(state.streams)
        self.heard: dict[tuple[StreamKey, int], Heard] = {}
        self._before = state.streams
        self._fed: Counter[str] = Counter()
        self._streaming = streaming
        self._standard_at = state.standard_at

    def close(self, baseline: Baseline | None, group: GroupKey) -> Iterator[Verdict]:
        """Say of each stream of features and scores what it made of a window that has just closed."""
        if baseline is not None and group.segment == ALL:
            for spec in self._streaming.of_rows(baseline):
                yield self._verdict(spec, group.version, group.start)

    def settle(self, ledger: Ledger, judged: Sequence[tuple[int, str]], tick: int) -> Iterator[Judged]:
        """Feed the outcomes of windows (start, version) that are judged at a tick; say what came of it.

        All that is known of a window by then is fed at once, by the time of the predictions: outcomes come
        sooner for some rows than for others, so those that come first are no fair sample.
        """
        starts = frozenset(start for start, _ in judged)
        standards = {start: self._standard_at(start) for start in starts}
        if not any(self._streaming.of_outcomes(s) for s in standards.values()):
            return
        span = span_of(ledger.plan, ledger.labels.applied, tick)
        pairs = labelled_until(ledger.labels, span, starts, tick, grouped=False)
        if pairs.height:
            self._feed(pairs, pairs["time"].to_numpy() // span.window * span.window, set(judged))
        for start, version in judged:
            for spec in self._streaming.of_outcomes(standards[start]):
                yield GroupKey(start, version), self._verdict(spec, version, start)

    def _feed(self, pairs: pl.DataFrame, start: Ints, judged: set[tuple[int, str]]) -> None:
        scored = Vocabulary.of(self._streaming.model).scored(pairs, pairs["label"].to_numpy())
        values = {name: loss(scored) for name, loss in self._streaming.losses.items()}
        distinct, places = np.unique(start, return_inverse=True)
        standards = [self._standard_at(s) for s in distinct.tolist()]
        specs = {s.number: self._streaming.of_outcomes(s) for s in standards}
        number = np.array([s.number for s in standards])[places]
        for version, chosen in _by_version(pairs["version"].cast(pl.String)):
            mine = chosen[np.isin(start[chosen], [s for s, v in judged if v == version])]
            run = Run(version, start[mine], number[mine], {n: v[mine] for n, v in values.items()})
            _feed(self.streams, run, specs)

    def _verdict(self, spec: Spec, version: str, start: int) -> Verdict:
        """Take a window's stretch from its stream, and judge it."""
        bare = Verdict(spec.detector, spec.feature, spec.kind, spec.level, 0, note=spec.why[:NOTE])
        if spec.make is None:
            return bare
        key = StreamKey(version, spec.feature, spec.detector)
        held = self.streams.get(key, Held(0))
        part, tape = held.windows.get(start, Stretch()), held.tapes.get(start)
        if start in held.windows:
            self.streams[key] = held.without(start)
        if tape is not None:
            self.heard[key, start] = Heard(spec, part, tape)
        self._fed["stream_rows"] += part.rows
        self._fed["stream_left_out"] += part.left_out
        n = part.rows - part.left_out
        if not n:
            return replace(bare, level=Level.INSUFFICIENT_DATA)
        level = Level.BREACH if part.alarms else Level.OK
        return replace(bare, level=level, n=n, score=part.score, threshold=spec.make().threshold)

    def finish(self, state: ModelState, changes: Changes) -> ModelState:
        """Return the state with the streams of known versions and rows counted; adds the entries to write."""
        kept = {
            *state.book.versions,
            *(k.version for k in state.windows),
            *(k.version for k in state.labels.records),
        }
        streams = {key: held for key, held in self.streams.items() if key.version in kept}
        changes |= stream_changes(state.model, self._before, streams)
        counted = {("", what, ""): n for what, n in self._fed.items() if n}
        return replace(state, streams=streams, book=state.book.counted(counted))
