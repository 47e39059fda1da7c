"""RESULTS.md: the targets, the peers, every single run, and how to repeat it."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from statistics import median

from benchmarks.results import Pair, Results
from benchmarks.targets import lines, peer_factor

HOW = """\
## How it is measured

- The data: 2,000,000 rows in 20 hourly windows; 27 columns (20 numeric with 1 % null, 5 categorical of 3,
  10, 50, 200 and 1,000 values, score, label) beside timestamp and prediction id; row order jittered by up
  to 1 s; two features shift in the last 5 windows. The reference has 100,000 rows of its own. `data.py`
  makes it from a fixed seed. The logs of 20,000,000 rows are made in two ways: 20 windows of 1,000,000
  rows, and 200 windows of 100,000.
- driftd: `driftd run --config F --once --flush` as a process from an empty state folder, with all nine
  distances on all 25 features and the score, profiles, de-duplication, calibrated thresholds and commits. A
  run counts only if `driftd metrics` then reports every row as stored. Its modules are compiled beforehand,
  as those of an installation are.
- The headline subtracts from a whole run the start-up of the same turn (the same command over an empty log:
  imports, configuration, reference), and is the median of the turns. So are the ratios: what is compared
  was measured within seconds, for such a machine is a third faster in one minute than in the next.
- Bare: `polars.read_parquet` or `read_ndjson` of the same hot file in a process of its own, three reads per
  turn, of which the first and the fastest are taken. The first read of a process pays for memory and
  threads, as driftd's does: Parquet's target is held against that, JSON lines' against the fastest of all.
  Turns alternate: start-up, bare, driftd and for Parquet scouter-ml, then again.
- Peaks are the kernel's (`ru_maxrss`, for peers `VmHWM`) of the one process, in MB of 10**6 bytes. Two
  peaks are called the same within 10 %.
- Peers run in environments of their own (`peers/*.txt`), usage reporting off, each by its own recommended
  way of univariate drift over the same windows. "all" is reading the Parquet file, cutting it into windows
  and judging; "judging" leaves out reading and cutting, in favour of the peer; the reference's preparation
  is in neither. The target against scouter-ml is held against its judging alone.
- The living daemon: three starts on an empty state and three on an existing one, until /readyz answers 200,
  after one that is shown apart, so that the program is as hot as the logs;
  20 single rows appended to a followed JSON lines file at random moments, until /metrics shows them as
  stored; then 30 s without rows or requests, user and system time from /proc.
"""


REPEAT = """\
## Repeat it

`make bench`, or `.venv/bin/python benchmarks/run.py --long` for the logs of 20,000,000 rows too. Data is kept
in `benchmarks/.data`, environments in `benchmarks/.envs`; both are made when missing.
"""


def render(results: Results) -> str:
    """Return the whole page."""
    return "\n".join(_page(results))


def _page(results: Results) -> Iterator[str]:
    m = results.machine
    yield "# Speed and memory\n\nWritten by `benchmarks/run.py`; do not edit.\n"
    yield f"- Date: {m.date}; call: `{results.call}`"
    yield f"- Machine: {m.processor}, {m.cores} cores, {m.memory_gb:.0f} GB; {m.system}"
    yield f"- Load average (1 / 5 / 15 min): {m.load_before} before, {results.load_after} after"
    yield f"- Versions: {m.versions}"
    yield "\n## Targets\n"
    words = {True: "yes", False: "**no**", None: "not measured"}
    rows = [(line.what, line.target, line.measured, words[line.met]) for line in lines(results)]
    yield from _table(("what", "target", "measured", "met"), rows)
    yield "\n## Beside the peers, Parquet, 2,000,000 rows\n"
    yield from _peers(results)
    yield "\n## Every run\n"
    for pair in results.pairs:
        yield from _runs(pair)
    yield from _long(results)
    yield from _live(results)
    yield from _scrapes()
    yield HOW
    yield REPEAT


def _peers(results: Results) -> Iterator[str]:
    head = (
        "tool",
        "rows",
        "rows/s, all",
        "rows/s, judging",
        "peak MB",
        "driftd is faster by",
        "what it does",
    )
    rows = []
    for measured in results.peers:
        if not measured.answers:
            rows.append((measured.peer.name, "-", "-", "-", "-", "-", measured.reason))
            continue
        a = measured.answers[0]
        rates = (f"{measured.rate:,.0f}", f"{measured.judging_rate:,.0f}", f"{measured.peak:,.0f}")
        rows.append((f"{a.tool} {a.version}", f"{a.rows:,}", *rates, peer_factor(results, measured), a.what))
    parquet = results.pairs[0]
    if not parquet.problem:
        what = "nine distances, profiles, state, thresholds; whole process without start-up"
        rows.append(
            (
                "driftd",
                f"{parquet.log.rows:,}",
                f"{parquet.rate:,.0f}",
                "-",
                f"{parquet.peak:,.0f}",
                "1",
                what,
            )
        )
    yield from _table(head, rows)


def _runs(pair: Pair) -> Iterator[str]:
    yield f"### {pair.log.path.name}: {pair.log.rows:,} rows\n"
    head = (
        "turn",
        "bare reads, s",
        "start-up, s",
        "driftd whole, s",
        "driftd CPU, s",
        "peak MB",
        "rows stored",
    )
    rows = [
        (
            str(i + 1),
            ", ".join(f"{seconds:.3f}" for seconds in bare),
            f"{start.seconds:.2f}",
            f"{trial.run.seconds:.2f}",
            f"{trial.run.cpu_seconds:.2f}",
            f"{trial.run.peak_mb:.0f}",
            f"{trial.stored:,}" if not trial.run.code else trial.run.complaint,
        )
        for i, (start, bare, trial) in enumerate(zip(pair.start_ups, pair.bare, pair.trials, strict=True))
    ]
    yield from _table(head, rows)
    if pair.problem:
        yield f"\nThese runs do not count: {pair.problem}\n"
        return
    rates = (pair.rate, pair.log.rows / pair.whole, pair.log.rows / pair.best_bare)
    middle, whole, bare = (f"{rate:,.0f}" for rate in rates)
    yield f"\nRows/s: {middle} without start-up, in the middle turn; at best {whole} with it, bare {bare}.\n"


def _long(results: Results) -> Iterator[str]:
    if results.long:
        yield "### 20,000,000 rows, once each\n"
        rows = [
            (
                log.path.name,
                str(log.windows),
                f"{t.run.seconds:.1f}",
                f"{t.run.peak_mb:.0f}",
                t.problem(log.rows) or "all",
            )
            for log, t in results.long
        ]
        yield from _table(("log", "windows", "whole, s", "peak MB", "rows stored"), rows)
        yield ""


def _live(results: Results) -> Iterator[str]:
    live = results.live
    yield "### The living daemon\n"
    if live.reason:
        yield f"Not measured: {live.reason}\n"
        return
    yield f"- start to /readyz, empty state: {_seconds(live.fresh_starts)} s"
    yield f"- start to /readyz, existing state: {_seconds(live.restarts)} s"
    yield f"- the first start of this call, its files perhaps not in memory: {live.first:.2f} s"
    yield f"- a Python that imports its libraries and ends, after each start: {_seconds(live.libraries)} s"
    yield f"- appended row to committed, median {median(live.latencies):.2f} s: {_seconds(live.latencies)} s"
    yield f"- idle: {live.idle * 100:.2f} % of a core\n"


def _scrapes() -> Iterator[str]:
    """Repeat what `python -m benchmarks.scrape` measured last, with its date."""
    page = Path(__file__).parent / "SCRAPE.md"
    if not page.exists():
        return
    told = page.read_text("utf-8").splitlines()
    yield "### Scrapes while rows come in at full speed\n"
    yield from (line for line in told if line.startswith("- Date:"))
    yield ""
    yield from (line for line in told if line.startswith("|"))
    yield "\n[SCRAPE.md](SCRAPE.md) says how that is measured.\n"


def _seconds(values: Iterable[float]) -> str:
    return ", ".join(f"{value:.2f}" for value in values)


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    yield "| " + " | ".join(head) + " |"
    yield "|" + "---|" * len(head)
    for row in rows:
        yield "| " + " | ".join(cell.replace("|", "/") for cell in row) + " |"
