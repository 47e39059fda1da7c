"""The targets, and what was measured against each. None is left out when it is missed."""

from collections.abc import Iterator
from dataclasses import dataclass

from benchmarks.environments import Measured
from benchmarks.logs import PARQUET
from benchmarks.results import Pair, Results

SAME = 1.1
"""Two peaks count as the same up to this factor."""


@dataclass(frozen=True, slots=True)
class Line:
    """One target. met is None when it was not measured, and `measured` says why."""

    what: str
    target: str
    measured: str
    met: bool | None


def lines(results: Results) -> Iterator[Line]:
    """Yield every target with its measurement."""
    parquet, jsonl = results.pairs
    yield from _parquet(parquet, results.peers)
    what, target, bad = "JSON lines, against bare `read_ndjson`", ">= 0.7", jsonl.problem
    yield _missing(what, target, bad) or Line(what, target, _to_bare(jsonl), jsonl.to_bare >= 0.7)
    yield from _memory(results)
    yield from _live(results)


def _parquet(pair: Pair, peers: tuple[Measured, ...]) -> Iterator[Line]:
    what, target = "Parquet, on a quiet machine", ">= 1,200,000 rows/s"
    bad = pair.problem
    yield _missing(what, target, bad) or Line(what, target, f"{pair.rate:,.0f} rows/s", pair.rate >= 1.2e6)
    what, target = "Parquet, against bare `read_parquet`, a process's first as driftd's is", ">= 0.35"
    yield _missing(what, target, bad) or Line(what, target, _to_bare(pair), pair.to_fresh_bare >= 0.35)
    what, target = "Parquet, against scouter-ml's PSI alone", ">= 1.4"
    scouter = next((m for m in peers if m.peer.name == "scouter"), None)
    if bad or scouter is None or not scouter.answers:
        yield Line(what, target, bad or (scouter.reason if scouter else "peers left out"), None)
        return
    yield Line(what, target, f"{pair.to_rival:.2f}", pair.to_rival >= 1.4)


def _to_bare(pair: Pair) -> str:
    return f"{pair.to_fresh_bare:.2f} of a process's first read, {pair.to_bare:.2f} of the fastest of several"


def _memory(results: Results) -> Iterator[Line]:
    what, target = "peak memory, 2,000,000 rows", "<= 600 MB"
    bad = next((pair.problem for pair in results.pairs if pair.problem), "")
    peaks = [pair.peak for pair in results.pairs]
    text = ", ".join(f"{pair.peak:.0f} MB ({pair.log.suffix[1:]})" for pair in results.pairs)
    yield _missing(what, target, bad) or Line(what, target, text, max(peaks) <= 600)
    if not results.long:
        yield Line("peak memory, 20,000,000 rows", "<= 600 MB, the same", "not in this run (`--long`)", None)
    for log, trial in results.long:
        what, target = f"peak memory, 20,000,000 rows in {log.windows} windows", "<= 600 MB, the same"
        ratio = trial.run.peak_mb / results.pairs[0].peak
        text = f"{trial.run.peak_mb:.0f} MB, {ratio:.2f} of 2,000,000 rows'"
        met = trial.run.peak_mb <= 600 and ratio <= SAME
        yield _missing(what, target, bad or trial.problem(log.rows)) or Line(what, target, text, met)


def _live(results: Results) -> Iterator[Line]:
    live = results.live
    rows = (
        ("start to /readyz, worst", "<= 1.5 s", max(live.fresh_starts + live.restarts, default=0.0), 1.5),
        ("appended row to committed state, worst", "<= 1.5 s", max(live.latencies, default=0.0), 1.5),
        ("idle", "<= 1 % of a core", live.idle * 100, 1.0),
    )
    for what, target, value, limit in rows:
        text = f"{value:.2f} {'%' if what == 'idle' else 's'}"
        yield _missing(what, target, live.reason) or Line(what, target, text, value <= limit)


def _missing(what: str, target: str, reason: str) -> Line | None:
    return Line(what, target, f"not measured: {reason}", None) if reason else None


def peer_factor(results: Results, measured: Measured) -> str:
    """Return how many times faster driftd went over the same Parquet log, reading included."""
    parquet = next(pair for pair in results.pairs if pair.log is PARQUET)
    if parquet.problem or not measured.answers:
        return "-"
    return f"{parquet.rate / measured.rate:.1f}"
