"""How fast outcomes meet their predictions: `python -m benchmarks.join` writes benchmarks/JOIN.md.

Ten million predictions of ten days wait; then two million outcomes come, once in the order of their
predictions and once shuffled, in batches of 250,000 as the daemon reads them. Each batch is joined, counted
into its windows and committed before the next one comes. All of it by the daemon's own objects: worker,
SQLite store, segments. Every run has a process of its own, so that its peak memory is its own.
"""

import argparse
import json
import resource
import sys
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from time import perf_counter

import numpy as np
import polars as pl

from benchmarks import machine
from benchmarks.logs import HOUR, START
from benchmarks.measure import run
from benchmarks.waiting import HOURS, Ints, Size, Ward, model, outcomes, predictions
from detectors.classification import ClassMeasure
from monitor.core.outcomes import Vocabulary
from monitor.memory import keep_freed
from monitor.polling import ROWS

REPORT = Path(__file__).parent / "JOIN.md"
ORDERS = ("time", "random")
TARGETS = {"time": 200_000, "random": 60_000}
MOST_GB, MOST_SECONDS = 1.5, 1.0


@dataclass(frozen=True, slots=True)
class Result:
    """One run. slowest: seconds of the slowest batch. waiting: seconds to take in the predictions."""

    order: str
    joined: int
    seconds: float
    slowest: float
    waiting: float
    peak_gb: float


def measure(order: str, size: Size) -> Result:
    """Let predictions wait, then time the outcomes."""
    with (
        tempfile.TemporaryDirectory() as folder,
        ThreadPoolExecutor(1) as ahead,
        ThreadPoolExecutor(2) as pool,
    ):
        ward = Ward(Path(folder), ahead, pool)
        began = perf_counter()
        ward.take("predictions-0", (predictions(p, size) for p in parts(np.arange(size.predictions))))
        waiting = perf_counter() - began
        seconds = [_answer(ward, p, last, size) for p, last in _answers(order, size)]
        joined = ward.worker.state.labels.counts.get("joined", 0)
        ward.close()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9
    return Result(order, joined, sum(seconds), max(seconds), waiting, peak)


def parts(places: Ints) -> Iterator[Ints]:
    """Cut numbers into batches."""
    for at in range(0, len(places), ROWS):
        yield places[at : at + ROWS]


def _answers(order: str, size: Size) -> Iterator[tuple[Ints, float]]:
    """Yield the predictions answered in each batch, and how many hours after the start time has come to."""
    places = np.arange(size.outcomes) * (size.predictions // size.outcomes)
    if order == "random":
        places = np.random.default_rng(1).permutation(places)
    batches = list(parts(places))
    for number, batch in enumerate(batches):
        yield batch, HOURS + (number + 1) * HOURS / len(batches) + 1


def _answer(ward: Ward, places: Ints, hours: float, size: Size) -> float:
    """Take in outcomes, and one prediction by which the windows until now end; return the seconds."""
    frame = outcomes(places, size)
    at = np.array([size.predictions * 10 + round(hours * 1000)])
    tick = predictions(at, size).with_columns(at=pl.lit(START + round(hours * HOUR)))
    began = perf_counter()
    ward.take("outcomes-1", iter([frame]))
    ward.take("predictions-0", iter([tick]))
    return perf_counter() - began


def metrics_seconds(rows: int) -> float:
    """Return the seconds of all metrics of joined rows, the best of three."""
    vocabulary = Vocabulary.of(model())
    rng = np.random.default_rng(2)
    score = rng.random(rows)
    frame = pl.DataFrame({"prediction": (score > 0.5) * 1.0, "score": score})
    label = (rng.random(rows) < score).astype(np.float64)
    measure_ = ClassMeasure(vocabulary.classes, scored=True)
    found = []
    for _ in range(3):
        began = perf_counter()
        sums = measure_.sums(vocabulary.scored(frame, label), np.zeros(rows, np.int64), 1)
        measure_.values(sums[0], 0.05)
        found.append(perf_counter() - began)
    return min(found)


def child(order: str, size: Size) -> Result:
    """Run one order in a process of its own; ends the program with what it complained of when it failed."""
    options = ["--predictions", str(size.predictions), "--outcomes", str(size.outcomes), "--order", order]
    done = run([sys.executable, "-m", "benchmarks.join", *options])
    if done.code:
        sys.exit(f"the outcomes in {order} order failed: {done.complaint}")
    found = Result(**json.loads(done.output.splitlines()[-1]))
    if found.joined != size.outcomes:
        sys.exit(f"of {size.outcomes} outcomes in {order} order {found.joined} were joined")
    return found


def report(size: Size, results: Sequence[Result], seconds: float, before: machine.Machine) -> str:
    """Return the report."""
    rows = [
        f"| {r.order} | {size.outcomes / r.seconds:,.0f} | {TARGETS[r.order]:,} "
        f"| {met(size.outcomes / r.seconds >= TARGETS[r.order])} | {r.slowest:.2f} | {r.peak_gb:.2f} "
        f"| {MOST_GB} | {met(r.peak_gb <= MOST_GB)} | {size.predictions / r.waiting:,.0f} |"
        for r in results
    ]
    head = (
        "outcomes come in order of",
        "outcomes/s",
        "target",
        "met",
        "slowest batch, s",
        "peak GB",
        "target",
        "met",
        "predictions/s before",
    )
    return f"""# Outcomes meeting {size.predictions:,} waiting predictions

Written by `python -m benchmarks.join`; do not edit.

- Date: {before.date}
- Machine: {before.processor}, {before.cores} cores, {before.memory_gb:.0f} GB; {before.system}
- Load average (1 / 5 / 15 min): {before.load_before} before, {machine.load()} after
- Versions: {before.versions}

{__doc__.partition(chr(10) * 2)[2].strip()}

| {" | ".join(head)} |
|{"---|" * len(head)}
{chr(10).join(rows)}

All metrics of a binary model with scores, of {size.outcomes:,} joined rows: {seconds:.2f} s beyond the join;
target {MOST_SECONDS} s, met: {met(seconds <= MOST_SECONDS)}.

Peak memory counts the pages of mapped files that were touched; the system takes these back when it must.
"""


def met(holds: bool) -> str:  # noqa: FBT001 - a word for a table
    """Say whether a target is met."""
    return "yes" if holds else "**no**"


def main() -> None:
    """Measure and write the report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--predictions", type=int, default=Size().predictions)
    parser.add_argument("--outcomes", type=int, default=Size().outcomes)
    parser.add_argument("--order", choices=ORDERS, help="measure this one here, and print it as JSON")
    options = parser.parse_args()
    size = Size(options.predictions, options.outcomes)
    if options.order:
        keep_freed()  # as the daemon does
        print(json.dumps(asdict(measure(options.order, size))))
        return
    before = machine.describe()
    text = report(size, [child(order, size) for order in ORDERS], metrics_seconds(size.outcomes), before)
    print(text)
    if size == Size():
        REPORT.write_text(text, "utf-8")


if __name__ == "__main__":
    main()
