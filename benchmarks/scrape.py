"""How long a scrape takes while rows come in at full speed: `python -m benchmarks.scrape` writes SCRAPE.md.

A real daemon reads a log of 2,000,000 rows from an empty state, as fast as it can, and judges each window as
it closes. Beside the model of that log stand others that have been judged before: so many that 5,000 or
100,000 series are exported. Another process scrapes all of it ten times a second over one connection, as
Prometheus does (OpenMetrics, gzip or not), and takes the time until the last byte is there. After each scrape
it asks for /healthz, a word of two letters: what that takes longer than a millisecond is the machine's doing.
"""

import argparse
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from gzip import decompress
from http.client import HTTPConnection
from pathlib import Path
from statistics import median, quantiles
from time import perf_counter, sleep

from benchmarks import machine
from benchmarks.daemon import fresh_folder, stored_rows, write_config
from benchmarks.join import met
from benchmarks.live import free_port, running
from benchmarks.logs import PARQUET
from detectors.base import Level, Verdict
from monitor.core.policy import Trip, TripKey
from monitor.core.state import Book, dump_book, trip_changes
from monitor.store.sqlite import SqliteStore

REPORT = Path(__file__).parent / "SCRAPE.md"
ACCEPT = "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5,*/*;q=0.1"
TARGETS = {5_000: 50, 100_000: 150}
"""Series -> the most milliseconds of the slowest scrape in a hundred."""
OWN, EACH = 2_700, 40
"""Series of the model that reads the log, and of each other one beside those of its monitors; about."""
MONITORS_SERIES = 12
MONITORS = 405
"""Of each other model, at most: 4,900 series or so."""
DAY = 86_400 * 10**6
DAYS = 20_000
KINDS = tuple((series, zipped) for series in TARGETS for zipped in (False, True))
Kind = tuple[int, bool]


@dataclass(slots=True)
class Run:
    """What one daemon gave. seconds: of each scrape. bare: of /healthz. rate: rows per second meanwhile."""

    seconds: list[float] = field(default_factory=list)
    bare: list[float] = field(default_factory=list)
    series: int = 0
    size: int = 0
    rate: float = 0.0


def main() -> None:
    """Measure and write the report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="daemons of each kind, in turns")
    options = parser.parse_args()
    before = machine.describe()
    calm: list[Run] = []
    runs: dict[Kind, list[Run]] = {kind: [] for kind in KINDS}
    for number in range(options.rounds):
        calm.append(measure(0, zipped=False, pause=1.0))
        print(f"round {number + 1}: scraped once a second {calm[-1].rate:,.0f} rows/s", flush=True)
        for kind in KINDS:
            one = measure(kind[0], zipped=kind[1], pause=0.1)
            runs[kind].append(one)
            took = " / ".join(f"{1000 * value:.0f}" for value in (median(one.seconds), max(one.seconds)))
            print(f"  {one.series:,} series, gzip {kind[1]}: {took} ms, {one.rate:,.0f} rows/s", flush=True)
    REPORT.write_text(report(before, calm, runs), "utf-8")
    print(f"wrote {REPORT}")


def measure(series: int, *, zipped: bool, pause: float) -> Run:
    """Run a daemon over the log with about so many series, and scrape it until all rows are stored."""
    sizes = monitors_of_others(series)
    port = free_port()
    with fresh_folder() as folder:
        config = write_config(folder, PARQUET.path, ".parquet", f"127.0.0.1:{port}")
        others = "".join(table(folder, number, size) for number, size in enumerate(sizes))
        config.write_text(config.read_text("utf-8") + others, "utf-8")
        rest(folder / "state", sizes)
        with running(config, port):
            return scrape(port, zipped=zipped, pause=pause)


def monitors_of_others(series: int) -> list[int]:
    """Return how many monitors each of the other models has, for about so many series in all."""
    left = max(series - OWN, 0)
    sizes = []
    while left > EACH:
        sizes.append(max(min((left - EACH) // MONITORS_SERIES, MONITORS), 1))
        left -= sizes[-1] * MONITORS_SERIES + EACH
    return sizes


def table(folder: Path, number: int, size: int) -> str:
    """Return the configuration of one of the other models: no row of its own ever comes."""
    return f"""
[[models]]
name = "resting-{number:02}"
columns = {{ prediction = "y" }}
features = {{ numeric = [{", ".join(f'"feature_{i:03}"' for i in range(size))}] }}
reference = {{ first = "30d" }}
sources = [{{ role = "predictions", type = "files", path = "{folder}/none-*.jsonl" }}]
"""


def rest(state: Path, sizes: Sequence[int]) -> None:
    """Write the state of the other models: each monitor judged, in a window of some day."""
    rng = random.Random(5)
    state.mkdir()
    store = SqliteStore(state)
    for number, size in enumerate(sizes):
        name, trips = f"resting-{number:02}", {}
        for i in range(size):
            verdict = Verdict(
                "shift", f"feature_{i:03}", "drift", Level.OK, 900, rng.random(), 1.0, rng.random()
            )
            key = TripKey("", "all", verdict.feature, "shift")
            trips[key] = Trip("drift", window=DAYS * DAY, verdict=verdict, judged=verdict)
        book = Book(last_closed=DAYS * DAY, windows_closed=1, versions={"": DAYS * DAY}, window=DAY)
        store.commit({**trip_changes(name, trips), ("book", name, ""): dump_book(book)})
    store.close()


def scrape(port: int, *, zipped: bool, pause: float) -> Run:
    """Scrape again and again until all rows are stored; the first scrape of a daemon counts as well."""
    found, began, before = Run(), 0.0, 0
    connection = HTTPConnection("127.0.0.1", port, timeout=60)
    headers = {"Accept": ACCEPT, "Accept-Encoding": "gzip" if zipped else "identity"}
    while True:
        start = perf_counter()
        body = get(connection, "/metrics", headers)
        end = perf_counter()
        get(connection, "/healthz", {})
        found.bare.append(perf_counter() - end)
        text = (decompress(body) if zipped else body).decode("utf-8")
        stored = stored_rows(text)
        if not before:
            began, before = end, stored
        found.seconds.append(end - start)
        if stored >= PARQUET.rows:
            break
        sleep(max(pause - (perf_counter() - start), 0.0))
    found.series = sum(not line.startswith("#") for line in text.splitlines())
    found.size, found.rate = len(body), (PARQUET.rows - before) / (end - began)
    connection.close()
    return found


def get(connection: HTTPConnection, path: str, headers: Mapping[str, str]) -> bytes:
    """Ask, and wait for the last byte."""
    connection.request("GET", path, headers=dict(headers))
    return connection.getresponse().read()


def slowest(seconds: Sequence[float]) -> float:
    """Return the milliseconds of the slowest in a hundred."""
    return quantiles(seconds, n=100, method="inclusive")[98] * 1000


def report(before: machine.Machine, calm: Sequence[Run], runs: Mapping[Kind, Sequence[Run]]) -> str:
    """Return the report."""
    usual = median(run.rate for run in calm)
    rows = [line(kind, found, usual) for kind, found in runs.items()]
    head = (
        "series",
        "gzip",
        "scrapes",
        "p50, ms",
        "p99, ms",
        "healthz p99",
        "target",
        "met",
        "bytes",
        "rows/s",
        "of calm",
    )
    return f"""# Scrapes while rows come in at full speed

Written by `python -m benchmarks.scrape`; do not edit.

- Date: {before.date}
- Machine: {before.processor}, {before.cores} cores, {before.memory_gb:.0f} GB; {before.system}
- Load average (1 / 5 / 15 min): {before.load_before} before, {machine.load()} after
- Versions: {before.versions}

{(__doc__ or "").partition(chr(10) * 2)[2].strip()}

| {" | ".join(head)} |
|{"---|" * len(head)}
{chr(10).join(rows)}

Calm is one scrape a second of the one model alone: {usual:,.0f} rows/s. All rates are medians of
{len(calm)} daemons each, run in turns; times are of all their scrapes, the very first of each among them.
"""


def line(kind: Kind, runs: Sequence[Run], usual: float) -> str:
    """Return one line of the table."""
    seconds = [value for run in runs for value in run.seconds]
    slow, bare = slowest(seconds), slowest([value for run in runs for value in run.bare])
    rate = median(run.rate for run in runs)
    cells = (
        f"{max(run.series for run in runs):,}",
        "yes" if kind[1] else "no",
        f"{len(seconds):,}",
        f"{median(seconds) * 1000:.0f}",
        f"{slow:.0f}",
        f"{bare:.0f}",
        f"{TARGETS[kind[0]]}",
        met(slow <= TARGETS[kind[0]]),
        f"{max(run.size for run in runs):,}",
        f"{rate:,.0f}",
        f"{rate / usual:.2f}",
    )
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    main()
